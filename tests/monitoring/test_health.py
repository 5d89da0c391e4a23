"""Health, as a probe, an operator and the command see it."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from monitoring import checks, draining
from monitoring.checks import CheckFailed, CheckWarned, Disk, Finding, Runner
from projects.store.connection import get_store
from schema_registry.models import Snapshot
from tests.projects.conftest import projects, store  # noqa: F401 - Fixtures.

NOBODY = "http://127.0.0.1:9"  # the discard port: nothing listens there


@pytest.fixture(autouse=True)
def mock_ontology(settings):
    settings.USE_MOCK_ONTO_SERVER = True


@dataclass(frozen=True)
class Says:
    found: str | Exception
    timeout: float = 5.0

    def run(self) -> str:
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


def test_anybody_sees_that_it_is_well_and_no_more(anonymous_client):
    answer = anonymous_client.get("/monitoring/health")
    health = answer.json()
    assert answer.status_code == 200
    assert set(health) == {"status", "service", "timestamp", "checks"}
    assert set(health["checks"]) == {"cpu", "memory", "disk", "clock", "database", "duckdb", "onto_server"}
    assert all(set(check) == {"status", "seconds"} for check in health["checks"].values())


def test_a_viewer_sees_what_each_check_found(viewer_client):
    found = viewer_client.get("/monitoring/health/").json()["checks"]
    assert found["duckdb"]["detail"] == "answers, 0 tables"
    assert found["database"]["status"] == "healthy"
    assert found["onto_server"]["detail"].startswith("mock") and found["onto_server"]["status"] == "healthy"


@pytest.mark.django_db(transaction=True)  # The checks run in threads of their own, which see what is committed.
def test_a_silent_ontology_server_degrades_and_tells_the_snapshots_age(viewer_client, settings):
    settings.USE_MOCK_ONTO_SERVER, settings.ONTO_SERVER_URL = False, NOBODY
    seen = timezone.now() - timedelta(hours=3)
    Snapshot.objects.create(table_name="t", table_key="t", number=1, schema={}, provenance="live", fetched_at=seen, last_seen_at=seen)
    answer = viewer_client.get("/monitoring/health")
    server = answer.json()["checks"]["onto_server"]
    assert (answer.status_code, server["status"]) == (200, "degraded")
    assert answer.json()["status"] == "degraded"
    assert NOBODY in server["detail"] and "seen 3 hours ago" in server["detail"]


def test_without_duckdb_it_is_unhealthy_and_not_ready(anonymous_client, settings, tmp_path):
    settings.DUCKDB_PATH = tmp_path / "no_duckdb.db"
    settings.DUCKDB_PATH.write_text("this is no DuckDB file, and it is long enough to be read as a header of one" * 100)
    answer = anonymous_client.get("/monitoring/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")
    assert answer.json()["checks"]["duckdb"]["status"] == "unhealthy"
    assert anonymous_client.get("/monitoring/ready").status_code == 503
    assert anonymous_client.get("/monitoring/live").status_code == 200


def test_a_closed_store_is_unhealthy(anonymous_client):
    get_store().close()
    assert anonymous_client.get("/monitoring/health").status_code == 503


def test_probes_answer_without_a_token(anonymous_client):
    assert anonymous_client.get("/monitoring/live").json() == {"status": "live"}
    assert anonymous_client.get("/monitoring/ready/").json() == {"status": "ready"}


class Held:
    """A check that says how often it ran; it answers once it is let go."""

    def __init__(self, timeout: float) -> None:
        self.timeout, self.runs = timeout, 0
        self.free = threading.Event()
        self.free.set()

    def run(self) -> str:
        self.runs += 1
        self.free.wait()
        return f"run {self.runs}"


def until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.01)


def test_the_checks_are_run_once_for_many_questions(db):
    runner, check = Runner(), Held(timeout=5)
    for _ in range(5):
        runner.findings({"counted": check})
    assert check.runs == 1


def test_a_check_that_hangs_is_given_up_and_not_started_again(db):
    runner, check = Runner(kept=0), Held(timeout=0.2)
    check.free.clear()
    assert runner.findings({"slow": check, "quick": Says("fine")})["quick"].status == "healthy"
    again = runner.findings({"slow": check})["slow"]
    assert (again.status, again.detail) == ("unhealthy", "gave no answer within 0.2 seconds")
    assert check.runs == 1
    check.free.set()
    until(lambda: runner.findings({"slow": check})["slow"].status == "healthy")


def test_a_finding_stands_while_its_check_takes_its_time(db):
    """Such as a commit of ten seconds, which DuckDB lets every reader wait for."""
    runner, check = Runner(kept=0), Held(timeout=60)
    assert runner.findings({"slow": check})["slow"].detail == "run 1"
    check.free.clear()
    found = [runner.findings({"slow": check}, patience=0.01)["slow"] for _ in range(20)]
    assert {(finding.status, finding.detail) for finding in found} == {("healthy", "run 1")}
    assert check.runs == 2
    check.free.set()
    until(lambda: runner.findings({"slow": check})["slow"].detail != "run 1")


def test_a_stampede_of_probes_starts_one_thread_and_keeps_none_of_their_own(db):
    runner, check = Runner(kept=0), Held(timeout=60)
    check.free.clear()
    with ThreadPoolExecutor(64) as probes:
        asked = [probes.submit(runner.findings, {"slow": check}, patience=0.01) for _ in range(64)]
        found = [one.result()["slow"] for one in asked]  # Each has its answer though the check has none.
    assert {finding.detail for finding in found} == {"has not answered yet"}
    assert (check.runs, [thread.name for thread in threading.enumerate()].count("check slow")) == (1, 1)
    check.free.set()
    until(lambda: "check slow" not in {thread.name for thread in threading.enumerate()})


@pytest.mark.django_db(transaction=True)
def test_it_is_ready_while_a_writer_works_and_a_commit_waits(client, projects, monkeypatch):  # noqa: F811
    monkeypatch.setattr(checks, "_runner", Runner(kept=0))
    begun, free = threading.Event(), threading.Event()

    def work(transaction) -> None:
        transaction.execute("CREATE TABLE held AS SELECT range AS n FROM range(1000)")
        begun.set()
        free.wait()

    writer = threading.Thread(target=projects.writer.alone, args=(work,))
    with projects._committing:
        writer.start()
        begun.wait()
        free.set()  # The commit that follows waits for the lock that is held here.
        assert [client.get("/monitoring/ready").status_code for _ in range(10)] == [200] * 10
        assert writer.is_alive()
    writer.join()


def test_it_is_not_ready_once_it_is_told_to_stop_and_goes_on_serving(client, db):
    assert client.get("/monitoring/ready").status_code == 200
    draining.begin()
    answer = client.get("/monitoring/ready")
    assert (answer.status_code, answer.json()) == (503, {"status": "draining"})
    assert client.get("/monitoring/live").status_code == 200
    assert client.get("/").status_code == 200


def test_live_asks_no_database_and_opens_no_file(settings):
    """No mark lets this test at a database; the client has a session's cookie, and comes to an address that is no host of ours."""
    client = Client()
    client.cookies["sessionid"] = "x" * 32
    answer = client.get("/monitoring/live", headers={"host": "10.1.2.3:8000", "authorization": "Bearer " + "x" * 64})
    assert (answer.status_code, answer.json()) == (200, {"status": "live"})
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert not settings.DUCKDB_PATH.exists()


def test_what_a_check_says_becomes_its_finding(db):
    found = Runner().findings(
        {"a": Says("fine"), "b": Says(CheckWarned("odd")), "c": Says(CheckFailed("bad")), "d": Says(ValueError("secret"))}
    )
    assert [(f.status, f.detail) for f in found.values()] == [
        ("healthy", "fine"),
        ("degraded", "odd"),
        ("unhealthy", "bad"),
        ("unhealthy", "broke; the log says how"),
    ]


@pytest.mark.parametrize(
    ("statuses", "overall"),
    [
        ({"database": "healthy", "duckdb": "healthy", "cpu": "healthy"}, "healthy"),
        ({"database": "healthy", "duckdb": "healthy", "disk": "unhealthy"}, "degraded"),
        ({"database": "healthy", "duckdb": "healthy", "cpu": "degraded"}, "degraded"),
        ({"database": "unhealthy", "duckdb": "healthy"}, "unhealthy"),
        ({"database": "healthy", "duckdb": "unhealthy"}, "unhealthy"),
    ],
)
def test_only_what_is_vital_makes_it_unhealthy(statuses, overall):
    assert checks.overall({name: Finding(status, "", 0) for name, status in statuses.items()}) == overall


def test_a_disk_that_fills_warns_and_then_fails(tmp_path):
    assert "GiB free" in Disk(tmp_path).run()
    with pytest.raises(CheckWarned):
        Disk(tmp_path, warn_bytes=2**60).run()
    with pytest.raises(CheckFailed):
        Disk(tmp_path, fail_bytes=2**60).run()


@pytest.mark.parametrize(
    ("span", "words"), [(timedelta(seconds=5), "5 seconds"), (timedelta(hours=1), "1 hour"), (timedelta(days=3), "3 days")]
)
def test_a_span_is_said_by_its_largest_unit(span, words):
    assert checks.said(span) == words
