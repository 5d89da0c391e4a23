"""A disk that fills up under a real server, with everything it has on it: nothing acknowledged is lost, and nobody has to restart it."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.disks import Mounted, small_disk
from tests.server.conftest import Server

pytestmark = pytest.mark.long

WRITERS, READERS = 16, 4
FULL = {"disk-full", "disk-nearly-full", "database-full", "store-busy", "store-reopening", "database-busy", "database-unusable"}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Mounted]:
    yield from small_disk(tmp_path, 160)


class Client(threading.Thread):
    """Writes rows, or reads them, until it is told to end; `strange` has what is neither a success nor a clear refusal."""

    def __init__(self, server: Server, number: int, ended: threading.Event, *, writes: bool) -> None:
        super().__init__()
        self.url, self.ended, self.writes, self.number = f"{server.url}/ops/projects", ended, writes, number
        self.session = requests.Session()
        self.session.headers.update(server.session.headers)
        self.written: set[str] = set()
        self.refused: list[str] = []
        self.strange: list[str] = []
        self.answered = 0

    def run(self) -> None:
        tries = 0
        while not self.ended.is_set():
            tries += 1
            self._once(f"{self.number}-{tries}")

    def _once(self, name: str) -> None:
        row = {"project_name": name, "description": "x" * 2000, "total_amount": 1, "maturity_years": 1, "expected_tri": 1, "dscr": 1}
        answer = self.session.post(self.url, json=row, timeout=60) if self.writes else self.session.get(f"{self.url}?limit=5", timeout=60)
        self.answered += 1
        if answer.status_code == (201 if self.writes else 200):
            self.written.add(name)
        elif answer.status_code in (503, 507) and answer.json()["code"] in FULL:
            self.refused.append(answer.json()["code"])
            time.sleep(0.02)
        else:
            self.strange.append(f"{answer.status_code} {answer.text[:300]}")


@pytest.mark.parametrize("reserve", ["0", "48MiB"])
def test_sixteen_writers_meet_the_end_of_the_disk_and_go_on_once_there_is_room(disk: Mounted, reserve: str) -> None:
    folder = disk.folder / "service"
    folder.mkdir()
    server = Server(folder, DISK_RESERVE=reserve, SAMPLE_EVERY="10")
    ended = threading.Event()
    try:
        server.start()
        clients = [Client(server, n, ended, writes=n < WRITERS) for n in range(WRITERS + READERS)]
        for client in clients:
            client.start()
        wait(lambda: sum(len(c.written) for c in clients[:WRITERS]) > 200)
        disk.fill()
        wait(lambda: all(c.refused for c in clients[:WRITERS]))
        before = [c.answered for c in clients[WRITERS:]]
        wait(lambda: all(c.answered > n + 20 for c, n in zip(clients[WRITERS:], before, strict=True)))
        time.sleep(5)  # A few heartbeats on a full disk.
        disk.clear()
        before = [len(c.written) for c in clients[:WRITERS]]
        wait(lambda: all(len(c.written) > n for c, n in zip(clients[:WRITERS], before, strict=True)))
        ended.set()
        for client in clients:
            client.join()
        assert [s for c in clients for s in c.strange] == []
        assert {code for c in clients[WRITERS:] for code in c.refused} <= {"store-reopening"}
        refusals = {code for c in clients[:WRITERS] for code in c.refused}
        assert ("disk-nearly-full" in refusals) if reserve != "0" else ("disk-full" in refusals)
        server.stop()
        server.start()
        exported = server.get("/ops/projects?format=csv&fields=project_name").text.replace('"', "").split()[1:]
        assert sorted(exported) == sorted(name for c in clients[:WRITERS] for name in c.written)
        assert server.command("verify_audit").returncode == 0
    finally:
        ended.set()
        server.stop()


def wait(condition) -> None:
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it never came true")
