"""A plan and a table that moved under it: nothing is changed by what was not looked at, and what fails leaves no trace."""

import threading
from collections.abc import Callable

import pytest
from rest_framework.test import APIClient

from projects import sync
from projects.store import tables
from projects.store.connection import Store, get_store
from schema_registry import snapshots
from schema_registry.sources.native import parse_document
from tests.projects.conftest import sample
from tests.projects.ontology import FIRST, NOWHERE, TURBINES, Ontology, everything, send, table, with_column, without_column
from tests.projects.planning import act, bring, carry_out, propose, rows_of, sampled, seen, states

pytestmark = pytest.mark.django_db
threaded = pytest.mark.django_db(transaction=True)

WITHOUT_CODE = without_column(TURBINES, "code")
COLOURED = with_column(TURBINES, "colour", type="VARCHAR")
POWERED = with_column(TURBINES, "power", required=True)
ROUNDED = with_column(TURBINES, "price", type="DECIMAL(10,1)")


def files(store: Store) -> list[str]:
    """Everything in the archive and in the spool."""
    return sorted(path.name for folder in (store.archive, store.spool) for path in folder.iterdir())


# Two at once.


def at_once(*calls: Callable[[], int]) -> list[int]:
    """What each call gave, all begun together in threads of their own."""
    together, found = threading.Barrier(len(calls)), []

    def run(call: Callable[[], int]) -> None:
        together.wait()
        found.append(call())

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == len(calls)
    return sorted(found)


@threaded
@pytest.mark.parametrize("document", [WITHOUT_CODE, ROUNDED], ids=["rebuild", "alter"])
def test_of_two_who_apply_at_once_one_wins(turbines: Ontology, steward_client: APIClient, document: dict) -> None:
    turbines.say(document)
    plan = bring(steward_client, status=202)
    act(steward_client, plan, "approve")

    def apply() -> int:
        return send(steward_client, "post", f"/admin/plans/{plan['id']}/apply", {"confirm": "turbines"}).status_code

    assert at_once(*[apply] * 4) == [200, 409, 409, 409]
    assert seen(steward_client, plan)["state"] == "applied"
    assert len(list(get_store().archive.glob("*.parquet"))) == 1


@threaded
def test_of_two_who_decide_at_once_one_wins(turbines: Ontology, steward_client: APIClient) -> None:
    turbines.say(WITHOUT_CODE)
    plan = bring(steward_client, status=202)

    def decide(deed: str) -> Callable[[], int]:
        return lambda: send(steward_client, "post", f"/admin/plans/{plan['id']}/{deed}").status_code

    assert at_once(*[decide("approve")] * 4) == [200, 409, 409, 409]
    assert at_once(*[decide("reject")] * 4) == [200, 409, 409, 409]


@threaded
def test_many_who_bring_a_table_up_to_date_change_it_once(turbines: Ontology, steward_client: APIClient) -> None:
    turbines.say(COLOURED)
    found = at_once(*[lambda: send(steward_client, "put", "/admin/tables/turbines").status_code] * 6)
    assert found[0] == 200
    assert set(found) <= {200, 409}
    assert list(states(steward_client).values()).count("applied") == 1
    assert set(states(steward_client).values()) <= {"applied", "stale"}
    assert bring(steward_client)["steps"] == []


# Altered by hand.

BY_HAND = {
    "a column more": 'ALTER TABLE turbines ADD COLUMN "by hand" INTEGER',
    "a column less": "ALTER TABLE turbines DROP COLUMN status",
    "another type": "ALTER TABLE turbines ALTER COLUMN power TYPE BIGINT",
    "another name": "ALTER TABLE turbines RENAME COLUMN power TO watts",
    "no longer required": "ALTER TABLE turbines ALTER COLUMN price DROP NOT NULL",
    "another unique rule": "ALTER TABLE turbines ADD UNIQUE (code)",
    "no table": "DROP TABLE turbines",
    "another table": "DROP TABLE turbines; CREATE TABLE turbines (id INTEGER)",
}


@pytest.mark.parametrize("change", BY_HAND)
@pytest.mark.thinned(2)
@pytest.mark.parametrize("document", [WITHOUT_CODE, pytest.param(COLOURED, marks=pytest.mark.long)], ids=["destructive", "additive"])
def test_a_plan_made_before_somebody_altered_the_table_is_stale(
    turbines: Ontology, store: Store, steward_client: APIClient, document: dict, change: str
) -> None:
    if change == "a column less":  # DuckDB drops none before a unique one.
        turbines.say(without_column(TURBINES, "serial") | {"unique": []})
        carry_out(steward_client, propose(steward_client))
        document = without_column(document, "serial") | {"unique": []}
    turbines.say(document)
    plan = propose(steward_client)
    if plan["steps"][0]["action"] == "wait":
        act(steward_client, plan, "approve")
    kept = files(store)
    store.connection().execute(BY_HAND[change])
    found = store.connection().execute("SELECT * FROM duckdb_columns() WHERE schema_name = 'main' ORDER BY ALL").fetchall()
    problem = act(steward_client, plan, "apply", status=409, confirm="turbines")
    assert problem["code"] == "plan-stale"
    assert store.connection().execute("SELECT * FROM duckdb_columns() WHERE schema_name = 'main' ORDER BY ALL").fetchall() == found
    assert (files(store), store.table("turbines").version, seen(steward_client, plan)["state"]) == (kept, plan["from_version"], "stale")
    assert bring(steward_client, status=409)["code"] == "table-altered"
    assert propose(steward_client, status=409)["code"] == "table-altered"


# Rows that come in the way.


def test_rows_that_came_in_the_way_since_stop_the_apply_and_are_named(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    turbines.say(POWERED)
    plan = propose(steward_client)
    assert plan["steps"][0]["rows_in_the_way"] == 0
    for number in (3, 4):
        send(steward_client, "post", "/ops/turbines", {"id": number, "price": 1})
    before, kept = everything(steward_client, store), files(store)
    problem = act(steward_client, plan, "apply", status=409)
    assert (problem["code"], "2 rows need a constant or an expression for power" in problem["detail"]) == ("rows-in-the-way", True)
    assert sampled(problem["changes"][0]) == [("3", None, None), ("4", None, None)]
    assert (everything(steward_client, store), files(store)) == (before, kept)
    failed = seen(steward_client, plan)
    assert (failed["state"], "2 rows" in failed["error"]) == ("failed", True)
    assert carry_out(steward_client, propose(steward_client, {"power": {"constant": 1}}))["state"] == "applied"


def test_more_rows_that_would_lose_than_were_approved_stop_the_apply(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    turbines.say(ROUNDED)
    plan = bring(steward_client, status=202)
    act(steward_client, plan, "approve")
    send(steward_client, "post", "/ops/turbines", {"id": 3, "price": 0.33})
    before, kept = everything(steward_client, store), files(store)
    problem = act(steward_client, plan, "apply", status=409, confirm="turbines")
    assert (problem["code"], "2 rows would lose" in problem["detail"]) == ("plan-stale", True)
    assert (everything(steward_client, store), files(store)) == (before, kept)
    fresh = bring(steward_client, status=202)
    assert (seen(steward_client, plan)["state"], sampled(fresh["steps"][0])) == ("stale", [("2", "0.25", "0.3"), ("3", "0.33", "0.3")])


def test_fewer_rows_than_were_approved_are_no_hindrance(turbines: Ontology, steward_client: APIClient) -> None:
    turbines.say(ROUNDED)
    plan = bring(steward_client, status=202)
    act(steward_client, plan, "approve")
    assert send(steward_client, "patch", "/ops/turbines/2", {"price": 0.5}).status_code == 200
    assert act(steward_client, plan, "apply", confirm="turbines")["outcome"]["archive"] is None
    assert [row["price"] for row in rows_of(steward_client)] == [12.5, 0.5]


def test_rows_that_repeat_a_value_since_stop_a_unique_rule(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    turbines.say(TURBINES | {"unique": [["serial"], ["code"]]})
    plan = propose(steward_client)
    send(steward_client, "post", "/ops/turbines", FIRST | {"id": 3, "serial": 8})
    before = everything(steward_client, store)
    problem = act(steward_client, plan, "apply", status=409)
    assert (problem["code"], sampled(problem["changes"][0])) == ("rows-in-the-way", [("1", "abc", "abc"), ("3", "abc", "abc")])
    assert everything(steward_client, store) == before


def test_rows_that_lose_and_then_repeat_are_counted_once(ontology: Ontology, store: Store, steward_client: APIClient) -> None:
    ontology.say(table("turbines", {"name": "mark", "type": "DECIMAL(10,2)"}, unique=[["mark"]]))
    send(steward_client, "post", "/ops/initialize")
    for number, mark in enumerate((1.01, 1.02, 2.02, 3, None)):
        send(steward_client, "post", "/ops/turbines", {"id": number, "mark": mark})
    ontology.say(table("turbines", {"name": "mark", "type": "DECIMAL(10,1)"}, unique=[["mark"]]))
    (step,) = bring(steward_client, status=202)["steps"]
    assert (step["rows_total"], step["rows_in_the_way"], step["rows_lost"], step["rows_broken"]) == (5, 3, 1, 2)
    assert sampled(step) == [("0", "1.01", "1.0"), ("1", "1.02", "1.0"), ("2", "2.02", "2.0")]
    assert step["needs"] == "values of mark that differ from row to row"


def test_what_is_written_into_a_column_before_it_goes_is_archived_too(turbines: Ontology, steward_client: APIClient) -> None:
    turbines.say(WITHOUT_CODE)
    plan = bring(steward_client, status=202)
    act(steward_client, plan, "approve")
    send(steward_client, "patch", "/ops/turbines/2", {"code": "late"})
    send(steward_client, "post", "/ops/turbines", {"id": 3, "price": 1, "code": "later"})
    done = act(steward_client, plan, "apply", confirm="turbines")
    assert done["outcome"]["archive"]["rows"] == 3
    act(steward_client, done, "undo")
    assert [row["code"] for row in rows_of(steward_client)] == ["abc", "late", "later"]


# What fails.


@pytest.mark.parametrize("deed", ["a change", "a rebuild", "a drop", "an undo"])
def test_where_the_table_is_being_altered_the_plan_can_be_tried_again(
    turbines: Ontology, store: Store, steward_client: APIClient, deed: str
) -> None:
    document = {"a change": ROUNDED, "a rebuild": WITHOUT_CODE, "a drop": WITHOUT_CODE, "an undo": WITHOUT_CODE}[deed]
    turbines.say(document)
    plan = bring(steward_client, status=202)
    act(steward_client, plan, "approve")
    if deed == "an undo":
        act(steward_client, plan, "apply", confirm="turbines")

    def attempt() -> int:
        if deed == "a drop":
            return steward_client.delete("/admin/tables/turbines?confirm=turbines").status_code
        return send(
            steward_client, "post", f"/admin/plans/{plan['id']}/{'undo' if deed == 'an undo' else 'apply'}?confirm=turbines"
        ).status_code

    before, kept = everything(steward_client, store), files(store)
    store.connection().execute("BEGIN; ALTER TABLE turbines ADD COLUMN in_the_way INTEGER")  # Somebody else's, not yet committed.
    assert attempt() == 503
    store.connection().execute("ROLLBACK")
    assert (everything(steward_client, store), files(store)) == (before, kept)
    assert attempt() == 200


def test_where_the_archive_cannot_be_written_nothing_is_changed(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    turbines.say(WITHOUT_CODE)
    plan = bring(steward_client, status=202)
    act(steward_client, plan, "approve")
    before = everything(steward_client, store)
    store.archive.rmdir()
    store.archive.write_text("no folder")
    answer = act(steward_client, plan, "apply", status=503, confirm="turbines")
    store.archive.unlink()
    store.archive.mkdir()
    assert str(store.archive) not in str(answer)
    assert answer["detail"] == "The folder ARCHIVE_DIR cannot be used: file exists."
    assert (everything(steward_client, store), files(store)) == (before, [])
    assert seen(steward_client, plan)["state"] == "failed"
    assert carry_out(steward_client, bring(steward_client, status=202))["state"] == "applied"


@pytest.mark.parametrize("document", [ROUNDED, with_column(TURBINES, "price", name="cost", renamed_from="price")], ids=["cast", "rename"])
def test_where_somebody_made_an_index_the_step_fails_and_nothing_is_changed(
    turbines: Ontology, store: Store, steward_client: APIClient, document: dict
) -> None:
    turbines.say(document)
    plan = propose(steward_client)
    if plan["steps"][0]["action"] == "wait":
        act(steward_client, plan, "approve")
    store.connection().execute("CREATE INDEX by_hand ON turbines (power)")
    before = everything(steward_client, store)
    problem = act(steward_client, plan, "apply", status=409, confirm="turbines")
    assert problem["code"] == "table-altered"
    assert (everything(steward_client, store), files(store)) == (before, [])
    assert (seen(steward_client, plan)["state"], "altered by hand" in seen(steward_client, plan)["error"]) == ("failed", True)


# What another source said since.


def waiting_for_the_mock(store: Store, settings) -> dict:
    """A plan for the sample's `projects`, made while only the mock was asked; the table lacks nothing but has a column too many."""
    settings.USE_MOCK_ONTO_SERVER = True
    plain = sample("project_schema")
    document = {"name": plain.name, "columns": [*(c.as_json() for c in plain.columns), {"name": "extra", "type": "INTEGER"}]}
    tables.create(store, parse_document(document, "project_schema"), version=1, provenance="mock", actor="test")
    report = sync.sync(store, ["projects"], actor="test")
    (outcome,) = report.outcomes
    assert (outcome.outcome, outcome.provenance) == ("waits", "mock")
    settings.USE_MOCK_ONTO_SERVER = False
    return {"id": outcome.plan.pk, "table": "projects"}


def test_a_plan_of_the_mock_is_never_applied_over_a_real_schema(
    ontology: Ontology, store: Store, steward_client: APIClient, settings
) -> None:
    plan = waiting_for_the_mock(store, settings)
    act(steward_client, plan, "approve")
    ontology.say(table("projects", {"name": "title", "type": "VARCHAR"}), "project_schema")
    snapshots.refresh(["projects"])
    before = everything(steward_client, store, "projects")
    problem = act(steward_client, plan, "apply", status=409, confirm="projects")
    assert (problem["code"], "came since" in problem["detail"]) == ("plan-stale", True)
    assert everything(steward_client, store, "projects") == before
    settings.USE_MOCK_ONTO_SERVER = True
    assert bring(steward_client, status=409, table="projects")["code"] == "mock-refused"
    assert propose(steward_client, status=409, table="projects")["code"] == "mock-refused"
    assert everything(steward_client, store, "projects") == before


def test_a_plan_of_a_cached_schema_is_never_applied_over_a_newer_one(
    turbines: Ontology, store: Store, steward_client: APIClient, settings
) -> None:
    turbines.say(WITHOUT_CODE)
    snapshots.refresh()
    live, settings.ONTO_SERVER_URL = settings.ONTO_SERVER_URL, NOWHERE
    plan = bring(steward_client, status=202)
    act(steward_client, plan, "approve")
    settings.ONTO_SERVER_URL = live
    turbines.say(with_column(TURBINES, "price", description="In EUR."))
    snapshots.refresh()
    before = everything(steward_client, store)
    assert act(steward_client, plan, "apply", status=409, confirm="turbines")["code"] == "plan-stale"
    assert everything(steward_client, store) == before


def test_a_cached_schema_older_than_the_tables_is_not_planned_for(
    turbines: Ontology, store: Store, steward_client: APIClient, settings
) -> None:
    bring(steward_client, body={"schema": COLOURED})
    assert send(steward_client, "patch", "/admin/tables/turbines", {"pinned": False}).status_code == 200
    settings.ONTO_SERVER_URL = NOWHERE
    before = everything(steward_client, store)
    assert propose(steward_client, status=200)["steps"] == []
    assert bring(steward_client)["steps"] == []
    assert everything(steward_client, store) == before


def test_a_schema_that_its_source_says_again_is_newer_than_what_came_between(turbines: Ontology, steward_client: APIClient) -> None:
    bring(steward_client, body={"schema": COLOURED})
    turbines.say(with_column(TURBINES, "price", description="In EUR."))
    assert bring(steward_client, status=423)["code"] == "table-pinned"
    snapshots.refresh()
    assert bring(steward_client, body={"schema": with_column(COLOURED, "power", description="Made.")})["state"] == "applied"
    assert bring(steward_client, status=202, body={"schema": TURBINES})["steps"][0]["change"] == "drop_column"
    assert carry_out(steward_client, propose(steward_client))["state"] == "applied"
    assert "colour" not in rows_of(steward_client)[0]
