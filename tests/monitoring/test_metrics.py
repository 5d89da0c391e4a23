"""Numbers for operators and for Prometheus."""

from prometheus_client.parser import text_string_to_metric_families

from projects.store.connection import get_store


def test_prometheus_reads_the_stores_counters(operator_client):
    get_store().stats.rows_written = 41
    answer = operator_client.get("/metrics")
    families = {family.name: family for family in text_string_to_metric_families(answer.content.decode())}
    assert families["duckspawn_rows_written"].samples[0].value == 41
    assert families["duckspawn_rows_written"].documentation.startswith("Rows created")
    assert families["duckspawn_tables"].samples[0].value == 0
    assert families["duckspawn_snapshot_age_seconds"].samples == []
    assert "django_http_requests_before_middlewares" in families


def test_prometheus_own_accept_header_is_understood(operator_client):
    accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"
    answer = operator_client.get("/metrics", headers={"Accept": accept})
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.content.endswith(b"# EOF\n")


def test_metrics_are_read_though_the_store_is_closed(operator_client):
    get_store().close()
    assert b"duckspawn_queries_total 0" in operator_client.get("/metrics").content


def test_the_system_metrics_name_what_is_used(operator_client):
    found = operator_client.get("/monitoring/metrics/system").json()
    assert set(found) == {"cpu", "memory", "disk", "process", "duckdb"}
    assert found["process"]["rss_bytes"] > 0 and found["process"]["threads"] > 0
    assert found["duckdb"]["file_bytes"] > 0 and found["duckdb"]["version"].startswith("v")


def test_numbers_are_for_operators(viewer_client, anonymous_client):
    for path in ("/metrics", "/monitoring/metrics/system", "/admin/logging/level"):
        assert viewer_client.get(path).status_code == 403
        assert anonymous_client.get(path).status_code == 401
