"""Clients who speak HTTP badly, slowly, or not at all, at a real server: each is refused, and nobody else waits for them."""

import json
import re
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from duckspawn_site import gathering
from tests.server.conftest import Server

HEAD = "project_name,total_amount,maturity_years,expected_tri,dscr\n"
ROW = "Wind farm,1,1,1,1\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Three threads for everybody."""
    made = Server(tmp_path_factory.mktemp("raw"), THREADS="3")
    try:
        yield made.start()
    finally:
        made.stop()


def connected(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def request(server: Server, first: str, *lines: str, body: bytes = b"") -> bytes:
    """A request with the token of a superuser."""
    head = [first, "Host: localhost", f"Authorization: {server.session.headers['Authorization']}", *lines, "", ""]
    return "\r\n".join(head).encode("latin-1") + body


def answered(server: Server, sent: bytes, *, hangs_up: bool = True) -> bytes:
    """All that the server says to these bytes until it closes."""
    with connected(server) as connection:
        try:
            connection.sendall(sent)
            if hangs_up:
                connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65_536), b""))
        except OSError:  # It was left midway, as it may be.
            return b""


def statuses(answer: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


def rows(server: Server) -> int:
    return server.get("/ops/projects/aggregate?agg=count").json()[0]["count"]


REFUSED: dict[str, tuple[str, list[str], bytes, set[int]]] = {
    "a line without end": ("GET /ops/projects?" + "x" * 20_000 + " HTTP/1.1", [], b"", {414, 400}),
    "a flood of headers": ("GET / HTTP/1.1", [f"X-{n}: y" for n in range(200)], b"", {431, 400}),
    "a header too long": ("GET / HTTP/1.1", ["X: " + "y" * 10_000], b"", {431, 400}),
    "megabytes of headers": ("GET / HTTP/1.1", ["X: " + "y" * 8_000] * 300, b"", {431, 400}),
    "a length and chunks": ("POST /ops/projects HTTP/1.1", ["Content-Length: 4", "Transfer-Encoding: chunked"], b"0\r\n\r\n", {400}),
    "chunks and a length": ("POST /ops/projects HTTP/1.1", ["Transfer-Encoding: chunked", "Content-Length: 4"], b"0\r\n\r\n", {400}),
    "two lengths": ("POST /ops/projects HTTP/1.1", ["Content-Length: 2", "Content-Length: 3"], b"{}x", {400}),
    "a negative length": ("POST /ops/projects HTTP/1.1", ["Content-Length: -1"], b"{}", {400}),
    "a signed length": ("POST /ops/projects HTTP/1.1", ["Content-Length: +2"], b"{}", {400}),
    "a length that is none": ("POST /ops/projects HTTP/1.1", ["Content-Length: x"], b"{}", {400}),
    "an unknown coding": ("POST /ops/projects HTTP/1.1", ["Transfer-Encoding: xchunked"], b"0\r\n\r\n", {400, 501}),
    "a coding in disguise": ("POST /ops/projects HTTP/1.1", ["Transfer-Encoding: chunked, identity"], b"0\r\n\r\n", {400, 501}),
    "a coding with a tab": ("POST /ops/projects HTTP/1.1", ["Transfer-Encoding:\x0bchunked"], b"0\r\n\r\n", {400, 501}),
    "a blank before the colon": ("POST /ops/projects HTTP/1.1", ["Content-Length : 2"], b"{}", {400}),
    "a folded header": ("GET / HTTP/1.1", ["X: a", " b: c"], b"", {400}),
    "a NUL in a header": ("GET / HTTP/1.1", ["X: a\0b"], b"", {400}),
    "a bare return": ("GET / HTTP/1.1", ["X: a\rY: b"], b"", {400}),
    "a name that is none": ("GET / HTTP/1.1", ["X Y: a"], b"", {400}),
    "no name": ("GET / HTTP/1.1", [": a"], b"", {400}),
    "another host as well": ("GET /ops/projects HTTP/1.1", ["Host: evil.example"], b"", {400}),
    "another protocol": ("GET / GOPHER/1.0", [], b"", {400}),
    "a protocol of the future": ("GET / HTTP/9.9", [], b"", {400, 505}),
    "a method that is none": ("G<E>T / HTTP/1.1", [], b"", {400}),
    "no path": ("GET  HTTP/1.1", [], b"", {400}),
    "a path with a blank": ("GET /ops/ projects HTTP/1.1", [], b"", {400}),
    "bad chunks": ("POST /ops/projects HTTP/1.1", ["Content-Type: text/csv", "Transfer-Encoding: chunked"], b"zz\r\n", {400}),
    "a chunk of no end": ("POST /ops/projects HTTP/1.1", ["Content-Type: text/csv", "Transfer-Encoding: chunked"], b"5\r\nabcdeXX", {400}),
    "a huge chunk": ("POST /ops/projects HTTP/1.1", ["Content-Type: text/csv", "Transfer-Encoding: chunked"], b"f" * 40 + b"\r\n", {400}),
    "less than its length": ("POST /ops/projects HTTP/1.1", ["Content-Length: 99"], b'{"project_name": "x"}', {400}),
    "an expectation": ("GET / HTTP/1.1", ["Expect: a-miracle"], b"", {417, 400}),
}


def test_what_is_no_request_is_refused_and_nothing_is_done(server: Server) -> None:
    before, wrong = rows(server), {}
    for name, (first, lines, body, allowed) in REFUSED.items():
        answer = answered(server, request(server, first, *lines, body=body))
        if not statuses(answer) and name in ("less than its length", "a line without end", "megabytes of headers"):
            continue  # The client hung up, or was left in the middle of what it said.
        if len(statuses(answer)) != 1 or statuses(answer)[0] not in allowed:
            wrong[name] = answer[:200]
    for name, junk in {
        "TLS": b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n",
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "0.9": b"GET /\r\n\r\n",
        "nothing but ends": b"\r\n" * 9,
        "bytes": bytes(range(256)) + b"\r\n\r\n",
    }.items():
        if any(status not in (400, 505) for status in statuses(answered(server, junk))):
            wrong[name] = junk
    assert wrong == {}
    assert rows(server) == before
    # 501 and 505 are what an unknown coding or version is refused with (RFC 9112, 6.1; RFC 9110, 15.6.6).
    assert not re.search(r'"status": ?5(?!0[15])\d\d', server.log.read_text())


def test_a_smuggled_request_is_never_answered(server: Server) -> None:
    inner = request(server, "GET /ops/projects HTTP/1.1")
    for lines in (["Content-Length: 4", "Transfer-Encoding: chunked"], [f"Content-Length: {len(inner)}", "Transfer-Encoding: xchunked"]):
        answer = answered(server, request(server, "POST /ops/projects HTTP/1.1", *lines, body=b"0\r\n\r\n" + inner))
        assert len(statuses(answer)) == 1
        assert statuses(answer)[0] in (400, 501)


def test_requests_that_come_together_are_answered_in_their_order(server: Server) -> None:
    body = json.dumps({"project_name": "Wind farm", "total_amount": 1, "maturity_years": 1, "expected_tri": 1, "dscr": 1}).encode()
    create = request(server, "POST /ops/projects HTTP/1.1", "Content-Type: application/json", f"Content-Length: {len(body)}", body=body)
    paths = ("/monitoring/live", "/nothing", "/ops/projects?limit=1", "/monitoring/live")
    sent = b"".join([*(request(server, f"GET {path} HTTP/1.1") for path in paths), create])
    last = request(server, "GET /monitoring/live HTTP/1.1", "Connection: close")
    assert statuses(answered(server, sent + last)) == [200, 404, 200, 200, 201, 200]


@pytest.mark.parametrize("coding", ["length", "chunks"])
def test_an_upload_that_breaks_off_at_a_lines_end_loads_nothing(server: Server, coding: str) -> None:
    file, before = (HEAD + ROW * 20_000).encode(), rows(server)
    if coding == "length":
        lines, body = [f"Content-Length: {len(file) * 2}"], file
    else:
        lines, body = ["Transfer-Encoding: chunked"], b"%x\r\n%s\r\n" % (len(file), file)
    answer = answered(server, request(server, "POST /ops/projects HTTP/1.1", "Content-Type: text/csv", *lines, body=body))
    assert statuses(answer) == [400]
    assert b"body-unfinished" in answer
    assert rows(server) == before


def test_slow_clients_hold_no_thread(server: Server) -> None:
    """Four to a thread, of each kind: in the middle of the first line, of the head, and of a small body."""
    slow = [connected(server) for _ in range(36)]
    starts = (
        b"GET /ops/pro",
        request(server, "GET / HTTP/1.1")[:-2],
        request(server, "POST /ops/projects HTTP/1.1", "Content-Length: 500"),
    )
    for place, connection in enumerate(slow):
        connection.sendall(starts[place % 3])
    for _ in range(5):
        assert server.session.get(f"{server.url}/ops/projects?limit=1", timeout=15).status_code == 200
        for connection in slow:
            connection.sendall(b"x")
    for connection in slow:
        connection.close()


def test_large_bodies_that_come_slowly_leave_threads_for_others(server: Server) -> None:
    slow = [connected(server) for _ in range(8)]
    for place, connection in enumerate(slow):
        size = "Transfer-Encoding: chunked" if place % 2 else "Content-Length: 1000000"
        connection.sendall(request(server, "POST /ops/projects HTTP/1.1", "Content-Type: application/json", size))
    for _ in range(3):
        assert server.session.get(f"{server.url}/ops/projects?limit=1", timeout=15).status_code == 200
    for connection in slow:
        connection.close()
    loaded = server.post("/ops/projects?dry_run=true", data=HEAD + ROW * 5_000, headers={"Content-Type": "text/csv"})
    assert loaded.status_code == 200  # Those who left are waited for no longer.


def test_clients_who_never_hang_up_keep_nobody_waiting(server: Server) -> None:
    """Gunicorn's own loop would wait two seconds for each, and for one after the other."""
    kept = [connected(server) for _ in range(20)]
    started = time.monotonic()
    for connection in kept:
        connection.sendall(request(server, "GET /monitoring/live HTTP/1.1", "Connection: close"))
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
    assert server.session.get(f"{server.url}/ops/projects?limit=1", timeout=15).status_code == 200
    assert time.monotonic() - started < 30
    for connection in kept:
        connection.close()


def test_clients_who_open_more_connections_than_there_may_be_end_nobodys_request(server: Server) -> None:
    (worker,) = server.children()
    before = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    most = sum(1 for _ in Path(f"/proc/{worker}/fd").iterdir()) + 20
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (most, before[1]))
    idle = [connected(server) for _ in range(60)]
    try:
        for _ in range(3):
            assert requests.get(f"{server.url}/monitoring/live", timeout=15).status_code == 200
    finally:
        resource.prlimit(worker, resource.RLIMIT_NOFILE, before)
        for connection in idle:
            connection.close()
    assert server.children() == [worker]
    assert rows(server) >= 0


def test_a_large_body_is_waited_for_as_long_as_it_is_not_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "PATIENCE", 0.2)
    monkeypatch.setattr(gathering, "SLOWEST", 10_000)
    here, there = socket.socketpair()
    with here, there:
        unreader = gathering.Patient(here)
        unreader.begin(b"POST")
        assert unreader.read() == b"POST"
        there.sendall(b"x" * 5_000)
        assert unreader.read(5_000) == b"x" * 5_000  # Worth half a second more.
        time.sleep(0.3)
        there.sendall(b"y")
        assert unreader.read(1) == b"y"
        with pytest.raises(TimeoutError):
            unreader.read(1)
        assert here.gettimeout() is None
