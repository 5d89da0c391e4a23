"""Numbers for operators and for Prometheus."""

import re
import threading
import time
from datetime import timedelta

import pytest
from django.utils import timezone
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from monitoring import figures, traffic
from projects import audit, jobs, rows, slots
from projects.store import checkpoints
from projects.store.connection import get_store
from schema_registry.models import Snapshot
from tests.projects.conftest import WIND_FARM, projects, store  # noqa: F401 - Fixtures.
from tests.schema_registry.test_audit import tamper

# Prometheus' own conventions (prometheus.io/docs/practices/naming): base units, and none of their multiples or mixtures.
OTHER_UNITS = re.compile(r"_(ms|milliseconds|minutes|hours|days|kb|mb|gb|kilobytes|megabytes|percent)(_|$)")
UNITLESS = {"write_group_size", "health_check", "info", "store_open", "audit_chain_whole"}


def scrape(client) -> dict[str, Metric]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return {family.name: family for family in text_string_to_metric_families(answer.content.decode())}


def value(families: dict[str, Metric], name: str, suffix: str = "", **labels: str) -> float:
    [found] = [
        s.value for s in families[f"duckspawn_{name}"].samples if s.labels == labels and s.name.removeprefix(f"duckspawn_{name}") == suffix
    ]
    return found


@pytest.mark.django_db(transaction=True)
def test_what_was_done_is_counted(editor_client, operator_client, projects):  # noqa: F811
    route = {"method": "POST", "route": "/ops/<str:table>"}
    earlier = traffic.answers().get(201, 0)
    for name in ("a", "b"):
        assert (
            editor_client.post(
                "/ops/projects", {k: str(v) for k, v in WIND_FARM.items()} | {"project_name": name}, format="json"
            ).status_code
            == 201
        )
    editor_client.get("/ops/projects")
    editor_client.get("/ops/projects/none")
    jobs.run(projects, jobs.leave("verify_audit", {}))
    queued = jobs.leave("sync", {})
    seen = timezone.now() - timedelta(hours=3)
    Snapshot.objects.create(table_name="t", table_key="t", number=1, schema={}, provenance="live", fetched_at=seen, last_seen_at=seen)
    audit.record("a", "b", actor="ada")
    found = scrape(operator_client)
    assert traffic.answers()[201] == earlier + 2  # Those of the tests before are counted too.
    assert value(found, "http_requests", "_total", **route, status="201") >= 2
    assert value(found, "http_request_duration_seconds", "_count", **route) >= 2
    assert (value(found, "rows_written", "_total"), value(found, "rows_read", "_total")) == (2, 2)
    assert value(found, "write_group_size", "_sum") >= 2
    assert value(found, "write_queue_wait_seconds", "_count") >= 2
    assert value(found, "commit_duration_seconds", "_bucket", le="+Inf") >= 2
    assert value(found, "tables", provenance="mock") == 3
    assert value(found, "table_drift", state="unknown") == 3
    assert value(found, "jobs", kind="sync", state="queued") == 1
    assert value(found, "job_queued_oldest_timestamp_seconds") == pytest.approx(queued.created_at.timestamp())
    assert value(found, "jobs_ended", "_total", kind="verify_audit", state="done") >= 1
    assert value(found, "health_check", check="duckdb", status="healthy") == 1
    assert value(found, "duckdb_file_bytes") > 0
    assert value(found, "duckdb_memory_limit_bytes") > value(found, "duckdb_memory_bytes") >= 0
    assert value(found, "schema_confirmed_timestamp_seconds") == seen.timestamp()
    assert value(found, "audit_chain_whole") == 1
    assert value(found, "audit_entries") == value(found, "audit_verified_entries") > 0
    assert value(found, "streams_limit") == slots.most()


@pytest.mark.django_db(transaction=True)
def test_every_name_of_ours_keeps_prometheus_conventions(operator_client, projects):  # noqa: F811
    ours = {name.removeprefix("duckspawn_"): family for name, family in scrape(operator_client).items() if name.startswith("duckspawn_")}
    assert len(ours) > 40
    for name, family in ours.items():
        assert re.fullmatch(r"[a-z][a-z_]*[a-z]", name)
        assert family.documentation.endswith(".")
        assert not OTHER_UNITS.search(name), name
        assert not (family.type != "counter" and name.endswith("_total")), name
        if family.type == "histogram":
            assert name.endswith("_seconds") or name in UNITLESS


def test_metrics_are_read_though_the_store_is_closed(operator_client):
    get_store().close()
    found = scrape(operator_client)
    assert value(found, "queries", "_total") == 0
    assert value(found, "health_check", check="duckdb", status="unhealthy") == 1
    assert value(found, "disk_free_bytes") > 0


def test_a_scrape_waits_for_no_part_that_hangs_and_starts_it_once(operator_client, monkeypatch):
    free, looks = threading.Event(), []

    def hanging(store):  # noqa: F811
        looks.append(1)
        free.wait()
        yield from ()

    monkeypatch.setattr(figures, "PATIENCE", 0.01)
    monkeypatch.setitem(figures._kept, "drift", figures._part("drift", hanging, 0))
    for _ in range(3):
        assert 'duckspawn_figures_timestamp_seconds{part="drift"}' not in operator_client.get("/metrics").content.decode()
    assert len(looks) == 1
    free.set()


@pytest.mark.django_db(transaction=True)
def test_a_chain_that_was_broken_shows(operator_client, projects):  # noqa: F811
    audit.record("a", "b", actor="ada")
    tamper("actor = 'eve' WHERE seq = 1")
    assert value(scrape(operator_client), "audit_chain_whole") == 0


def test_a_checkpoint_is_counted_with_its_time(operator_client, projects, monkeypatch):  # noqa: F811
    rows.create(projects, "projects", {name: str(one) for name, one in WIND_FARM.items()}, actor="ada")
    monkeypatch.setattr(checkpoints, "FROM", 1)
    assert checkpoints.fold(projects)
    found = scrape(operator_client)
    assert value(found, "checkpoints", "_total") == 1
    assert value(found, "checkpoint_seconds", "_total") > 0
    assert value(found, "checkpoint_last_timestamp_seconds") == pytest.approx(time.time(), abs=300)


def test_what_nobody_has_an_address_for_is_one_series(client, operator_client):
    for n in range(50):
        client.generic(f"METHOD{n}", f"/nowhere/{n}")
    routes = {(s.labels["method"], s.labels["route"]) for s in scrape(operator_client)["duckspawn_http_requests"].samples}
    assert ("other", "none") in routes
    assert not any("nowhere" in route or method.startswith("METHOD") for method, route in routes)


def test_prometheus_own_accept_header_is_understood(operator_client):
    accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"
    answer = operator_client.get("/metrics", headers={"Accept": accept})
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.content.endswith(b"# EOF\n")
    assert b"django_http_requests_before_middlewares" in answer.content


def test_the_system_metrics_name_what_is_used(operator_client):
    found = operator_client.get("/monitoring/metrics/system").json()
    assert set(found) == {"cpu", "memory", "disk", "process", "duckdb"}
    assert found["process"]["rss_bytes"] > 0 and found["process"]["threads"] > 0
    assert found["duckdb"]["file_bytes"] > 0 and found["duckdb"]["version"].startswith("v")


def test_numbers_are_for_operators(viewer_client, anonymous_client):
    for path in ("/metrics", "/monitoring/metrics/system", "/admin/logging/level"):
        assert viewer_client.get(path).status_code == 403
        assert anonymous_client.get(path).status_code == 401
