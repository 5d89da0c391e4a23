"""What the server acknowledged is there after it was told to stop; test_faults.py kills it."""

import json
import threading
import time
import uuid

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

    def run(self) -> None:
        with requests.Session() as session:
            session.headers.update(self.server.session.headers)
            while not self.ended.is_set():
                row = WIND_FARM | {"project_id": str(uuid.uuid4())}
                try:
                    answer = session.post(f"{self.server.url}/ops/projects", json=row, timeout=30)
                except requests.RequestException:
                    return
                if answer.status_code == 201:
                    self.acknowledged.append(row["project_id"])


def run_creators(server: Server, seconds: float) -> tuple[list[Creator], threading.Event]:
    ended = threading.Event()
    creators = [Creator(server, ended) for _ in range(CLIENTS)]
    for creator in creators:
        creator.start()
    time.sleep(seconds)
    return creators, ended


def stored_ids(server: Server) -> list[str]:
    answer = server.get("/ops/projects?format=ndjson&fields=project_id")
    return [json.loads(line)["project_id"] for line in answer.text.splitlines()]


def test_a_server_that_is_told_to_stop_finishes_what_it_accepted(server: Server) -> None:
    server.start()
    creators, ended = run_creators(server, 1.0)
    server.stop()
    ended.set()
    for creator in creators:
        creator.join()
    acknowledged = [row for creator in creators for row in creator.acknowledged]
    assert len(acknowledged) > CLIENTS
    server.start()
    assert set(acknowledged) <= set(stored_ids(server))
