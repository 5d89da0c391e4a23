"""Clients who leave a real server: what was done for them ends, and what they held is free again."""

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.server.conftest import Server

FOREVER = "SELECT count(*) FROM range(1000000000000)"
PATIENCE = 60  # seconds; the query's own limit is ten times as much
ROWS = 150_000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """One slot for streams, and all the time that a query may want."""
    made = Server(tmp_path, THREADS="3", QUERY_TIMEOUT="600", SPOOL_DIR=str(tmp_path / "spool"))
    try:
        yield made.start()
    finally:
        made.stop()


def begun(server: Server, method: str, path: str, body: bytes = b"") -> socket.socket:
    """A request that was sent and not yet answered."""
    connection = socket.create_connection(("127.0.0.1", server.port))
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {server.session.headers['Authorization']}\r\n"
    connection.sendall(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    return connection


def comes_true(asked: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE
    while not (true := asked()) and time.monotonic() < until:
        time.sleep(0.05)
    return true


def leaves_midway(server: Server, form: str) -> bool:
    """Begins a download and leaves; False where there was no slot for it."""
    with begun(server, "GET", f"/ops/projects?format={form}") as connection:
        return connection.recv(100).startswith(b"HTTP/1.1 200")


def said_to(server: Server, nonsense: bytes) -> tuple[int, dict[str, object]]:
    """The status and the body that what is no request is answered with."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(nonsense)
        head, _, body = b"".join(iter(lambda: connection.recv(4096), b"")).partition(b"\r\n\r\n")
    assert b"\r\nContent-Type: application/problem+json\r\n" in head
    return int(head.split()[1]), json.loads(body)


def test_who_says_nothing_or_nonsense_keeps_nobody_waiting_not_even_a_stop(server: Server) -> None:
    for nonsense, status in ((b"GET /?password=HUSH HUSH\r\n\r\n", 400), (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414)):
        found, problem = said_to(server, nonsense)
        assert (found, problem["status"], problem["code"]) == (status, status, "not-a-request")
        lines = [json.loads(line) for line in server.log.read_text().splitlines() if str(problem["request_id"]) in line]
        assert [(line["event"], line["status"], line["address"]) for line in lines] == [("request", status, "127.0.0.1")]
    assert "HUSH" not in server.log.read_text()
    assert 'duckspawn_http_requests_total{method="other",route="none",status="414"} 1.0' in server.get("/metrics").text
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(24)]
    answer = server.session.get(f"{server.url}/ops/projects", timeout=15)  # Gunicorn's own three threads would wait 40 s for them.
    assert answer.status_code == 200
    server.stop()
    assert server.process is not None
    assert server.process.returncode == 0
    for connection in silent:
        connection.close()


@pytest.mark.long
def test_a_client_who_leaves_ends_their_query_and_frees_their_stream(server: Server) -> None:
    connection = begun(server, "POST", "/ops/query", json.dumps({"sql": FOREVER}).encode())
    time.sleep(0.5)
    connection.close()
    assert comes_true(lambda: re.search(r'"status": ?499', server.log.read_text()) is not None)

    head = "project_name,total_amount,maturity_years,expected_tri,dscr\n"
    loaded = server.post("/ops/projects", data=head + "Wind farm,1,1,1,1\n" * ROWS, headers={"Content-Type": "text/csv"})
    assert loaded.json()["inserted"] == ROWS
    for form in ("ndjson", "parquet", "arrow", "csv") * 2:
        assert comes_true(lambda form=form: leaves_midway(server, form)), "the slot of who left before is not free"
    assert comes_true(lambda: server.get("/ops/projects?format=ndjson").text.count("\n") == ROWS)
    assert list(Path(server.environment["SPOOL_DIR"]).iterdir()) == []
