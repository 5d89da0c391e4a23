"""A list as a file: one address, five formats, each value as it is in the table."""

import csv
import gzip
import io
import json
import os
import time as clocks
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time
from decimal import Decimal
from uuid import UUID

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.contrib.auth.models import User
from django.db import connections
from rest_framework.test import APIClient

from projects import jobs
from projects.models import Job
from projects.store import spool
from projects.store.connection import Store
from tests.conftest import client_of, user_with_role
from tests.projects.conftest import make_table

pytestmark = pytest.mark.django_db

WIDE = "12345678901234567890123456789012345.678"
HUGE = 2**127 - 1
TEXT = 'quote " comma , newline \n back \\ tab \t é 😀'
ROWS = [
    {
        "id": 1, "text": TEXT, "huge": HUGE, "wide": Decimal(WIDE), "fraction": Decimal("0.50"), "real": 0.1, "flag": True, "byte": 255,
        "day": "1969-12-31", "clock": "03:04:05.123456", "moment": "1960-01-02T03:04:05.6Z", "zoned": "2020-01-02T03:04:05+02:00",
        "key": "0c3c868a-293a-4f25-a8db-e141fdb049a3", "bits": "/wA=", "doc": {"a": [1.5, None]}, "tags": ["x", 'y"'],
        "moments": ["2020-01-02T00:00:00Z"], "huges": [HUGE],
    },
    {"id": 2, "text": "", "tags": []},
    {"id": 3},
]  # fmt: skip
TYPES = {
    "id": "INTEGER", "text": "VARCHAR", "huge": "HUGEINT", "wide": "DECIMAL(38,3)", "fraction": "DECIMAL(2,2)", "real": "FLOAT",
    "flag": "BOOLEAN", "byte": "UTINYINT", "day": "DATE", "clock": "TIME", "moment": "TIMESTAMP", "zoned": "TIMESTAMPTZ", "key": "UUID",
    "bits": "BLOB", "doc": "JSON", "tags": "VARCHAR[]", "moments": "TIMESTAMP[]", "huges": "HUGEINT[]",
}  # fmt: skip
VALUES = {
    "id": 1, "text": TEXT, "huge": str(HUGE), "wide": Decimal(WIDE), "fraction": Decimal("0.50"), "flag": True, "byte": 255,
    "day": date(1969, 12, 31), "clock": time(3, 4, 5, 123456), "moment": datetime(1960, 1, 2, 3, 4, 5, 600000),
    "zoned": datetime(2020, 1, 2, 1, 4, 5, tzinfo=UTC), "key": UUID("0c3c868a-293a-4f25-a8db-e141fdb049a3"), "bits": b"\xff\0",
    "tags": ["x", 'y"'], "moments": [datetime(2020, 1, 2)], "huges": [str(HUGE)],
}  # fmt: skip


@pytest.fixture
def things(store: Store, editor_client: APIClient) -> APIClient:
    columns = [{"name": name, "type": type_} for name, type_ in TYPES.items()]
    columns[0]["required"] = True
    columns[3] |= {"description": "How wide.", "unit": "metre", "id": "https://example.org/width"}
    make_table("things", columns, description="Things of all kinds.", id="https://example.org/Thing")
    for row in ROWS:
        answer = editor_client.post("/ops/things", data=json.dumps(row, default=str), content_type="application/json")
        assert answer.status_code == 201, answer.content
    return editor_client


def body(answer) -> bytes:
    assert answer.status_code == 200, answer.content
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def test_each_format_has_every_value_as_it_is(things: APIClient, tmp_path) -> None:
    page = things.get("/ops/things").content
    assert [json.loads(line) for line in body(things.get("/ops/things?format=ndjson")).splitlines()] == json.loads(page)
    assert json.loads(page, parse_float=Decimal)[0]["wide"] == Decimal(WIDE)

    fields = list(csv.reader(io.StringIO(body(things.get("/ops/things?format=csv")).decode(), newline="")))
    assert dict(zip(*fields[:2], strict=True)) == {
        "id": "1", "text": TEXT, "huge": str(HUGE), "wide": WIDE, "fraction": "0.50", "real": "0.1", "flag": "true", "byte": "255",
        "day": "1969-12-31", "clock": "03:04:05.123456", "moment": "1960-01-02T03:04:05.6Z", "zoned": "2020-01-02T01:04:05Z",
        "key": "0c3c868a-293a-4f25-a8db-e141fdb049a3", "bits": "/wA=", "doc": '{"a":[1.5,null]}', "tags": '["x","y\\""]',
        "moments": '["2020-01-02T00:00:00Z"]', "huges": f"[{HUGE}]",
    }  # fmt: skip

    (tmp_path / "things.parquet").write_bytes(body(things.get("/ops/things?format=parquet")))
    parquet = pq.read_table(tmp_path / "things.parquet")
    arrow = pa.ipc.open_stream(body(things.get("/ops/things?format=arrow"))).read_all()
    for table in (parquet, arrow):
        first, second, third = table.to_pylist()
        assert {name: first[name] for name in VALUES} == VALUES
        assert json.loads(first["doc"]) == {"a": [1.5, None]}
        assert (second["text"], second["tags"], third["text"], third["tags"]) == ("", [], None, None)
        assert table.schema.field("wide").metadata == {
            b"type": b"DECIMAL(38,3)", b"description": b"How wide.", b"unit": b"metre", b"id": b"https://example.org/width",
        }  # fmt: skip
        assert table.schema.metadata[b"id"] == b"https://example.org/Thing"
        assert (table.schema.metadata[b"description"], table.schema.metadata[b"schema_version"]) == (b"Things of all kinds.", b"1")
        assert len(table.schema.metadata[b"fingerprint"]) == 64
    assert pq.read_schema(tmp_path / "things.parquet").field("wide").metadata[b"unit"] == b"metre"

    with duckdb.connect() as plain:
        told = dict(plain.execute(f"SELECT column_name, column_type FROM (DESCRIBE FROM '{tmp_path}/things.parquet')").fetchall())
        kept = {"zoned": "TIMESTAMP WITH TIME ZONE", "huge": "VARCHAR", "doc": "VARCHAR", "huges": "VARCHAR[]"}
        assert told == TYPES | kept
        assert plain.execute(f"SELECT key FROM '{tmp_path}/things.parquet' WHERE id = 1").fetchone() == (VALUES["key"],)


def test_a_file_has_the_list_that_its_address_says(things: APIClient) -> None:
    asked = "/ops/things?id__gte=2&sort=-id&fields=text,id"
    assert body(things.get(f"{asked}&format=csv")) == b'text,id\n,3\n"",2\n'
    for form, kind in {"parquet": "application/vnd.apache.parquet", "arrow": "application/vnd.apache.arrow.stream"}.items():
        answer = things.get(asked, HTTP_ACCEPT=f"text/html, {kind};q=0.9, text/csv;q=0.1")
        sent = body(answer)
        table = pq.read_table(io.BytesIO(sent)) if form == "parquet" else pa.ipc.open_stream(sent).read_all()
        assert table.to_pylist() == [{"text": None, "id": 3}, {"text": "", "id": 2}]
        assert answer["Content-Type"] == kind
        assert answer["Content-Disposition"].startswith('attachment; filename="things.')
    nothing = pq.read_table(io.BytesIO(body(things.get("/ops/things?id=9&format=parquet"))))
    assert (nothing.num_rows, nothing.column_names) == (0, list(TYPES))
    assert pa.ipc.open_stream(body(things.get("/ops/things?id=9&format=arrow"))).read_all().num_rows == 0


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/*", "text/csv"),
        ("text/csv, application/json", "text/csv"),
        ("text/csv;q=0.5, application/json", "application/json"),
        ("application/*;q=0.1, application/x-ndjson", "application/x-ndjson"),
        ("application/json;q=0, application/*", "application/x-ndjson"),
        ("*/*;q=0.1, Text/CSV", "text/csv"),
        ("text/html, */*;q=0.8", "application/json"),
    ],
)
def test_the_format_is_what_the_client_likes_best(things: APIClient, accept: str, kind: str) -> None:
    answer = things.get("/ops/things", HTTP_ACCEPT=accept)
    body(answer)
    assert answer["Content-Type"] == kind


@pytest.mark.parametrize("accept", ["application/xml", "text/csv;q=0", "*/*;q=0", "application/json;q=hot"])
def test_no_format_that_the_client_accepts_is_said_with_all_there_are(things: APIClient, accept: str) -> None:
    answer = things.get("/ops/things", HTTP_ACCEPT=accept)
    assert answer.status_code == 406
    assert all(kind in answer.json()["detail"] for kind in ("ndjson", "text/csv", "apache.parquet", "arrow.stream"))


def test_a_client_that_takes_gzip_gets_it_where_it_pays(store: Store, editor_client: APIClient) -> None:
    make_table("many", [{"name": "id", "type": "INTEGER", "required": True}, {"name": "word", "type": "VARCHAR", "default": "a word"}])
    lines = "id\n" + "".join(f"{n}\n" for n in range(3000))
    assert editor_client.post("/ops/many", data=lines, content_type="text/csv").status_code == 200
    for form in ("json&limit=3000", "ndjson", "csv", "arrow"):
        plain = editor_client.get(f"/ops/many?format={form}")
        packed = editor_client.get(f"/ops/many?format={form}", HTTP_ACCEPT_ENCODING="br, gzip;q=0.5")
        assert packed["Content-Encoding"] == "gzip"
        assert "Content-Encoding" not in plain
        assert "Accept-Encoding" in plain["Vary"] and "Accept-Encoding" in packed["Vary"]
        assert gzip.decompress(body(packed)) == body(plain)
    for small in ("/ops/many?limit=2", "/ops/many?format=csv&limit=2", "/ops/many?format=parquet"):
        answer = editor_client.get(small, HTTP_ACCEPT_ENCODING="gzip")
        assert body(answer) and "Content-Encoding" not in answer
    answer = editor_client.get("/ops/many?format=csv", HTTP_ACCEPT_ENCODING="gzip;q=0, *")
    assert body(answer).startswith(b"id,word") and "Content-Encoding" not in answer


def test_a_fault_before_the_first_row_is_an_error_and_frees_its_slot(things: APIClient, settings) -> None:
    settings.THREADS = 2  # one slot
    for _ in range(3):
        answer = things.get("/ops/things?format=csv&text__regex=(")
        assert answer.status_code == 400
    held = things.get("/ops/things?format=csv")
    refused = things.get("/ops/things?format=arrow")
    assert (refused.status_code, refused.json()["code"]) == (503, "too-many-streams")
    held.close()  # as when its client leaves
    assert body(things.get("/ops/things?format=csv")).startswith(b"id,text,")
    assert things.head("/ops/things?format=csv").status_code == 200
    assert body(things.get("/ops/things?format=csv&limit=1")).startswith(b"id,text,")


def test_a_stream_that_is_left_lets_go_of_the_table(things: APIClient, store: Store) -> None:
    for form in ("ndjson", "parquet", "arrow"):
        answer = things.get(f"/ops/things?format={form}")
        next(iter(answer.streaming_content))
        answer.close()
    with store.read() as cursor:
        cursor.execute("CHECKPOINT")


def test_a_token_of_other_tables_gets_no_file(things: APIClient) -> None:
    narrow = client_of(user_with_role("viewer"), role="viewer", scopes=["others"])
    assert narrow.get("/ops/things?format=parquet").status_code == 403


def run_jobs(store: Store) -> None:
    while job := jobs.next_job():
        jobs.run(store, job)


def test_an_export_that_nobody_waits_for_becomes_a_file(
    things: APIClient, viewer_client: APIClient, operator_client: APIClient, store: Store
) -> None:
    asked = "/ops/things?id__gte=2&sort=-id&fields=text,id"
    accepted = things.get(f"{asked}&format=csv", HTTP_PREFER="respond-async")
    assert (accepted.status_code, accepted["Preference-Applied"]) == (202, "respond-async")
    address = accepted["Location"]
    assert things.get(f"{address}/file").json()["code"] == "job-file-not-found"
    run_jobs(store)
    job = things.get(address).json()
    assert (job["kind"], job["state"], job["error"]) == ("export", "done", "")
    whole = b'text,id\n,3\n"",2\n'
    assert job["result"] == {"rows": 2, "bytes": len(whole), "file": f"{address}/file"}

    answer = things.get(job["result"]["file"])
    assert body(answer) == whole
    assert (answer["Content-Type"], answer["Content-Length"]) == ("text/csv", str(len(whole)))
    assert answer["Content-Disposition"] == 'attachment; filename="things.csv"'
    assert body(operator_client.get(f"{address}/file")) == whole
    assert viewer_client.get(f"{address}/file").status_code == 404
    narrow = client_of(User.objects.get(username="editor"), scopes=["others"])
    assert narrow.get(f"{address}/file").status_code == 404

    spool.sweep(store)
    assert body(things.get(f"{address}/file")) == whole
    for path in store.spool.iterdir():
        os.utime(path, (0, 0))
    assert spool.expire(store) == 1
    assert things.get(f"{address}/file").status_code == 404


def test_an_export_that_can_only_fail_is_refused_before_it_is_a_job(things: APIClient, store: Store) -> None:
    assert things.get("/ops/things?format=csv&colour=red", HTTP_PREFER="respond-async").status_code == 400
    assert things.get("/ops/nothings?format=csv", HTTP_PREFER="respond-async").status_code == 404
    assert things.get("/ops/things?limit=1", HTTP_PREFER="respond-async").status_code == 200
    accepted = things.get("/ops/things?format=parquet&text__regex=%28", HTTP_PREFER="respond-async")
    assert accepted.status_code in (202, 400)
    run_jobs(store)
    assert Job.objects.filter(state="done").count() == 0
    assert list(store.spool.iterdir()) == []


@pytest.mark.django_db(transaction=True)
def test_a_cancelled_export_leaves_no_file(store: Store, editor_client: APIClient) -> None:
    make_table("long", [{"name": "id", "type": "BIGINT", "required": True}])
    store.writer.alone(lambda transaction: transaction.execute("INSERT INTO main.long FROM range(3000000)"))
    accepted = editor_client.get("/ops/long?format=ndjson&sort=-id", HTTP_PREFER="respond-async")
    job = jobs.next_job()
    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(cancel_once_it_runs, editor_client, accepted["Location"])
        jobs.run(store, job)
        watching.result()
    assert editor_client.get(accepted["Location"]).json()["state"] == "cancelled"
    assert list(store.spool.iterdir()) == []


def cancel_once_it_runs(client: APIClient, address: str) -> None:
    try:
        while client.delete(address).status_code != 202:
            clocks.sleep(0.01)
    finally:
        connections.close_all()


def test_what_the_names_of_a_row_mean_is_had_as_linked_data(things: APIClient) -> None:
    make_table("plain", [{"name": "id", "type": "INTEGER", "required": True}])
    answer = things.get("/ops/things/schema", HTTP_ACCEPT="application/ld+json, application/json;q=0.5")
    assert answer["Content-Type"] == "application/ld+json"
    width = {"@id": "https://example.org/width", "@type": "http://www.w3.org/2001/XMLSchema#decimal"}
    assert answer.json() == {"@context": {"wide": width}, "@type": "https://example.org/Thing"}
    assert things.get("/ops/plain/schema", HTTP_ACCEPT="application/ld+json").json() == {"@context": {}}
    for accept in ("", "application/json", "text/html, */*;q=0.1", "application/schema+json"):
        assert things.get("/ops/things/schema", HTTP_ACCEPT=accept)["Content-Type"] == "application/schema+json"
    refused = things.get("/ops/things/schema", HTTP_ACCEPT="text/csv")
    assert refused.status_code == 406
    assert "application/ld+json" in refused.json()["detail"]
