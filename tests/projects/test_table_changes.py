"""PUT /admin/tables/{name}: what needs no leave is done with the rows kept, and nothing else is begun."""

from decimal import Decimal

import pytest
from rest_framework.test import APIClient

from projects.store.connection import Store
from schema_registry.models import AuditEntry
from tests.projects.ontology import (
    TURBINES,
    Ontology,
    catalogue,
    everything,
    kinds,
    put,
    send,
    with_column,
)

pytestmark = pytest.mark.django_db

PATH = "/admin/tables/turbines"


def rows(client: APIClient) -> list[dict]:
    return client.get("/ops/turbines").json()


# Nothing to do.


@pytest.mark.parametrize("body", [None, {}])
def test_a_table_in_step_has_nothing_to_do(turbines: Ontology, store: Store, steward_client: APIClient, body: object) -> None:
    before = everything(steward_client, store)
    plan = put(steward_client, body)
    fingerprint = steward_client.get(PATH).json()["fingerprint"]
    assert plan == {
        "id": None,
        "table": "turbines",
        "kind": "change",
        "state": "applied",
        "base_fingerprint": fingerprint,
        "target_fingerprint": fingerprint,
        "from_version": 1,
        "to_version": 1,
        "steps": [],
        "inputs": {},
        "estimate": {},
        "suggestions": [],
        "waits_for": "",
        "undoes": None,
        "created_by": "steward",
        "created_at": None,
        "approved_by": None,
        "applied_by": None,
        "reason": "",
        "finished_at": None,
        "error": "",
        "outcome": {},
    }
    assert steward_client.get("/admin/plans").json() == []
    assert everything(steward_client, store) == before


@pytest.mark.parametrize("body", ['{"schemas": {}}', "[]", "{", '{"schema": {}, "x": 1}'])
def test_a_body_that_is_not_understood_is_a_bad_request(turbines: Ontology, steward_client: APIClient, body: str) -> None:
    assert send(steward_client, "put", PATH, body).status_code == 400


# What is applied at once: the document, the steps, a row that goes in only afterwards (with what it then has more).

ADDITIVE = {
    "an optional column": (
        with_column(TURBINES, "colour", type="VARCHAR", description="Paint."),
        [("add_column", "additive", "alter")],
        ({"id": 3, "price": 1, "colour": "red"}, {"colour": "red"}),
    ),
    "an optional column with a default": (
        with_column(TURBINES, "height", type="DECIMAL(6,3)", default=1.125),
        [("add_column", "additive", "alter")],
        ({"id": 3, "price": 1, "height": None}, {"height": None}),
    ),
    "a required column with a default": (
        with_column(TURBINES, "colour", type="VARCHAR", required=True, default='it\'s "white"'),
        [("add_column", "additive", "alter")],
        ({"id": 3, "price": 1, "colour": "red"}, {"colour": "red"}),
    ),
    "a list": (
        with_column(TURBINES, "tags", type="VARCHAR[]", default=["a", "b"]),
        [("add_column", "additive", "alter")],
        ({"id": 3, "price": 1, "tags": []}, {"tags": []}),
    ),
    "a required list with a default": (
        with_column(TURBINES, "days", type="TIMESTAMP[]", required=True, default=["2026-01-01T00:00:00+01:00"]),
        [("add_column", "additive", "alter")],
        ({"id": 3, "price": 1, "days": []}, {"days": []}),
    ),
    "a required moment with a default": (
        with_column(TURBINES, "since", type="TIMESTAMP", required=True, default="2026-01-01T00:00:00Z"),
        [("add_column", "additive", "alter")],
        ({"id": 3, "price": 1, "since": "2026-02-01"}, {"since": "2026-02-01T00:00:00Z"}),
    ),
    "required bytes with a default": (
        with_column(TURBINES, "mark", type="BLOB", required=True, default="AP8="),
        [("add_column", "additive", "alter")],
        ({"id": 3, "price": 1, "mark": "/w=="}, {"mark": "/w=="}),
    ),
    "an optional moment that is filled in": (
        with_column(TURBINES, "last_updated", type="TIMESTAMP"),
        [("add_column", "additive", "alter")],
        ({"id": 3, "price": 1, "last_updated": "2026-01-01T00:00:00Z"}, {"last_updated": "2026-01-01T00:00:00Z"}),
    ),
    "a wider integer": (
        with_column(TURBINES, "power", type="BIGINT", maximum=None),
        [("change_type", "additive", "alter"), ("change_bounds", "additive", "record")],
        ({"id": 3, "price": 1, "power": 9_000_000_000}, {"power": 9_000_000_000}),
    ),
    "an integer that becomes a decimal": (
        with_column(TURBINES, "power", type="DECIMAL(15,3)"),
        [("change_type", "additive", "alter"), ("change_bounds", "additive", "record")],
        ({"id": 3, "price": 1, "power": 0.125}, {"power": 0.125}),
    ),
    "a wider decimal": (
        with_column(TURBINES, "price", type="DECIMAL(20,2)"),
        [("change_type", "additive", "alter")],
        ({"id": 3, "price": 123456789012.25}, {"price": 123456789012.25}),
    ),
    "a longer text": (
        with_column(TURBINES, "code", type="VARCHAR(9)"),
        [("change_length", "additive", "record")],
        ({"id": 3, "price": 1, "code": "123456789"}, {"code": "123456789"}),
    ),
    "one more value of an enum": (
        with_column(TURBINES, "status", enum=["NEW", "OLD", "GONE"]),
        [("add_enum_value", "additive", "record")],
        ({"id": 3, "price": 1, "status": "GONE"}, {"status": "GONE"}),
    ),
    "no enum any more": (
        with_column(TURBINES, "status", enum=None),
        [("drop_enum", "additive", "record")],
        ({"id": 3, "price": 1, "status": "ANY"}, {"status": "ANY"}),
    ),
    "required to optional": (
        with_column(TURBINES, "price", required=False),
        [("set_optional", "additive", "alter")],
        ({"id": 3}, {"price": None}),
    ),
    "wider bounds": (
        with_column(TURBINES, "power", minimum=-1),
        [("change_bounds", "additive", "record")],
        ({"id": 3, "price": 1, "power": -1}, {"power": -1}),
    ),
    "no unique rule any more": (
        TURBINES | {"unique": []},
        [("drop_unique", "additive", "rebuild")],
        ({"id": 3, "price": 1, "serial": 7}, {"serial": 7}),
    ),
    "a wider key": (
        with_column(TURBINES, "id", type="BIGINT"),
        [("change_type", "additive", "rebuild")],
        ({"id": 3_000_000_000, "price": 1}, {"id": 3_000_000_000}),
    ),
    "a wider unique column": (
        with_column(TURBINES, "serial", type="BIGINT"),
        [("change_type", "additive", "rebuild")],
        ({"id": 3, "price": 1, "serial": 3_000_000_000}, {"serial": 3_000_000_000}),
    ),
}
FILLED = {"an optional column with a default": {"height": 1.125}, "a list": {"tags": ["a", "b"]}}
FILLED |= {
    "a required column with a default": {"colour": 'it\'s "white"'},
    "a required list with a default": {"days": ["2025-12-31T23:00:00Z"]},
    "a required moment with a default": {"since": "2026-01-01T00:00:00Z"},
    "required bytes with a default": {"mark": "AP8="},
}


@pytest.mark.thinned(2)
@pytest.mark.parametrize("case", ADDITIVE)
def test_what_takes_nothing_away_is_applied_and_every_row_is_kept(
    turbines: Ontology, store: Store, steward_client: APIClient, case: str
) -> None:
    document, steps, (row, has) = ADDITIVE[case]
    before = rows(steward_client)
    assert send(steward_client, "post", "/ops/turbines", row).status_code in (409, 422)
    turbines.say(document)
    unchanged = everything(steward_client, store)
    dry = put(steward_client, query="?dry_run=true")
    assert (kinds(dry), dry["state"]) == (steps, "proposed")
    assert everything(steward_client, store) == unchanged

    plan = put(steward_client)
    assert (kinds(plan), plan["state"], plan["from_version"], plan["to_version"]) == (steps, "applied", 1, 2)
    assert all(bool(step["sql"]) == (step["strategy"] != "record") for step in plan["steps"])
    fresh = {c["name"]: None for c in document["columns"] if c["name"] not in before[0]} | FILLED.get(case, {})
    assert rows(steward_client) == [one | fresh for one in before]
    made = send(steward_client, "post", "/ops/turbines", row)
    assert made.status_code == 201, made.content
    assert {name: made.json()[name] for name in has} == has
    assert put(steward_client)["steps"] == []
    page = {c["name"]: c for c in steward_client.get(PATH).json()["columns"]}
    assert {n: (c["type"], not c["required"]) for n, c in page.items()} == {n: found[:2] for n, found in catalogue(store).items()}


# What makes a table stricter, where no row is in the way: the document, the steps, a row that went in before and no longer does.

STRICTER = {
    "a narrower decimal": (
        with_column(TURBINES, "price", type="DECIMAL(5,2)"),
        [("change_type", "strengthening", "alter")],
        {"price": 12345},
    ),
    "a shorter text": (with_column(TURBINES, "code", type="VARCHAR(3)"), [("change_length", "strengthening", "record")], {"code": "abcd"}),
    "optional to required": (with_column(TURBINES, "power", required=True), [("set_required", "strengthening", "alter")], {"power": None}),
    "an enum": (with_column(TURBINES, "code", enum=["abc"]), [("set_enum", "strengthening", "record")], {"code": "x"}),
    "tighter bounds": (with_column(TURBINES, "power", minimum=100), [("change_bounds", "strengthening", "record")], {"power": 99}),
    "a pattern": (with_column(TURBINES, "code", pattern="^a"), [("change_pattern", "strengthening", "record")], {"code": "b"}),
    "a unique rule": (TURBINES | {"unique": [["serial"], ["code"]]}, [("add_unique", "strengthening", "rebuild")], {"code": "abc"}),
}


@pytest.mark.thinned(2)
@pytest.mark.parametrize("case", STRICTER)
def test_what_no_row_is_in_the_way_of_is_applied_and_holds(turbines: Ontology, store: Store, steward_client: APIClient, case: str) -> None:
    document, steps, row = STRICTER[case]
    before = rows(steward_client)
    assert send(steward_client, "post", "/ops/turbines", {"id": 3, "price": 1, "power": 200} | row).status_code == 201
    assert steward_client.delete("/ops/turbines/3").status_code == 204
    turbines.say(document)
    plan = put(steward_client)
    assert (kinds(plan), plan["state"]) == (steps, "applied")
    assert rows(steward_client) == before
    assert send(steward_client, "post", "/ops/turbines", {"id": 3, "price": 1, "power": 200} | row).status_code in (409, 422)
    assert send(steward_client, "post", "/ops/turbines", {"id": 3, "price": 1, "power": 200}).status_code == 201
    assert put(steward_client)["steps"] == []


DEFAULTS = {
    "flag": ("BOOLEAN", True, True),
    "large": ("HUGEINT", 2**100, 2**100),
    "twice": ("DOUBLE", 1e300, 1e300),
    "day": ("DATE", "2026-01-31", "2026-01-31"),
    "moment": ("TIMESTAMPTZ", "2026-01-01T02:00:00+02:00", "2026-01-01T00:00:00Z"),
    "token": ("UUID", "0197f0a0-0000-7000-8000-000000000001", "0197f0a0-0000-7000-8000-000000000001"),
    "tree": ("JSON", {"it's": [1, None]}, {"it's": [1, None]}),
    "prices": ("DECIMAL(10,2)[]", [1.25], [1.25]),
    "we\"ird 'name": ("VARCHAR", "'; DROP TABLE turbines; --", "'; DROP TABLE turbines; --"),
}


def test_a_required_column_of_any_type_fills_the_rows_that_are_there(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    document = TURBINES
    for name, (kind, default, _) in DEFAULTS.items():
        document = with_column(document, name, type=kind, default=default, required=True, description=f"{name}'s")
    turbines.say(document)
    assert {step["strategy"] for step in put(steward_client)["steps"]} == {"alter"}
    send(steward_client, "post", "/ops/turbines", {"id": 3, "price": 1})
    for row in rows(steward_client):
        assert {name: row[name] for name in DEFAULTS} == {name: shown for name, (_, _, shown) in DEFAULTS.items()}
    assert catalogue(store)["we\"ird 'name"][3] == "we\"ird 'name's"


def test_a_column_is_added_with_its_comment(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    turbines.say(with_column(TURBINES, "colour", type="VARCHAR", description="The paint's."))
    put(steward_client)
    assert catalogue(store)["colour"] == ("VARCHAR", True, None, "The paint's.")


def test_a_new_default_is_for_new_rows_only(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    turbines.say(with_column(TURBINES, "status", default="OLD"))
    assert kinds(put(steward_client)) == [("set_default", "metadata", "alter")]
    assert [r["status"] for r in rows(steward_client)] == ["NEW", "OLD"]
    assert send(steward_client, "post", "/ops/turbines", {"id": 3, "price": 1}).json()["status"] == "OLD"
    assert "OLD" in catalogue(store)["status"][2]
    turbines.say(with_column(TURBINES, "status", default=None))
    put(steward_client)
    assert send(steward_client, "post", "/ops/turbines", {"id": 4, "price": 1}).status_code == 422
    assert catalogue(store)["status"][2] in (None, "NULL")


def test_a_type_and_its_default_widen_together(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    turbines.say(with_column(TURBINES, "price", default=1.5))
    put(steward_client)
    turbines.say(with_column(TURBINES, "price", type="DECIMAL(20,4)", default=1.5))
    assert kinds(put(steward_client))[0] == ("change_type", "additive", "alter")
    assert send(steward_client, "post", "/ops/turbines", {"id": 3}).json()["price"] == 1.5
    assert store.connection().execute("SELECT price FROM turbines ORDER BY id").fetchall()[0] == (Decimal("12.5000"),)


METADATA = {
    "the table's description": (TURBINES | {"description": "They're mills."}, "change_description"),
    "a column's description": (with_column(TURBINES, "power", description="What's made."), "change_description"),
    "a unit where there was none": (with_column(TURBINES, "price", unit="EUR"), "change_unit"),
    "a column's id": (with_column(TURBINES, "power", id="http://example.org/power"), "change_id"),
    "the table's id": (TURBINES | {"id": "http://example.org/Turbine"}, "change_id"),
    "deprecated": (with_column(TURBINES, "code", deprecated=True), "change_deprecated"),
    "a reference": (with_column(TURBINES, "serial", references="sites.id"), "change_reference"),
    "the order of an enum": (with_column(TURBINES, "status", enum=["OLD", "NEW"]), "reorder_enum"),
}


@pytest.mark.thinned(2)
@pytest.mark.parametrize("case", METADATA)
def test_what_only_says_more_is_applied(turbines: Ontology, store: Store, steward_client: APIClient, case: str) -> None:
    document, kind = METADATA[case]
    before = rows(steward_client)
    turbines.say(document)
    plan = put(steward_client)
    assert [step[:2] for step in kinds(plan)] == [(kind, "metadata")]
    assert rows(steward_client) == before
    assert put(steward_client)["steps"] == []
    page = steward_client.get(PATH).json()
    assert page["description"] == document["description"]
    assert (page["version"], page["drift"]["state"]) == (2, "in step")


def test_descriptions_are_comments_in_the_catalogue(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    turbines.say(with_column(TURBINES, "power", description="What's made.") | {"description": "They're mills."})
    put(steward_client)
    comment = store.connection().execute("SELECT comment FROM duckdb_tables() WHERE table_name = 'turbines'").fetchall()
    assert (comment, catalogue(store)["power"][3]) == ([("They're mills.",)], "What's made.")
    turbines.say(with_column(TURBINES, "power", description=None))
    put(steward_client)
    assert catalogue(store)["power"][3] is None


def test_many_changes_are_one_plan(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    document = with_column(TURBINES | {"description": ""}, "colour", type="VARCHAR", required=True, default="white")
    document = with_column(with_column(document, "price", type="DECIMAL(20,2)", required=False), "code", type="VARCHAR(9)")
    turbines.say(document)
    assert len(put(steward_client)["steps"]) == 5
    assert [r["colour"] for r in rows(steward_client)] == ["white", "white"]
    entry = AuditEntry.objects.filter(action="table.alter").get()
    found = {name: entry.detail[name] for name in ("kind", "from_version", "version", "rows_in_the_way", "rows")}
    assert found == {"kind": "change", "from_version": 1, "version": 2, "rows_in_the_way": 0, "rows": 2}
    assert (entry.actor, len(entry.detail["steps"])) == ("steward", 5)
