"""Schema-Version: rows are read and written in the shape that a version of the schema has, or it is said why they cannot be."""

import json
from decimal import Decimal
from typing import Any

import pytest
from rest_framework.test import APIClient

from projects.models import Plan
from projects.store.connection import Store
from tests.projects.conftest import make_table
from tests.projects.ontology import FIRST, SECOND, TURBINES, Ontology, send, table, with_column, without_column
from tests.projects.plan_cases import CASES, SWAPPABLE, WATTS, Case
from tests.projects.planning import act, bring, carry_out, propose

pytestmark = pytest.mark.django_db

RENAMED = with_column(TURBINES, "power", name="output", renamed_from="power")
CSV = "id,power,price,code,status,serial\n"


def evolve(turbines: Ontology, client: APIClient, document: dict, inputs: dict | None = None) -> dict:
    """The ontology says otherwise, and the plan for that is applied whatever it takes."""
    turbines.say(document, "turbines_schema")
    return carry_out(client, propose(client, inputs))


def asked(client: APIClient, method: str, address: str, body: object = None, *, version: object = 1, kind: str = "application/json") -> Any:
    data = body if isinstance(body, str) else "" if body is None else json.dumps(body)
    headers = {"Schema-Version": str(version)}
    if method == "get":
        return client.get(address, headers=headers)
    return getattr(client, method)(address, data=data, content_type=kind, headers=headers)


def told(answer: Any) -> tuple[int, str | None, bool]:
    """The status, the version that the answer has, and whether it says that it depends on one."""
    return answer.status_code, answer.headers.get("Schema-Version"), "Schema-Version" in answer.headers.get("Vary", "")


def text(answer: Any) -> bytes:
    assert told(answer) == (200, "1", True), answer.content
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def faults(answer: Any, status: int = 409) -> list[tuple[str, str]]:
    assert told(answer) == (status, None, True), answer.content
    return [(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]]


# Every change that there is.

UNREADABLE: dict[str, list[tuple[str, str]]] = {
    **{f"wider {what}": [(f"/{column}", "type")] for what, column in (("integer", "power"), ("decimal", "price"), ("float", "speed"))},
    "wider key": [("/id", "type")],
    "a cast that could lose values, and does not": [("/price", "type")],
    "a cast that loses values": [("/price", "type")],
}
UNWRITABLE: dict[str, list[tuple[str, str]]] = {
    "narrower integer": [("/power", "type")],
    "narrower integer, rows in the way": [("/id", "type")],
    "narrower decimal": [("/price", "type")],
    "narrower decimal, rows in the way": [("/price", "type")],
    "a cast that could lose values, and does not": [("/price", "type")],
    "a cast that loses values": [("/price", "type")],
    "a narrower type that loses values": [("/power", "type")],
    "add required without default": [("/colour", "required")],
    "add required without default, rows in the way": [("/colour", "required")],
}
LOST: dict[str, list[tuple[str, str]]] = {
    "scalar to list": [("/code", "meaning")],
    "list to scalar": [("/tags", "meaning")],
    "list to scalar, rows in the way": [("/tags", "meaning")],
    "new key": [("", "key")],
    "new key, rows in the way": [("", "key")],
    "drop column": [("/code", "dropped")],
    "drop column, nothing in it": [("/code", "dropped")],
    "drop column by alter": [("/code", "dropped")],
    "unit changed": [("/power", "meaning")],
    "unit changed, rows in the way": [("/power", "meaning")],
}
FOURTH = {"id": 100, "power": 150, "price": 1, "serial": 100}


SOME = ("rename by hint", "longer", "wider", "drop column", "unit changed", "add optional")  # The rest is for --long.
EVERY = [name for name in CASES if not name.startswith("columns with names")]


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in SOME else pytest.mark.long) for name in EVERY])
def test_after_any_change_the_rows_are_as_they_were_or_it_is_said_why_not(ontology: Ontology, steward_client: APIClient, name: str) -> None:
    case: Case = CASES[name]
    ontology.say(case.base)
    send(steward_client, "post", "/ops/initialize")
    for row in case.rows:
        send(steward_client, "post", "/ops/turbines", row)
    for key, written in case.mended.items():
        send(steward_client, "patch", f"/ops/turbines/{key}", written)
    before = steward_client.get("/ops/turbines").content
    done = evolve(ontology, steward_client, case.wanted, case.inputs)
    read = asked(steward_client, "get", "/ops/turbines")
    load = asked(steward_client, "post", "/ops/turbines?dry_run=true", [FOURTH])
    unreadable, unwritable = LOST.get(name, UNREADABLE.get(name)), LOST.get(name, UNWRITABLE.get(name))
    if unreadable:
        assert faults(read) == unreadable
    elif case.inputs or "loses values" in name:  # Somebody let values be others.
        assert [list(row) for row in read.json()] == [list(row) for row in json.loads(before)]
    else:
        assert text(read) == before
    if unwritable:
        assert faults(load) == unwritable
    else:
        assert told(load) == (200, "1", True)
    act(steward_client, done, "undo", confirm=case.wanted["name"])
    assert text(asked(steward_client, "get", "/ops/turbines")) == before


def test_every_case_that_is_refused_is_one(steward_client: APIClient) -> None:
    assert {*UNREADABLE, *UNWRITABLE, *LOST} <= set(CASES)


# Reading.


@pytest.fixture
def renamed(turbines: Ontology, steward_client: APIClient) -> APIClient:
    """A steward of turbines, which are at version 2: what was power is output."""
    evolve(turbines, steward_client, RENAMED)
    return steward_client


QUERIES = [
    "",
    "power=200",
    "power__gte=150&sort=-power",
    "sort=-code,power",
    "fields=code,power",
    "limit=1&offset=1",
    "format=ndjson",
    "format=csv&sort=-id",
    "format=csv&fields=power,id&power__isnull=false",
]


@pytest.mark.thinned(2)
@pytest.mark.parametrize("query", QUERIES)
def test_a_list_is_read_as_it_was_before_a_rename(turbines: Ontology, steward_client: APIClient, query: str) -> None:
    address = f"/ops/turbines?{query}"
    plain = steward_client.get(address)
    before = b"".join(plain.streaming_content) if plain.streaming else plain.content
    assert told(plain) == (200, None, False)
    evolve(turbines, steward_client, RENAMED)
    answer = asked(steward_client, "get", address)
    assert text(answer) == before
    assert "Deprecation" not in answer.headers


def test_a_row_and_a_count_are_read_so_too(renamed: APIClient) -> None:
    assert asked(renamed, "get", "/ops/turbines/2").json() == SECOND | {"code": None, "serial": None}
    counted = renamed.get("/ops/turbines?power=100&limit=1", headers={"Schema-Version": "1", "Prefer": "count=exact"})
    assert (counted.headers["X-Total-Count"], told(counted)) == ("1", (200, "1", True))
    assert faults(asked(renamed, "get", "/ops/turbines/9"), 404) == []


def test_only_the_versions_own_names_count(renamed: APIClient) -> None:
    assert faults(asked(renamed, "get", "/ops/turbines?output=1"), 400) == [("?output", "parameter")]
    assert faults(asked(renamed, "get", "/ops/turbines?power=1", version=2), 400) == [("?power", "parameter")]
    assert asked(renamed, "get", "/ops/turbines?output=200", version=2).json() == renamed.get("/ops/turbines?output=200").json()


def test_without_the_header_nothing_is_other_than_before(renamed: APIClient) -> None:
    for answer in (renamed.get("/ops/turbines"), renamed.get("/ops/turbines/1"), send(renamed, "patch", "/ops/turbines/1", {"code": "x"})):
        assert told(answer) == (200, None, False)
        assert "output" in answer.content.decode()


@pytest.mark.parametrize("version", ["x", "-1", "1.0", "", "1, 2", "9" * 40])
def test_what_is_no_number_is_refused(turbines: Ontology, steward_client: APIClient, version: str) -> None:
    for method, address in (("get", "/ops/turbines"), ("get", "/ops/turbines/1"), ("delete", "/ops/turbines/1")):
        answer = asked(steward_client, method, address, version=version)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")


def test_a_version_that_there_is_not_is_not_found(turbines: Ontology, steward_client: APIClient) -> None:
    for version, code in (("0", "unknown-version"), ("2", "unknown-version"), ("99999999999", "unknown-version")):
        answer = asked(steward_client, "get", "/ops/turbines", version=version)
        assert (answer.status_code, answer.json()["code"]) == (404, code)
    make_table("plain", [{"name": "id", "type": "INTEGER", "required": True}])
    assert asked(steward_client, "get", "/ops/plain").json()["code"] == "no-snapshot"
    assert asked(steward_client, "get", "/ops/nothing").json()["code"] == "table-not-found"


def test_why_not_is_said_in_words(turbines: Ontology, steward_client: APIClient) -> None:
    document = with_column(without_column(with_column(WATTS, "price", type="DECIMAL(20,4)"), "code"), "serial", type="VARCHAR[]")
    evolve(turbines, steward_client, document | {"unique": []}, {"power": {"factor": 1000}})
    answer = asked(steward_client, "get", "/ops/turbines/1")
    assert answer.json()["detail"] == (
        "Rows of turbines cannot be read in the shape of version 1: power is in W now, not in kW; code is there no longer; "
        "serial holds lists now; price is DECIMAL(20,4) now, and not every such value is DECIMAL(10,2)."
    )
    assert answer.json()["code"] == "version-unmapped"


# Writing.


@pytest.mark.thinned(2)
@pytest.mark.parametrize(
    ("method", "address", "body"),
    [
        ("post", "/ops/turbines", FOURTH | {"power": 300}),
        ("put", "/ops/turbines/1", {"power": 300, "price": 1}),
        ("put", "/ops/turbines/1", {"id": 1, "power": 300, "price": "1.00", "code": None}),
        ("patch", "/ops/turbines/1", {"power": 300}),
        ("patch", "/ops/turbines/1", {"POWER": 300}),
        ("patch", "/ops/turbines/1", {}),
    ],
)
def test_a_row_is_written_and_answered_by_the_names_of_the_version(renamed: APIClient, method: str, address: str, body: dict) -> None:
    answer = asked(renamed, method, address, body)
    assert told(answer) == (201 if method == "post" else 200, "1", True), answer.content
    place = answer.headers.get("Location", address)
    assert answer.content == asked(renamed, "get", place).content
    assert list(answer.json()) == ["id", "power", "price", "code", "status", "serial"]
    stored = renamed.get(place).json()
    assert stored["output"] == answer.json()["power"] == (300 if body else 100)
    assert stored["status"] == "NEW"


def test_rows_are_loaded_by_the_names_of_the_version(renamed: APIClient) -> None:
    array = asked(renamed, "post", "/ops/turbines", [{"id": 3, "power": 30, "price": 1}, {"id": 4, "price": 2}])
    assert (told(array), array.json()["inserted"]) == ((200, "1", True), 2)
    file = asked(renamed, "post", "/ops/turbines", "price,power,id\n1,50,5\n", kind="text/csv")
    assert (told(file), file.json()["inserted"]) == ((200, "1", True), 1)
    assert [row["output"] for row in renamed.get("/ops/turbines?id__gte=3").json()] == [30, None, 50]
    exported = text(asked(renamed, "get", "/ops/turbines?format=csv&id=5"))
    assert exported == f'{CSV}5,50,1.00,,"NEW",\n'.encode()


def test_what_was_exported_is_loaded_again(turbines: Ontology, steward_client: APIClient) -> None:
    exported = b"".join(steward_client.get("/ops/turbines?format=csv").streaming_content).decode()
    evolve(turbines, steward_client, with_column(RENAMED, "note", type="VARCHAR"))
    for key in (1, 2):
        assert told(asked(steward_client, "delete", f"/ops/turbines/{key}")) == (204, "1", True)
    assert asked(steward_client, "post", "/ops/turbines", exported, kind="text/csv").json()["inserted"] == 2
    assert text(asked(steward_client, "get", "/ops/turbines?format=csv")).decode() == exported


def test_faults_are_told_by_the_names_of_the_version(renamed: APIClient) -> None:
    bad = {"id": 5, "power": 2000, "output": 1, "status": "GONE"}
    expected = [("/output", "unknown"), ("/power", "maximum"), ("/price", "required"), ("/status", "enum")]
    for method, address, body in (("post", "/ops/turbines", bad), ("put", "/ops/turbines/1", bad | {"id": 1})):
        assert sorted(faults(asked(renamed, method, address, body), 422)) == expected
    assert faults(asked(renamed, "patch", "/ops/turbines/1", {"id": 2}), 422) == [("/id", "key")]
    head = asked(renamed, "post", "/ops/turbines", "id,output\n5,1\n", kind="text/csv")
    assert faults(head, 422) == [("/head/output", "unknown"), ("/head/price", "required")]


@pytest.mark.parametrize(
    ("rows", "column", "code"),
    [
        ("5,2000,1,,NEW,\n", "power", "maximum"),
        ("5,x,1,,NEW,\n", "power", "type"),
        ("5,1,,,NEW,\n", "price", "required"),
        ("5,1,1,,NEW,1\n6,1,1,,NEW,1\n", "serial", "duplicate"),
        ("1,1,1,,NEW,\n", "id", "duplicate"),
    ],
)
def test_rejects_are_told_by_the_names_of_the_version(
    turbines: Ontology, steward_client: APIClient, rows: str, column: str, code: str
) -> None:
    document = with_column(with_column(RENAMED, "serial", name="number", renamed_from="serial"), "id", name="turbine_id", renamed_from="id")
    document = with_column(document, "price", name="cost", renamed_from="price")
    evolve(turbines, steward_client, document | {"unique": [["number"]]})
    answers = [asked(steward_client, "post", "/ops/turbines", CSV + rows, kind="text/csv")]
    if code != "type":
        records = [dict(zip(CSV.strip().split(","), line.split(","), strict=True)) for line in rows.strip().split("\n")]
        answers.append(asked(steward_client, "post", "/ops/turbines", [{k: v or None for k, v in one.items()} for one in records]))
    for answer in answers:
        assert answer.status_code == (409 if code == "duplicate" else 422), answer.content
        assert [(reject["column"], reject["code"]) for reject in answer.json()["rejects"]] == [(column, code)]


def test_the_live_schemas_rules_hold(turbines: Ontology, steward_client: APIClient) -> None:
    evolve(turbines, steward_client, with_column(with_column(RENAMED, "output", maximum=5000, minimum=50), "code", pattern="^[a-z]+$"))
    assert faults(asked(steward_client, "patch", "/ops/turbines/1", {"power": 40, "code": "A"}), 422) == [
        ("/power", "minimum"),
        ("/code", "pattern"),
    ]
    assert asked(steward_client, "patch", "/ops/turbines/1", {"power": 4000}).json()["power"] == 4000


def test_a_wider_type_takes_loads_but_no_row_that_would_be_answered(turbines: Ontology, steward_client: APIClient) -> None:
    evolve(turbines, steward_client, with_column(RENAMED, "price", type="DECIMAL(20,4)"))
    assert faults(asked(steward_client, "post", "/ops/turbines", FOURTH)) == [("/price", "type")]
    assert faults(asked(steward_client, "patch", "/ops/turbines/1", {"power": 1})) == [("/price", "type")]
    assert faults(asked(steward_client, "put", "/ops/turbines/1", {"price": 1})) == [("/price", "type")]
    assert asked(steward_client, "post", "/ops/turbines", [FOURTH]).json()["inserted"] == 1
    assert asked(steward_client, "post", "/ops/turbines", f"{CSV}101,1,1.25,,NEW,\n", kind="text/csv").json()["inserted"] == 1
    assert [row["price"] for row in steward_client.get("/ops/turbines?id__gte=100").json()] == [1, 1.25]


def test_a_narrower_type_is_read_as_the_wider_one(turbines: Ontology, steward_client: APIClient) -> None:
    before = steward_client.get("/ops/turbines").content
    evolve(turbines, steward_client, with_column(with_column(RENAMED, "price", type="DECIMAL(4,2)"), "id", type="SMALLINT"))
    assert text(asked(steward_client, "get", "/ops/turbines")) == before
    assert text(asked(steward_client, "get", "/ops/turbines?id=100000")) == b"[]"
    assert faults(asked(steward_client, "get", "/ops/turbines/100000"), 404) == []
    for method, address, body in (
        ("post", "/ops/turbines", FOURTH),
        ("post", "/ops/turbines", [FOURTH]),
        ("put", "/ops/turbines/1", FIRST),
        ("patch", "/ops/turbines/1", {"power": 1}),
        ("delete", "/ops/turbines/1", None),
    ):
        assert faults(asked(steward_client, method, address, body)) == [("/id", "type"), ("/price", "type")]
    refused = asked(steward_client, "post", "/ops/turbines", CSV, kind="text/csv")
    assert refused.json()["detail"].startswith("Rows of turbines cannot be written in the shape of version 1: id is SMALLINT now, which")


# What the version does not know.


@pytest.fixture
def noted(turbines: Ontology, steward_client: APIClient) -> APIClient:
    """A steward of turbines, which have got columns that version 1 does not know."""
    document = with_column(RENAMED, "note", type="VARCHAR")
    document = with_column(document, "place", type="VARCHAR", required=True, default="sea")
    document = with_column(document, "changed", type="TIMESTAMP", generated="updated")
    evolve(turbines, steward_client, with_column(document, "token", type="UUID", required=True, generated="uuid"))
    assert send(steward_client, "patch", "/ops/turbines/1", {"note": "mind the gap", "place": "land"}).status_code == 200
    return steward_client


def test_a_replacement_keeps_the_columns_that_the_version_does_not_know(noted: APIClient) -> None:
    before = noted.get("/ops/turbines/1").json()
    answer = asked(noted, "put", "/ops/turbines/1", {"price": 3})
    assert answer.json() == {"id": 1, "power": None, "price": 3, "code": None, "status": "NEW", "serial": None}
    after = noted.get("/ops/turbines/1").json()
    assert (after["note"], after["place"], after["token"], after["output"]) == ("mind the gap", "land", before["token"], None)
    assert after["changed"] > before["changed"]
    assert send(noted, "put", "/ops/turbines/1", {"price": 3}).json()["note"] is None


def test_a_new_row_has_the_defaults_of_the_columns_that_the_version_does_not_know(noted: APIClient) -> None:
    assert asked(noted, "post", "/ops/turbines", FOURTH).json() == FOURTH | {"code": None, "status": "NEW"}
    assert asked(noted, "post", "/ops/turbines", [FOURTH | {"id": 101, "serial": 101}]).json()["inserted"] == 1
    assert asked(noted, "post", "/ops/turbines", f"{CSV}102,1,1,,NEW,\n", kind="text/csv").json()["inserted"] == 1
    made = noted.get("/ops/turbines?id__gte=100").json()
    assert [(row["note"], row["place"], row["output"]) for row in made] == [(None, "sea", 150), (None, "sea", 150), (None, "sea", 1)]
    assert all(row["token"] and row["changed"] for row in made)


def test_where_a_value_is_required_that_the_version_does_not_know_rows_are_read_only(turbines: Ontology, steward_client: APIClient) -> None:
    before = steward_client.get("/ops/turbines").content
    evolve(turbines, steward_client, with_column(RENAMED, "colour", type="VARCHAR", required=True), {"colour": {"constant": "red"}})
    assert text(asked(steward_client, "get", "/ops/turbines")) == before
    answer = asked(steward_client, "post", "/ops/turbines", [FOURTH])
    assert faults(answer) == [("/colour", "required")]
    assert answer.json()["detail"].endswith(": colour is required now, and the version does not have it.")


# Which column was which.


def test_a_name_that_was_given_to_another_column_is_not_taken_for_the_old_one(turbines: Ontology, steward_client: APIClient) -> None:
    evolve(turbines, steward_client, without_column(TURBINES, "code"))
    third = with_column(without_column(TURBINES, "code"), "serial", name="code", renamed_from="serial") | {"unique": [["code"]]}
    evolve(turbines, steward_client, third)
    assert steward_client.get("/ops/turbines/1").json()["code"] == 7
    assert faults(asked(steward_client, "get", "/ops/turbines")) == [("/code", "dropped")]
    assert [row["serial"] for row in asked(steward_client, "get", "/ops/turbines", version=2).json()] == [7, None]
    as_text = asked(steward_client, "get", "/ops/turbines?fields=code&code=7", version=3)
    assert as_text.json() == [{"code": 7}]


def test_renames_of_long_ago_are_known(turbines: Ontology, steward_client: APIClient) -> None:
    before = steward_client.get("/ops/turbines").content
    for old, new in (("power", "output"), ("output", "yield"), ("yield", "harvest")):
        evolve(turbines, steward_client, with_column(TURBINES, "power", name=new, renamed_from=old))
    evolve(turbines, steward_client, with_column(TURBINES, "power", name="harvest", description="No hint any longer."))
    assert text(asked(steward_client, "get", "/ops/turbines")) == before
    assert [row["yield"] for row in asked(steward_client, "get", "/ops/turbines", version=3).json()] == [100, 200]


def test_a_plan_is_known_before_it_says_that_it_is_applied(turbines: Ontology, steward_client: APIClient) -> None:
    before = steward_client.get("/ops/turbines").content
    done = evolve(turbines, steward_client, with_column(TURBINES, "power", name="output"), {"output": {"renamed_from": "power"}})
    Plan.objects.filter(pk=done["id"]).update(state=Plan.State.APPLYING)
    assert text(asked(steward_client, "get", "/ops/turbines")) == before


def test_a_rename_that_a_person_confirmed_is_known(turbines: Ontology, steward_client: APIClient) -> None:
    before = steward_client.get("/ops/turbines").content
    evolve(turbines, steward_client, with_column(TURBINES, "power", name="output"), {"output": {"renamed_from": "power"}})
    assert text(asked(steward_client, "get", "/ops/turbines")) == before


def test_names_that_were_swapped_are_swapped_back(ontology: Ontology, steward_client: APIClient) -> None:
    ontology.say(SWAPPABLE)
    send(steward_client, "post", "/ops/initialize")
    send(steward_client, "post", "/ops/turbines", FIRST | {"serial": "7"})
    swapped = with_column(with_column(with_column(SWAPPABLE, "code", name="x"), "serial", name="code"), "x", name="serial")
    evolve(ontology, steward_client, swapped | {"unique": [["code"]]})
    assert [steward_client.get("/ops/turbines/1").json()[name] for name in ("code", "serial")] == ["7", "abc"]
    assert asked(steward_client, "get", "/ops/turbines?serial=7&code=abc").json()[0]["serial"] == "7"
    assert asked(steward_client, "patch", "/ops/turbines/1", {"serial": "8"}).json()["serial"] == "8"
    assert steward_client.get("/ops/turbines/1").json()["code"] == "8"


def test_a_unit_that_only_the_plans_know_of_is_known(ontology: Ontology, steward_client: APIClient) -> None:
    bare = with_column(TURBINES, "power", unit=None)
    ontology.say(bare)
    send(steward_client, "post", "/ops/initialize")
    send(steward_client, "post", "/ops/turbines", FIRST)
    evolve(ontology, steward_client, TURBINES)
    evolve(ontology, steward_client, WATTS, {"power": {"factor": 1000}})
    assert faults(asked(steward_client, "get", "/ops/turbines")) == [("/power", "meaning")]
    assert faults(asked(steward_client, "get", "/ops/turbines", version=2)) == [("/power", "meaning")]
    evolve(ontology, steward_client, with_column(TURBINES, "code", description="kW again."), {"power": {"factor": "1/1000"}})
    assert asked(steward_client, "get", "/ops/turbines", version=2).json()[0]["power"] == 100


def test_a_version_that_waits_is_read_already_where_that_can_be(turbines: Ontology, steward_client: APIClient) -> None:
    turbines.say(without_column(RENAMED, "serial") | {"unique": []})
    assert bring(steward_client, status=202)["to_version"] == 2
    assert [row["output"] for row in asked(steward_client, "get", "/ops/turbines", version=2).json()] == [100, 200]
    turbines.say(with_column(RENAMED, "code", name="label", renamed_from="code"))
    assert bring(steward_client)["to_version"] == 3
    assert asked(steward_client, "get", "/ops/turbines?fields=output,code", version=2).json()[0] == {"output": 100, "code": "abc"}


def test_what_was_undone_is_left_out(turbines: Ontology, steward_client: APIClient) -> None:
    before = steward_client.get("/ops/turbines").content
    dropped = evolve(turbines, steward_client, without_column(RENAMED, "code"))
    assert faults(asked(steward_client, "get", "/ops/turbines")) == [("/code", "dropped")]
    undone = act(steward_client, dropped, "undo", confirm="turbines")
    assert text(asked(steward_client, "get", "/ops/turbines")) == before
    assert [row["output"] for row in asked(steward_client, "get", "/ops/turbines", version=2).json()] == [100, 200]
    evolve(turbines, steward_client, with_column(TURBINES, "serial", name="number", renamed_from="serial") | {"unique": [["number"]]})
    assert text(asked(steward_client, "get", "/ops/turbines")) == before
    assert undone["kind"] == "undo"


def test_a_schema_that_is_back_is_read_as_it_is_now(turbines: Ontology, steward_client: APIClient) -> None:
    evolve(turbines, steward_client, without_column(TURBINES, "code"))
    evolve(turbines, steward_client, TURBINES | {"document": "again"})
    assert [row["code"] for row in asked(steward_client, "get", "/ops/turbines").json()] == [None, None]


def test_a_change_that_was_undone_and_done_again_is_known(turbines: Ontology, steward_client: APIClient) -> None:
    before = steward_client.get("/ops/turbines").content
    done = evolve(turbines, steward_client, with_column(TURBINES, "power", name="output"), {"output": {"renamed_from": "power"}})
    undone = act(steward_client, done, "undo", confirm="turbines")
    act(steward_client, undone, "undo", confirm="turbines")
    assert "output" in steward_client.get("/ops/turbines/1").json()
    assert text(asked(steward_client, "get", "/ops/turbines")) == before


def test_a_table_has_its_versions_under_each_name(turbines: Ontology, steward_client: APIClient) -> None:
    before = steward_client.get("/ops/turbines").content
    output = with_column(TURBINES, "power", name="output")
    evolve(turbines, steward_client, output, {"output": {"renamed_from": "power"}})
    turbines.say(output | {"name": "mills"}, "turbines_schema")
    send(steward_client, "post", "/ops/initialize")
    turbines.say(with_column(output, "note", type="VARCHAR") | {"name": "mills"}, "turbines_schema")
    send(steward_client, "post", "/ops/initialize")
    old = asked(steward_client, "get", "/ops/turbines")
    assert (text(old), old.headers["Deprecation"][0]) == (before, "@")
    new = asked(steward_client, "get", "/ops/mills")
    assert (list(new.json()[0]), "Deprecation" in new.headers) == (["id", "output", "price", "code", "status", "serial"], False)
    assert asked(steward_client, "get", "/ops/turbines", version=3).json()["code"] == "unknown-version"
    made = asked(steward_client, "post", "/ops/turbines", FOURTH)
    assert (told(made), made.headers["Location"]) == ((201, "1", True), "/ops/mills/100")


def test_a_table_that_is_made_anew_goes_by_its_names(turbines: Ontology, steward_client: APIClient) -> None:
    evolve(turbines, steward_client, RENAMED)
    assert steward_client.delete("/admin/tables/turbines?confirm=turbines").status_code == 200
    assert send(steward_client, "post", "/admin/tables", {"schema": "turbines_schema"}).status_code == 201
    assert asked(steward_client, "post", "/ops/turbines", FOURTH).json()["power"] == 150


def test_what_was_altered_by_hand_and_adopted_does_not_break_the_thread(
    turbines: Ontology, store: Store, steward_client: APIClient
) -> None:
    evolve(turbines, steward_client, without_column(TURBINES, "code"))
    third = with_column(without_column(TURBINES, "code"), "serial", name="code", renamed_from="serial") | {"unique": [["code"]]}
    evolve(turbines, steward_client, third)
    undone = evolve(turbines, steward_client, with_column(third, "power", name="output", renamed_from="power"))
    act(steward_client, undone, "undo", confirm="turbines")
    with store.transaction() as transaction:
        transaction.execute("ALTER TABLE main.turbines ADD COLUMN extra INTEGER")
    plan = send(steward_client, "post", "/admin/plans", {"table": "turbines", "drift": "adopt"}).json()
    carry_out(steward_client, plan)
    assert "extra" in steward_client.get("/ops/turbines/1").json()
    assert faults(asked(steward_client, "get", "/ops/turbines")) == [("/code", "dropped")]
    assert [row["serial"] for row in asked(steward_client, "get", "/ops/turbines", version=2).json()] == [7, None]
    assert [row["code"] for row in asked(steward_client, "get", "/ops/turbines", version=3).json()] == [7, None]


# Every value as it stands.

VALUES = {
    "huge": ("HUGEINT", "170141183460469231731687303715884105727"),
    "exact": ("DECIMAL(38,10)", "-1234567890123456789012345678.1234567891"),
    "small": ("DOUBLE", "1e-300"),
    "single": ("FLOAT", "0.1"),
    "when": ("TIMESTAMP", '"2026-01-31T13:45:00.123456Z"'),
    "zoned": ("TIMESTAMPTZ", '"2026-01-31T13:45:00Z"'),
    "flag": ("BOOLEAN", "true"),
    "bytes": ("BLOB", '"AAEC/w=="'),
    "json": ("JSON", '{"a":[1.50,{"}":"\\"}{"}],"ü":1e400}'),
    "texts": ("VARCHAR[]", '["a\\"}","ü\\n"]'),
    'a "quoted" näme': ("VARCHAR", '"\\u0001 {\\"x\\": 1}"'),
}


def test_every_value_is_answered_as_it_stands(ontology: Ontology, store: Store, steward_client: APIClient) -> None:
    columns = [{"name": name, "type": kind} for name, (kind, _) in VALUES.items()]
    ontology.say(table("things", *columns))
    send(steward_client, "post", "/ops/initialize")
    row = "{" + ",".join(f"{json.dumps(name)}:{value}" for name, (_, value) in VALUES.items()) + ',"id":1}'
    assert send(steward_client, "post", "/ops/things", row).status_code == 201
    before = steward_client.get("/ops/things/1").content
    ontology.say(table("things", *({**c, "name": f"{c['name']} 2", "renamed_from": c["name"]} for c in reversed(columns))))
    carry_out(steward_client, propose(steward_client, table="things"))
    assert text(asked(steward_client, "get", "/ops/things/1")) == before
    assert text(asked(steward_client, "patch", "/ops/things/1", {})) == before
    assert text(asked(steward_client, "put", "/ops/things/1", row)) == before
    made = asked(steward_client, "post", "/ops/things", row.replace('"id":1', '"id":2'))
    assert made.content == before.replace(b'"id":1', b'"id":2')
    assert asked(steward_client, "post", "/ops/things", f"[{row}]".replace('"id":1', '"id":3')).json()["inserted"] == 1
    loaded = json.loads(asked(steward_client, "get", "/ops/things/3").content, parse_float=Decimal)
    assert loaded == json.loads(before, parse_float=Decimal) | {"id": 3}  # An array's JSON keeps its own spelling: 1e5 is not made 1E+5.


@pytest.mark.thinned(2)
@pytest.mark.parametrize(
    ("before", "after", "value"),
    [
        ("DOUBLE", "FLOAT", "0.5"),
        ("DOUBLE", "SMALLINT", "7"),
        ("DECIMAL(20,4)", "INTEGER", "7"),
        ("HUGEINT", "UBIGINT", "18446744073709551615"),
        ("INTEGER[]", "TINYINT[]", "[1,2]"),
        ("DECIMAL(9,3)[]", "DECIMAL(5,1)[]", "[1.5]"),
    ],
)
def test_a_value_of_a_narrower_type_is_shown_as_one_of_the_wider(
    ontology: Ontology, steward_client: APIClient, before: str, after: str, value: str
) -> None:
    ontology.say(table("things", {"name": "x", "type": before}))
    send(steward_client, "post", "/ops/initialize")
    assert send(steward_client, "post", "/ops/things", f'{{"id":1,"x":{value}}}').status_code == 201
    shown = steward_client.get("/ops/things/1").content
    ontology.say(table("things", {"name": "y", "type": after, "renamed_from": "x"}))
    carry_out(steward_client, propose(steward_client, table="things"))
    assert text(asked(steward_client, "get", "/ops/things/1")) == shown
    assert text(asked(steward_client, "get", f"/ops/things?x={value}")) == b"[" + shown + b"]"


def test_a_long_export_has_every_row_that_was_asked_for(renamed: APIClient) -> None:
    rows = [{"id": number, "power": number % 1000, "price": 1} for number in range(10, 3010)]
    assert asked(renamed, "post", "/ops/turbines", rows).json()["inserted"] == 3000
    lines = text(asked(renamed, "get", "/ops/turbines?format=csv&fields=id,power&power__lt=500&sort=-power,id")).decode().splitlines()
    assert (lines[0], lines[1], len(lines)) == ("id,power", "499,499", 1503)
