"""The change feed over REST: every change once and in order, with its rows as they were."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from rest_framework.test import APIClient

from projects import changes
from projects.store.connection import Store
from tests.conftest import client_of, user_with_role
from tests.projects.conftest import make_table
from tests.projects.ontology import TURBINES, Ontology, send

pytestmark = pytest.mark.django_db

BIG = "12345678901234567890123456789.123456789"


@pytest.fixture
def sums(store: Store, editor_client: APIClient) -> APIClient:
    """A table with four changes of its own, two of another's between them, and values that are easily lost."""
    make_table("sums", [{"name": "id", "type": "VARCHAR", "required": True}, {"name": "amount", "type": "DECIMAL(38,9)"}])
    make_table("words", [{"name": "id", "type": "VARCHAR", "required": True}])
    sent = editor_client.post("/ops/sums", data=f'{{"id": "a,\\n\\"b\\"", "amount": {BIG}}}', content_type="application/json")
    assert sent.status_code == 201
    send(editor_client, "post", "/ops/words", {"id": "x"})
    send(editor_client, "patch", sent["Location"], {"amount": None})
    send(editor_client, "post", "/ops/sums", [{"id": "c"}, {"id": "d"}])
    send(editor_client, "delete", "/ops/sums/c")
    return editor_client


def read(answer) -> list[dict]:
    assert answer.status_code == 200, answer.content
    return json.loads(answer.content, parse_float=Decimal)


def test_every_change_is_told_in_order_with_its_rows_as_they_were(sums: APIClient) -> None:
    answer = sums.get("/ops/sums/changes")
    told = read(answer)
    first, second = ({"id": 'a,\n"b"', "amount": amount} for amount in (Decimal(BIG), None))
    key = 'a~2C\n"b"'
    assert [(e["seq"], e["op"], e["key"], e["before"], e["after"], e["rows"]) for e in told] == [
        (1, "schema", None, None, None, None),
        (3, "create", key, None, first, None),
        (5, "patch", key, first, second, None),
        (6, "load", None, None, None, 2),
        (7, "delete", "c", {"id": "c", "amount": None}, None, None),
    ]
    assert [(e["actor"], e["schema_version"], e["job"]) for e in told] == [("test", 1, None)] + [("editor", 1, None)] * 4
    times = [datetime.strptime(e["at"], "%Y-%m-%dT%H:%M:%S.%fZ") for e in told]
    assert times == sorted(times) and abs((datetime.now(UTC).replace(tzinfo=None) - times[0]).total_seconds()) < 60
    assert list(told[0]) == ["seq", "at", "actor", "op", "key", "before", "after", "schema_version", "rows", "job"]
    lines = sums.get("/ops/sums/changes?format=ndjson")
    assert lines["Content-Type"] == "application/x-ndjson"
    assert [json.loads(line, parse_float=Decimal) for line in lines.content.decode().splitlines()] == told
    assert sums.get("/ops/sums/changes", headers={"Accept": "application/x-ndjson"}).content == lines.content


def test_a_client_walks_the_feed_by_its_links_and_misses_nothing(sums: APIClient) -> None:
    path, seen = "/ops/sums/changes?limit=2", []
    for _ in range(4):
        answer = sums.get(path)
        seen.append([e["seq"] for e in read(answer)])
        path = answer["Link"].split(">")[0].removeprefix("<")
    assert seen == [[1, 3], [5, 6], [7], []]
    send(sums, "post", "/ops/words", {"id": "y"})
    quiet = sums.get(path)  # What happens to others moves the place too, so that it does not grow too old.
    assert (read(quiet), quiet["X-Last-Seq"]) == ([], "8")
    send(sums, "post", "/ops/sums", {"id": "e"})
    assert [e["key"] for e in read(sums.get(quiet["Link"].split(">")[0].removeprefix("<")))] == ["e"]
    beyond = sums.get("/ops/sums/changes?since=1000")
    assert (read(beyond), beyond["X-Last-Seq"]) == ([], "1000")


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("since=-1", 400, "since is a whole number"),
        ("since=x", 400, "since is a whole number"),
        ("limit=0", 400, "limit is a whole number from 1 to 10000"),
        ("since=1&since=2", 400, "since is given twice"),
        ("colour=red", 400, "no parameter colour"),
        ("format=xml", 400, "format is one of json, ndjson, events"),
        ("format=events&limit=1", 400, "no parameter limit"),
    ],
)
def test_what_is_not_understood_is_a_bad_request(sums: APIClient, query: str, status: int, said: str) -> None:
    answer = sums.get(f"/ops/sums/changes?{query}")
    assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.content


def test_only_who_may_read_the_rows_hears_of_them(sums: APIClient, anonymous_client: APIClient) -> None:
    viewer = user_with_role("viewer")
    assert client_of(viewer, scopes=["sums"]).get("/ops/sums/changes").status_code == 200
    for accept in ("application/json", "text/event-stream"):
        assert client_of(viewer, scopes=["words"]).get("/ops/sums/changes", headers={"Accept": accept}).status_code == 403
        assert anonymous_client.get("/ops/sums/changes", headers={"Accept": accept}).status_code == 401
        assert sums.get("/ops/nothing/changes", headers={"Accept": accept}).json()["code"] == "table-not-found"
    assert sums.get("/ops/sums/changes", headers={"Accept": "image/png"}).status_code == 406
    assert sums.get("/ops/sums/changes", headers={"Schema-Version": "1"}).status_code == 400
    assert send(sums, "post", "/ops/sums/changes", {}).status_code == 405
    assert send(sums, "post", "/ops/sums", {"id": "changes"})["Location"] == "/ops/sums/~63hanges"
    assert sums.get("/ops/sums/~63hanges").json()["id"] == "changes"


def test_who_is_too_far_behind_is_told_where_to_begin_again(sums: APIClient, store: Store, settings) -> None:
    settings.CHANGES_KEEP = 3
    store._seq = 998  # The oldest are forgotten whenever the numbers pass a thousand.
    for number in range(3):
        send(sums, "post", "/ops/sums", {"id": f"late {number}"})
    for accept in ("application/json", "text/event-stream"):
        answer = sums.get("/ops/sums/changes?since=5", headers={"Accept": accept})
        assert (answer.status_code, answer.json()["code"]) == (410, "changes-forgotten")
        assert "read its rows anew, then go on with since=1001" in answer.json()["detail"]
        assert "The oldest that are kept follow since=997" in answer.json()["detail"]
    assert [e["seq"] for e in read(sums.get("/ops/sums/changes"))] == [999, 1000, 1001]
    assert [e["seq"] for e in read(sums.get("/ops/sums/changes?since=997"))] == [999, 1000, 1001]


def test_a_renamed_table_takes_its_changes_along_and_leaves_its_successor_none(
    turbines: Ontology, store: Store, steward_client: APIClient
) -> None:
    def ops(table: str) -> list[tuple]:
        return [(e["op"], e["key"]) for e in read(steward_client.get(f"/ops/{table}/changes"))]

    before = ops("turbines")
    assert before[1:] == [("create", "1"), ("create", "2")]
    turbines.say(TURBINES | {"name": "mills"}, "turbines_schema")
    assert send(steward_client, "post", "/ops/initialize").status_code == 200
    send(steward_client, "delete", "/ops/mills/1")
    assert ops("mills") == ops("turbines") == [*before, ("schema", None), ("delete", "1")]
    assert steward_client.get("/ops/turbines/changes").has_header("Deprecation")
    make_table("turbines", [{"name": "id", "type": "INTEGER", "required": True}])
    send(steward_client, "post", "/ops/turbines", {"id": 5})
    assert ops("turbines") == [("schema", None), ("create", "5")]
    assert ops("mills") == [*before, ("schema", None), ("delete", "1")]


def events(answer, until: str = "") -> str:
    """The stream's text up to the first event that has `until` in it, or to its end."""
    text = ""
    for chunk in answer.streaming_content:
        text += chunk.decode()
        if until and until in text:
            break
    answer.close()
    return text


def test_events_go_on_from_where_they_are_asked_to(sums: APIClient, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"Accept": "text/event-stream"}
    for query, headers in (("?since=4", {}), ("?since=1", {"Last-Event-ID": "4"})):
        answer = sums.get(f"/ops/sums/changes{query}", headers=asked | headers)
        assert (answer["Content-Type"], answer["Cache-Control"], answer["X-Accel-Buffering"]) == ("text/event-stream", "no-store", "no")
        blocks = events(answer, "event: delete").strip().split("\n\n")
        assert blocks[0].splitlines() == ["retry: 2000", "id: 4"]
        listed = sums.get("/ops/sums/changes?since=4").content.decode()
        assert [b.splitlines()[:2] for b in blocks[1:]] == [
            [f"id: {n}", f"event: {op}"] for n, op in ((5, "patch"), (6, "load"), (7, "delete"))
        ]
        assert "[" + ",".join(b.splitlines()[2].removeprefix("data: ") for b in blocks[1:]) + "]" == listed
    assert sums.get("/ops/sums/changes", headers=asked | {"Last-Event-ID": "x"}).status_code == 400
    assert b"".join(sums.head("/ops/sums/changes", headers=asked).streaming_content) == b""

    monkeypatch.setattr(changes, "LASTS", 0.6)
    monkeypatch.setattr(changes, "HEARTBEAT", 0.1)
    answer = sums.get("/ops/sums/changes", headers=asked)
    told = events(answer)
    assert told.startswith("retry: 2000\nid: 7\n\n: alive\nid: 7\n\n") and "data" not in told


def test_a_stream_ends_with_its_table_and_with_the_store(ontology: Ontology, steward_client: APIClient, store: Store) -> None:
    ontology.say(TURBINES)
    assert send(steward_client, "post", "/ops/initialize").status_code == 200
    dropped = steward_client.get("/ops/turbines/changes", headers={"Accept": "text/event-stream"})
    others = steward_client.get("/ops/sites/changes", headers={"Accept": "text/event-stream"})
    assert next(dropped.streaming_content) and next(others.streaming_content)
    assert steward_client.delete("/admin/tables/turbines?confirm=turbines").status_code == 200
    assert "event: schema" in events(dropped)
    store.end_waits()
    assert events(others) == ""


def test_a_stream_that_falls_behind_is_told_of_the_gap(sums: APIClient, store: Store, settings) -> None:
    answer = sums.get("/ops/sums/changes", headers={"Accept": "text/event-stream"})
    assert next(answer.streaming_content)
    settings.CHANGES_KEEP, store._seq = 1, 999
    send(sums, "post", "/ops/sums", {"id": "late"})
    block = events(answer)
    assert block.startswith("event: gap\ndata: ")
    assert json.loads(block.splitlines()[1].removeprefix("data: "))["oldest"] == 999
