"""What holds on every page of the console: text stays text, nothing runs or loads that is not ours, many tables cost no more."""

from collections.abc import Iterator
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from monitoring.models import Sample
from projects import one_table, plans
from projects.evolution import drafts
from projects.models import Job, forget_decided
from schema_registry import audit, snapshots
from schema_registry.sources.native import parse_document
from tests.conftest import PASSWORD
from tests.projects.conftest import make_table
from tests.site.conftest import COLUMN, HOSTILE, MARK
from tests.site.console_pages import pages, visit

pytestmark = pytest.mark.django_db

# The attributes that make a browser fetch or follow something.
ADDRESSES = ("href", "src", "action", "formaction", "data", "poster", "srcset", "hx-get", "hx-post")
LOADED = ("script", "link", "img", "iframe", "object", "embed", "source", "video", "audio", "form")


# What is sent wrong is shown again, with what is wrong in words.
REFUSED = (
    ("/console/query/", {"sql": f"SELECT {HOSTILE}", "params": HOSTILE}),
    ("/console/query/", {"sql": f"SELECT {HOSTILE}"}),
    ("/console/query/", {"sql": "SELECT * FROM hostile"}),
    ("/console/tables/hostile/rows/add/", {"id": HOSTILE, "choice": HOSTILE, COLUMN: HOSTILE, "parent": HOSTILE}),
    ("/console/tables/hostile/rows/7/", {"__deed": "save", "__row": HOSTILE, "choice": HOSTILE}),
    ("/console/tables/hostile/import/", {"nulls": HOSTILE, "format": HOSTILE}),
    ("/console/tables/hostile/", {"deed": HOSTILE}),
    ("/console/login/", {"username": HOSTILE, "password": HOSTILE}),
)


class Scan(HTMLParser):
    """Collects what a page must not have: scripts and handlers in it, and what it would load from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.depth = 0  # of elements inside ours

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.faults += _of_script(tag, given)
        self.faults += [f"<{tag} {name}>" for name in given if name.startswith(("on", "hx-on"))]
        for name in ADDRESSES:
            self.faults += [f"<{tag} {name}={given[name]}>" for _ in _bad_address(tag, given.get(name))]


def _of_script(tag: str, given: dict[str, str]) -> Iterator[str]:
    if tag == "script" and "src" not in given and given.get("type") != "application/json":
        yield "an inline script"
    if tag in ("iframe", "object", "embed", "base"):
        yield f"<{tag}>"


def _bad_address(tag: str, address: str | None) -> Iterator[str]:
    text = (address or "").strip().lower()
    if text.startswith(("javascript:", "vbscript:")) or (text.startswith("data:") and tag != "link"):
        yield text
    if tag in LOADED and text.startswith(("http:", "https:", "//")):
        yield text


@pytest.fixture
def root(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root", password=PASSWORD))
    return client


@pytest.fixture
def texts(root: Client, shown: SimpleNamespace) -> dict[str, str]:
    """Every page as a superuser sees it, by its address."""
    Sample.objects.create(at=shown.entry.at, seconds=60, troubles={"onto_server": HOSTILE, HOSTILE: HOSTILE})
    answers = {address: visit(root, address) for address in [*pages(shown), "/", "/docs", "/console/no/such/page/"]}
    answers |= {f"{address} {data}": root.post(address, data) for address, data in REFUSED}
    assert {address for address, answer in answers.items() if answer.status_code >= 500} == set()
    others = [answer for answer in answers.values() if not answer.headers["Content-Type"].startswith("text/html")]
    assert {answer.headers["X-Content-Type-Options"] for answer in others} == {"nosniff"}
    assert all(answer.headers["Content-Security-Policy"].startswith("default-src 'self'; ") for answer in answers.values())
    return {address: answer.content.decode() for address, answer in answers.items() if answer not in others}


def test_hostile_text_stands_as_text_on_every_page(texts: dict[str, str]):
    assert {address for address, text in texts.items() if "<script>alert" in text or "<img src=x" in text} == set()
    assert {address for address, text in texts.items() if MARK in text} != set()  # It is there to be seen.


def test_no_page_has_a_script_or_a_handler_in_it_or_loads_from_another_host(texts: dict[str, str]):
    found = {}
    for address, text in texts.items():
        scan = Scan()
        scan.feed(text)
        found[address] = scan.faults
    assert {address: faults for address, faults in found.items() if faults} == {}


@pytest.mark.parametrize(
    "page",
    [
        "<script>x()</script>",
        '<a onclick="x()">',
        '<a href="javascript:x()">',
        '<script src="https://cdn.example/x.js"></script>',
        '<div hx-on:click="x()">',
        '<iframe src="/x"></iframe>',
    ],
)
def test_the_scan_sees_what_must_not_be(page: str):
    scan = Scan()
    scan.feed(page)
    assert scan.faults


# Many tables.


def add_tables(shown: SimpleNamespace, first: int, last: int) -> None:
    """More tables, each with two snapshots, a plan that waits, a job and audit entries."""
    columns = [{"name": "id", "type": "INTEGER", "required": True}, {"name": "a", "type": "VARCHAR"}]
    for number in range(first, last):
        name = f"many_{number:03}"
        schema = make_table(name, [*columns, {"name": "other", "type": "INTEGER", "references": "hostile.id"}])
        snapshots.record(schema, {}, provenance="live")
        wanted = parse_document({"name": name, "columns": columns}, name)
        snapshot = snapshots.record(wanted, {}, provenance="live")
        plans.propose(drafts.to_schema(shown.store, shown.store.table(name), wanted), actor="ada", snapshot=snapshot)
        Job.objects.create(kind="sync", inputs={"names": [name]}, created_by=User.objects.get(username="root"))
        audit.append("table.create", name, actor="ada")
    one_table.reconcile(shown.store)


def queries(root: Client, shown: SimpleNamespace) -> dict[str, int]:
    """How many queries each page asks of Django's database."""
    counts = {}
    for address in pages(shown):
        forget_decided()  # It is asked for anew each second.
        with CaptureQueriesContext(connection) as asked:
            assert visit(root, address).status_code == 200, address
        counts[address] = len(asked)
    return counts


@pytest.mark.parametrize("number", [30, pytest.param(300, marks=pytest.mark.long)])
def test_a_page_asks_no_more_of_many_tables_than_of_few(root: Client, shown: SimpleNamespace, number: int):
    add_tables(shown, 0, 3)
    few = queries(root, shown)
    add_tables(shown, 3, number)
    many = queries(root, shown)
    # A list that has a second page now asks once or twice more, never for each table.
    assert {address: (few[address], count) for address, count in many.items() if count > few[address] + 3} == {}
    assert {address: count for address, count in many.items() if count > 40} == {}
