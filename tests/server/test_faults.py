"""A server is killed again and again while it is at work: what it acknowledged is there, once, and the store is sound.

`--seed N` does the same again, as far as threads allow; `--long` kills fifty times.
"""

import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from schema_registry.mock.server import MockOntology
from tests.server.conftest import ROOT, Server
from tests.server.faults import EVENTS, Client, Known, Load, Reader, Steward, Writer, document

WRITERS, READERS = 16, 2
SHORTEST, LONGEST = 0.2, 1.2  # seconds of a round before the kill
PATIENCE = 60  # seconds


@pytest.fixture
def ontology(tmp_path: Path) -> Iterator[MockOntology]:
    folder = tmp_path / "ontology"
    folder.mkdir()
    for wanted in (document(), EVENTS):
        (folder / f"{wanted['name']}_schema.json").write_text(json.dumps(wanted))
    with MockOntology(folder) as running:
        yield running


def serve_again(server: Server) -> None:
    """What `manage.py up` ends with, on what a killed server left; the rest of it has nothing to do."""
    words = [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "duckspawn_site.wsgi"]
    with server.log.open("ab") as log:
        server.process = subprocess.Popen(words, cwd=ROOT, env=server.environment, stdout=log, stderr=log)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and server.process.poll() is None:
        try:
            if requests.get(f"{server.url}/monitoring/ready", timeout=5).status_code == 200:
                return
        except (requests.ConnectionError, requests.Timeout):
            pass
        time.sleep(0.03)
    raise AssertionError(f"the file does not open:\n{server.log.read_text()[-4000:]}")


# When it is killed.


def stamp(path: Path) -> tuple[int, ...]:
    """What changes when a file, or what is in a folder, does."""
    try:
        return (path.stat().st_mtime_ns, path.stat().st_size)
    except FileNotFoundError:
        return ()


def moments(server: Server) -> dict[str, Callable[[], object]]:
    """What a kill may wait for, by name: each gives something that changes at that moment."""
    data = server.folder / "data.db"
    return {
        "at random": lambda: None,
        "while the file is written": lambda: stamp(data),
        "while an archive comes": lambda: stamp(Path(f"{data}.archive")),
        "while a file to load is there": lambda: stamp(Path(f"{data}.spool")),
    }


def wait(rng: random.Random, moment: Callable[[], object]) -> None:
    """A while, then until the moment comes, but no longer than a round takes; then a few milliseconds more."""
    until = time.monotonic() + LONGEST
    time.sleep(rng.uniform(SHORTEST, LONGEST))
    before = moment()
    while before is not None and moment() == before and time.monotonic() < until:
        time.sleep(0.0005)
    time.sleep(rng.uniform(0, 0.02))


# What is there afterwards.


def rows_of(server: Server, path: str) -> list[dict]:
    answer = server.get(path)
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def settle_loads(server: Server, known: Known, there: dict) -> None:
    """All rows of a load or none; of a job, as it says."""
    for load in known.loads:
        found = {key: there.get(key) for key in load.rows}
        whole, none = found == load.rows, set(found.values()) == {None}
        assert whole or none, f"a load came in part: {sum(map(bool, found.values()))} of {len(found)} rows"
        if load.job:
            assert job_state(server, load) == ("done" if whole else "failed")
    known.loads.clear()


def job_state(server: Server, load: Load) -> str:
    until = time.monotonic() + PATIENCE
    while (job := server.get(load.job).json())["state"] in ("queued", "running") and time.monotonic() < until:
        time.sleep(0.05)
    assert job["state"] == "done" or "interrupted" in job["error"], job
    return job["state"]


def await_jobs(server: Server, known: list[Known]) -> None:
    """Loads that were left to the server go on after its start."""
    for one in known:
        for load in one.loads:
            if load.job:
                job_state(server, load)
    with sqlite3.connect(server.folder / "app.sqlite3", timeout=30) as database:  # Those whose answer nobody got.
        until, waiting = time.monotonic() + PATIENCE, 1
        while waiting and time.monotonic() < until:
            asked = "SELECT count(*) FROM projects_job WHERE state IN ('queued', 'running')"
            waiting = database.execute(asked).fetchone()[0]
            time.sleep(0.03)


def send_again(server: Server, known: Known) -> None:
    """What was promised and not answered is asked for once more: now it is done, whether it was before or not."""
    for asked in known.asked:
        headers = {"Idempotency-Key": asked.key, "Content-Type": asked.kind}
        answer = server.post(asked.path, data=asked.body, headers=headers)
        assert answer.status_code == asked.status, answer.text
        if asked.path == "/ops/events":
            known.tags[json.loads(asked.body)["tag"]] = {1}
        else:
            load = next(load for load in known.loads if str(min(load.rows)) in asked.body)
            known.rows |= {key: {value} for key, value in load.rows.items()}
            known.loads.remove(load)
    known.asked.clear()


def check_rows(server: Server, known: list[Known]) -> int:
    """Every row is what its writer was told, or may be it where nobody was told; from now on it is what it is."""
    await_jobs(server, known)
    there = there_now(server)
    for one in known:
        unpromised = Known(loads=[load for load in one.loads if not any(str(min(load.rows)) in str(a.body) for a in one.asked)])
        settle_loads(server, unpromised, there)
        for load in one.loads:
            assert {there.get(key) for key in load.rows} in ({None}, set(load.rows.values())), "a load came in part"
        send_again(server, one)
        one.loads.clear()
    there, tags = there_now(server), [row["tag"] for row in rows_of(server, "/ops/events?format=ndjson")]
    assert len(tags) == len(set(tags)), "a row was made twice"
    told = {key: values for one in known for key, values in one.rows.items()}
    wrong = {key: (values, there.get(key)) for key, values in told.items() if there.get(key) not in values}
    assert wrong == {}, "an acknowledged write is lost"
    assert there.keys() <= told.keys()
    assert set(tags) <= {tag for one in known for tag in one.tags}
    for one in known:
        lost = [tag for tag, counts in one.tags.items() if int(tag in tags) not in counts]
        assert lost == [], "an acknowledged row is lost"
        one.rows = {key: {there.get(key)} for key in one.rows}
        one.tags = {tag: {int(tag in tags)} for tag in one.tags}
    return len(there) + len(tags)


def there_now(server: Server) -> dict[int, tuple[str, int]]:
    rows = rows_of(server, "/ops/ledger?format=ndjson&fields=id,name,amount")
    found = {row["id"]: (row["name"], row["amount"]) for row in rows}
    assert len(found) == len(rows), "a key is there twice"
    return found


def check_store(server: Server) -> dict:
    """The job that `manage.py check_store` leaves to a server that runs."""
    number, path = uuid.uuid4(), server.folder / "app.sqlite3"
    with sqlite3.connect(path, timeout=30) as database:
        names = "id, kind, state, inputs, done, error, created_at"
        values = (number.hex, "check_store", "queued", "{}", 0, "", time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()))
        database.execute(f"INSERT INTO projects_job ({names}) VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    until = time.monotonic() + PATIENCE
    while (job := server.get(f"/ops/jobs/{number}").json())["finished_at"] is None and time.monotonic() < until:
        time.sleep(0.03)
    assert job["state"] == "done", job
    return job["result"]


def work_until_killed(server: Server, rng: random.Random, known: list[Known]) -> tuple[str, list[Client]]:
    ended = threading.Event()
    about = (server.url, dict(server.session.headers), ended)
    writers = [Writer(*about, random.Random(rng.random()), number=n, known=one) for n, one in enumerate(known)]
    others = [Steward(*about, random.Random(rng.random())), *(Reader(*about, random.Random(rng.random())) for _ in range(READERS))]
    name, moment = rng.choice(list(moments(server).items()))
    for client in (*writers, *others):
        client.start()
    try:
        wait(rng, moment)
    finally:
        server.kill()
        ended.set()
    for client in (*writers, *others):
        client.join(PATIENCE)
    return name, [*writers, *others]


@pytest.mark.parametrize("rounds", [5, pytest.param(50, marks=pytest.mark.long)])
def test_nothing_acknowledged_is_lost_or_doubled_however_often_the_server_is_killed(
    server: Server, ontology: MockOntology, rounds: int, request: pytest.FixtureRequest
) -> None:
    seed = request.config.getoption("--seed") or int.from_bytes(os.urandom(3))
    print(f"--seed {seed}")
    rng, known = random.Random(seed), [Known() for _ in range(WRITERS)]
    server.environment |= {"USE_MOCK_ONTO_SERVER": "false", "ONTO_SERVER_URL": ontology.url, "THROTTLE": "off"}
    server.start()
    for number in range(1, rounds + 1):
        moment, clients = work_until_killed(server, rng, known)
        unknown, applied = sum(one.unknown for one in known), sum(client.applied for client in clients if isinstance(client, Steward))
        serve_again(server)
        rows = check_rows(server, known)
        assert [strange for client in clients for strange in client.strange] == []
        verdict = server.get("/admin/audit/verify").json()
        assert verdict["ok"], verdict
        found = check_store(server)
        assert found["sound"], found["findings"]
        done = sum(one.done for one in known)
        print(f"round {number}: killed {moment}; {done} writes acknowledged in all, {unknown} unanswered, {applied} schemas applied")
        print(f"  {rows} rows, none lost or doubled; {verdict['detail']}; looked at {found['looked']}")
        for one in known:
            one.unknown = 0
    assert sum(one.done for one in known) > rounds * WRITERS
    assert "Traceback" not in server.log.read_text()
