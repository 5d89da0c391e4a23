"""References where a steward has them enforced: what is written refers to what is there, and that stays while it is referred to."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest
from rest_framework.test import APIClient

from projects import loads, one_table
from projects.errors import RowRefused
from projects.store import apart, bulk
from projects.store.connection import Store, get_store
from projects.store.references import Enforced
from projects.store.rows import Create
from tests.projects.altered import Hand
from tests.projects.conftest import make_table
from tests.projects.ontology import send
from tests.projects.test_load_formats import KINDS, parquet_bytes

pytestmark = pytest.mark.django_db

ID = {"name": "id", "type": "INTEGER", "required": True}
AIRPORTS = [ID, {"name": "faa", "type": "VARCHAR"}, {"name": "zone", "type": "VARCHAR"}, {"name": "note", "type": "VARCHAR"}]
FLIGHTS = [
    ID,
    {"name": "origin", "type": "VARCHAR", "references": "airports.faa"},
    {"name": "zone", "type": "VARCHAR", "references": "airports.zone"},
    {"name": "carrier", "type": "VARCHAR", "references": "carriers.code"},
    {"name": "before", "type": "BIGINT", "references": "flights.id"},
    {"name": "number", "type": "VARCHAR", "references": "airports.id"},
    {"name": "via", "type": "VARCHAR", "multivalued": True, "references": "airports.faa"},
]


@pytest.fixture
def flights(store: Store, steward_client: APIClient) -> APIClient:
    make_table("airports", AIRPORTS, primary_key=["id"], unique=[["faa"]])
    make_table("flights", FLIGHTS, primary_key=["id"])
    rows = [{"id": 1, "faa": "JFK", "zone": "E"}, {"id": 2, "faa": "LAX", "zone": "W"}, {"id": 3, "faa": "EWR", "zone": "E"}]
    assert send(steward_client, "post", "/ops/airports", rows).status_code == 200
    send(steward_client, "post", "/ops/flights", {"id": 1, "origin": "JFK", "zone": "W"})
    return steward_client


def enforce(client: APIClient, table: str = "flights", *, on: bool = True) -> None:
    one_table.reconcile(get_store())  # The tables were made without a sync.
    answer = send(client, "patch", f"/admin/tables/{table}", {"enforce_references": on})
    assert (answer.status_code, answer.json()["enforce_references"]) == (200, on)


def problems(answer) -> list[tuple[str, str, str]]:
    assert answer.status_code == 422, answer.content
    return [(p["pointer"], p["code"], p["detail"]) for p in answer.json()["errors"]]


BROKEN = [
    ({"origin": "KJX"}, "/origin", "origin refers to airports.faa, which has no KJX."),
    ({"carrier": "UA"}, "/carrier", "carrier refers to carriers.code, which is no column of a table here."),
    ({"before": 77}, "/before", "before refers to flights.id, which has no 77."),
    ({"number": "9"}, "/number", "number refers to airports.id, which has no 9."),
]


def test_a_row_is_written_only_where_its_references_hold(flights: APIClient, store: Store) -> None:
    assert send(flights, "post", "/ops/flights", {"id": 2, "origin": "KJX", "before": 77}).status_code == 201  # Not enforced yet.
    enforce(flights)
    for body, pointer, detail in BROKEN:
        wanted = [(pointer, "reference", detail)]
        assert problems(send(flights, "post", "/ops/flights", {"id": 3, **body})) == wanted
        assert problems(send(flights, "put", "/ops/flights/1", {"id": 1, **body})) == wanted
        assert problems(send(flights, "put", "/ops/flights/3", {"id": 3, **body})) == wanted
        assert problems(send(flights, "patch", "/ops/flights/1", body)) == wanted
        for more in ("", "&dry_run=true"):
            assert problems(send(flights, "patch", f"/ops/flights?id=1{more}", body)) == wanted
    assert flights.get("/ops/flights/3").status_code == 404
    assert flights.get("/ops/flights/1").json()["origin"] == "JFK"
    whole = {"origin": "LAX", "zone": "E", "before": 3, "number": "2", "via": ["KJX"], "carrier": None}
    assert send(flights, "post", "/ops/flights", {"id": 3, **whole}).status_code == 201  # It refers to itself.
    assert send(flights, "put", "/ops/flights/4", {**whole, "before": 4}).status_code == 201
    assert send(flights, "patch", "/ops/flights/2", {"number": "1"}).status_code == 200  # What it does not write is left alone.
    assert send(flights, "patch", "/ops/flights?id__gt=2", {"origin": "EWR", "before": 1}).json() == {"updated": 2}
    enforce(flights, on=False)
    assert send(flights, "patch", "/ops/flights/1", {"origin": "KJX"}).status_code == 200


def test_what_a_row_refers_to_stays(flights: APIClient) -> None:
    for row in ({"id": 2, "before": 1}, {"id": 3, "before": 3, "number": "3"}):
        assert send(flights, "post", "/ops/flights", row).status_code == 201
    enforce(flights)
    cases = [
        ("delete", "/ops/airports/1", None, "flights refer by origin to airports.faa"),
        ("delete", "/ops/airports?faa=JFK", None, "flights refer by origin to airports.faa"),
        ("delete", "/ops/airports?faa=JFK&dry_run=true", None, "flights refer by origin to airports.faa"),
        ("patch", "/ops/airports/1", {"faa": "QQQ"}, "flights refer by origin to airports.faa"),
        ("patch", "/ops/airports?id=1", {"faa": None}, "flights refer by origin to airports.faa"),
        ("put", "/ops/airports/2", {"faa": "LAX", "zone": "E"}, "flights refer by zone to airports.zone"),
        ("delete", "/ops/airports/3", None, "flights refer by number to airports.id"),
        ("delete", "/ops/flights/1", None, "flights refer by before to flights.id"),
    ]
    for method, path, body, said in cases:
        answer = send(flights, method, path, body)
        assert (path, answer.status_code, answer.json()["code"]) == (path, 409, "referenced")
        assert said in answer.json()["detail"]
    for body, said in (("id,faa\n1,QQQ\n3,YYY\n", "by origin to airports.faa"), ("id,zone\n2,E\n", "by zone to airports.zone")):
        answer = flights.post("/ops/airports?on_conflict=update", data=body, content_type="text/csv")
        assert (answer.status_code, said in answer.json()["detail"]) == (409, True)
    for zones in ("EW", "WE"):  # Another row has the value then.
        moved = f"id,zone\n2,{zones[0]}\n3,{zones[1]}\n"
        assert flights.post("/ops/airports?on_conflict=update", data=moved, content_type="text/csv").json()["updated"] == 2
    assert send(flights, "put", "/ops/airports/1", {"faa": "JFK", "zone": "N", "note": "x"}).status_code == 200
    assert flights.delete("/ops/flights/3").status_code == 204  # Nothing but itself refers to it.
    assert flights.delete("/ops/airports/3").status_code == 204
    assert flights.delete("/ops/flights?id__in=1,2").json() == {"deleted": 2}  # They go together.
    assert flights.delete("/ops/airports/1").status_code == 204
    assert len(flights.get("/ops/airports").json()) == 1


def test_of_rows_that_are_written_together_only_those_that_hold_are(flights: APIClient, store: Store) -> None:
    live, gate = store.table("flights"), threading.Event()
    enforced = Enforced(store, frozenset({"flights"}))
    empty = dict.fromkeys(column["name"] for column in FLIGHTS)

    def write(number: int) -> str:
        cells = empty | {"id": str(number), "origin": "KJX" if number % 2 else "LAX", "before": str(number)}
        try:
            return store.writer.write(Create(live.schema, cells, "test", live.version, enforced=enforced)).key
        except RowRefused as refused:
            return refused.problems[0].detail

    store.writer.later(lambda _: gate.wait())
    with ThreadPoolExecutor(6) as pool:
        answers = [pool.submit(write, number) for number in range(10, 16)]
        time.sleep(0.1)  # They come while the writer is at something else.
        gate.set()
        told = [answer.result() for answer in answers]
    refused = "origin refers to airports.faa, which has no KJX."
    assert told == ["10", refused, "12", refused, "14", refused]
    assert [row["id"] for row in flights.get("/ops/flights").json()] == [1, 10, 12, 14]


LOADED = [
    {"id": 11, "origin": "LAX", "before": None, "number": "1"},
    {"id": 12, "origin": "KJX", "before": None, "number": None},
    {"id": 13, "origin": None, "before": 12, "number": None},  # Refers to a row that is refused.
    {"id": 14, "origin": None, "before": 15, "number": "x"},
    {"id": 15, "origin": None, "before": 11, "number": "1"},
]
REFUSED = [(2, "origin", "KJX"), (3, "before", "12"), (4, "number", "x")]


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet"])
def test_a_load_refuses_the_rows_whose_references_do_not_hold(flights: APIClient, form: str) -> None:
    def load(rows: list[dict], query: str = ""):
        lines = [",".join(rows[0]), *(",".join("" if v is None else str(v) for v in row.values()) for row in rows)]
        body = {"csv": "\n".join(lines), "ndjson": "\n".join(map(json.dumps, rows))}.get(form) or parquet_bytes(pa.Table.from_pylist(rows))
        return flights.post(f"/ops/flights{query}", data=body, content_type=KINDS[form])

    enforce(flights)
    refused = load(LOADED)
    assert (refused.status_code, refused.json()["code"]) == (422, "rows-refused")
    assert [(r["row"], r["column"], r["value"]) for r in refused.json()["rejects"]] == REFUSED
    assert {r["code"] for r in refused.json()["rejects"]} == {"reference"}
    assert refused.json()["rejects"][0]["reason"] == "refers to airports.faa, which has no KJX"
    for number, on_conflict in enumerate(("error", "ignore", "update")):
        rows = [{name: value + 100 * number if isinstance(value, int) else value for name, value in row.items()} for row in LOADED]
        body = load(rows, f"?on_error=skip&on_conflict={on_conflict}").json()
        assert (body["inserted"], [(r["row"], r["column"]) for r in body["rejects"]]) == (2, [r[:2] for r in REFUSED])
        assert b"".join(flights.get(body["rejects_file"]).streaming_content).count(b",reference,") == 3
    assert load([{"id": 1, "before": 11}], "?on_conflict=update").json()["updated"] == 1
    assert len(flights.get("/ops/flights").json()) == 7


def test_what_a_load_takes_by_default_has_to_hold_too(store: Store, steward_client: APIClient, by_hand: Hand) -> None:
    make_table("airports", AIRPORTS, primary_key=["id"])
    make_table(
        "stands",
        [ID, FLIGHTS[1], {"name": "zone", "type": "VARCHAR", "default": "E", "references": "airports.zone"}, FLIGHTS[5]],
        primary_key=["id"],
    )
    send(steward_client, "post", "/ops/airports", {"id": 1, "faa": "JFK", "zone": "W"})
    enforce(steward_client, "stands")

    def load(text: str):
        return steward_client.post("/ops/stands", data=text, content_type="text/csv")

    lacking = load("id,origin\n1,JFK\n")
    assert [(r["column"], r["value"], r["code"]) for r in lacking.json()["rejects"]] == [("zone", "E", "reference")]
    assert load("id,origin,zone,number\n1,JFK,W,1\n2,,,\n").json()["inserted"] == 2
    assert [r["row"] for r in load("id,origin,zone,number\n3,JFK,W,1\n4,LAX,,1\n").json()["rejects"]] == [2]
    assert len(steward_client.get("/ops/stands").json()) == 2
    by_hand("ALTER TABLE airports RENAME zone TO place")
    for answer in (load("id,origin,zone\n9,JFK,W\n"), send(steward_client, "post", "/ops/stands", {"id": 9, "zone": "W"})):
        assert (answer.status_code, answer.json()["code"]) == (409, "table-altered")
        assert "airports" in answer.json()["detail"]


@pytest.mark.parametrize(("place", "name"), [(bulk, "_ended"), (apart, "_swap")], ids=["small", "large"])
def test_what_goes_while_a_load_is_under_way_is_missed_by_it(flights: APIClient, monkeypatch, place: Any, name: str) -> None:
    make_table("stands", [ID, FLIGHTS[1]], primary_key=["id"])
    enforce(flights, "stands")
    monkeypatch.setattr(loads, "LARGE", dict.fromkeys(loads.LARGE, 0 if place is apart else 1 << 40))
    real, answers = getattr(place, name), []

    def first_delete(*given: Any) -> Any:
        """The file's rows were looked at, and are not committed yet."""
        if not answers:
            answers.append(flights.delete("/ops/airports/3").status_code)
        return real(*given)

    monkeypatch.setattr(place, name, first_delete)
    refused = flights.post("/ops/stands", data="id,origin\n7,EWR\n8,JFK\n", content_type="text/csv")
    assert answers == [204]
    assert (refused.status_code, [r["row"] for r in refused.json()["rejects"]]) == (422, [1])
    assert flights.get("/ops/stands").json() == []
