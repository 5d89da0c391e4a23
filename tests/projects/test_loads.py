"""Loads: every row, or none and the reasons why, by row, column, value."""

import json
import random
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from projects import loads
from projects.errors import RowsRefused
from projects.fields import condition, faults, rules_of
from projects.store.bulk import Options
from projects.store.connection import Store, get_store
from schema_registry.schema import ColumnSchema
from schema_registry.types import parse_type
from tests.projects.conftest import make_table

pytestmark = pytest.mark.django_db

COLUMNS = [
    {"name": "id", "type": "INTEGER", "required": True},
    {"name": "name", "type": "VARCHAR", "required": True, "max_length": 5},
    {"name": "day", "type": "DATE"},
    {"name": "amount", "type": "DECIMAL(8,2)", "minimum": 0},
    {"name": "kind", "type": "VARCHAR", "enum": ["a", "b"], "default": "a"},
    {"name": "made", "type": "TIMESTAMP", "generated": "created"},
    {"name": "code", "type": "VARCHAR", "pattern": "^x"},
]


@pytest.fixture
def things(store: Store) -> Store:
    make_table("things", COLUMNS)
    return store


def load(client: APIClient, body: str | bytes, table: str = "things", query: str = ""):
    return client.post(f"/ops/{table}{query}", data=body, content_type="text/csv")


def rejects_of(answer) -> list[tuple]:
    return [(r["row"], r["column"], r["value"], r["code"]) for r in answer.json()["rejects"]]


def test_columns_that_the_head_leaves_out_are_filled_in(things: Store, editor_client: APIClient) -> None:
    answer = load(editor_client, "name,id\nann,1\nbob,2\n")
    assert answer.json() == {"inserted": 2, "updated": 0, "ignored": 0, "rejected": 0, "rejects": []}
    rows = editor_client.get("/ops/things").json()
    assert [(r["id"], r["name"], r["kind"], r["day"]) for r in rows] == [(1, "ann", "a", None), (2, "bob", "a", None)]
    assert all(r["made"] for r in rows)


def test_null_is_an_empty_field_and_the_empty_string_is_quoted(things: Store, editor_client: APIClient) -> None:
    assert load(editor_client, 'id,name,code,day\n1,"",,\n2,NA,,\n', query="?null=xx").status_code == 200
    assert [(r["name"], r["code"]) for r in editor_client.get("/ops/things").json()] == [("", None), ("NA", None)]
    assert rejects_of(load(editor_client, "id,name\n3,NA\n", query="?null=NA")) == [(1, "name", None, "required")]
    assert load(editor_client, 'id,name\n3,"NA"\n', query="?null=NA").status_code == 200


def test_each_fault_is_named_by_row_column_and_value(things: Store, editor_client: APIClient) -> None:
    body = (
        "id,name,day,amount,kind,code\n"
        "1,ok,2026-01-01,1.50,a,xa\n"
        "x,ok,2026-01-01,1,a,\n"
        "3,,2026-01-01,1,a,\n"
        "4,toolong,2026-02-30,-1,c,y\n"
        "5,ok,01/02/2026,1.005,b,\n"
        "6,ok,,1234567,b,\n"
    )
    answer = load(editor_client, body)
    assert answer.status_code == 422
    assert rejects_of(answer) == [
        (2, "id", "x", "type"),
        (3, "name", None, "required"),
        (4, "amount", "-1", "minimum"),
        (4, "code", "y", "pattern"),
        (4, "day", "2026-02-30", "range"),
        (4, "kind", "c", "enum"),
        (4, "name", "toolong", "max_length"),
        (5, "amount", "1.005", "type"),
        (5, "day", "01/02/2026", "type"),
        (6, "amount", "1234567", "range"),
    ]
    assert "5 of the rows" in answer.json()["detail"]
    assert editor_client.get("/ops/things").json() == []


def test_malformed_records_are_counted_with_the_others(things: Store, editor_client: APIClient) -> None:
    answer = load(editor_client, 'id,name\n1,a\n2,b,c\n3,"line\nbreak"\n4\nx,e\n6,f\n')
    assert rejects_of(answer) == [
        (2, "", "2,b,c", "malformed"),
        (3, "name", "line\nbreak", "max_length"),
        (4, "", "4", "malformed"),
        (5, "id", "x", "type"),
    ]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "head"),
        ("\n1\n", "head"),
        (b"\xff\xfe\n1", "head"),
        ("id,nam\n1,a\n", "unknown"),
        ("id,ID,name\n1,1,a\n", "repeated"),
        ("id\n1\n", "required"),
    ],
)
def test_a_head_that_does_not_fit_is_refused(things: Store, editor_client: APIClient, body: str | bytes, code: str) -> None:
    answer = load(editor_client, body)
    assert answer.status_code == 422
    assert code in [e["code"] for e in answer.json()["errors"]]


@pytest.mark.parametrize("body", [b"id,name\n1,\xff\n", b'id,name\n1,"open\n', b'id,name\n1,"a"b\n', b"id,name\n1,a\x00b\n"])
def test_what_is_no_csv_in_utf8_is_refused(things: Store, editor_client: APIClient, body: bytes) -> None:
    answer = load(editor_client, body)
    assert (answer.status_code, answer.json()["rejects"][0]["row"]) == (422, 1)


def test_one_bad_date_in_a_hundred_thousand_rows_is_found(things: Store, editor_client: APIClient) -> None:
    lines = [f"{n},n,2026-01-{n % 28 + 1:02d}" for n in range(100_000)]
    load(editor_client, "id,name,day\n-1,old,\n")
    lines[77_776] = "77776,n,2026-13-01"
    answer = load(editor_client, "id,name,day\n" + "\n".join(lines) + "\n")
    assert (answer.status_code, rejects_of(answer)) == (422, [(77_777, "day", "2026-13-01", "range")])
    assert [r["id"] for r in editor_client.get("/ops/things").json()] == [-1]


def test_repeated_keys_alone_are_a_conflict(things: Store, editor_client: APIClient) -> None:
    load(editor_client, "id,name\n7,old\n")
    answer = load(editor_client, "id,name\n1,a\n2,b\n01,c\n7,d\n")
    assert answer.status_code == 409
    assert [(r["row"], r["value"], r["reason"]) for r in answer.json()["rejects"]] == [
        (3, "01", "row 1 of the file has the same"),
        (4, "7", "the table has it already"),
    ]
    mixed = load(editor_client, "id,name\n1,a\n1,b\n2,toolong\n")
    assert (mixed.status_code, rejects_of(mixed)) == (422, [(2, "id", "1", "duplicate"), (3, "name", "toolong", "max_length")])


def test_a_record_of_many_megabytes_is_loaded(store: Store, editor_client: APIClient) -> None:
    make_table("long", [{"name": "id", "type": "INTEGER", "required": True}, {"name": "text", "type": "VARCHAR"}])
    body = f'id,text\n1,"{"x" * 5_000_000}"\n2,y\n'
    assert load(editor_client, body, table="long").json()["inserted"] == 2
    assert len(editor_client.get("/ops/long/1").json()["text"]) == 5_000_000


def test_a_dry_run_loads_nothing(things: Store, editor_client: APIClient) -> None:
    answer = load(editor_client, "id,name\n1,a\n", query="?dry_run=true")
    assert (answer.status_code, answer.json()["inserted"]) == (200, 1)
    refused = load(editor_client, "id,name\n1,a\nx,a\n", query="?dry_run=true")
    assert (refused.status_code, refused.json()["rejected"], rejects_of(refused)) == (200, 1, [(2, "id", "x", "type")])
    one = editor_client.post("/ops/things?dry_run=true", data='{"id": 1, "name": "a"}', content_type="application/json")
    assert (one.status_code, one.json()["inserted"]) == (200, 1)
    assert editor_client.get("/ops/things").json() == []


def test_a_load_is_one_entry_of_the_feed(things: Store, editor_client: APIClient) -> None:
    load(editor_client, "id,name\n1,a\n2,b\n")
    with things.read() as cursor:
        found = cursor.execute("SELECT op, rows, actor, before, after FROM _duckspawn.changes ORDER BY seq").fetchall()
    assert found[-1] == ("load", 2, "editor", None, None)


def test_nothing_stays_in_the_spool_but_rejects(things: Store, editor_client: APIClient) -> None:
    load(editor_client, "id,name\n1,a\n")
    assert list(things.spool.iterdir()) == []
    load(editor_client, "id,name\nx,a\n")
    assert [path.name.endswith(".rejects.csv") for path in things.spool.iterdir()] == [True]


def test_a_parameter_that_there_is_not_is_refused(things: Store, editor_client: APIClient) -> None:
    assert load(editor_client, "id,name\n1,a\n", query="?on_conflcit=ignore").status_code == 400
    assert load(editor_client, "id,name\n1,a\n", query="?dry_run=maybe").status_code == 400
    assert editor_client.post("/ops/things", data="x", content_type="text/plain").status_code == 415


def post_array(client: APIClient, rows: object, table: str = "things"):
    return client.post(f"/ops/{table}", data=json.dumps(rows), content_type="application/json")


def test_an_array_of_rows_is_loaded_whole(things: Store, editor_client: APIClient) -> None:
    rows = [
        {"id": 1, "name": 'q"\r\n,'},
        {"id": 2, "name": "", "kind": "b", "amount": "1.5", "day": None},
        {"id": 3, "name": "x", "made": "2020-01-01"},
    ]
    assert post_array(editor_client, rows).json()["inserted"] == 3
    found = editor_client.get("/ops/things").json()
    assert [(r["name"], r["kind"], r["amount"]) for r in found] == [('q"\r\n,', "a", None), ("", "b", 1.5), ("x", "a", None)]
    assert found[2]["made"] == "2020-01-01T00:00:00Z"
    assert post_array(editor_client, []).json()["inserted"] == 0


def test_an_arrays_faults_are_named_by_row(things: Store, editor_client: APIClient) -> None:
    answer = post_array(editor_client, [{"id": 1, "name": "a"}, {"id": 2, "name": 3}, 4, {"id": 5, "nme": "x"}])
    assert answer.status_code == 422
    assert {(r["row"], r["column"], r["code"]) for r in answer.json()["rejects"]} == {
        (2, "name", "type"),
        (3, "", "object"),
        (4, "nme", "unknown"),
        (4, "name", "required"),
    }
    answer = post_array(editor_client, [{"id": 1, "name": "a"}, {"id": 2, "name": "toolong"}])
    assert rejects_of(answer) == [(2, "name", "toolong", "max_length")]
    assert editor_client.get("/ops/things").json() == []


def test_a_body_that_is_too_large_for_json_is_refused_with_the_way_out(things: Store, editor_client: APIClient, settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    answer = post_array(editor_client, [{"id": n, "name": "a"} for n in range(100)])
    assert answer.status_code == 413
    assert "text/csv" in answer.json()["detail"]


def test_an_array_that_is_no_json_loads_nothing(store: Store, editor_client: APIClient) -> None:
    make_table("words", [{"name": "id", "type": "INTEGER", "required": True}, {"name": "word", "type": "VARCHAR"}])
    for text in ('[{"id":1},]', '[{"id":1}', '[{"id":1}]x', "[,]", '[{"id":1} {"id":2}]', '[{"id":1}]]', "[", '[{"id":1},{"id":'):
        answer = editor_client.post("/ops/words", data=text, content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (400, "bad-request"), text
    for nothing in ("", " \n"):
        answer = editor_client.post("/ops/words?on_conflict=update", data=nothing, content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")
    assert editor_client.post("/ops/words", data="[]", content_type="application/json").json()["inserted"] == 0
    spaced = ' [\n {"id": 1,\r\n "word": "a\\nb" } ,\t{"id":2}\n] '
    assert editor_client.post("/ops/words", data=spaced, content_type="application/json").json()["inserted"] == 2
    assert editor_client.get("/ops/words").json() == [{"id": 1, "word": "a\nb"}, {"id": 2, "word": None}]


WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


SUMS = st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9)
MOMENTS = st.datetimes().map(lambda m: m.replace(fold=0))
ROWS = st.tuples(WORDS | st.none(), SUMS | st.none(), MOMENTS | st.none())


@given(rows=st.lists(ROWS, max_size=30))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_goes_in_by_an_array_comes_out_the_same(store: Store, rows: list[tuple]) -> None:
    if not store.has("drawn"):
        make_table("drawn", [{"name": n, "type": t} for n, t in (("t", "VARCHAR"), ("d", "DECIMAL(14,4)"), ("m", "TIMESTAMP"))])
    body = [{"t": t, "d": None if d is None else str(d), "m": m and m.isoformat()} for t, d, m in rows]
    loads.load_upload(store, "drawn", loads.array_pieces(json.dumps(body).encode()), "ndjson", Options(), actor="test")
    with store.read() as cursor:
        found = cursor.execute("SELECT t, d, m FROM drawn").fetchall()
        cursor.execute("DELETE FROM drawn")
    assert sorted(map(repr, found)) == sorted(map(repr, rows))


# fmt: off
CELLS = [
    "1", "1.5", "-0", "+3", "1e3", "", "abc", "2026-01-01", "2026-02-30", "0000-01-01", "2026-01-01T10:00:00Z", "2026-01-01 10:00",
    "true", "T", "yes", "aGk=", "aG", "{}", "[1]", "NaN", '{"a": "NaN"}', "[NaN]", "9" * 20, "9" * 39, "1.50", "1e400", "1e39",
    "0197f0a000007000800000000000000A", "24:00", "23:59:60", "1_000", "0x1F", " 1", "1 ", "\u0661", "ééé", "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00+14:00", ".5", "5.", ".", "-", "--1",
]
KINDS = [
    "INTEGER", "UTINYINT", "HUGEINT", "DECIMAL(8,2)", "DECIMAL(38,0)", "DECIMAL(3,3)", "FLOAT", "DOUBLE", "DATE", "TIME", "TIMESTAMP",
    "TIMESTAMPTZ", "BOOLEAN", "UUID", "BLOB", "JSON", "VARCHAR",
]
# fmt: on
PLAIN = [ColumnSchema(name="a", type=parse_type(kind).type) for kind in KINDS]
BOUND = ColumnSchema(name="a", type=parse_type("DECIMAL(8,2)").type, minimum="1.5", maximum="2000", enum=("1.5",))


@pytest.mark.thinned(2)
@pytest.mark.parametrize("column", [*PLAIN, BOUND], ids=[*KINDS, "bound"])
def test_one_row_and_a_load_are_asked_the_same_rules(store: Store, column: ColumnSchema) -> None:
    noise = random.Random(1)
    cells = CELLS + ["".join(noise.choices(string.digits + "+-.eE:TZ ", k=noise.randint(1, 12))) for _ in range(150)]
    codes = [rule.code for rule in rules_of(column)]
    asked = ", ".join(condition(column, rule, "cell") for rule in rules_of(column))
    with store.read() as cursor:
        for cell in cells:
            kept = cursor.execute(f"SELECT {asked} FROM (SELECT ?::VARCHAR AS cell)", [cell]).fetchall()[0]
            broken = next((code for code, good in zip(codes, kept, strict=True) if not good), None)
            rule = faults(column, cell)
            assert (cell, rule and rule.code) == (cell, broken)


def test_a_file_that_fails_half_way_leaves_the_table_to_others(things: Store) -> None:
    with pytest.raises(RowsRefused):
        loads.load_upload(get_store(), "things", [b"id,name\n1,a\n", b"2,toolong\n"], "csv", Options(), actor="test")
    assert things.locks.of("things")._sharing == 0
    assert loads.load_upload(get_store(), "things", [b"id,name\n1,a\n"], "csv", Options(), actor="test").inserted == 1
