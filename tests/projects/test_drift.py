"""Drift: what the ontology, the live schemas and the file say differently, found after real ALTERs by hand, and told."""

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from projects.models import Notice
from projects.owner import take_over
from projects.store.connection import Store, get_store, reset_store
from schema_registry.models import AuditEntry
from tests.conftest import client_of
from tests.projects.altered import ALTERED, MILLS, Hand, decided, drift, plan, rows, synced
from tests.projects.conftest import make_table
from tests.projects.ontology import NOWHERE, TURBINES, Ontology, catalogue, outcomes, send, with_column

pytestmark = pytest.mark.django_db


@pytest.mark.thinned(2)
@pytest.mark.parametrize("case", ALTERED)
def test_what_was_altered_by_hand_is_said_everywhere_and_a_sync_leaves_it(
    mills: Ontology, steward_client: APIClient, viewer_client: APIClient, by_hand: Hand, case: str
) -> None:
    statements, sentences, _, _ = ALTERED[case]
    assert drift(viewer_client) | {"checked_at": ""} == {
        "table": "mills", "state": "in step", "checked_at": "", "ontology": [], "catalogue": [], "plan": None,
    }  # fmt: skip
    by_hand(*statements)
    seen = drift(viewer_client)
    assert (seen["state"], seen["catalogue"], seen["ontology"]) == ("altered", sentences, [])
    page = {one["name"]: one["drift"] for one in viewer_client.get("/admin/tables").json()}
    assert (page["mills"]["state"], page["mills"]["changes"], page["sites"]["state"]) == ("altered", sentences, "in step")
    assert viewer_client.get("/admin/tables/mills").json()["drift"] == page["mills"]
    before = catalogue(get_store(), "mills")
    report = send(steward_client, "post", "/ops/initialize").json()
    assert outcomes(report) == {"mills": "refused", "sites": "unchanged", "turbines": "unchanged"}
    assert "altered by hand" in next(one["detail"] for one in report["tables"] if one["table"] == "mills")
    answer = send(steward_client, "put", "/admin/tables/mills")
    assert (answer.status_code, answer.json()["code"]) == (409, "table-altered")
    assert catalogue(get_store(), "mills") == before


# What no schema can say.

UNREADABLE = {
    "a struct": (
        ["ALTER TABLE mills ADD COLUMN s STRUCT(a INTEGER)"],
        "The column s is of the type STRUCT(a INTEGER), which no schema has.",
    ),
    "an enum": (["CREATE TYPE mood AS ENUM ('a')", "ALTER TABLE mills ADD COLUMN m mood"], "The column m is of the type ENUM('a')"),
    "an interval": (["ALTER TABLE mills ALTER note TYPE INTERVAL USING NULL"], "The column note is of the type INTERVAL"),
    "a list of lists": (["ALTER TABLE mills ADD COLUMN l INTEGER[][]"], "The column l is of the type INTEGER[][]"),
    "a computed column": (
        ["DROP TABLE mills", "CREATE TABLE mills (id INTEGER PRIMARY KEY, twice INTEGER GENERATED ALWAYS AS (id * 2))"],
        "The column twice is computed.",
    ),
    "an index": (["CREATE INDEX mine ON mills (note)"], "The index mine stands on it."),
    "a check": (["DROP TABLE mills", "CREATE TABLE mills (id INTEGER PRIMARY KEY, CHECK (id > 0))"], "It has the rule CHECK((id > 0))."),
    "a foreign key to it": (
        ["CREATE TABLE parts (mill INTEGER REFERENCES mills (id))"],
        "The table parts refers to it with a foreign key.",
    ),
    "a view": (["ALTER TABLE mills RENAME TO older", "CREATE VIEW mills AS SELECT * FROM older"], "It is a view."),
}


@pytest.mark.thinned(2)
@pytest.mark.parametrize("case", UNREADABLE)
def test_what_no_schema_can_say_is_told_and_neither_repaired_nor_adopted(
    mills: Ontology, steward_client: APIClient, by_hand: Hand, case: str
) -> None:
    statements, reason = UNREADABLE[case]
    by_hand(*statements)
    seen = drift(steward_client)
    assert seen["state"] == "altered"
    assert any(sentence.startswith(reason) for sentence in seen["catalogue"]), seen["catalogue"]
    assert synced(steward_client) == "refused"
    for way in ("repair", "adopt"):
        refused = plan(steward_client, way, status=409)
        assert refused["code"] == "table-unreadable"
        assert reason in refused["detail"]


def test_an_index_that_somebody_takes_away_again_is_no_drift(mills: Ontology, steward_client: APIClient, by_hand: Hand) -> None:
    by_hand("CREATE INDEX mine ON mills (note)")
    assert drift(steward_client)["state"] == "altered"
    by_hand("DROP INDEX mine")
    assert drift(steward_client)["state"] == "in step"
    assert synced(steward_client) == "unchanged"


def test_tables_of_the_file_that_are_not_ours_are_unknown(mills: Ontology, steward_client: APIClient, by_hand: Hand) -> None:
    by_hand(
        "CREATE TABLE stranger (a INTEGER)", "CREATE SCHEMA other", "CREATE TABLE other.mills (a INTEGER)", "CREATE VIEW seen AS SELECT 1"
    )
    found = {one["table"]: one for one in steward_client.get("/admin/drift").json()}
    assert sorted(found) == ["mills", "other.mills", "sites", "stranger", "turbines"]
    assert found["stranger"] == {
        "table": "stranger",
        "state": "unknown",
        "checked_at": None,
        "ontology": [],
        "catalogue": ["The DuckDB file has this table, and DuckDB Spawn did not make it."],
        "plan": None,
    }
    assert (found["other.mills"]["state"], found["mills"]["state"]) == ("unknown", "in step")
    assert plan(steward_client, "adopt", name="stranger", status=404)["code"] == "table-not-found"


# The ontology.


def test_a_table_that_the_ontology_lists_no_longer_is_orphaned_until_it_does_again(mills: Ontology, viewer_client: APIClient) -> None:
    mills.forget("mills_schema")
    assert drift(viewer_client)["state"] == "in step"
    seen = drift(viewer_client, query="?refresh=true")
    assert (seen["state"], seen["ontology"]) == ("orphaned", ["The ontology lists mills_schema no longer."])
    assert drift(viewer_client) == seen
    assert viewer_client.get("/admin/tables/mills").json()["drift"]["state"] == "orphaned"
    assert len(rows(viewer_client)) == 2
    mills.say(MILLS)
    assert drift(viewer_client, query="?refresh=true")["state"] == "in step"


def test_a_table_whose_document_makes_another_now_is_orphaned(mills: Ontology, viewer_client: APIClient) -> None:
    mills.say(MILLS | {"name": "windmills"}, "mills_schema")
    seen = drift(viewer_client, query="?refresh=true")
    assert (seen["state"], seen["ontology"]) == ("orphaned", ["The document mills_schema makes the table windmills now."])


def test_a_table_that_was_asked_for_by_itself_after_the_list_is_no_orphan(
    ontology: Ontology, store: Store, steward_client: APIClient
) -> None:
    assert send(steward_client, "post", "/ops/initialize").status_code == 200
    ontology.say(MILLS)
    assert send(steward_client, "post", "/admin/tables", {"schema": "mills"}).status_code == 201
    assert drift(steward_client)["state"] == "in step"


def test_what_the_ontology_says_now_is_asked_for_by_refresh(mills: Ontology, viewer_client: APIClient) -> None:
    before = drift(viewer_client)
    mills.say(with_column(MILLS, "owner", type="VARCHAR"))
    assert drift(viewer_client) == before
    seen = drift(viewer_client, query="?refresh=true")
    assert (seen["state"], seen["ontology"], seen["catalogue"]) == ("behind", ["Add the column owner (VARCHAR)."], [])
    assert seen["checked_at"] > before["checked_at"]


def test_an_ontology_that_gives_no_answer_is_said_and_no_error(mills: Ontology, viewer_client: APIClient, settings) -> None:
    settings.ONTO_SERVER_URL = NOWHERE
    found = viewer_client.get("/admin/drift?refresh=true")
    assert found.status_code == 200
    assert {one["state"] for one in found.json()} == {"in step"}
    assert all(one["ontology"][0].startswith(f"The ontology server at {NOWHERE} gave no answer") for one in found.json())
    assert drift(viewer_client)["ontology"] == []


def test_a_document_that_is_refused_is_said_with_every_reason(mills: Ontology, viewer_client: APIClient) -> None:
    mills.say({"name": "mills", "columns": [{"name": "id", "type": "SPAGHETTI", "required": True}]})
    seen = drift(viewer_client, query="?refresh=true")
    assert seen["state"] == "in step"
    assert seen["ontology"][0].startswith("The document mills_schema makes no table. /columns/0/type:")


def test_a_list_that_is_much_shorter_makes_no_orphans(mills: Ontology, viewer_client: APIClient) -> None:
    for document in ("mills_schema", "turbines_schema"):
        mills.forget(document)
    seen = drift(viewer_client, query="?refresh=true")
    assert seen["state"] == "in step"
    assert "waits for a person" in seen["ontology"][0]
    assert drift(viewer_client, "sites", "?refresh=true")["ontology"] == []


def test_a_table_is_altered_before_it_is_behind_and_both_are_said(mills: Ontology, viewer_client: APIClient, by_hand: Hand) -> None:
    mills.say(with_column(MILLS, "owner", type="VARCHAR"))
    by_hand("ALTER TABLE mills DROP COLUMN note")
    seen = drift(viewer_client, query="?refresh=true")
    assert (seen["state"], len(seen["ontology"]), len(seen["catalogue"])) == ("altered", 1, 1)


# Who sees what.


def test_drift_is_paged_by_name_and_seen_through_a_tokens_scopes(mills: Ontology, viewer_client: APIClient, by_hand: Hand) -> None:
    by_hand("CREATE TABLE stranger (a INTEGER)")

    def names(client: APIClient, query: str = "") -> list[str]:
        return [one["table"] for one in client.get(f"/admin/drift{query}").json()]

    assert names(viewer_client) == ["mills", "sites", "stranger", "turbines"]
    assert names(viewer_client, "?limit=2&offset=1") == ["sites", "stranger"]
    scoped = client_of(User.objects.get(username="steward"), scopes=["mills", "turbines"])
    assert names(scoped) == ["mills", "turbines"]
    assert plan(scoped, "repair", name="sites", status=403)["code"] == "forbidden"
    for query in ("?limit=0", "?state=altered", "?refresh=now"):
        assert viewer_client.get(f"/admin/drift{query}").status_code == 400
    assert APIClient().get("/admin/drift").status_code == 401


def test_defaults_of_every_type_are_no_drift_after_a_restart(store: Store, viewer_client: APIClient) -> None:
    defaults = [
        ("BOOLEAN", True), ("HUGEINT", 2**100), ("DOUBLE", 0.1), ("FLOAT", 1.5), ("DECIMAL(10,2)", -1.5), ("DATE", "2026-01-31"),
        ("TIME", "10:00:00"), ("TIMESTAMP", "2026-01-01T02:00:00+02:00"), ("TIMESTAMPTZ", "2026-01-01T00:00:00Z"), ("BLOB", "AP8="),
        ("UUID", "0197f0a0-0000-7000-8000-000000000001"), ("JSON", {"it's": [1, None, 12.5]}), ("VARCHAR", "it's \"so\""),
        ("VARCHAR[]", ["a", "it's"]), ("TIMESTAMP[]", ["2026-01-01"]),
    ]  # fmt: skip
    columns = [{"name": f"c{n}", "type": kind, "default": value} for n, (kind, value) in enumerate(defaults)]
    make_table("all_types", [{"name": "id", "type": "INTEGER", "required": True}, *columns])
    reset_store()
    seen = drift(viewer_client, "all_types")
    assert (seen["state"], seen["catalogue"], seen["ontology"]) == ("unknown", [], [])


# At start.


def test_at_start_what_was_altered_is_told_once_for_each_finding(
    mills: Ontology, steward_client: APIClient, by_hand: Hand, settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.NOTIFY_URL = "http://127.0.0.1:1/hook"

    def started() -> tuple[list[str], int]:
        take_over(get_store())
        entries = AuditEntry.objects.filter(object="mills", action__startswith="drift.").order_by("seq")
        return [entry.action for entry in entries], Notice.objects.filter(event="drift.found", table="mills").count()

    assert started() == ([], 0)
    by_hand("ALTER TABLE mills DROP COLUMN note")
    assert started() == (["drift.found"], 1)
    assert "the table mills was altered by hand: The file has no column note (VARCHAR)." in caplog.text
    reset_store()
    assert started() == (["drift.found"], 1)
    by_hand("ALTER TABLE mills ALTER COLUMN name DROP NOT NULL")
    assert started() == (["drift.found"] * 2, 2)
    decided(steward_client, plan(steward_client, "repair"))
    by_hand("ALTER TABLE mills DROP COLUMN note", "ALTER TABLE mills ALTER COLUMN name DROP NOT NULL")
    assert started() == (["drift.found"] * 3, 3)
    by_hand("ALTER TABLE mills ADD COLUMN note VARCHAR", "ALTER TABLE mills ALTER COLUMN name SET NOT NULL")
    assert started() == ([*["drift.found"] * 3, "drift.gone"], 3)
    by_hand("DROP TABLE mills")
    assert started() == ([*["drift.found"] * 3, "drift.gone", "drift.found"], 4)
    body = Notice.objects.filter(table="mills").latest("id").body
    assert body == {"state": "missing", "catalogue": ["The DuckDB file has no such table."]}


def test_a_unique_rule_whose_columns_are_renamed_is_no_drift(turbines: Ontology, steward_client: APIClient) -> None:
    turbines.say(TURBINES | {"unique": [["code", "serial"]]})
    made = send(steward_client, "put", "/admin/tables/turbines").json()["plan"]
    assert made["state"] == "applied"
    renamed = with_column(TURBINES | {"unique": [["serial", "zone"]]}, "code", name="zone", renamed_from="code")
    turbines.say(renamed)
    assert send(steward_client, "put", "/admin/tables/turbines").json()["plan"]["state"] == "applied"
    assert drift(steward_client, "turbines")["state"] == "in step"
