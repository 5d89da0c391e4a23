"""Loads in every format: what goes in comes out the same, by whichever door, and what a door cannot take it says."""

import base64
import gzip
import io
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rest_framework.test import APIClient

from projects.store.connection import Store
from tests.projects.conftest import make_table

pytestmark = pytest.mark.django_db

KINDS = {
    "csv": "text/csv",
    "ndjson": "application/x-ndjson",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
}
COLUMNS = {
    "id": "INTEGER",
    "text": "VARCHAR",
    "exact": "DECIMAL(38,9)",
    "huge": "HUGEINT",
    "day": "DATE",
    "moment": "TIMESTAMP",
    "zoned": "TIMESTAMPTZ",
    "clock": "TIME",
    "yes": "BOOLEAN",
    "real": "DOUBLE",
    "single": "FLOAT",
    "blob": "BLOB",
    "uid": "UUID",
    "tags": "VARCHAR[]",
    "sums": "DECIMAL(38,9)[]",
    "doc": "JSON",
}
EXACT = Decimal("12345678901234567890123456789.123456789")
HUGE = 2**127 - 1
ROWS = [
    {
        "id": 1, "text": 'quo"te, "new\nline" \r\n\\back \U0001f600', "exact": EXACT, "huge": HUGE, "day": date(1969, 12, 31),
        "moment": datetime(1901, 2, 3, 4, 5, 6, 7), "zoned": datetime(2026, 3, 4, 5, 6, 7, 123456, tzinfo=UTC),
        "clock": time(23, 59, 59, 5),
        "yes": True, "real": 0.1, "single": 0.5, "blob": b"\x00\xff'", "uid": UUID(int=2**127 + 5), "tags": ['a"b', "c,d", "", "e\\f", "ü"],
        "sums": [EXACT, Decimal("-0.000000001")], "doc": '{"a":[1,12345678901234567890.123456789,"x"]}',
    },
    {"id": 2, "text": "", "tags": [], "blob": b"", "sums": [], "yes": False, "exact": Decimal("-1.5"), "huge": -HUGE, "doc": '"text"'},
    {"id": 3, "text": "null", "day": date(1, 1, 1), "moment": datetime(9999, 12, 31, 23, 59, 59, 999999), "real": 5e-324, "doc": "[]"},
    {"id": 4},
]  # fmt: skip


def cell(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case datetime():
            return value.replace(tzinfo=None).isoformat() + "Z"
        case date() | time():
            return value.isoformat()
        case bytes():
            return base64.b64encode(value).decode()
        case Decimal():
            return format(value, "f")
        case list():
            return json.dumps([cell(v) for v in value])
    return str(value)


def csv_bytes(rows: list[dict]) -> bytes:
    def field(row: dict, name: str) -> str:
        return "" if row.get(name) is None else '"' + cell(row[name]).replace('"', '""') + '"'

    lines = [",".join(COLUMNS), *(",".join(field(row, name) for name in COLUMNS) for row in rows)]
    return ("\n".join(lines) + "\n").encode()


def json_value(name: str, value: object) -> str:
    if name == "doc":
        return str(value)
    if isinstance(value, list):
        return "[" + ",".join(json_value("", v) for v in value) + "]"
    return cell(value) if isinstance(value, bool | int | float | Decimal) else json.dumps(cell(value))


def objects(rows: list[dict]) -> list[str]:
    return ["{" + ", ".join(f'"{name}": {json_value(name, v)}' for name, v in row.items()) + "}" for row in rows]


def ndjson_bytes(rows: list[dict]) -> bytes:
    return ("\n".join(objects(rows)) + "\n\n").encode()


def json_bytes(rows: list[dict]) -> bytes:
    return f"[{','.join(objects(rows))}]".encode()


ARROW = pa.schema(
    [
        ("id", pa.int64()), ("text", pa.dictionary(pa.int8(), pa.string())), ("exact", pa.decimal128(38, 9)), ("huge", pa.string()),
        ("day", pa.date32()), ("moment", pa.timestamp("us")), ("zoned", pa.timestamp("us", "Europe/Berlin")), ("clock", pa.time64("us")),
        ("yes", pa.bool_()), ("real", pa.float64()), ("single", pa.float32()), ("blob", pa.binary()), ("uid", pa.string()),
        ("tags", pa.list_(pa.string())), ("sums", pa.list_(pa.decimal128(38, 9))), ("doc", pa.string()),
    ]
)  # fmt: skip


def arrow_table(rows: list[dict]) -> pa.Table:
    plain = {"huge": str, "uid": str}
    return pa.table(
        {
            f.name: pa.array([None if (v := row.get(f.name)) is None else plain.get(f.name, lambda v: v)(v) for row in rows], f.type)
            for f in ARROW
        }
    )


def arrow_bytes(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return sink.getvalue()


def parquet_bytes(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=2)
    return sink.getvalue()


FILES: dict[str, Callable[[list[dict]], bytes]] = {
    "csv": csv_bytes,
    "ndjson": ndjson_bytes,
    "json": json_bytes,
    "parquet": lambda rows: parquet_bytes(arrow_table(rows)),
    "arrow": lambda rows: arrow_bytes(arrow_table(rows)),
}


def post(client: APIClient, form: str, body: bytes, table: str = "all", query: str = "", **more: str):
    return client.post(f"/ops/{table}{query}", data=body, content_type=KINDS[form], **more)


def stored(store: Store, table: str = "all") -> list[dict]:
    with store.read() as cursor:
        found = cursor.execute(f'SELECT * FROM "{table}" ORDER BY id')
        names = [d[0] for d in found.description]
        return [{n: v for n, v in zip(names, row, strict=True) if v is not None} for row in found.fetchall()]


def test_whatever_goes_in_by_any_format_comes_out_the_same(store: Store, editor_client: APIClient) -> None:
    make_table("all", [{"name": n, "type": t} for n, t in COLUMNS.items()], primary_key=["id"])
    for form, made in FILES.items():
        for body, more in ((made(ROWS), {}), (gzip.compress(made(ROWS)), {"HTTP_CONTENT_ENCODING": "gzip"})):
            answer = post(editor_client, form, body, **more)
            assert (form, answer.status_code, answer.json()) == (
                form, 200, {"inserted": 4, "updated": 0, "ignored": 0, "rejected": 0, "rejects": []}
            )  # fmt: skip
            assert (form, stored(store)) == (form, ROWS)
            # A second time every key is there: the rows go by way of the staged ones, and come out the same again.
            again = post(editor_client, form, body, query="?on_conflict=update", **more)
            assert (form, again.json()["updated"], stored(store)) == (form, 4, ROWS)
            with store.transaction() as transaction:
                transaction.execute('DELETE FROM "all"')


def test_typed_files_never_round_and_say_what_does_not_fit(store: Store, editor_client: APIClient) -> None:
    columns = [("id", "INTEGER"), ("n", "SMALLINT"), ("d", "DECIMAL(6,2)"), ("t", "TIMESTAMP"), ("w", "VARCHAR"), ("f", "DOUBLE")]
    make_table("all", [{"name": n, "type": t} for n, t in columns], primary_key=["id"])

    def sent(**values: pa.Array) -> tuple[int, list]:
        table = pa.table({"id": pa.array(range(2)), **values})
        found = []
        for form, body in (("parquet", parquet_bytes(table)), ("arrow", arrow_bytes(table))):
            answer = post(editor_client, form, body)
            parts = answer.json()
            told = parts.get("rejects") or [{"row": 0, "column": e["pointer"], "code": e["code"]} for e in parts.get("errors", [])]
            found.append((answer.status_code, [(r["row"], r["column"], r["code"]) for r in told]))
            with store.transaction() as transaction:
                transaction.execute('DELETE FROM "all"')
        assert found[0] == found[1]
        return found[0]

    assert sent(n=pa.array([1.0, 2.5])) == (422, [(2, "n", "type")])
    assert sent(n=pa.array([1.0, None])) == (200, [])
    assert sent(n=pa.array(["an arrow", "parquet"])) == (422, [(1, "n", "type"), (2, "n", "type")])
    assert sent(n=pa.array([1, 40_000])) == (422, [(2, "n", "range")])
    assert sent(d=pa.array([Decimal("1.0050"), Decimal("1.5000")], pa.decimal128(10, 4))) == (422, [(1, "d", "type")])
    assert sent(d=pa.array([1.25, 1.5])) == (200, [])
    moment = pa.array([1_600_000_000_123_456_789, 1_600_000_000_123_456_000], pa.timestamp("ns"))
    assert sent(t=moment) == (422, [(1, "t", "type")])
    assert sent(t=pa.array([1_600_000_000_123, 5], pa.timestamp("ms"))) == (200, [])
    assert sent(w=pa.array(["a\0b", "ok"])) == (422, [(1, "w", "type")])
    assert sent(f=pa.array([float("inf"), float("nan")])) == (422, [(1, "f", "range"), (2, "f", "range")])
    assert sent(t=pa.array([{"a": 1}, None])) == (422, [(0, "/head/t", "type")])
    assert sent(n=pa.array([b"1", None])) == (422, [(0, "/head/n", "type")])
    assert sent(other=pa.array([1, 2])) == (422, [(0, "/head/other", "unknown")])


def test_a_line_is_refused_as_one_row_is(store: Store, editor_client: APIClient) -> None:
    columns = [("id", "INTEGER"), ("word", "VARCHAR"), ("n", "DECIMAL(8,2)"), ("yes", "BOOLEAN"), ("tags", "VARCHAR[]"), ("uid", "UUID")]
    make_table("all", [{"name": n, "type": t, "required": n == "word"} for n, t in columns], primary_key=["id"])
    lines = [
        '{"id": 1, "word": "good", "n": 1e3}', '{"id": 2, "word": 3}', '{"id": 3, "word": "a", "n": true}', '{"id": 4, "wrd": "a"}',
        '{"id": 5, "word": "a", "word": "b"}', '{"id": 6}', '{"id": 7, "word": null}', '{"id": 8, "word": "a", "tags": ["x", null]}',
        '{"id": 9, "word": "a", "tags": [1]}', '{"id": 10, "word": "a", "tags": "x"}', '{"id": 11, "word": "a", "yes": 1}', "[12]",
        '{"id": 13, "word": "a"', '{"id": 14.0, "word": "a", "n": 20.500}', '{"ID": 15, "word": "a"}',
        '{"id": 16, "word": "a", "n": 1.005}',
        '{"id": 17, "word": "a", "uid": 12345678901234567890123456789012}', '{"id": 18, "word": "\\ud800"}',
        '{"id": 19.5, "word": "a"}', "3", "null",
        '{"id": 22, "word": "a", "n": NaN}', '{"id": 23, "word": "\\u0000"}', '{"id": "24", "word": "last"}',
    ]  # fmt: skip
    one_by_one = [editor_client.post("/ops/all", data=line, content_type="application/json") for line in lines]
    good = [n for n, answer in enumerate(one_by_one, 1) if answer.status_code == 201]
    assert good == [1, 14, 15, 24]
    single = stored(store)
    with store.transaction() as transaction:
        transaction.execute('DELETE FROM "all"')
    answer = post(editor_client, "ndjson", "\n".join(lines).encode(), query="?on_error=skip")
    assert answer.status_code == 200, answer.json()
    assert sorted({r["row"] for r in answer.json()["rejects"]}) == [n for n in range(1, len(lines) + 1) if n not in good]
    assert (answer.json()["inserted"], stored(store)) == (4, single)
    for number, alone in enumerate(one_by_one, 1):
        if alone.status_code == 422 and alone.json()["errors"]:
            told = {(e["pointer"].removeprefix("/"), e["code"]) for e in alone.json()["errors"]}
            assert told == {(r["column"], r["code"]) for r in answer.json()["rejects"] if r["row"] == number}, (number, told)


HOSTILE = [
    ("parquet", b"PAR1 this is no parquet PAR1", 400), ("parquet", b"", 400), ("arrow", b"", 400), ("arrow", b"nothing like it", 400),
    ("arrow", arrow_bytes(arrow_table(ROWS))[:900], 400), ("parquet", FILES["parquet"](ROWS)[:-20], 400), ("ndjson", b"\xff\xfe{}", 422),
    ("ndjson", b'{"id": 1}\n\x01\x02\n', 422), ("ndjson", b"", 200), ("csv", b"\x1f\x8b", 422),
]  # fmt: skip


def test_a_hostile_file_is_an_answer_and_not_an_accident(store: Store, editor_client: APIClient) -> None:
    make_table("all", [{"name": n, "type": t} for n, t in COLUMNS.items()], primary_key=["id"])
    for form, body, status in HOSTILE:
        answer = post(editor_client, form, body)
        assert (form, body[:20], answer.status_code, stored(store)) == (form, body[:20], status, [])
        assert "went wrong here" not in answer.json().get("detail", "")


def test_gzip_of_many_members_is_one_body_and_bad_gzip_is_refused(store: Store, editor_client: APIClient) -> None:
    make_table("all", [{"name": "id", "type": "INTEGER"}], primary_key=["id"])

    def sent(body: bytes, encoding: str = "gzip") -> tuple[int, str]:
        answer = post(editor_client, "csv", body, HTTP_CONTENT_ENCODING=encoding)
        return answer.status_code, answer.json().get("detail", "")

    assert sent(gzip.compress(b"id\n1\n") + gzip.compress(b"2\n")) == (200, "")
    assert [row["id"] for row in stored(store)] == [1, 2]
    assert sent(gzip.compress(b"id\n" + bytes(range(48, 58)) * 999)[:-9]) == (400, "The body is gzip that is cut off.")
    assert sent(b"id\n5\n") == (400, "The body is not gzip, or it is damaged.")
    assert sent(gzip.compress(b"id\n6\n") + b"rubbish") == (400, "The body is not gzip, or it is damaged.")
    assert sent(b"", "gzip")[0] == 400
    assert sent(b"id\n7\n", "br") == (415, "A body's Content-Encoding is gzip or none, not br.")
    answer = editor_client.post("/ops/all", data=b"x", content_type="application/xml")
    assert (answer.status_code, all(kind in answer.json()["detail"] for kind in KINDS.values())) == (415, True)
    one = editor_client.post("/ops/all", data=gzip.compress(b'{"id": 8}'), content_type="application/json", HTTP_CONTENT_ENCODING="gzip")
    assert one.status_code == 201
    assert list(store.spool.iterdir()) == []
