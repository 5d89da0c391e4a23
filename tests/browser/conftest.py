"""A real Chromium that visits the real server. Whatever goes wrong in it that a person would not see fails the test all the same."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, Page, sync_playwright

from projects import one_table, rows
from projects.store.connection import Store
from tests.conftest import PASSWORD
from tests.projects.conftest import WIND_FARM, projects, store  # noqa: F401 - Fixtures.

HOSTILE = "<script>alert(1)</script>"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
QUIET = ("--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")
PATIENCE = 10_000  # milliseconds that a page has to show what is looked for


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if CHROMIUM is None:
        for item in items:
            if item.path.parent.name == "browser":
                item.add_marker(pytest.mark.skip(reason="no Chromium: install the package chromium to run the browser's tests"))


@pytest.fixture(autouse=True)
def plain_static_files(settings, tmp_path: Path) -> None:
    """The live server serves the apps' own files, by their plain names; a developer may have collected hashed ones."""
    settings.STATIC_ROOT = tmp_path / "static"


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Playwright runs an event loop in the tests' thread, where Django would refuse its database."""
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *QUIET])
        yield running
        running.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
    if before is not None:
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = before


@pytest.fixture
def tables(live_server, projects: Store) -> Store:  # noqa: F811
    """The sample tables, fetched from the sample ontology, and two rows; one has a script for a name."""
    one_table.reconcile(projects)
    for name in ("Wind farm", HOSTILE):
        row = {name: str(value) for name, value in WIND_FARM.items()} | {"project_name": name}
        rows.create(projects, "projects", row, actor="ada")
    return projects


@pytest.fixture
def ada(live_server) -> User:
    return User.objects.create_superuser("ada", password=PASSWORD)


@pytest.fixture
def color_scheme() -> str:
    return "light"


@pytest.fixture
def visitor(browser: Browser, live_server, color_scheme: str) -> Iterator[Page]:
    """A page of a fresh browser; at the end there was no error, no dialog, no answer of 400 or above and no other host."""
    context = browser.new_context(base_url=live_server.url, color_scheme=color_scheme, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE)
    page, troubles = context.new_page(), []
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("dialog", lambda dialog: (troubles.append(f"a dialog: {dialog.message}"), dialog.dismiss()))
    page.on("response", lambda answer: troubles.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None)
    page.on("request", lambda asked: None if asked.url.startswith((live_server.url, "data:")) else troubles.append(asked.url))
    yield page
    page.wait_for_load_state("networkidle")
    context.close()
    assert troubles == []


@pytest.fixture
def reader(visitor: Page, ada: User, live_server) -> Page:
    """A page where ada is signed in already."""
    client = Client()
    client.force_login(ada)
    visitor.context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])
    return visitor
