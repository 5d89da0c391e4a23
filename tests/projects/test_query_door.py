"""The query door: every format, whole or not at all, and an end once nobody waits for the answer."""

import csv
import io
import json
import socket
import time as clocks
from datetime import datetime
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rest_framework.test import APIClient

from projects.errors import ClientLeft
from projects.store.connection import Store
from tests.projects.conftest import make_table

pytestmark = pytest.mark.django_db

ODD = """SELECT 2::HUGEINT AS huge, [3::HUGEINT] AS huges, INTERVAL 3 MONTH AS span,
union_value(k := 1) AS either, {'a': 1, 'b': [TIMESTAMP '2020-01-02']} AS pair, MAP {'k': 1.50} AS lookup, '101'::BIT AS bits,
0.5::DECIMAL(2,2) AS half, '{"a": 1}'::JSON AS doc, uuid '0c3c868a-293a-4f25-a8db-e141fdb049a3' AS id, NULL AS nothing,
[1, 2]::INTEGER[2] AS two, ROW(1, 'a') AS row, [{'i': INTERVAL 1 DAY}] AS spans, 1 AS "a""b", 2 AS "A""B" """


@pytest.fixture
def door(store: Store, viewer_client: APIClient):
    make_table("things", [{"name": "id", "type": "INTEGER", "required": True}])

    def ask(sql: str, form: str = "json", **more: object):
        body = json.dumps({"sql": sql, "params": more.pop("params", [])})
        return viewer_client.post(f"/ops/query?format={form}", data=body, content_type="application/json", **more)

    return ask


def body(answer) -> bytes:
    assert answer.status_code == 200, answer.content
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def test_values_of_every_type_leave_in_every_format(door) -> None:
    row = json.loads(body(door(ODD)), parse_float=Decimal)[0]
    assert row == {
        "huge": 2, "huges": [3], "span": "3 months", "either": "1",
        "pair": {"a": 1, "b": ["2020-01-02T00:00:00Z"]}, "lookup": {"k": Decimal("1.5")}, "bits": "101", "half": Decimal("0.50"),
        "doc": {"a": 1}, "id": "0c3c868a-293a-4f25-a8db-e141fdb049a3", "nothing": None, "two": [1, 2], "row": [1, "a"],
        "spans": [{"i": "1 day"}], 'a"b': 1, 'A"B_1': 2,
    }  # fmt: skip
    assert json.loads(body(door(ODD, "ndjson")), parse_float=Decimal) == row
    names, fields = csv.reader(io.StringIO(body(door(ODD, "csv")).decode()))
    assert names == list(row)
    assert fields[:4] == ["2", "[3]", "3 months", "1"]
    assert fields[7:11] == ["0.50", '{"a": 1}', "0c3c868a-293a-4f25-a8db-e141fdb049a3", ""]
    parquet = pq.read_table(io.BytesIO(body(door(ODD, "parquet"))))
    for table in (parquet, pa.ipc.open_stream(body(door(ODD, "arrow"))).read_all()):
        kept = table.to_pylist()[0]
        assert list(kept) == list(row)
        assert (kept["huge"], kept["huges"], kept["span"], kept["either"]) == ("2", "[3]", "3 months", "1")
        assert (kept["pair"], kept["half"], kept["two"]) == ({"a": 1, "b": [datetime(2020, 1, 2)]}, Decimal("0.50"), [1, 2])
        assert str(kept["id"]) == row["id"] and json.loads(kept["spans"]) == row["spans"]
        assert table.schema.field("nothing").type in (pa.null(), pa.int32())
    duckdb.from_arrow(parquet).fetchall()


def test_a_large_answer_is_whole_or_refused_in_every_format(door, settings, store: Store) -> None:
    settings.QUERY_MAX_ROWS, settings.QUERY_MAX_BYTES = 50_000, 20_000_000
    wide = "SELECT range AS n, repeat('x', 90) || range AS word FROM range(?)"
    for form in ("json", "ndjson", "csv", "parquet", "arrow"):
        whole = body(door(wide, form, params=[50_000]))
        assert len(whole) > 200_000
        refused = door(wide, form, params=[50_001])
        assert (refused.status_code, refused.json()["code"]) == (413, "query-too-large")
    settings.QUERY_MAX_BYTES = 1_000_000
    assert door(wide, "csv", params=[50_000]).status_code == 413
    assert list(store.spool.iterdir()) == []  # what waits to be sent has no name


def test_the_answer_comes_in_the_format_that_is_asked_for(door, viewer_client: APIClient) -> None:
    assert body(door("SELECT 1 AS x WHERE false")) == b"[]"
    assert body(door("SELECT 1 AS x WHERE false", "csv")) == b"x\n"
    answer = door("SELECT 'a' AS x FROM range(2000)", "csv", HTTP_ACCEPT_ENCODING="gzip")
    assert (answer["Content-Encoding"], answer["Content-Type"]) == ("gzip", "text/csv")
    assert door("SELECT 1", "xml").status_code == 400
    sent = {"data": '{"sql": "SELECT 1 AS x"}', "content_type": "application/json"}
    assert body(viewer_client.post("/ops/query", HTTP_ACCEPT="application/x-ndjson", **sent)) == b'{"x":1}\n'
    assert viewer_client.post("/ops/query", HTTP_ACCEPT="image/png", **sent).status_code == 406
    assert viewer_client.post("/ops/query?limit=1", **sent).status_code == 400


def test_a_query_ends_once_its_client_is_gone(door, settings) -> None:
    settings.QUERY_TIMEOUT = 600.0
    ours, theirs = socket.socketpair()
    with ours:
        assert body(door("SELECT 1 AS x", **{"gunicorn.socket": ours})) == b'[{"x":1}]'
        theirs.close()
        answer = door("SELECT count(*) FROM range(1000000000000)", **{"gunicorn.socket": ours})
    assert (answer.status_code, answer.json()["code"]) == (499, "client-left")


def test_a_stream_that_fails_midway_breaks_off_and_never_looks_whole(store: Store, viewer_client: APIClient) -> None:
    make_table("long", [{"name": "id", "type": "BIGINT", "required": True}])
    store.writer.alone(lambda transaction: transaction.execute("INSERT INTO main.long FROM range(300000)"))
    ours, theirs = socket.socketpair()
    with ours:
        answer = viewer_client.get("/ops/long?format=ndjson", **{"gunicorn.socket": ours})
        assert answer.status_code == 200
        next(answer.streaming_content)
        theirs.close()
        with pytest.raises(ClientLeft):
            for _ in answer.streaming_content:
                clocks.sleep(0.1)
