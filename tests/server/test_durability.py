"""What the server acknowledged is there after it was told to stop; test_faults.py kills it."""

import json
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator

import pytest
import requests

from tests.projects.conftest import WIND_FARM
from tests.server.conftest import Server

CLIENTS = 16


class Creator(threading.Thread):
    """One client that creates rows until the server is gone, and keeps the ids that were acknowledged."""

    def __init__(self, server: Server, ended: threading.Event) -> None:
        super().__init__()
        self.server, self.ended = server, ended
        self.acknowledged: list[str] = []
        self.refused: list[str] = []

    def run(self) -> None:
        with requests.Session() as session:
            session.headers.update(self.server.session.headers)
            while not self.ended.is_set():
                row = WIND_FARM | {"project_id": str(uuid.uuid4())}
                try:
                    answer = session.post(f"{self.server.url}/ops/projects", json=row, timeout=30)
                except requests.RequestException:
                    return
                is_made = answer.status_code == 201
                (self.acknowledged if is_made else self.refused).append(row["project_id"] if is_made else answer.text)


def run_creators(server: Server, seconds: float) -> tuple[list[Creator], threading.Event]:
    ended = threading.Event()
    creators = [Creator(server, ended) for _ in range(CLIENTS)]
    for creator in creators:
        creator.start()
    time.sleep(seconds)
    return creators, ended


def stored_ids(server: Server, filtered: str = "") -> list[str]:
    answer = server.get(f"/ops/projects?format=ndjson&fields=project_id&{filtered}")
    return [json.loads(line)["project_id"] for line in answer.text.splitlines()]


AS_CSV = {"Content-Type": "text/csv"}
LOAD_ROWS = range(10_000_000, 10_002_000)


def ids(numbers: range) -> list[str]:
    return [str(uuid.UUID(int=number)) for number in numbers]


def csv_of(numbers: range) -> bytes:
    lines = (f"{key},a,1,1,1,1\n" for key in ids(numbers))
    return ("project_id,project_name,total_amount,maturity_years,expected_tri,dscr\n" + "".join(lines)).encode()


def send_slowly(server: Server, go_on: threading.Event, acknowledged: list[str]) -> None:
    """Loads a file of which the last half is sent once it may go on."""
    content = csv_of(LOAD_ROWS)

    def halves() -> Iterator[bytes]:
        yield content[: len(content) // 2]
        go_on.wait()
        yield content[len(content) // 2 :]

    if server.post("/ops/projects", data=halves(), headers=AS_CSV).status_code in (200, 201):
        acknowledged += ids(LOAD_ROWS)


def count(server: Server, condition: str) -> int:
    return server.post("/ops/query", json={"sql": f"SELECT count(*) AS n FROM projects WHERE {condition}"}).json()[0]["n"]


def until(condition: Callable[[], bool]) -> bool:
    while not condition():
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("job_rows", [50_000, pytest.param(8_000_000, marks=pytest.mark.long)])
def test_a_server_that_is_told_to_stop_is_ready_no_more_and_finishes_what_it_accepted(server: Server, job_rows: int) -> None:
    """Creates, a load whose body is still coming, and a job, which a stop interrupts; every process is told, as systemd may do."""
    rows_of_job = b"project_name,total_amount,maturity_years,expected_tri,dscr\n" + b"job,1,1,1,1\n" * job_rows
    server.environment["DRAIN"] = "2"
    server.start()
    creators, ended = run_creators(server, 0.5)
    stopping = threading.Event()
    load = threading.Thread(target=send_slowly, args=(server, stopping, loaded := []))
    load.start()
    job = server.post("/ops/projects", data=rows_of_job, headers=AS_CSV | {"Prefer": "respond-async"}).json()
    for pid in (server.process.pid, *server.children()):
        os.kill(pid, signal.SIGTERM)
    assert until(lambda: requests.get(f"{server.url}/monitoring/ready", timeout=5).json() == {"status": "draining"})
    assert requests.get(f"{server.url}/monitoring/live", timeout=5).status_code == 200
    assert server.get("/ops/projects?limit=1").status_code == 200
    stopping.set()
    load.join()
    assert server.process.wait(timeout=90) == 0
    ended.set()
    for creator in creators:
        creator.join()
    assert not list(server.folder.glob("data.db.wal"))
    assert [creator.refused for creator in creators if creator.refused] == []
    acknowledged = [row for creator in creators for row in creator.acknowledged]
    assert len(acknowledged) > CLIENTS
    server.start()
    stored = stored_ids(server, "project_name__ne=job")
    assert set(acknowledged) | set(loaded) <= set(stored)
    told, kept = server.get(f"/ops/jobs/{job['id']}").json(), count(server, "project_name = 'job'")
    assert (told["state"], kept) in {("done", job_rows), ("failed", 0)}
    assert told["state"] == "done" or told["error"] == "It was interrupted when the server stopped; nothing of it was kept."
    assert len(stored) == len(set(stored))
