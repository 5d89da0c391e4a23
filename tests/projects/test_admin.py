import re
import subprocess
import sys

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from projects import one_table, rows, undoing
from projects.errors import TableReadOnly
from projects.models import Job, ManagedTable
from projects.store import tables
from projects.store.connection import reset_store
from schema_registry import snapshots
from schema_registry.models import AuditEntry
from schema_registry.sources.native import parse_document
from tests.conftest import user_with_role
from tests.projects.conftest import WIND_FARM, make_table

pytestmark = pytest.mark.django_db

ROW = {name: str(value) for name, value in WIND_FARM.items()} | {"total_amount": "1250000.50"}
SCRIPT = "<script>alert(1)</script>"
TABLES = reverse("admin:projects_managedtable_changelist")
JOBS = reverse("admin:projects_job_changelist")
HELD = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


@pytest.fixture
def console(client, roles):
    """Signs somebody in with a role, and fetches pages as they see them."""

    class Console:
        def enter(self, role: str) -> User:
            user = User.objects.filter(username=role).first() or user_with_role(role)
            User.objects.filter(pk=user.pk).update(is_staff=True)
            client.force_login(user)
            return user

        def get(self, address: str, status: int = 200) -> str:
            response = client.get(address)
            assert response.status_code == status
            return response.content.decode()

        def table(self, name: str) -> str:
            return self.get(page_of(name))

        post = staticmethod(client.post)

    made = Console()
    made.enter("viewer")
    return made


def page_of(name: str) -> str:
    return reverse("admin:projects_managedtable_change", args=[ManagedTable.objects.get(name=name).pk])


@pytest.fixture
def kept(projects):
    """The sample tables, each with the record that people's decisions stand in."""
    one_table.reconcile(projects)
    return projects


def listed(text: str, name: str) -> str:
    """One table's line of the list, without its tags."""
    lines = re.findall(r"<tr.*?</tr>", text, re.S)
    return " ".join(re.sub(r"<[^>]*>", " ", next(line for line in lines if f">{name}</a>" in re.sub(r"\s*([<>])\s*", r"\1", line))).split())


# The list.


def test_the_list_shows_each_table_with_its_rows_version_and_source(console, kept):
    rows.create(kept, "projects", ROW, actor="ada")
    line = listed(console.get(TABLES), "projects")
    assert line.startswith("projects Renewable energy projects and what is expected of them. 1 1 project_schema mock unknown")


def test_the_list_says_which_tables_are_pinned_read_only_behind_or_dropped(console, kept):
    snapshots.record(kept.table("projects").schema, "{}", provenance="mock")
    shorter = make_table("things", [{"name": "id", "type": "INTEGER", "required": True}])
    wider = {"name": "things", "columns": [{"name": "id", "type": "BIGINT", "required": True}]}
    snapshots.record(parse_document(wider, shorter.document_id), wider, provenance="live")
    one_table.reconcile(kept)
    ManagedTable.objects.filter(name="portfolios").update(pinned=True, read_only=True)
    undoing.drop(kept, "portfolio_projects", confirm="portfolio_projects", actor="ada")
    text = console.get(TABLES)
    assert "in step" in listed(text, "projects")
    assert "behind" in listed(text, "things")
    assert "pinned read-only" in listed(text, "portfolios")
    assert "dropped" in listed(text, "portfolio_projects")
    assert "What the ontology changed" in console.table("things")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("q=folio_p", {"portfolio_projects"}),
        ("state=pinned", {"portfolios"}),
        ("state=read-only", {"projects"}),
        ("state=dropped", {"portfolio_projects"}),
        ("state=not+dropped", {"portfolios", "projects"}),
        ("state=nonsense", {"portfolio_projects", "portfolios", "projects"}),
    ],
)
def test_the_list_can_be_searched_and_narrowed(console, kept, query, names):
    ManagedTable.objects.filter(name="portfolios").update(pinned=True)
    ManagedTable.objects.filter(name="projects").update(read_only=True)
    undoing.drop(kept, "portfolio_projects", confirm="portfolio_projects", actor="ada")
    assert set(re.findall(r"managedtable/\d+/change/[^>]*>\s*(\w+)\s*</a>", console.get(f"{TABLES}?{query}"))) == names


def test_an_empty_list_says_how_tables_come_about(console, store):
    assert "There is no table yet." in console.get(TABLES)


def test_many_tables_take_no_more_queries_than_few(console, kept, django_assert_max_num_queries):
    ManagedTable.objects.bulk_create(ManagedTable(name=f"table_{n:03}") for n in range(300))
    with django_assert_max_num_queries(15):
        console.get(TABLES)


# A table's page.


def test_a_tables_page_shows_columns_first_rows_and_commands_with_everything_escaped(console, store):
    hostile = dict.fromkeys(("description", "unit", "default", "id"), SCRIPT)
    make_table(
        "Größe",
        [{"name": "id", "type": "INTEGER", "required": True}, {"name": "a<b", "type": "VARCHAR", "enum": [SCRIPT], **hostile}],
        description=SCRIPT,
    )
    one_table.reconcile(store)
    rows.create(store, "Größe", {"id": 7}, actor="ada")
    text = console.table("Größe")
    assert SCRIPT not in text
    assert '<td class="spawn-number">7</td><td class="spawn-text">&lt;script&gt;alert(1)&lt;/script&gt;</td>' in text
    assert "/ops/Gr%C3%B6%C3%9Fe?limit=20" in text
    assert SCRIPT not in console.get(TABLES)


def test_a_tables_page_has_nothing_that_the_browsers_policy_forbids(console, kept):
    page = console.table("projects").partition('class="spawn-page"')[2]
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=", page.partition("</main>")[0])


def test_a_meaning_is_a_link_only_where_a_browser_should_follow_it(console, store):
    names = {"web": "https://schema.org/name", "code": "javascript:alert(1)", "curie": "qudt:KiloW"}
    make_table(
        "things", [{"name": name, "type": "VARCHAR", "required": True, "id": iri} for name, iri in names.items()], primary_key=["web"]
    )
    one_table.reconcile(store)
    text = console.table("things")
    assert 'href="https://schema.org/name"' in text
    assert 'href="javascript' not in text
    assert "javascript:alert(1)" in text
    assert "qudt:KiloW" in text


def test_a_long_value_is_shortened_and_a_null_is_not_the_word(console, kept):
    rows.create(kept, "projects", {**ROW, "description": "long " * 500}, actor="ada")
    rows.create(kept, "projects", {**ROW, "project_name": "null"}, actor="ada")
    text = console.table("projects")
    title, shown = re.search(r'title="(long [^"]*)">([^<]*)<', text).groups()
    assert len(shown) == 61
    assert len(title) == 1001
    assert '<td class="spawn-null">null</td>' in text
    assert '<td class="spawn-text">null</td>' in text
    assert '<td class="spawn-number">1250000.50</td>' in text


def test_only_the_first_rows_are_shown_in_the_keys_order(console, store):
    make_table("things", [{"name": "id", "type": "INTEGER", "required": True}, {"name": "tags", "type": "VARCHAR[]"}])
    one_table.reconcile(store)
    for number in range(25, 0, -1):
        rows.create(store, "things", {"id": number, "tags": ["a"] if number == 1 else None}, actor="ada")
    text = console.table("things")
    assert re.findall(r'<td class="spawn-number">(\d+)</td>', text) == [str(n) for n in range(1, 21)]
    assert "[&quot;a&quot;]" in text
    assert text.count('class="spawn-null"') == 19


def test_references_that_do_not_hold_are_counted(console, kept):
    absent = "00000000-0000-4000-8000-000000000001"
    row = {"portfolio_id": absent, "project_id": absent, "allocation_percentage": 10, "entry_date": "2026-01-31"}
    rows.create(kept, "portfolio_projects", row, actor="ada")
    assert console.table("portfolio_projects").count("1 row refers to nothing that is there") == 2


def test_an_empty_table_says_so(console, kept):
    assert "The table has no rows yet." in console.table("projects")


def test_the_command_on_the_page_creates_a_row(console, kept):
    from projects.table_page import example  # noqa: PLC0415 - What the page prints.

    for name in ("projects", "portfolios", "portfolio_projects"):
        rows.create(kept, name, example(kept.table(name).schema), actor="ada")
        assert tables.size(kept, name).rows == 1


def test_a_dropped_table_says_how_to_get_it_back(console, kept):
    undoing.drop(kept, "projects", confirm="projects", actor="ada")
    text = console.table("projects")
    assert "This table was dropped" in text
    assert "/admin/tables" in text


def test_a_record_without_a_table_says_so(console, store):
    ManagedTable.objects.create(name="lost")
    assert "DuckDB has no table of this name" in console.table("lost")


def test_where_duckdb_cannot_be_opened_the_pages_say_why(console, kept, own_store):
    reset_store()
    with subprocess.Popen(
        [sys.executable, "-c", HELD, str(own_store / "data_product.db")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        for text in (console.get(TABLES), console.table("projects")):
            assert f"held by another process (pid {holder.pid})" in text
            assert "projects" in text
        holder.communicate("")


# What people decide.


def test_a_steward_pins_a_table_and_closes_its_rows_and_the_audit_log_has_it(console, kept):
    console.enter("steward")
    console.post(page_of("projects"), {"pinned": "on", "read_only": "on"})
    record = ManagedTable.objects.get(name="projects")
    assert record.pinned
    assert record.read_only
    with pytest.raises(TableReadOnly):
        rows.create(kept, "projects", ROW, actor="ada")
    console.post(page_of("projects"), {})
    rows.create(kept, "projects", ROW, actor="ada")
    noted = AuditEntry.objects.filter(object="projects", actor="steward").order_by("seq")
    assert [entry.action for entry in noted] == ["table.pin", "table.read_only", "table.unpin", "table.writable"]


def test_saving_what_was_not_changed_is_not_noted(console, kept):
    console.enter("steward")
    console.post(page_of("projects"), {"name": "other"})
    assert ManagedTable.objects.filter(name="projects").exists()
    assert not AuditEntry.objects.filter(object="projects").exists()


def test_a_viewer_decides_nothing_and_nobody_adds_or_deletes(console, kept):
    assert console.post(page_of("projects"), {"pinned": "on"}).status_code == 403
    assert 'name="pinned"' not in console.table("projects")
    console.enter("steward")
    assert 'name="pinned"' in console.table("projects")
    assert console.post(page_of("projects").replace("change", "delete"), {"post": "yes"}).status_code == 403
    console.get(TABLES + "add/", 403)
    assert not ManagedTable.objects.get(name="projects").pinned


def test_a_dropped_table_cannot_be_pinned(console, kept):
    undoing.drop(kept, "projects", confirm="projects", actor="ada")
    console.enter("steward")
    assert console.post(page_of("projects"), {"pinned": "on"}).status_code == 403


def test_only_those_who_may_read_rows_see_tables_and_jobs(client, roles):
    client.force_login(User.objects.create_user("nobody", is_staff=True))
    for address in (TABLES, JOBS):
        assert client.get(address).status_code == 403


# Jobs.


def test_people_see_their_own_jobs_and_operators_all(console):
    own = Job.objects.create(kind="sync", created_by=console.enter("editor"), done=50, total=100, state="running")
    other = Job.objects.create(kind="load")
    text = console.get(JOBS)
    assert "50 %" in text
    assert str(own.pk) in text
    assert str(other.pk) not in text
    console.get(reverse("admin:projects_job_change", args=[other.pk]), 302)
    console.enter("operator")
    text = console.get(JOBS)
    assert str(own.pk) in text
    assert str(other.pk) in text


def test_a_jobs_page_shows_its_outcome_escaped_and_no_secret_input(console):
    inputs = {"table": SCRIPT, "spool": "secret-1", "password": "secret-2"}
    job = Job.objects.create(
        kind="load", created_by=console.enter("editor"), state="failed", inputs=inputs, error=SCRIPT, result={SCRIPT: 1}
    )
    text = console.get(reverse("admin:projects_job_change", args=[job.pk]))
    assert SCRIPT not in text
    assert "secret" not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 3
    assert console.post(reverse("admin:projects_job_change", args=[job.pk]), {"state": "done"}).status_code == 403
    assert console.post(reverse("admin:projects_job_delete", args=[job.pk]), {"post": "yes"}).status_code == 403


# The way there.


@pytest.mark.parametrize(
    ("role", "titles"),
    [
        ("viewer", {"Tables", "Schemas", "Jobs", "API docs", "Tokens"}),
        ("steward", {"Tables", "Schemas", "Jobs", "Audit log", "API docs", "Tokens"}),
    ],
)
def test_the_first_page_and_the_sidebar_lead_where_a_person_may_go(console, kept, role, titles):
    console.enter(role)
    text = console.get(reverse("admin:index"))
    cards = dict(re.findall(r'<li><a href="([^"]+)">.*?<strong>([^<]+)</strong>', text))
    assert set(cards.values()) == titles
    for address in cards:
        assert text.count(f'href="{address}"') >= 2
        if address.startswith("/console/"):
            console.get(address)
