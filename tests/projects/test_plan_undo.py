"""Undo by REST: structure and values come back, what was written since stays, and what cannot be kept is counted and waits."""

import pytest
from rest_framework.test import APIClient

from projects.store.connection import Store
from schema_registry.models import AuditEntry
from tests.projects.ontology import FIRST, TURBINES, Ontology, catalogue, everything, outcomes, send, table, with_column, without_column
from tests.projects.planning import act, bring, carry_out, live_table, propose, rows_of, sampled, seen, states, without_order

pytestmark = pytest.mark.django_db

COLOURED = with_column(TURBINES, "colour", type="VARCHAR")
WITHOUT_CODE = without_column(TURBINES, "code")


def done(turbines: Ontology, client: APIClient, document: dict, inputs: dict | None = None) -> dict:
    """The plan that brought turbines to the document, applied."""
    turbines.say(document)
    return carry_out(client, propose(client, inputs))


def write(client: APIClient, key: int, **values: object) -> None:
    answer = send(client, "patch", f"/ops/turbines/{key}", values)
    assert answer.status_code == 200, answer.content


def add(client: APIClient, key: int, **values: object) -> None:
    answer = send(client, "post", "/ops/turbines", {"id": key, "price": 1} | values)
    assert answer.status_code == 201, answer.content


def by_key(client: APIClient, column: str) -> dict[int, object]:
    return {row["id"]: row[column] for row in rows_of(client)}


# The order of things.


def test_the_newest_is_undone_first_and_each_once(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    at_first = everything(steward_client, store)[:2]
    first = done(turbines, steward_client, COLOURED)
    second = done(turbines, steward_client, with_column(COLOURED, "height", type="DOUBLE"))
    problem = act(steward_client, first, "undo", status=409)
    assert (problem["code"], f"plan {second['id']} came after it" in problem["detail"]) == ("undo-refused", True)
    back = act(steward_client, second, "undo")
    assert (back["kind"], back["undoes"], back["state"]) == ("undo", second["id"], "applied")
    assert act(steward_client, second, "undo", status=409)["detail"].endswith("it is undone.")
    act(steward_client, first, "undo")
    assert everything(steward_client, store)[:2] == at_first
    assert [state for _, state in sorted(states(steward_client).items())] == ["undone", "undone", "applied", "applied"]
    assert [entry.detail["kind"] for entry in AuditEntry.objects.filter(action="table.undo")] == ["undo", "undo"]


def test_only_what_was_applied_is_undone(turbines: Ontology, steward_client: APIClient) -> None:
    turbines.say(WITHOUT_CODE)
    plan = bring(steward_client, status=202)
    for deed, state in (("approve", "approved"), ("reject", "rejected")):
        act(steward_client, plan, deed)
        assert act(steward_client, plan, "undo", status=409)["detail"].endswith(f"it is {state}.")


def test_the_page_says_the_version_that_the_table_came_back_to(turbines: Ontology, steward_client: APIClient) -> None:
    plan = done(turbines, steward_client, COLOURED)
    before = steward_client.get("/admin/tables/turbines").json()
    act(steward_client, plan, "undo")
    page = steward_client.get("/admin/tables/turbines").json()
    assert (before["version"], page["version"], page["fingerprint"]) == (2, 1, plan["base_fingerprint"])
    assert (page["drift"]["state"], page["source"]["provenance"]) == ("behind", "live")


def test_an_undo_that_is_tried_dry_changes_nothing(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    plan = done(turbines, steward_client, WITHOUT_CODE)
    before, known = everything(steward_client, store), states(steward_client)
    shown = act(steward_client, plan, "undo?dry_run=true")
    assert (shown["id"], shown["state"], [step["change"] for step in shown["steps"]]) == (None, "proposed", ["add_column"])
    assert (everything(steward_client, store), states(steward_client)) == (before, known)


def test_an_undone_change_is_not_applied_again_until_somebody_approves(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    act(steward_client, done(turbines, steward_client, COLOURED), "undo")
    before = everything(steward_client, store)
    plan = bring(steward_client, status=202)
    assert [(step["class"], step["action"]) for step in plan["steps"]] == [("additive", "wait")]
    assert outcomes(send(steward_client, "post", "/ops/initialize").json())["turbines"] == "waits"
    assert everything(steward_client, store) == before
    turbines.say(with_column(COLOURED, "height", type="DOUBLE"))
    both = bring(steward_client, status=202)
    assert {step["column"]: step["action"] for step in both["steps"]} == {"colour": "wait", "height": "apply"}
    assert everything(steward_client, store) == before
    again = carry_out(steward_client, both)
    turbines.say(with_column(COLOURED, "height", type="DOUBLE", description="In m."))
    assert (again["state"], bring(steward_client)["state"]) == ("applied", "applied")


def test_an_undo_is_undone_and_so_on(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    with_code = without_order(live_table())
    plan = done(turbines, steward_client, WITHOUT_CODE)
    without_code = without_order(live_table())
    write(steward_client, 1, power=101)
    for expected in (with_code, without_code, with_code, without_code):
        plan = act(steward_client, plan, "undo", confirm="turbines")
        assert plan["state"] == "applied"
        found = without_order(live_table())
        assert [name for name, *_ in found["columns"]] == [name for name, *_ in expected["columns"]]
        assert found["rows"] == [row | {"power": "101"} if row["id"] == "1" else row for row in expected["rows"]]


# What was written since.


def test_deleted_rows_stay_deleted_and_new_ones_have_nothing(turbines: Ontology, steward_client: APIClient) -> None:
    add(steward_client, 3, code="third")
    plan = done(turbines, steward_client, WITHOUT_CODE)
    assert steward_client.delete("/ops/turbines/1").status_code == 204
    add(steward_client, 4)
    write(steward_client, 3, power=7)
    back = act(steward_client, plan, "undo")
    assert (back["state"], [step["rows_in_the_way"] for step in back["steps"]]) == ("applied", [0])
    assert by_key(steward_client, "code") == {2: None, 3: "third", 4: None}
    assert by_key(steward_client, "power")[3] == 7


def test_a_row_that_was_deleted_and_made_again_has_its_old_value(turbines: Ontology, steward_client: APIClient) -> None:
    plan = done(turbines, steward_client, WITHOUT_CODE)
    assert steward_client.delete("/ops/turbines/1").status_code == 204
    add(steward_client, 1)
    act(steward_client, plan, "undo")
    assert by_key(steward_client, "code")[1] == "abc"


def test_new_rows_get_the_default_of_a_column_that_comes_back(turbines: Ontology, steward_client: APIClient) -> None:
    plan = done(turbines, steward_client, without_column(TURBINES, "status"))
    add(steward_client, 3)
    act(steward_client, plan, "undo")
    assert by_key(steward_client, "status") == {1: "NEW", 2: "OLD", 3: "NEW"}


@pytest.mark.parametrize("by", ["undo", "plan"])
def test_new_rows_without_a_value_for_a_required_column_are_counted_and_wait(
    turbines: Ontology, store: Store, steward_client: APIClient, by: str
) -> None:
    plan = done(turbines, steward_client, without_column(TURBINES, "price"))
    for key in (3, 4):
        assert send(steward_client, "post", "/ops/turbines", {"id": key}).status_code == 201
    before = everything(steward_client, store)
    back = act(steward_client, plan, "undo", status=202)
    (step,) = back["steps"]
    assert (back["state"], step["rows_total"], step["rows_in_the_way"]) == ("proposed", 4, 2)
    assert sampled(step) == [("3", None, None), ("4", None, None)]
    assert step["needs"] == "a constant or an expression for price"
    assert act(steward_client, back, "approve", status=409)["code"] == "rows-in-the-way"
    assert (everything(steward_client, store), seen(steward_client, plan)["state"]) == (before, "applied")
    inputs = {"price": {"expression": "id * 1.5"}}
    if by == "undo":
        assert act(steward_client, plan, "undo", inputs=inputs)["state"] == "applied"
    else:
        fresh = propose(steward_client, inputs)
        assert (fresh["kind"], fresh["undoes"]) == ("undo", plan["id"])
        carry_out(steward_client, fresh)
    assert by_key(steward_client, "price") == {1: 12.5, 2: 0.25, 3: 4.5, 4: 6.0}


def test_a_cell_that_was_written_since_keeps_its_value(turbines: Ontology, steward_client: APIClient) -> None:
    add(steward_client, 3, price=3.33)
    plan = done(turbines, steward_client, with_column(TURBINES, "price", type="DECIMAL(10,1)"))
    assert by_key(steward_client, "price") == {1: 12.5, 2: 0.3, 3: 3.3}
    write(steward_client, 2, price=7.7)
    act(steward_client, plan, "undo")
    assert by_key(steward_client, "price") == {1: 12.5, 2: 7.7, 3: 3.33}


def test_what_a_cast_made_null_comes_back_where_nobody_wrote_since(turbines: Ontology, steward_client: APIClient) -> None:
    add(steward_client, 3, code="x1")
    add(steward_client, 4, code="12")
    plan = done(turbines, steward_client, with_column(TURBINES, "code", type="INTEGER"))
    assert by_key(steward_client, "code") == {1: None, 2: None, 3: None, 4: 12}
    write(steward_client, 3, code=5)
    add(steward_client, 5, code=9)
    act(steward_client, plan, "undo")
    assert by_key(steward_client, "code") == {1: "abc", 2: None, 3: "5", 4: "12", 5: "9"}


def test_a_value_that_the_old_type_cannot_hold_is_counted_and_waits(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    plan = done(turbines, steward_client, with_column(TURBINES, "power", type="BIGINT", maximum=None))
    write(steward_client, 1, power=9_000_000_000)
    write(steward_client, 2, power=500)
    before = everything(steward_client, store)
    back = act(steward_client, plan, "undo", status=202)
    found = {step["change"]: (step["class"], step["rows_in_the_way"]) for step in back["steps"]}
    assert found["change_type"] == ("destructive", 1)
    assert sampled(next(step for step in back["steps"] if step["change"] == "change_type")) == [("1", "9000000000", None)]
    assert everything(steward_client, store) == before
    back = act(steward_client, plan, "undo", confirm="turbines")
    assert (back["state"], by_key(steward_client, "power")) == ("applied", {1: None, 2: 500})
    assert act(steward_client, back, "undo", confirm="turbines")["state"] == "applied"
    assert by_key(steward_client, "power") == {1: 9_000_000_000, 2: 500}


def test_a_value_that_the_old_enum_does_not_have_waits_for_a_mapping(turbines: Ontology, steward_client: APIClient) -> None:
    plan = done(turbines, steward_client, with_column(TURBINES, "status", enum=["NEW", "OLD", "GONE"]))
    write(steward_client, 1, status="GONE")
    back = act(steward_client, plan, "undo", status=202, confirm="turbines")
    assert (back["state"], sampled(back["steps"][0])) == ("proposed", [("1", "GONE", "GONE")])
    back = act(steward_client, plan, "undo", inputs={"status": {"mapping": {"GONE": "OLD"}}})
    assert (back["state"], by_key(steward_client, "status")) == ("applied", {1: "OLD", 2: "OLD"})


def test_what_a_person_mapped_comes_back_where_nobody_wrote_since(turbines: Ontology, steward_client: APIClient) -> None:
    add(steward_client, 3, status="OLD")
    plan = done(turbines, steward_client, with_column(TURBINES, "status", enum=["NEW", "GONE"]), {"status": {"mapping": {"OLD": "NEW"}}})
    write(steward_client, 1, status="GONE")
    add(steward_client, 4, status="NEW")
    back = act(steward_client, plan, "undo", inputs={"status": {"mapping": {"GONE": "OLD"}}})
    assert (back["state"], by_key(steward_client, "status")) == ("applied", {1: "OLD", 2: "OLD", 3: "OLD", 4: "NEW"})


def test_a_unit_goes_back_by_the_same_factor_and_what_was_rounded_is_exact_again(turbines: Ontology, steward_client: APIClient) -> None:
    megawatts = with_column(TURBINES, "power", unit="MW", maximum=1000)
    add(steward_client, 3, power=999)
    add(steward_client, 4, power=1000)
    plan = done(turbines, steward_client, megawatts, {"power": {"factor": "1/1000"}})
    assert by_key(steward_client, "power") == {1: 0, 2: 0, 3: 1, 4: 1}
    write(steward_client, 2, power=1)
    add(steward_client, 5, power=1)
    act(steward_client, plan, "undo", confirm="turbines")
    assert by_key(steward_client, "power") == {1: 100, 2: 1000, 3: 999, 4: 1000, 5: 1000}


def test_what_the_undo_takes_away_is_confirmed_archived_and_comes_back(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    painted = with_column(TURBINES, "colour", type="VARCHAR", required=True, default="white")
    plan = done(turbines, steward_client, painted)
    write(steward_client, 2, colour="red")
    add(steward_client, 3, colour="blue")
    before = everything(steward_client, store)
    back = act(steward_client, plan, "undo", status=202)
    assert (back["state"], sampled(back["steps"][0])) == ("proposed", [("2", "red", None), ("3", "blue", None)])
    act(steward_client, back, "approve")
    assert act(steward_client, back, "apply", status=428)["code"] == "confirmation-missing"
    assert everything(steward_client, store) == before
    back = act(steward_client, back, "apply", confirm="turbines")
    assert "colour" not in rows_of(steward_client)[0]
    write(steward_client, 1, power=5)
    act(steward_client, back, "undo")
    assert by_key(steward_client, "colour") == {1: "white", 2: "red", 3: "blue"}
    assert by_key(steward_client, "power") == {1: 5, 2: 200, 3: None}


def test_a_column_that_nobody_wrote_into_goes_without_a_word(turbines: Ontology, steward_client: APIClient) -> None:
    for document in (COLOURED, with_column(TURBINES, "colour", type="VARCHAR", required=True, default="white")):
        plan = done(turbines, steward_client, document)
        assert act(steward_client, plan, "undo")["state"] == "applied"
        assert "colour" not in rows_of(steward_client)[0]


def test_an_undone_rename_leaves_no_old_name(turbines: Ontology, steward_client: APIClient) -> None:
    plan = done(turbines, steward_client, with_column(TURBINES, "code", name="label", renamed_from="code"))
    write(steward_client, 2, label="b")
    assert len(steward_client.get("/ops/turbines?code=abc").json()) == 1
    act(steward_client, plan, "undo")
    assert by_key(steward_client, "code") == {1: "abc", 2: "b"}
    assert "Deprecation" not in steward_client.get("/ops/turbines?code=abc")
    assert steward_client.get("/ops/turbines?label=abc").status_code == 400
    assert steward_client.get("/admin/tables/turbines").json()["aliases"] == []


def test_rules_that_came_and_went_hold_as_they_did(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    before = catalogue(store)
    plan = done(turbines, steward_client, with_column(TURBINES, "price", required=False) | {"unique": []})
    add(steward_client, 3, serial=7, code="same")
    assert send(steward_client, "post", "/ops/turbines", {"id": 4}).status_code == 201
    back = act(steward_client, plan, "undo", status=202, confirm="turbines")
    found = {step["change"]: sampled(step) for step in back["steps"]}
    assert found == {"set_required": [("4", None, None)], "add_unique": [("1", "7", "7"), ("3", "7", "7")]}
    write(steward_client, 3, serial=8)
    assert act(steward_client, plan, "undo", inputs={"price": {"constant": 2}})["state"] == "applied"
    assert (catalogue(store), by_key(steward_client, "price")[4]) == (before, 2)
    assert send(steward_client, "post", "/ops/turbines", FIRST | {"id": 5}).status_code == 409


# Tables.


def test_a_dropped_table_comes_back_with_its_rows_old_names_and_decisions(
    turbines: Ontology, store: Store, steward_client: APIClient
) -> None:
    done(turbines, steward_client, with_column(TURBINES, "code", name="label", renamed_from="code"))
    send(steward_client, "patch", "/admin/tables/turbines", {"policy": {"rename": "wait"}, "pinned": True})
    before = everything(steward_client, store)
    aliases = steward_client.get("/admin/tables/turbines").json()["aliases"]
    plan = steward_client.delete("/admin/tables/turbines?confirm=turbines").json()["plan"]
    assert steward_client.get("/ops/turbines").status_code == 404
    assert act(steward_client, plan, "undo")["state"] == "applied"
    after = everything(steward_client, store)
    assert (after[:2], [fact for n, fact in enumerate(after[2]) if n != 3]) == (
        before[:2],
        [fact for n, fact in enumerate(before[2]) if n != 3],
    )
    assert steward_client.get("/admin/tables/turbines").json()["aliases"] == aliases
    assert len(steward_client.get("/ops/turbines?code=abc").json()) == 1
    assert send(steward_client, "post", "/ops/turbines", {"id": 1, "price": 1}).status_code == 409


def test_a_drop_is_not_undone_over_a_table_that_was_made_since(turbines: Ontology, steward_client: APIClient) -> None:
    plan = steward_client.delete("/admin/tables/turbines?confirm=turbines").json()["plan"]
    assert send(steward_client, "post", "/admin/tables", {"schema": "turbines"}).status_code == 201
    problem = act(steward_client, plan, "undo", status=409)
    assert (problem["code"], "there is a table turbines again" in problem["detail"]) == ("undo-refused", True)
    assert rows_of(steward_client) == []
    second = steward_client.delete("/admin/tables/turbines?confirm=turbines").json()["plan"]
    assert act(steward_client, plan, "undo")["state"] == "applied"
    assert (len(rows_of(steward_client)), seen(steward_client, second)["state"]) == (2, "applied")


def test_what_came_before_a_drop_is_undone_after_it(turbines: Ontology, steward_client: APIClient) -> None:
    plan = done(turbines, steward_client, WITHOUT_CODE)
    drop = steward_client.delete("/admin/tables/turbines?confirm=turbines").json()["plan"]
    problem = act(steward_client, plan, "undo", status=409)
    assert (problem["code"], "undo the plan that dropped it first" in problem["detail"]) == ("undo-refused", True)
    act(steward_client, drop, "undo")
    act(steward_client, plan, "undo")
    assert by_key(steward_client, "code") == {1: "abc", 2: None}


def test_values_of_every_type_come_back_from_a_drop(ontology: Ontology, store: Store, steward_client: APIClient) -> None:
    kinds = {
        "large": ("HUGEINT", -(2**100)),
        "exact": ("DECIMAL(38,10)", 1234567890.0123456789),
        "small": ("DECIMAL(4,4)", 0.1234),
        "float": ("FLOAT", 0.1),
        "double": ("DOUBLE", 1e300),
        "moment": ("TIMESTAMP", "2026-01-31T12:30:00.123456Z"),
        "zoned": ("TIMESTAMPTZ", "2026-01-31T12:30:00.5Z"),
        "clock": ("TIME", "12:30:00"),
        "token": ("UUID", "0197f0a0-0000-7000-8000-000000000001"),
        "bytes": ("BLOB", "AP8="),
        "tree": ("JSON", {"a": [1, None, "x"]}),
        "flag": ("BOOLEAN", False),
        "lists": ("HUGEINT[]", [2**100, 0]),
        'odd "name"': ("VARCHAR[]", ["it's", "", "a,b"]),
    }
    ontology.say(table("turbines", *({"name": name, "type": kind} for name, (kind, _) in kinds.items())))
    send(steward_client, "post", "/ops/initialize")
    assert send(steward_client, "post", "/ops/turbines", {"id": 1} | {name: value for name, (_, value) in kinds.items()}).status_code == 201
    assert send(steward_client, "post", "/ops/turbines", {"id": 2}).status_code == 201
    before, rows = live_table(), rows_of(steward_client)
    ontology.say(table("turbines"))
    plan = carry_out(steward_client, bring(steward_client, status=202))
    act(steward_client, plan, "undo")
    assert (without_order(live_table()), rows_of(steward_client)) == (without_order(before), rows)
    plan = steward_client.delete("/admin/tables/turbines?confirm=turbines").json()["plan"]
    act(steward_client, plan, "undo")
    assert (without_order(live_table()), rows_of(steward_client)) == (without_order(before), rows)


# What a person sent, and archives.


def test_the_undo_of_a_schema_that_was_sent_unpins_the_table(turbines: Ontology, steward_client: APIClient) -> None:
    plan = bring(steward_client, body={"schema": COLOURED})
    assert steward_client.get("/admin/tables/turbines").json()["pinned"]
    act(steward_client, plan, "undo")
    page = steward_client.get("/admin/tables/turbines").json()
    assert (page["pinned"], page["version"], page["drift"]["state"], page["source"]["provenance"]) == (False, 1, "in step", "live")
    assert bring(steward_client)["steps"] == []


@pytest.mark.parametrize("damage", ["changed", "shortened", "gone"])
@pytest.mark.parametrize("what", ["column", "table"])
def test_an_archive_that_is_not_as_it_was_written_is_not_used(
    turbines: Ontology, store: Store, steward_client: APIClient, what: str, damage: str
) -> None:
    if what == "column":
        plan = done(turbines, steward_client, WITHOUT_CODE)
    else:
        plan = steward_client.delete("/admin/tables/turbines?confirm=turbines").json()["plan"]
    before = live_table()
    archive = store.archive / plan["outcome"]["archive"]["file"]
    whole = archive.read_bytes()
    archive.unlink()
    if damage != "gone":
        archive.write_bytes(whole[:-9] + (b"?" * 9 if damage == "changed" else b""))
    problem = act(steward_client, plan, "undo", status=500)
    assert (problem["code"], archive.name in problem["detail"], str(store.archive) in problem["detail"]) == ("archive-damaged", True, False)
    assert (live_table(), seen(steward_client, plan)["state"], list(store.spool.iterdir())) == (before, "applied", [])
    archive.write_bytes(whole)
    assert act(steward_client, plan, "undo")["state"] == "applied"
    assert by_key(steward_client, "code") == {1: "abc", 2: None}
