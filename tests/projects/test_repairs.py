"""What somebody altered by hand is put back, or taken as it is: plans with evidence, as for any other change."""

import pytest
from rest_framework.test import APIClient

from projects.models import ManagedTable
from projects.store.connection import get_store
from schema_registry.models import AuditEntry
from tests.projects.altered import ALTERED, KEYLESS, MILLS, ROWS, Hand, changes, decided, drift, plan, rows, synced
from tests.projects.ontology import Ontology, catalogue, send, with_column, without_column

pytestmark = pytest.mark.django_db


@pytest.mark.thinned(2, others=True)
@pytest.mark.parametrize("case", ALTERED)
def test_a_repair_puts_back_what_was_altered_and_keeps_the_rows(
    mills: Ontology, steward_client: APIClient, by_hand: Hand, case: str
) -> None:
    statements, _, steps, changed = ALTERED[case]
    before = catalogue(get_store(), "mills")
    by_hand(*statements)
    made = plan(steward_client, "repair")
    assert (made["kind"], made["state"], changes(made)) == ("repair", "proposed", steps)
    assert drift(steward_client)["plan"] == made["id"]
    assert decided(steward_client, made)["state"] == "applied"
    seen = drift(steward_client)
    assert (seen["state"], seen["catalogue"], seen["plan"]) == ("in step", [], None)
    after = catalogue(get_store(), "mills")
    assert {name: facts[:3] for name, facts in after.items()} == {name: facts[:3] for name, facts in before.items()}
    assert rows(steward_client) == [row | changed for row in ROWS]
    assert synced(steward_client) == "unchanged"
    assert plan(steward_client, "repair", status=200)["steps"] == []
    assert AuditEntry.objects.filter(action="table.repair", object="mills", actor="steward").count() == 1
    assert send(steward_client, "post", "/ops/mills", {"id": 3, "name": "west"}).json()["colour"] == "white"


def test_a_repair_that_takes_nothing_away_needs_no_approval(mills: Ontology, steward_client: APIClient, by_hand: Hand) -> None:
    by_hand("ALTER TABLE mills DROP COLUMN note")
    made = plan(steward_client, "repair")
    assert made["waits_for"] == ""
    assert send(steward_client, "post", f"/admin/plans/{made['id']}/apply").status_code == 200
    assert drift(steward_client)["state"] == "in step"


def test_a_repair_that_takes_values_away_waits_is_confirmed_and_is_undone_with_them(
    mills: Ontology, steward_client: APIClient, by_hand: Hand
) -> None:
    by_hand("ALTER TABLE mills ADD COLUMN extra INTEGER", "UPDATE mills SET extra = id * 10")
    made = plan(steward_client, "repair")
    assert "2 of 2 rows" in made["waits_for"]
    path = f"/admin/plans/{made['id']}"
    assert send(steward_client, "post", f"{path}/apply").json()["code"] == "plan-not-approved"
    assert send(steward_client, "post", f"{path}/approve").status_code == 200
    assert send(steward_client, "post", f"{path}/apply").status_code == 428
    assert send(steward_client, "post", f"{path}/apply", {"confirm": "mills"}).json()["outcome"]["archive"]["rows"] == 2
    assert "extra" not in rows(steward_client)[0]
    undone = send(steward_client, "post", f"{path}/undo", {"confirm": "mills"})
    assert (undone.status_code, undone.json()["plan"]["state"]) == (200, "applied")
    assert [row["extra"] for row in rows(steward_client)] == [10, 20]
    seen = drift(steward_client)
    assert (seen["state"], seen["catalogue"]) == ("behind", [])


def test_a_required_column_that_was_dropped_by_hand_needs_a_value(mills: Ontology, steward_client: APIClient, by_hand: Hand) -> None:
    by_hand("ALTER TABLE mills DROP COLUMN name")
    made = plan(steward_client, "repair")
    assert changes(made) == [("add_column", "strengthening", 2)]
    assert "a constant or an expression for name" in made["waits_for"]
    assert send(steward_client, "post", f"/admin/plans/{made['id']}/approve").json()["code"] == "rows-in-the-way"
    given = plan(steward_client, "repair", {"name": {"expression": "concat('mill ', id)"}})
    assert send(steward_client, "get", f"/admin/plans/{made['id']}").json()["state"] == "stale"
    decided(steward_client, given)
    assert [row["name"] for row in rows(steward_client)] == ["mill 1", "mill 2"]


def test_nulls_that_came_after_not_null_was_dropped_are_counted(mills: Ontology, steward_client: APIClient, by_hand: Hand) -> None:
    by_hand("ALTER TABLE mills ALTER COLUMN name DROP NOT NULL", "UPDATE mills SET name = NULL WHERE id = 2")
    made = plan(steward_client, "repair")
    assert changes(made) == [("set_required", "strengthening", 1)]
    assert [one["key"] for one in made["steps"][0]["sample"]] == ["2"]
    decided(steward_client, plan(steward_client, "repair", {"name": {"constant": "nameless"}}))
    assert [row["name"] for row in rows(steward_client)] == ["north", "nameless"]


def test_values_that_a_repaired_type_cannot_hold_are_counted(mills: Ontology, steward_client: APIClient, by_hand: Hand) -> None:
    by_hand("ALTER TABLE mills ALTER COLUMN height TYPE DOUBLE", "UPDATE mills SET height = 0.125 WHERE id = 1")
    made = plan(steward_client, "repair")
    assert changes(made)[0] == ("change_type", "destructive", 1)
    decided(steward_client, made)
    assert rows(steward_client)[0]["height"] == 0.13


def test_a_rename_by_hand_is_taken_back_with_its_values_where_a_person_says_so(
    mills: Ontology, steward_client: APIClient, by_hand: Hand
) -> None:
    by_hand("ALTER TABLE mills RENAME COLUMN note TO remark")
    made = plan(steward_client, "repair", {"note": {"renamed_from": "remark"}})
    assert changes(made) == [("rename_column", "rename", 0)]
    decided(steward_client, made)
    assert rows(steward_client) == ROWS
    assert steward_client.get("/admin/tables/mills").json()["aliases"] == []


def test_a_key_and_a_unique_rule_that_went_are_put_back_once_no_two_rows_are_one(
    turbines: Ontology, steward_client: APIClient, by_hand: Hand
) -> None:
    by_hand(
        "CREATE TABLE other AS SELECT * FROM turbines",
        "INSERT INTO other SELECT * FROM other WHERE id = 1",
        "DROP TABLE turbines",
        "ALTER TABLE other RENAME TO turbines",
    )
    assert "In the file rows may have the same serial." in drift(steward_client, "turbines")["catalogue"]
    made = plan(steward_client, "repair", name="turbines")
    assert {("change_key", "strengthening", 2), ("add_unique", "strengthening", 2)} <= set(changes(made))
    assert send(steward_client, "post", f"/admin/plans/{made['id']}/approve").json()["code"] == "rows-in-the-way"
    by_hand("DELETE FROM turbines WHERE rowid = 0")
    decided(steward_client, plan(steward_client, "repair", name="turbines"))
    assert drift(steward_client, "turbines")["state"] == "in step"
    doubled = send(steward_client, "post", "/ops/turbines", {"id": 3, "price": 1, "serial": 7})
    assert (doubled.status_code, doubled.json()["code"]) == (409, "duplicate-key")


# Adopting.


def test_what_was_altered_by_hand_is_adopted_and_the_ontology_takes_it_back_by_a_plan(
    mills: Ontology, steward_client: APIClient, by_hand: Hand
) -> None:
    by_hand(
        "ALTER TABLE mills ADD COLUMN extra INTEGER",
        "UPDATE mills SET extra = id",
        "ALTER TABLE mills ALTER COLUMN height TYPE DECIMAL(9,3)",
        "ALTER TABLE mills ALTER COLUMN name DROP NOT NULL",
    )
    made = plan(steward_client, "adopt")
    assert {kind: found for kind, *found in changes(made)} == {
        "add_column": ["additive", 0],
        "change_type": ["additive", 0],
        "change_bounds": ["additive", 0],
        "set_optional": ["additive", 0],
    }
    assert all((step["strategy"], step["sql"], step["rows_total"]) == ("record", [], 2) for step in made["steps"])
    before = catalogue(get_store(), "mills")
    assert decided(steward_client, made)["outcome"]["archive"] is None
    assert catalogue(get_store(), "mills") == before
    seen = drift(steward_client)
    assert (seen["state"], seen["catalogue"]) == ("behind", [])
    page = {column["name"]: column for column in steward_client.get("/admin/tables/mills").json()["columns"]}
    assert (page["height"]["type"], page["height"]["maximum"], page["height"]["description"]) == ("DECIMAL(9,3)", "500.000", "In metres.")
    assert send(steward_client, "post", "/ops/mills", {"id": 3, "extra": 5, "height": 0.125}).status_code == 201
    assert send(steward_client, "delete", "/ops/mills/3").status_code == 204

    answer = send(steward_client, "put", "/admin/tables/mills")
    assert answer.status_code == 202, answer.content
    decided(steward_client, answer.json()["plan"])
    assert rows(steward_client) == ROWS
    assert drift(steward_client)["state"] == "in step"


def test_a_column_dropped_by_hand_is_adopted_without_a_confirmation(mills: Ontology, steward_client: APIClient, by_hand: Hand) -> None:
    by_hand("ALTER TABLE mills DROP COLUMN note")
    made = plan(steward_client, "adopt")
    assert changes(made) == [("drop_column", "destructive", 0)]
    assert send(steward_client, "post", f"/admin/plans/{made['id']}/approve").status_code == 200
    assert send(steward_client, "post", f"/admin/plans/{made['id']}/apply").status_code == 200
    assert "note" not in rows(steward_client)[0]


def test_the_undo_of_an_adoption_is_refused_with_the_reason(mills: Ontology, steward_client: APIClient, by_hand: Hand) -> None:
    by_hand("ALTER TABLE mills ADD COLUMN extra INTEGER")
    made = decided(steward_client, plan(steward_client, "adopt"))
    answer = send(steward_client, "post", f"/admin/plans/{made['id']}/undo")
    assert (answer.status_code, answer.json()["code"]) == (409, "undo-refused")
    assert "it changed nothing in the file" in answer.json()["detail"]


UNADOPTABLE = {
    "no key": (KEYLESS, "It has no primary key."),
    "a reserved name": (['ALTER TABLE mills ADD COLUMN "__mine" INTEGER'], "The column __mine: names that begin with __ are reserved."),
    "an expression": (["ALTER TABLE mills ALTER note SET DEFAULT upper('x')"], "The default of note is no constant: upper('x')."),
    "a default outside of the enum": (["ALTER TABLE mills ALTER colour SET DEFAULT 'red'"], "The default red of colour"),
    "a unique document": (
        ["ALTER TABLE mills ADD COLUMN tree JSON", "ALTER TABLE mills ADD UNIQUE (tree)"],
        "tree is JSON, which cannot be part of a unique rule.",
    ),
}


@pytest.mark.parametrize("case", UNADOPTABLE)
def test_what_breaks_our_own_rules_cannot_be_adopted_nor_its_repair_undone(
    mills: Ontology, steward_client: APIClient, by_hand: Hand, case: str
) -> None:
    statements, reason = UNADOPTABLE[case]
    by_hand(*statements)
    refused = plan(steward_client, "adopt", status=409)
    assert refused["code"] == "adopt-refused"
    assert reason in refused["detail"]
    made = decided(steward_client, plan(steward_client, "repair"))
    assert drift(steward_client)["state"] == "in step"
    undone = send(steward_client, "post", f"/admin/plans/{made['id']}/undo", {"confirm": "mills"})
    assert (undone.status_code, undone.json()["code"]) == (409, "undo-refused")
    assert reason in undone.json()["detail"]


# Whole tables.


def test_a_table_that_is_gone_is_made_anew_and_empty_once_a_person_says_so(
    mills: Ontology, steward_client: APIClient, by_hand: Hand
) -> None:
    before = catalogue(get_store(), "mills")
    by_hand("DROP TABLE mills")
    seen = drift(steward_client)
    assert (seen["state"], seen["catalogue"]) == ("missing", ["The DuckDB file has no such table."])
    page = next(one for one in steward_client.get("/admin/tables").json() if one["name"] == "mills")
    assert (page["rows"], page["drift"]["state"]) == (None, "missing")
    assert synced(steward_client) == "refused"
    made = plan(steward_client, "repair")
    assert [(step["change"], step["strategy"], step["action"]) for step in made["steps"]] == [("create_table", "create", "wait")]
    assert "empty" in made["waits_for"]
    assert send(steward_client, "post", f"/admin/plans/{made['id']}/apply").json()["code"] == "plan-not-approved"
    decided(steward_client, made)
    assert rows(steward_client) == []
    assert catalogue(get_store(), "mills") == before
    assert (drift(steward_client)["state"], synced(steward_client)) == ("in step", "unchanged")
    assert send(steward_client, "post", "/ops/mills", ROWS[0]).status_code == 201
    undone = send(steward_client, "post", f"/admin/plans/{made['id']}/undo")
    assert (undone.status_code, undone.json()["code"]) == (409, "undo-refused")


def test_a_table_that_is_gone_is_forgotten_by_an_adoption(mills: Ontology, steward_client: APIClient, by_hand: Hand) -> None:
    by_hand("DROP TABLE mills")
    made = plan(steward_client, "adopt")
    assert [(step["change"], step["strategy"], step["action"]) for step in made["steps"]] == [("drop_table", "record", "wait")]
    decided(steward_client, made)
    assert steward_client.get("/ops/mills").status_code == 404
    assert [one["table"] for one in steward_client.get("/admin/drift").json()] == ["sites", "turbines"]
    assert ManagedTable.objects.get(name="mills").dropped_at
    assert synced(steward_client) == "dropped"
    assert send(steward_client, "post", f"/admin/plans/{made['id']}/undo").json()["code"] == "undo-refused"
    assert send(steward_client, "post", "/admin/tables", {"schema": "mills"}).status_code == 201
    assert rows(steward_client) == []


# Plans and time.


@pytest.mark.parametrize("way", ["repair", "adopt"])
def test_one_more_change_by_hand_makes_the_plan_stale(mills: Ontology, steward_client: APIClient, by_hand: Hand, way: str) -> None:
    by_hand("ALTER TABLE mills DROP COLUMN note")
    made = plan(steward_client, way)
    assert send(steward_client, "post", f"/admin/plans/{made['id']}/approve").status_code == 200
    by_hand("ALTER TABLE mills ALTER COLUMN colour SET DEFAULT 'grey'")
    before = catalogue(get_store(), "mills")
    answer = send(steward_client, "post", f"/admin/plans/{made['id']}/apply")
    assert (answer.status_code, answer.json()["code"]) == (409, "plan-stale")
    assert send(steward_client, "get", f"/admin/plans/{made['id']}").json()["state"] == "stale"
    assert catalogue(get_store(), "mills") == before


@pytest.mark.parametrize("way", ["repair", "adopt"])
def test_a_plan_for_what_somebody_put_right_meanwhile_is_stale(mills: Ontology, steward_client: APIClient, by_hand: Hand, way: str) -> None:
    by_hand(
        "ALTER TABLE mills ADD COLUMN extra STRUCT(a INTEGER)",
        "ALTER TABLE mills DROP COLUMN extra",
        "ALTER TABLE mills ADD COLUMN b INTEGER",
    )
    made = plan(steward_client, way)
    assert send(steward_client, "post", f"/admin/plans/{made['id']}/approve").status_code == 200
    by_hand("ALTER TABLE mills DROP COLUMN b")
    assert send(steward_client, "post", f"/admin/plans/{made['id']}/apply", {"confirm": "mills"}).json()["code"] == "plan-stale"
    assert drift(steward_client)["state"] == "in step"


def test_a_plan_made_before_a_change_by_hand_is_stale(mills: Ontology, steward_client: APIClient, by_hand: Hand) -> None:
    mills.say(without_column(MILLS, "note"))
    made = send(steward_client, "put", "/admin/tables/mills").json()["plan"]
    assert send(steward_client, "post", f"/admin/plans/{made['id']}/approve").status_code == 200
    by_hand("ALTER TABLE mills ADD COLUMN extra INTEGER")
    answer = send(steward_client, "post", f"/admin/plans/{made['id']}/apply", {"confirm": "mills"})
    assert (answer.status_code, answer.json()["code"]) == (409, "plan-stale")
    assert {"note", "extra"} <= set(catalogue(get_store(), "mills"))


def test_the_policy_decides_on_repairs_too(mills: Ontology, steward_client: APIClient, by_hand: Hand) -> None:
    assert send(steward_client, "patch", "/admin/tables/mills", {"policy": {"destructive": "refuse"}}).status_code == 200
    by_hand("ALTER TABLE mills ADD COLUMN extra INTEGER")
    made = plan(steward_client, "repair")
    assert send(steward_client, "post", f"/admin/plans/{made['id']}/approve").json()["code"] == "plan-refused"


def test_a_table_that_people_made_read_only_is_not_repaired(mills: Ontology, steward_client: APIClient, by_hand: Hand) -> None:
    assert send(steward_client, "patch", "/admin/tables/mills", {"read_only": True, "pinned": True}).status_code == 200
    by_hand("ALTER TABLE mills DROP COLUMN note")
    made = plan(steward_client, "repair")
    assert send(steward_client, "post", f"/admin/plans/{made['id']}/apply").status_code == 423
    assert send(steward_client, "patch", "/admin/tables/mills", {"read_only": False}).status_code == 200
    assert send(steward_client, "post", f"/admin/plans/{made['id']}/apply").status_code == 200
    assert drift(steward_client)["state"] == "in step"


def test_a_repair_keeps_the_old_names_of_columns(mills: Ontology, steward_client: APIClient, by_hand: Hand) -> None:
    mills.say(with_column(MILLS, "note", name="remark", renamed_from="note"))
    assert send(steward_client, "put", "/admin/tables/mills").status_code == 200
    by_hand("ALTER TABLE mills ALTER COLUMN name DROP NOT NULL")
    decided(steward_client, plan(steward_client, "repair"))
    assert [alias["name"] for alias in steward_client.get("/admin/tables/mills").json()["aliases"]] == ["note"]
    by_hand("ALTER TABLE mills ADD COLUMN note INTEGER")
    decided(steward_client, plan(steward_client, "adopt"))
    assert steward_client.get("/admin/tables/mills").json()["aliases"] == []


def test_a_word_that_is_neither_repair_nor_adopt_is_a_bad_request(mills: Ontology, steward_client: APIClient, by_hand: Hand) -> None:
    for body in ({"drift": "mend"}, {"drift": True}, {"drift": ["repair"]}, {"drift": "adopt", "inputs": {"note": {"constant": "x"}}}):
        assert send(steward_client, "post", "/admin/plans", {"table": "mills"} | body).status_code == 400


def test_who_may_only_read_makes_no_repair(mills: Ontology, editor_client: APIClient, by_hand: Hand) -> None:
    by_hand("ALTER TABLE mills DROP COLUMN note")
    plan(editor_client, "repair", status=403)
