"""The tables in the console: the list, a table's page, and what a steward decides there."""

import json
import re
import subprocess
import sys

import pytest
from django.contrib.auth.models import User

from duckspawn_site.auth.models import Token
from projects import one_table, rows, undoing
from projects.console.examples import examples, row_of
from projects.errors import TableReadOnly
from projects.models import ManagedTable, Plan
from projects.store import tables
from projects.store.connection import reset_store
from projects.store.summary import summarize
from schema_registry import snapshots
from schema_registry.models import AuditEntry
from schema_registry.sources.native import parse_document
from tests.conftest import user_with_role
from tests.projects.conftest import WIND_FARM, make_table
from tests.projects.ontology import TURBINES

pytestmark = pytest.mark.django_db

ROW = {name: str(value) for name, value in WIND_FARM.items()} | {"total_amount": "1250000.50"}
SCRIPT = "<script>alert(1)</script>"
TABLES = "/console/tables/"
HELD = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


def listed(text: str) -> dict[str, str]:
    """Each table's line of the list, without its tags, by the table's name."""
    body = text.partition('<table id="tables">')[2].partition("</table>")[0]
    lines = [" ".join(re.sub(r"<[^>]*>", " ", line).split()) for line in re.findall(r"<tr>.*?</tr>", body, re.S)[1:]]
    return {line.split()[0]: line for line in lines}


def decisions(text: str, **changed: str) -> dict[str, str]:
    """The form as the page has it, and what a person changed in it."""
    shown = json.loads(f'"{re.search(r"name=.shown. value=.([^>]*).>", text)[1]}"'.replace("&quot;", '\\"'))
    return {"deed": "decide", "shown": shown, "compatibility": "NONE"} | changed


# The list.


def test_the_list_shows_each_table_with_its_rows_version_and_source(console, kept):
    rows.create(kept, "projects", ROW, actor="ada")
    text = console.get(TABLES)
    line = listed(text)["projects"]
    assert '<a href="/console/tables/projects/">projects</a>' in text
    assert line.startswith("projects Renewable energy projects and what is expected of them. unknown 1 0 bytes 1 project_schema mock")


def test_the_list_says_which_tables_are_pinned_read_only_behind_or_dropped(console, kept):
    snapshots.record(kept.table("projects").schema, "{}", provenance="mock")
    shorter = make_table("things", [{"name": "id", "type": "INTEGER", "required": True}])
    wider = {"name": "things", "columns": [{"name": "id", "type": "BIGINT", "required": True}]}
    snapshots.record(parse_document(wider, shorter.document_id), wider, provenance="live")
    one_table.reconcile(kept)
    ManagedTable.objects.filter(name="portfolios").update(pinned=True, read_only=True)
    undoing.drop(kept, "portfolio_projects", confirm="portfolio_projects", actor="ada")
    lines = listed(console.get(TABLES))
    assert "in step" in lines["projects"]
    assert "behind" in lines["things"]
    assert "pinned read-only" in lines["portfolios"]
    assert "dropped" in lines["portfolio_projects"]
    assert "Change the type of id from INTEGER to BIGINT." in console.table("things")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("q=folio_P", {"portfolio_projects"}),
        ("q=gathered", {"portfolios"}),
        ("q=nothing+here", set()),
        ("state=pinned", {"portfolios"}),
        ("state=read-only", {"projects"}),
        ("state=dropped", {"portfolio_projects"}),
        ("state=unknown", {"portfolios", "projects"}),
        ("state=unknown&q=renewable", {"projects"}),
        ("state=nonsense", {"portfolio_projects", "portfolios", "projects"}),
    ],
)
def test_the_list_can_be_searched_and_narrowed(console, kept, query, names):
    ManagedTable.objects.filter(name="portfolios").update(pinned=True)
    ManagedTable.objects.filter(name="projects").update(read_only=True)
    undoing.drop(kept, "portfolio_projects", confirm="portfolio_projects", actor="ada")
    assert set(listed(console.get(f"{TABLES}?{query}"))) == names


def test_an_empty_list_says_how_tables_come_about(console, store):
    assert "There is no table yet." in console.get(TABLES)


def test_a_table_that_somebody_else_put_into_the_file_is_named(console, kept):
    kept.connection().execute("CREATE TABLE stranger (i INTEGER)")
    text = console.get(TABLES)
    assert "1 table that DuckDB Spawn did not make and leaves alone: stranger" in text
    assert "stranger" not in listed(text)


# A table's page.


def test_a_tables_page_shows_columns_and_commands_with_everything_escaped(console, store):
    hostile = dict.fromkeys(("description", "unit", "default", "id"), SCRIPT)
    make_table(
        "Größe",
        [{"name": "id", "type": "INTEGER", "required": True}, {"name": SCRIPT, "type": "VARCHAR", "enum": [SCRIPT], **hostile}],
        description=SCRIPT,
    )
    one_table.reconcile(store)
    rows.create(store, "Größe", {"id": 7}, actor="ada")
    console.enter("steward")
    text = console.get(f"{TABLES}Größe/?measured=true")
    assert SCRIPT not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 8
    assert "/ops/Gr%C3%B6%C3%9Fe?limit=20" in text
    assert SCRIPT not in console.get(TABLES)


def test_a_tables_page_has_nothing_that_the_browsers_policy_forbids(console, kept):
    console.enter("steward")
    for path in (TABLES, f"{TABLES}projects/"):
        page = console.get(path).partition('class="spawn-page"')[2]
        assert not re.search(r"<script(?![^>]*src=)|\son\w+=|hx-on|javascript:", page.partition("</main>")[0])


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


def test_references_that_do_not_hold_are_counted_and_lead_to_their_tables(console, kept):
    absent = "00000000-0000-4000-8000-000000000001"
    row = {"portfolio_id": absent, "project_id": absent, "allocation_percentage": 10, "entry_date": "2026-01-31"}
    rows.create(kept, "portfolio_projects", row, actor="ada")
    text = console.table("portfolio_projects")
    assert text.count("1 row refers to nothing that is there") == 2
    assert '<a href="/console/tables/projects/"><code>projects.project_id</code></a>' in text
    assert "refers to this table by <code>project_id</code>" in console.table("projects")


def test_an_old_name_and_other_letters_lead_to_the_table(console, kept):
    answer = console.client.get(f"{TABLES}PROJECTS/")
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{TABLES}projects/")


def test_what_the_columns_hold_is_said_when_it_is_asked_for(console, store):
    make_table("things", [{"name": "id", "type": "INTEGER", "required": True}, {"name": "tags", "type": "VARCHAR[]"}])
    one_table.reconcile(store)
    for number in range(1, 9):
        rows.create(store, "things", {"id": number, "tags": ["a"] if number == 1 else None}, actor="ada")
    assert "87.50%" not in console.table("things")
    text = re.sub(r"<[^>]*>", " ", console.get(f"{TABLES}things/measured/"))
    assert "tags 7 87.50% 1 [a] [a]" in " ".join(text.split())
    assert "87.50%" in console.get(f"{TABLES}things/?measured=true")


def test_a_measure_that_takes_too_long_is_stopped_and_says_so(console, store, settings):
    settings.QUERY_TIMEOUT = 0.01
    make_table("things", [{"name": "id", "type": "INTEGER", "required": True}, {"name": "note", "type": "VARCHAR"}])
    store.connection().execute("INSERT INTO things SELECT i, md5(i::VARCHAR) FROM range(200000) t(i)")
    assert "did not end within 0.01 seconds" in console.get(f"{TABLES}things/measured/")


def test_a_share_that_is_small_is_not_told_as_none(console, store):
    make_table("things", [{"name": "id", "type": "INTEGER", "required": True}, {"name": "note", "type": "VARCHAR"}])
    store.connection().execute("INSERT INTO things SELECT i, CASE WHEN i > 0 THEN 'x' END FROM range(30000) t(i)")
    found = summarize(store, store.table("things"), seconds=30)[1]
    assert (found.nulls, found.rows) == (1, 30_000)
    assert "0.01%" in console.get(f"{TABLES}things/measured/")


def test_the_example_on_the_page_creates_a_row(console, kept):
    for name in ("projects", "portfolios", "portfolio_projects"):
        rows.create(kept, name, row_of(kept.table(name).schema), actor="ada")
        assert tables.size(kept, name).rows == 1


def test_the_numbers_of_an_example_are_numbers_where_json_can_say_them(console, store):
    bounds = {"a": ("INTEGER", 3), "b": ("DECIMAL(5,2)", 1.25), "c": ("DOUBLE", 0.1), "d": ("DECIMAL(38,10)", 12345678901234567890.5)}
    columns = [{"name": n, "type": kind, "required": True, "minimum": least} for n, (kind, least) in bounds.items()]
    made = row_of(make_table("things", columns, primary_key=["a"]))
    assert [made[name] for name in "abc"] == [3, 1.25, 0.1]
    assert isinstance(made["d"], str)
    rows.create(store, "things", made, actor="ada")


@pytest.mark.django_db(transaction=True)
def test_the_examples_run_as_they_stand_on_the_page(kept, roles, live_server, monkeypatch, capfd):
    monkeypatch.setenv("TOKEN", Token.objects.create(user=user_with_role("editor"))[1])
    for one in examples(kept.table("projects").schema, live_server.url):
        exec(one.python, {})
        subprocess.run(["/bin/sh", "-c", f"{one.curl} -sf"], check=True)
    assert tables.size(kept, "projects").rows == 2
    assert capfd.readouterr().out.count("'op': 'create'") == 2


def test_a_tables_versions_and_archive_stand_on_its_page(console, turbines, steward_client, store):
    turbines.say({**TURBINES, "columns": [c for c in TURBINES["columns"] if c["name"] != "code"]})
    console.enter("steward")
    made = console.post(f"{TABLES}turbines/", {"deed": "plan"})
    plan = Plan.objects.get(table="turbines", state="proposed")
    assert made.headers["Location"] == f"/console/plans/{plan.pk}/"
    assert f'<a href="/console/plans/{plan.pk}/">Plan {plan.pk}</a> waits' in console.table("turbines")
    for deed, body in (("approve", {}), ("apply", {"confirm": "turbines"})):
        assert steward_client.post(f"/admin/plans/{plan.pk}/{deed}", body, format="json").status_code == 200
    text = console.table("turbines")
    assert "/console/schemas/turbines/?from=1&amp;to=2" in text
    assert Plan.objects.get(pk=plan.pk).outcome["archive"]["file"] in text


def test_a_dropped_table_says_how_to_get_it_back(console, kept):
    undoing.drop(kept, "projects", confirm="projects", actor="ada")
    text = console.table("projects")
    assert "This table was dropped" in text
    assert "undo the plan that dropped it" in text
    assert "Make it again" not in text
    console.enter("steward")
    assert "Make it again" in console.table("projects")


def test_a_dropped_table_is_made_again_empty(console, turbines, store):
    undoing.drop(store, "turbines", confirm="turbines", actor="ada")
    console.enter("steward")
    console.post(f"{TABLES}turbines/", {"deed": "make"})
    assert tables.size(store, "turbines").rows == 0


def test_a_record_without_a_table_says_so_and_a_name_that_never_was_is_not_found(console, store):
    ManagedTable.objects.create(name="lost")
    assert "DuckDB has no table of this name" in console.table("lost")
    console.get(f"{TABLES}nothing/", 404)


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


# What a steward does.


def test_a_steward_pins_a_table_and_closes_its_rows_and_the_audit_log_has_it(console, kept):
    console.enter("steward")
    policy = {"policy_destructive": "refuse", "policy_additive": ""}
    console.post(f"{TABLES}projects/", decisions(console.table("projects"), pinned="on", read_only="on", **policy))
    record = ManagedTable.objects.get(name="projects")
    assert (record.pinned, record.read_only, record.policy) == (True, True, {"destructive": "refuse"})
    with pytest.raises(TableReadOnly):
        rows.create(kept, "projects", ROW, actor="ada")
    console.post(f"{TABLES}projects/", decisions(console.table("projects")))
    rows.create(kept, "projects", ROW, actor="ada")
    noted = AuditEntry.objects.filter(object="projects", actor="steward").order_by("seq")
    assert [entry.detail for entry in noted] == [
        {"pinned": True, "read_only": True, "policy": {"destructive": "refuse"}},
        {"pinned": False, "read_only": False, "policy": {}},
    ]


def test_what_somebody_else_decided_meanwhile_stands(console, kept):
    console.enter("steward")
    form = decisions(console.table("projects"))
    one_table.decide(kept, "projects", {"pinned": True}, actor="ada")
    answer = console.client.post(f"{TABLES}projects/", form, follow=True).content.decode()
    assert "Somebody decided on this table meanwhile" in answer
    assert ManagedTable.objects.get(name="projects").pinned


def test_saving_what_was_not_changed_is_not_noted(console, kept):
    console.enter("steward")
    console.post(f"{TABLES}projects/", decisions(console.table("projects")))
    assert not AuditEntry.objects.filter(object="projects").exists()


def test_a_value_that_no_form_offers_is_refused_in_words(console, kept):
    console.enter("steward")
    form = decisions(console.table("projects"), policy_additive="perhaps", pinned="on")
    assert "policy has an action (apply, wait, refuse)" in console.post(f"{TABLES}projects/", form).content.decode()
    assert not ManagedTable.objects.get(name="projects").pinned


@pytest.mark.parametrize(("deed", "kind"), [("repair", "repair"), ("adopt", "adopt")])
def test_what_was_altered_by_hand_is_planned_back_or_taken(console, mills, by_hand, store, deed, kind):
    by_hand("ALTER TABLE mills DROP COLUMN note")
    console.enter("steward")
    text = console.table("mills")
    assert "Somebody altered the table by hand" in text
    assert "The file has no column note (VARCHAR)." in text
    made = console.post(f"{TABLES}mills/", {"deed": deed})
    plan = Plan.objects.get(table="mills")
    assert (plan.kind, plan.state) == (kind, "proposed")
    assert made.headers["Location"] == f"/console/plans/{plan.pk}/"


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DROP TABLE rooms", "The table is gone from the DuckDB file"),
        ("ALTER TABLE rooms DROP COLUMN house", "The file has no column house (INTEGER)."),
        ("ALTER TABLE rooms RENAME COLUMN house TO home", "The file has a column home (INTEGER) that the schema does not have."),
    ],
)
def test_a_table_that_cannot_be_counted_still_says_what_to_do(console, store, by_hand, statement, words):
    make_table("houses", [{"name": "id", "type": "INTEGER", "required": True}])
    number = {"name": "id", "type": "INTEGER", "required": True}
    make_table("rooms", [number, {"name": "house", "type": "INTEGER", "references": "houses.id"}])
    one_table.reconcile(store)
    by_hand(statement)
    console.enter("steward")
    text = console.table("rooms")
    assert words in text
    assert 'value="repair"' in text
    assert 'value="adopt"' in text
    assert "could not be measured" in console.get(f"{TABLES}rooms/measured/")
    assert "rooms" in listed(console.get(TABLES))


def test_a_table_that_is_in_step_needs_no_plan(console, turbines):
    console.enter("steward")
    answer = console.client.post(f"{TABLES}turbines/", {"deed": "plan"}, follow=True)
    assert "There is nothing to do: turbines is as it should be." in answer.content.decode()


def test_why_no_plan_can_be_made_is_said_on_the_page(console, turbines, store):
    one_table.decide(store, "turbines", {"pinned": True}, actor="ada")
    console.enter("steward")
    assert "pinned to its version; unpin it first" in console.post(f"{TABLES}turbines/", {"deed": "plan"}).content.decode()


def test_a_table_is_dropped_only_by_its_name(console, kept):
    console.enter("steward")
    text = console.post(f"{TABLES}projects/", {"deed": "drop", "confirm": "project"}).content.decode()
    assert "That is not the name of this table. Type projects to drop it." in text
    assert kept.has("projects")
    made = console.post(f"{TABLES}projects/", {"deed": "drop", "confirm": "projects"})
    assert made.headers["Location"] == f"/console/plans/{Plan.objects.get(kind='drop', state='applied').pk}/"
    assert not kept.has("projects")
    assert "This table was dropped" in console.post(f"{TABLES}projects/", {"deed": "drop", "confirm": "projects"}).content.decode()


@pytest.mark.parametrize("deed", ["decide", "plan", "repair", "adopt", "drop", "retire", "make"])
def test_a_viewer_sees_no_button_and_is_refused(console, kept, deed):
    assert f'value="{deed}"' not in console.table("projects")
    assert console.post(f"{TABLES}projects/", {"deed": deed, "pinned": "on", "confirm": "projects"}).status_code == 403
    assert kept.has("projects")
    assert set(AuditEntry.objects.values_list("action", flat=True)) <= {"right.refuse"}


def test_only_those_who_may_read_rows_see_tables(client, roles, kept):
    client.force_login(User.objects.create_user("nobody", is_staff=True))
    for address in (TABLES, f"{TABLES}projects/", f"{TABLES}projects/measured/"):
        assert client.get(address).status_code == 403
