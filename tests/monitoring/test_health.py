"""Health, as a probe, an operator and the command see it."""

import threading
import time
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.utils import timezone

from monitoring import checks
from monitoring.checks import CheckFailed, CheckWarned, Disk, Finding, Runner
from projects.store.connection import get_store
from schema_registry.models import Snapshot

NOBODY = "http://127.0.0.1:9"  # the discard port: nothing listens there


@pytest.fixture(autouse=True)
def mock_ontology(settings):
    settings.USE_MOCK_ONTO_SERVER = True


@dataclass(frozen=True)
class Says:
    found: str | Exception

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


def test_the_checks_are_run_once_for_many_questions(db):
    runner, runs = Runner(), []

    class Counted:
        def run(self) -> str:
            runs.append(1)
            return "fine"

    for _ in range(5):
        runner.findings({"counted": Counted()})
    assert len(runs) == 1


def test_a_check_that_hangs_is_given_up_and_not_started_again(db):
    runner, free, starts = Runner(timeout=0.2, kept=0), threading.Event(), []

    class Hanging:
        def run(self) -> str:
            starts.append(1)
            free.wait(10)
            return "at last"

    assert runner.findings({"slow": Hanging(), "quick": Says("fine")})["quick"].status == "healthy"
    again = runner.findings({"slow": Hanging()})["slow"]
    assert again.status == "unhealthy" and "no answer" in again.detail
    assert len(starts) == 1
    free.set()
    for _ in range(100):
        if runner.findings({"slow": Hanging()})["slow"].detail == "at last":
            break
        time.sleep(0.05)
    assert runner.findings({"slow": Hanging()})["slow"].status == "healthy"


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
