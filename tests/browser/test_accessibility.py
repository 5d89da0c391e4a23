"""axe-core on every page of the console, with hostile content, light and dark."""

from types import SimpleNamespace

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from monitoring.models import Sample
from tests.site.conftest import shown  # noqa: F401 - A fixture.
from tests.site.console_pages import pages_of_ours

pytestmark = pytest.mark.django_db(transaction=True)

GRAVE = ("serious", "critical")
STILL = "*, *::before, *::after { transition: none !important; animation: none !important; }"
DARK = {"resultTypes": ["violations"], "runOnly": ["color-contrast"]}  # All else is the same in the dark.


def faults(page: Page, options: dict[str, object] | None = None) -> list[str]:
    """What axe-core finds that is serious or critical: the rule, and the place of each element."""
    found = Axe().run(page, options=options or {"resultTypes": ["violations"]}).response["violations"]
    return [f"{one['id']}: {node['target']} {node['html'][:120]}" for one in found if one["impact"] in GRAVE for node in one["nodes"]]


def darken(page: Page) -> None:
    """As somebody's browser that wants the dark: the pages that are not unfold's ask it, unfold's script sets a class."""
    page.emulate_media(color_scheme="dark")
    page.evaluate("document.documentElement.classList.replace('light', 'dark') || document.documentElement.classList.add('dark')")


def test_axe_finds_nothing_serious_on_any_page(reader: Page, shown: SimpleNamespace):  # noqa: F811
    Sample.objects.create(at=shown.entry.at, seconds=60, requests=5, file_bytes=10**6)
    found = {}
    for address in ["/", *pages_of_ours(shown)]:
        reader.emulate_media(color_scheme="light")
        reader.goto(address)
        reader.add_style_tag(content=STILL)
        found[f"{address} light"] = faults(reader)
        darken(reader)
        found[f"{address} dark"] = faults(reader, DARK)
    assert {address: one for address, one in found.items() if one} == {}


def test_axe_finds_nothing_serious_on_the_login(visitor: Page):
    for scheme in ("light", "dark"):
        visitor.emulate_media(color_scheme=scheme)
        visitor.goto("/console/")
        visitor.add_style_tag(content=STILL)
        assert faults(visitor) == [], scheme
