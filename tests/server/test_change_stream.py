"""The change feed as events from a real server: followed, broken, resumed, and ended when the server stops."""

import json
import threading
import time
from collections.abc import Iterator

import pytest
import requests

from tests.projects.conftest import WIND_FARM
from tests.server.conftest import Server

STREAM = {"Accept": "text/event-stream"}
WRITERS = 4


def events(answer: requests.Response) -> Iterator[dict[str, str]]:
    """What a browser makes of the stream: the fields of each block; a block's id counts even where it has no data."""
    block: dict[str, str] = {}
    for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
        if line:
            name, _, value = line.partition(": ")
            block[name] = value
        elif block:
            yield block
            block = {}


def ask(server: Server, last: str | None = None) -> requests.Response:
    headers = STREAM | ({"Last-Event-ID": last} if last else {})
    return server.get("/ops/projects/changes", headers=headers, stream=True)


def follow(server: Server, last: str | None = None) -> requests.Response:
    """A stream, once the server has noticed that we left the one before."""
    for _ in range(50):
        answer = ask(server, last)
        if answer.status_code == 200:
            return answer
        assert answer.json()["code"] == "too-many-streams"
        time.sleep(0.1)
    raise AssertionError("who left still holds a thread")


def write(server: Server, number: int, rows: int) -> None:
    with requests.Session() as session:
        session.headers.update(server.session.headers)
        for turn in range(rows):
            row = WIND_FARM | {"project_name": f"{number}/{turn}"}
            made = session.post(f"{server.url}/ops/projects", json=row, timeout=30)
            assert made.status_code == 201
            if turn % 4 == 0:
                assert session.delete(server.url + made.headers["Location"], timeout=30).status_code == 204


def followed(server: Server, last: str, wanted: int) -> tuple[list[dict], int]:
    """The changes that a client hears of that breaks off after every few events, and how often it came again."""
    heard, visits = [], 0
    while len(heard) < wanted:
        visits += 1
        with follow(server, last) as answer:
            for place, event in enumerate(events(answer)):
                last = event.get("id", last)
                if "data" in event:
                    heard.append(json.loads(event["data"]))
                if place == 10 + visits or len(heard) == wanted:
                    break
    return heard, visits


@pytest.mark.parametrize("rows", [12, pytest.param(200, marks=pytest.mark.long)])
def test_who_breaks_off_and_comes_again_misses_nothing_and_hears_nothing_twice(server: Server, rows: int) -> None:
    server.environment |= {"THREADS": "6"}
    server.start()
    start = server.get("/ops/projects/changes").headers["X-Last-Seq"]
    writers = [threading.Thread(target=write, args=(server, number, rows)) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    heard, visits = followed(server, start, WRITERS * rows * 5 // 4)
    for writer in writers:
        writer.join()
    assert visits > 3
    assert [e["seq"] for e in heard] == sorted({e["seq"] for e in heard})
    assert heard == server.get(f"/ops/projects/changes?since={start}&limit=10000").json()
    assert {(e["op"], e["actor"]) for e in heard} == {("create", "root"), ("delete", "root")}

    with follow(server) as first, follow(server), follow(server):
        stream = events(first)
        next(stream)
        written = threading.Timer(0.2, lambda: server.post("/ops/projects", json=WIND_FARM))
        written.start()
        event = next(stream)
        written.join()
        assert (event["event"], json.loads(event["data"])["op"]) == ("create", "create")
        full = ask(server)
        assert (full.status_code, full.json()["code"], full.headers["Retry-After"]) == (503, "too-many-streams", "2")
        assert server.get("/ops/projects?limit=1").status_code == 200

        server.stop()
        assert list(stream) == []  # It came to its end; one that was cut off would raise.
