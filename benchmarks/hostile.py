"""Row reads and creates while the ontology server is hostile: `python benchmarks/hostile.py > table.md`, in about five minutes.

Eight clients read and create in turn: alone, while one sync after the other asks a good ontology server, and while they ask one that
drips, floods or lies. The three stand beside each other in one run, several times; each ratio is the median of the rounds' own.
"""

import argparse
import json
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))  # As a script it stands in this folder, and the project above it.

from benchmarks import report
from benchmarks.callers import Outcome, call_server, request
from benchmarks.files import CELLS
from benchmarks.server import Server
from schema_registry.mock.folder import SAMPLE
from tests.hostile import MIB, Send, again, always, answer, documents, hostile, wide

CLIENTS = 8
PAUSE = 1.0  # seconds between two syncs; a schedule (SYNC_EVERY) leaves ten at least
HEADS = (
    "ontology server",
    "syncs",
    "what the last one said",
    "p50 ms",
    "p99 ms",
    "p99 with a good one",
    "p99 alone",
    "hostile : good",
    "hostile : alone",
    "before, MiB",
    "peak, MiB",
)
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
MANY = [f"schema_{n}" for n in range(10_000)]
ENUMS = [{"name": f"c{n}", "type": "DECIMAL(38,10)", "enum": [f"{v}.5" for v in range(1_000)]} for n in range(200)]


def good(connection: socket.socket, path: str) -> None:
    """The sample ontology."""
    file = SAMPLE / f"{path.rpartition('/')[2]}.json"
    listed = json.dumps(sorted(one.stem for one in SAMPLE.glob("*.json"))).encode()
    connection.sendall(answer(file.read_bytes() if path.startswith("/schemas/") else listed))


ATTACKS: dict[str, Send] = {
    "answers byte by byte": again(b" ", first=OK + b"Content-Length: 1000000\r\n\r\n", pause=0.01),
    "sends a gigabyte": again(b" " * MIB, first=OK + b"Content-Length: 1073741824\r\n\r\n"),
    "sends a chunk for each byte": again(b"1\r\n \r\n" * 10_000, first=CHUNKED),
    "sends 100,000 columns": documents(wide(100_000), ids=MANY[:50]),
    "sends 1,000 columns, 500 times": documents(wide(1_000), ids=MANY[:500]),
    "sends 200,000 enum values, 20 times": documents(json.dumps({"name": "wide", "columns": ENUMS}).encode(), ids=MANY[:20]),
    "lists 100,000 schemas": always(answer(json.dumps([f"s{n}" for n in range(100_000)]).encode())),
    "sends two million numbers": documents(b"[" + b"1," * 1_990_000 + b"1]", ids=MANY[:50]),
}


class Syncs:
    """One sync after the other, as a job, while a block runs."""

    def __init__(self, server: Server, token: str) -> None:
        self.server, self.token, self.over = server, f"Bearer {token}", threading.Event()
        self.done, self.said = 0, ""

    @contextmanager
    def running(self) -> Iterator["Syncs"]:
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            time.sleep(0.5)  # The first one asks by now.
            yield self
        finally:
            self.over.set()
            thread.join()

    def _run(self) -> None:
        while not self.over.is_set():
            body = b'{"accept_shrunk": true}'
            _, left, _ = self.server.ask("POST", "/admin/sync", body, Authorization=self.token, Content_Type="application/json")
            address = f"/ops/jobs/{json.loads(left)['id']}"
            while (job := json.loads(self.server.ask("GET", address, Authorization=self.token)[1]))["state"] in ("queued", "running"):
                if self.over.wait(0.2):
                    self.server.ask("DELETE", address, Authorization=self.token)
                    break
            else:
                self.over.wait(PAUSE)
                self.done += 1
                self.said = job["error"] or _refusal(job["result"])


def _refusal(result: dict) -> str:
    refused = [one["detail"] for one in result["tables"] if one["outcome"] == "refused"]
    return refused[0] if refused else "it was taken"


class Setting:
    """The service, its hostile ontology server, and the process of the callers."""

    def __init__(self, folder: Path, pool: ProcessPoolExecutor, seconds: float) -> None:
        self.pool, self.seconds, self.send = pool, seconds, good
        self.folder = folder

    @contextmanager
    def started(self) -> Iterator["Setting"]:
        with hostile(self._answer) as url:
            self.server = Server(self.folder / "ours", ONTO_SERVER_URL=url)
            try:
                self.server.start()
                self.token = self.server.token()
                yield self
            finally:
                self.server.stop()

    def _answer(self, connection: socket.socket, path: str) -> None:
        self.send(connection, path)

    def rows(self) -> Outcome:
        """Eight clients who create a row and read it, again and again."""
        create = request("POST", "/ops/projects", self.token, json.dumps(CELLS).encode())
        _, _, told = self.server.ask(
            "POST", "/ops/projects", json.dumps(CELLS).encode(), Authorization=f"Bearer {self.token}", Content_Type="application/json"
        )
        read = request("GET", told["Location"], self.token)
        # Call_server deals them out in turn: each client has both.
        return self.pool.submit(call_server, self.server.port, [create] * CLIENTS + [read] * CLIENTS, CLIENTS, self.seconds).result()


def measured(setting: Setting, name: str, rounds: int) -> tuple[str, ...]:
    alone: list[Outcome] = []
    well: list[Outcome] = []
    attacked: list[Outcome] = []
    before, most, syncs = setting.server.memory(), 0.0, 0
    for _ in range(rounds):
        setting.send = good
        alone.append(setting.rows())
        with Syncs(setting.server, setting.token).running():
            well.append(setting.rows())
        setting.send = ATTACKS[name]
        with setting.server.watched() as peak, Syncs(setting.server, setting.token).running() as asked:
            attacked.append(setting.rows())
        most, syncs = max(most, peak[0]), syncs + asked.done
    ratios = (median(bad.milliseconds(99) / other.milliseconds(99) for bad, other in zip(attacked, o, strict=True)) for o in (well, alone))
    times = (median(o.milliseconds(p) for o in found) for p, found in ((50, attacked), (99, attacked), (99, well), (99, alone)))
    said = asked.said.removeprefix(f"The ontology server at {setting.server.environment['ONTO_SERVER_URL']} gave no answer: ")
    figures = (*(f"{time:.1f}" for time in times), *(f"{ratio:.2f}" for ratio in ratios), f"{before:.0f}", f"{most:.0f}")
    return (name, str(syncs), said[:110] or "none ended", *figures)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--seconds", type=float, default=3.0, help="for each half of a round")
    asked.add_argument("--only", default="", metavar="NAME", help="the attacks whose name has this in it")
    given = asked.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="duckspawn-hostile-") as folder,
        ProcessPoolExecutor(1, get_context("spawn")) as pool,
        Setting(Path(folder), pool, given.seconds).started() as setting,
    ):
        setting.rows()
        rows = [measured(setting, name, given.rounds) for name in ATTACKS if given.only in name]
    print(f"{datetime.now(UTC):%-d %B %Y}; {report.machine()}.")
    print(f"{CLIENTS} clients, {given.rounds} rounds of {given.seconds:g} s each way.\n\n{report.table(HEADS, rows)}", end="")


if __name__ == "__main__":
    main()
