"""What every test has: a DuckDB and folders of its own, and a client for each role with a real bearer token."""

import gc
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.db import connections
from rest_framework.test import APIClient

from duckspawn_site import throttle
from duckspawn_site.auth import authentication
from duckspawn_site.auth.models import Token
from monitoring import checks, draining, figures
from projects import slots
from projects.audit import forget_standing
from projects.models import forget_decided
from projects.store.connection import reset_store

PASSWORD = "a long enough pass phrase"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests marked long too")
    parser.addoption("--seed", type=int, help="what the fault test draws its kills and writes from")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    seen: Counter[str] = Counter()
    for item in items:
        thinned = item.get_closest_marker("thinned")
        if item.get_closest_marker("long") or (thinned and not _stays(thinned, item.nodeid.partition("[")[0], seen)):
            item.add_marker(pytest.mark.skip(reason="long: asked for by --long"))


def _stays(thinned: pytest.Mark, test: str, seen: Counter[str]) -> bool:
    """Whether a case is among each `of` one, or among the others."""
    (of,) = thinned.args
    seen[test] += 1
    return (seen[test] % of == 1) != thinned.kwargs.get("others", False)


def pytest_collection_finish() -> None:
    """What is there by now stays to the end: to look through it for garbage again and again would be a cost of every test."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A file, not memory: threads see one database. What the tests write need not outlive a power loss."""
    database = connections["default"].settings_dict
    database["TEST"]["NAME"] = str(tmp_path_factory.mktemp("django") / "test.sqlite3")
    database["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"


@pytest.fixture(autouse=True)
def own_store(settings, tmp_path: Path) -> Iterator[Path]:
    """Gives the test its own DuckDB file, spool and archive; nothing that a process keeps goes on to the next test."""
    settings.DUCKDB_PATH = tmp_path / "data_product.db"
    settings.SPOOL_DIR = tmp_path / "spool"
    settings.ARCHIVE_DIR = tmp_path / "archive"
    yield tmp_path
    reset_store()
    left, slots._taken = slots._taken, 0
    assert not left, "an answer that streams was not closed, and keeps its slot"
    assert not slots._heavy.running, "a heavy request has not given its turn back"
    forget_decided()
    forget_standing()
    authentication.forget_all()
    throttle.forget_all()
    checks.forget_all()
    draining.forget()
    figures.forget()


@pytest.fixture
def roles(db) -> None:
    """The four groups. Their migration made them, but a transactional test before this one may have emptied the tables."""
    if not Group.objects.exists():
        import_module("duckspawn_site.auth.migrations.0002_roles").make_roles(apps, None)


def user_with_role(role: str) -> User:
    """A user of that name in the group of that role."""
    user = User.objects.create_user(role, password=PASSWORD)
    user.groups.add(Group.objects.get(name=role))
    return user


def client_of(user: User, **token: object) -> APIClient:
    """A client with a fresh bearer token of the user's, narrowed by `role` and `scopes` where given."""
    _, secret = Token.objects.create(user=user, **token)
    return APIClient(HTTP_AUTHORIZATION=f"Bearer {secret}")


@pytest.fixture
def anonymous_client(db) -> APIClient:
    return APIClient()


@pytest.fixture
def viewer_client(roles) -> APIClient:
    return client_of(user_with_role("viewer"))


@pytest.fixture
def editor_client(roles) -> APIClient:
    return client_of(user_with_role("editor"))


@pytest.fixture
def steward_client(roles) -> APIClient:
    return client_of(user_with_role("steward"))


@pytest.fixture
def operator_client(roles) -> APIClient:
    return client_of(user_with_role("operator"))


@pytest.fixture
def admin_client_api(roles) -> APIClient:
    """A superuser's."""
    return client_of(User.objects.create_superuser("root", password=PASSWORD))
