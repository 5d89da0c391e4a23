"""A table is rebuilt while sixteen clients write and others read: no acknowledged write is lost, and no reader is refused."""

import json
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from schema_registry.mock.server import MockOntology
from tests.server.conftest import Server

CLIENTS = 16
READERS = 4
OWN = 1_000_000_000  # keys of a client's own rows begin at its number times this


def document(key: str, **more: str) -> dict:
    columns = {"id": key, "name": "VARCHAR", "amount": "DECIMAL(12,2)", "flag": "BOOLEAN", "note": "VARCHAR"} | more
    return {
        "name": "ledger",
        "primary_key": ["id"],
        "columns": [{"name": name, "type": kind, "required": name == "id"} for name, kind in columns.items()],
    }


@pytest.fixture
def ontology(tmp_path: Path) -> Iterator[MockOntology]:
    folder = tmp_path / "ontology"
    folder.mkdir()
    with MockOntology(folder) as running:
        say(folder, document("BIGINT"))
        yield running


def say(folder: Path, wanted: dict) -> None:
    (folder / "ledger_schema.json").write_text(json.dumps(wanted))


class Writer(threading.Thread):
    """A client that inserts, updates and deletes rows of its own, and remembers what was acknowledged."""

    def __init__(self, server: Server, number: int, ended: threading.Event) -> None:
        super().__init__()
        self.url, self.ended, self.rng = f"{server.url}/ops/ledger", ended, random.Random(number)
        self.session = requests.Session()
        self.session.headers.update(server.session.headers)
        self.next, self.rows, self.done, self.strange = (number + 1) * OWN, {}, 0, []

    def run(self) -> None:
        while not self.ended.is_set():
            self.write(self.rng.choice(("insert", "insert", "update", "delete")))

    def write(self, kind: str) -> None:
        if kind == "insert" or not self.rows:
            self.next += 1
            amount = self.rng.randint(0, 10**6) / 100
            answer = self.session.post(self.url, json={"id": self.next, "name": "new", "amount": amount}, timeout=120)
            self.note(answer, 201, self.next, amount)
            return
        key = self.rng.choice(sorted(self.rows))
        if kind == "update":
            amount = self.rng.randint(0, 10**6) / 100
            self.note(self.session.patch(f"{self.url}/{key}", json={"amount": amount}, timeout=120), 200, key, amount)
        else:
            self.note(self.session.delete(f"{self.url}/{key}", timeout=120), 204, key, None)

    def note(self, answer: requests.Response, wanted: int, key: int, amount: float | None) -> None:
        """What was answered 503 was not begun."""
        if answer.status_code == wanted:
            self.done += 1
            self.rows[key] = amount
            if amount is None:
                del self.rows[key]
        elif answer.status_code != 503:
            self.strange.append((answer.status_code, answer.text))


class Reader(threading.Thread):
    """A client that reads pages, rows and counts; nothing may refuse it."""

    def __init__(self, server: Server, ended: threading.Event) -> None:
        super().__init__()
        self.server, self.ended = server, ended
        self.session = requests.Session()
        self.session.headers.update(server.session.headers)
        self.refused, self.read = [], 0

    def run(self) -> None:
        while not self.ended.is_set():
            for path in ("/ops/ledger?limit=5", "/ops/ledger/7", "/ops/ledger?id__lt=50&fields=id,amount", "/admin/tables"):
                answer = self.session.get(self.server.url + path, timeout=120)
                self.read += 1
                if answer.status_code != 200:
                    self.refused.append((path, answer.status_code, answer.text))


def rebuild_under_load(server: Server, folder: Path, rows: int) -> None:
    assert server.post("/ops/initialize").status_code == 200
    lines = "".join(f"{n},row {n},{n % 1000}.25,true,\n" for n in range(rows))
    loaded = server.post("/ops/ledger", data=f"id,name,amount,flag,note\n{lines}", headers={"Content-Type": "text/csv"})
    assert loaded.json()["inserted"] == rows
    ended = threading.Event()
    writers = [Writer(server, number, ended) for number in range(CLIENTS)]
    readers = [Reader(server, ended) for _ in range(READERS)]
    for thread in (*writers, *readers):
        thread.start()
    try:
        await_writes(writers, 5)
        for wanted in (
            document("HUGEINT"),
            document("HUGEINT", colour="VARCHAR"),
            document("HUGEINT", colour="VARCHAR", amount="DECIMAL(20,4)"),
        ):
            say(folder, wanted)
            plan = server.session.put(f"{server.url}/admin/tables/ledger", timeout=300)
            assert plan.status_code == 200, plan.text
            await_writes(writers, 3)
    finally:
        ended.set()
        for thread in (*writers, *readers):
            thread.join()
    assert [strange for writer in writers for strange in writer.strange] == []
    assert [refused for reader in readers for refused in reader.refused] == []
    assert all(reader.read for reader in readers)
    kept = {key: amount for writer in writers for key, amount in writer.rows.items()}
    stored = server.get(f"/ops/ledger?id__gte={OWN}&format=ndjson&fields=id,amount").text.splitlines()
    assert {row["id"]: row["amount"] for row in map(json.loads, stored)} == kept
    assert server.get("/ops/ledger?limit=1", headers={"Prefer": "count=exact"}).headers["X-Total-Count"] == str(rows + len(kept))


def await_writes(writers: list[Writer], more: int) -> None:
    """Until every client has had some more writes acknowledged."""
    wanted = {writer: writer.done + more for writer in writers}
    until = time.monotonic() + 120
    while any(writer.done < wanted[writer] for writer in writers):
        assert time.monotonic() < until, [writer.strange for writer in writers]
        time.sleep(0.05)


def test_no_acknowledged_write_is_lost_to_a_rebuild(server: Server, ontology: MockOntology) -> None:
    server.environment |= {"USE_MOCK_ONTO_SERVER": "false", "ONTO_SERVER_URL": ontology.url}
    rebuild_under_load(server.start(), server.folder / "ontology", 30_000)


@pytest.mark.long
def test_no_acknowledged_write_is_lost_to_a_rebuild_of_a_million_rows(server: Server, ontology: MockOntology) -> None:
    server.environment |= {"USE_MOCK_ONTO_SERVER": "false", "ONTO_SERVER_URL": ontology.url}
    rebuild_under_load(server.start(), server.folder / "ontology", 1_000_000)
