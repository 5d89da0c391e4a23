"""Each row of the table of changes, on a table with data: what its plan says, that it does what it shows, and that it comes back."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from rest_framework.test import APIClient

from projects.store.connection import Store, get_store
from projects.sync import sync
from tests.projects.conftest import make_by_rest
from tests.projects.ontology import FIRST, SECOND, TURBINES, Ontology, everything, outcomes, send, with_column
from tests.projects.plan_cases import CASES, NAMES, RENAME, THIRD, Case
from tests.projects.planning import (
    act,
    bring,
    carry_out,
    copied,
    live_table,
    propose,
    rows_of,
    run_by_hand,
    sampled,
    table_in,
    without_order,
)

pytestmark = pytest.mark.django_db

EACH = CASES | NAMES


@pytest.fixture
def case(request: pytest.FixtureRequest, ontology: Ontology, store: Store, steward_client: APIClient) -> Case:
    """The case's table with its rows, and an ontology that wants it otherwise."""
    chosen = EACH[request.param]
    ontology.say(chosen.base)
    make_by_rest(ontology, store, steward_client, "turbines", chosen.rows)
    ontology.say(chosen.wanted, "turbines_schema")
    return chosen


each_case = pytest.mark.parametrize("case", EACH, indirect=True)


def facts(plan: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Each step's change, class, strategy, action, rows in the way, and sample."""
    names = ("change", "class", "strategy", "action", "rows_in_the_way")
    return [(*(one[name] for name in names), sampled(one)) for one in plan["steps"]]


@pytest.mark.thinned(3)
@each_case
def test_a_plan_says_what_it_would_do_and_begins_only_what_needs_nobody(case: Case, steward_client: APIClient) -> None:
    before = everything(steward_client, get_store())
    dry = bring(steward_client, query="?dry_run=true")
    assert (facts(dry), dry["state"], dry["id"]) == (case.steps, "proposed", None)
    assert {one["rows_total"] for one in dry["steps"]} == {len(case.rows)}
    assert bool(dry["estimate"]) == any(one["strategy"] == "rebuild" for one in dry["steps"])
    assert everything(steward_client, get_store()) == before
    is_free = all(one["action"] == "apply" for one in dry["steps"])
    plan = bring(steward_client, status=200 if is_free else 202)
    assert plan["steps"] == dry["steps"]
    name = case.wanted["name"]
    if is_free:
        assert (plan["state"], plan["approved_by"], bring(steward_client, table=name)["steps"]) == ("applied", None, [])
        return
    assert (plan["state"], bool(plan["waits_for"])) == ("proposed", True)
    assert everything(steward_client, get_store()) == before
    answer = send(steward_client, "post", "/admin/tables", {"schema": "turbines_schema"})
    assert (answer.status_code, outcomes(answer.json()), answer.json()["tables"][0]["plan"]["id"]) == (202, {name: "waits"}, plan["id"])
    assert everything(steward_client, get_store()) == before


@pytest.mark.thinned(3, others=True)
@each_case
def test_the_sql_that_is_shown_is_the_sql_that_runs_and_its_undo_brings_everything_back(
    case: Case, steward_client: APIClient, tmp_path: Path
) -> None:
    plan = propose(steward_client)
    if any(one["rows_broken"] for one in plan["steps"]):
        refused = act(steward_client, plan, "approve", status=409)
        assert (refused["code"], refused["changes"]) == ("rows-in-the-way", plan["steps"])
        for key, written in case.mended.items():
            assert send(steward_client, "patch", f"/ops/turbines/{key}", written).status_code == 200
        plan = propose(steward_client, case.inputs)
    before, rows, by_hand = live_table(), rows_of(steward_client), copied(tmp_path / "by_hand.db")
    done = carry_out(steward_client, plan)
    assert (done["state"], done["outcome"]["rows"]) == ("applied", len(case.rows))
    name = case.wanted["name"]
    run_by_hand(by_hand, plan)
    shown, ran = table_in(by_hand, name), live_table(name)
    if case.filled:
        shown, ran = without_order(shown, case.filled), without_order(ran, case.filled)
    assert shown == ran
    after = sorted(rows_of(steward_client, name), key=lambda row: row.get("id", row.get("turbine_id")))
    assert {column: [row[column] for row in after] for column in case.then} == case.then

    back_by_hand = copied(tmp_path / "back.db")
    back = act(steward_client, done, "undo", confirm=name)
    assert back["state"] == "applied"
    assert (rows_of(steward_client), without_order(live_table())) == (rows, without_order(before))
    run_by_hand(back_by_hand, back, undone=done)
    assert table_in(back_by_hand) == live_table()


# What is not a change of a column.


def test_a_new_table_is_made_at_once_and_with_the_shape_that_its_schema_has(ontology: Ontology, steward_client: APIClient) -> None:
    report = send(steward_client, "post", "/ops/initialize").json()
    assert outcomes(report) == {"turbines": "created", "sites": "created"}
    made = live_table()
    assert [column[:3] for column in made["columns"]] == [
        ("id", "INTEGER", False),
        ("power", "INTEGER", True),
        ("price", "DECIMAL(10,2)", False),
        ("code", "VARCHAR", True),
        ("status", "VARCHAR", False),
        ("serial", "INTEGER", True),
    ]
    rules = {kind: names for kind, names in made["rules"] if kind in ("PRIMARY KEY", "UNIQUE")}
    assert (rules, made["rows"], made["comment"]) == ({"PRIMARY KEY": ("id",), "UNIQUE": ("serial",)}, [], [("Wind turbines.",)])


def test_a_new_table_is_made_by_the_sql_that_a_dry_run_shows(ontology: Ontology, steward_client: APIClient, tmp_path: Path) -> None:
    shown = next(one for one in sync(get_store(), actor="steward", dry_run=True).as_json()["tables"] if one["table"] == "turbines")
    step = shown["plan"]["steps"][0]
    assert (shown["outcome"], step["change"], step["class"], step["action"]) == ("created", "create_table", "additive", "apply")
    assert (step["rows_total"], step["rows_in_the_way"], step["sample"]) == (0, 0, [])
    by_hand = copied(tmp_path / "by_hand.db")
    assert table_in(by_hand) is None
    send(steward_client, "post", "/ops/initialize")
    run_by_hand(by_hand, shown["plan"])
    assert table_in(by_hand) == live_table()


@pytest.mark.parametrize("rows", [(), (FIRST, SECOND)], ids=["empty", "with rows"])
def test_a_dropped_table_goes_by_the_sql_that_is_shown_and_its_undo_brings_it_back(
    ontology: Ontology, steward_client: APIClient, tmp_path: Path, rows: tuple[dict, ...]
) -> None:
    send(steward_client, "post", "/ops/initialize")
    for row in rows:
        send(steward_client, "post", "/ops/turbines", row)
    before, by_hand = live_table(), copied(tmp_path / "by_hand.db")
    answer = steward_client.delete("/admin/tables/turbines?confirm=turbines")
    plan = answer.json()["plan"]
    assert (answer.status_code, plan["kind"], plan["state"]) == (200, "drop", "applied")
    sample = [(str(row["id"]), None, None) for row in rows]
    assert facts(plan) == [("drop_table", "destructive", "drop", "wait", len(rows), sample)]
    assert (plan["steps"][0]["rows_total"], plan["steps"][0]["archive"]) == (len(rows), True)
    assert (plan["approved_by"], plan["outcome"]["archive"]["rows"]) == ("steward", len(rows))
    run_by_hand(by_hand, plan)
    assert table_in(by_hand) is live_table() is None

    back_by_hand = copied(tmp_path / "back.db")
    back = act(steward_client, plan, "undo")
    assert facts(back) == [("create_table", "additive", "create", "apply", 0, [])]
    assert live_table() == before
    run_by_hand(back_by_hand, back, undone=plan)
    assert table_in(back_by_hand) == before


def test_a_table_is_never_dropped_because_its_schema_is_gone(turbines: Ontology, steward_client: APIClient) -> None:
    before = live_table()
    turbines.forget("turbines_schema")
    assert send(steward_client, "post", "/ops/initialize").json()["orphaned"] == ["turbines"]
    assert (live_table(), steward_client.get("/admin/plans").json()) == (before, [])


# Samples.


def test_a_sample_has_the_first_ten_rows_in_the_way(turbines: Ontology, steward_client: APIClient) -> None:
    for number in range(30, 10, -1):
        assert send(steward_client, "post", "/ops/turbines", {"id": number, "price": 1}).status_code == 201
    turbines.say(with_column(TURBINES, "power", required=True))
    (one,) = bring(steward_client, status=202)["steps"]
    assert (one["rows_total"], one["rows_in_the_way"]) == (22, 20)
    assert sampled(one) == [(str(number), None, None) for number in range(11, 21)]


def test_a_sample_names_rows_as_their_addresses_do(ontology: Ontology, steward_client: APIClient) -> None:
    columns = [{"name": "a", "type": "VARCHAR"}, {"name": "b", "type": "INTEGER"}, {"name": "v", "type": "VARCHAR"}]
    document = {"name": "turbines", "columns": columns, "primary_key": ["a", "b"]}
    ontology.say(document)
    send(steward_client, "post", "/ops/initialize")
    for key in ("x,y", "~", "", "ä/ö"):
        assert send(steward_client, "post", "/ops/turbines", {"a": key, "b": -1, "v": "long"}).status_code == 201
    ontology.say(with_column(document, "v", type="VARCHAR(3)"))
    (one,) = bring(steward_client, status=202)["steps"]
    assert one["rows_in_the_way"] == 4
    found = [steward_client.get(f"/ops/turbines/{quote(key, safe='~,')}").json()["a"] for key, _, _ in sampled(one)]
    assert found == sorted(["x,y", "~", "", "ä/ö"])


# What a person sees of it afterwards.


@pytest.mark.parametrize("case", [name for name in RENAME if name.startswith("rename by")], indirect=True)
def test_a_renamed_column_still_answers_to_its_old_name(case: Case, steward_client: APIClient) -> None:
    bring(steward_client)
    answer = steward_client.get("/ops/turbines?code=abc")
    assert ([row["label"] for row in answer.json()], answer["Deprecation"][0]) == (["abc"], "@")
    assert "Deprecation" not in steward_client.get("/ops/turbines?label=abc")
    assert send(steward_client, "patch", "/ops/turbines/1", {"code": "x"}).json()["label"] == "x"


def test_a_rule_is_kept_by_new_rows_once_its_plan_is_applied(turbines: Ontology, steward_client: APIClient) -> None:
    turbines.say(with_column(with_column(TURBINES, "power", maximum=250), "status", enum=["NEW"], default="NEW"))
    plan = propose(steward_client, {"status": {"mapping": {"OLD": "NEW"}}})
    assert send(steward_client, "post", "/ops/turbines", {"id": 3, "price": 1, "power": 250, "status": "OLD"}).status_code == 201
    carry_out(steward_client, plan)
    assert {row["status"] for row in rows_of(steward_client)} == {"NEW"}
    for body in ({"power": 251}, {"status": "OLD"}):
        assert send(steward_client, "patch", "/ops/turbines/1", body).status_code == 422


def test_rows_that_repeat_a_value_are_mended_by_hand_before_it_becomes_unique(turbines: Ontology, steward_client: APIClient) -> None:
    send(steward_client, "post", "/ops/turbines", THIRD)
    turbines.say(TURBINES | {"unique": [["serial"], ["code"]]})
    waiting = bring(steward_client, status=202)
    assert waiting["steps"][0]["needs"] == "values of code that are there and differ from row to row"
    assert send(steward_client, "patch", "/ops/turbines/3", {"code": "abd"}).status_code == 200
    assert bring(steward_client)["state"] == "applied"
    assert send(steward_client, "patch", "/ops/turbines/3", {"code": "abc"}).status_code == 409
