"""The benchmarks still run and do not flatter; what they measure is for people to read, and no test."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks import callers, report
from benchmarks.callers import Outcome, Refused
from benchmarks.works import Aim, Work, measure
from tests.settings import STATIC_ROOT

ROOT = Path(__file__).parents[1]
WORKS = (
    *(f"create, {clients}" for clients in ("1 client", "16 clients", "64 clients")),
    *(f"point read, {clients}" for clients in ("1 client", "16 clients")),
    *(f"load {kind}" for kind in ("Parquet", "CSV", "Arrow", "NDJSON", "JSON array")),
    *(f"export {kind}" for kind in ("Parquet", "Arrow", "CSV", "NDJSON")),
    "first page",
    "page by cursor at row 9,000",
    "page by offset at row 9,000",
    "filtered list",
    "aggregate",
    "first start",
    "start again",
    "idle memory",
)


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """A port where one connection is sent the answer and ends."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with server.accept()[0] as connection:
                connection.recv(1000)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def test_an_export_counts_only_when_all_of_it_came() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\na,b\n\r\n"
    start = callers.head("GET", "/ops/flights", "token", Accept="text/csv")
    with answering(chunked + b"0\r\n\r\n") as port:
        assert callers.download(port, start)[1] == len(chunked) + 5
    for answer, said in ((chunked, "broke off"), (b"HTTP/1.1 503 Service Unavailable\r\n\r\nlater", "later")):
        with answering(answer) as port, pytest.raises(Refused, match=said):
            callers.download(port, start)


def test_a_missed_aim_is_said_and_so_is_what_could_not_be_measured() -> None:
    rates = iter([70, 100, 90, 100, 10, 100])  # ours and raw, three rounds

    def side() -> Outcome:
        return Outcome(next(rates), 1.0, [0.001], peak=200)

    def broken() -> Outcome:
        raise Refused(503, "later")

    slow = measure(Work("load CSV", side, side, aim=Aim("raw", 0.8)), 3)
    unknown = measure(Work("load Arrow", side, side, ready=lambda: 415), 3)
    failed = measure(Work("load JSON", broken, side), 3)
    text = report.of_works(report.TRANSFERS, [slow, unknown, failed])
    assert [cell.strip() for cell in text.splitlines()[2].split("|")[1:6]] == ["load CSV", "70", "100", "0.70", "0.8 of raw: missed"]
    assert "| load Arrow | not offered (415) " in text
    assert "| load JSON  | failed: (503, 'later')" in text


@pytest.mark.long
@pytest.mark.parametrize(
    ("command", "lines"),
    [
        (["run.py"], WORKS),
        (["large.py"], ("nothing else", "load CSV", "load Parquet", "export CSV", "export Parquet", "export Arrow")),
        (["where.py", "--only", "point read, 1"], ("ms a call", "0.")),
    ],
    ids=["run", "large", "where"],
)
def test_each_script_prints_a_line_for_each_thing_that_it_measures(command: list[str], lines: Sequence[str]) -> None:
    script, *options = command
    called = [sys.executable, f"benchmarks/{script}", "--quick", *options]
    environment = os.environ | {"STATIC_DIR": STATIC_ROOT}
    done = subprocess.run(called, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    for line in lines:
        assert f"| {line}" in done.stdout
    assert "cores" in done.stdout
