from datetime import UTC, datetime, timedelta

import pytest

from monitoring import sampling
from monitoring.models import Sample
from monitoring.sampling import Meter, Sampler
from projects import rows
from projects.store.connection import get_store
from tests.projects.conftest import WIND_FARM, projects, store  # noqa: F401 - Fixtures.

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def sample_ontology(settings) -> None:
    settings.USE_MOCK_ONTO_SERVER = True


def test_a_sample_has_what_was_counted_since_the_one_before(client, projects):  # noqa: F811
    meter = Meter()
    meter.take(projects)
    rows.create(projects, "projects", {name: str(value) for name, value in WIND_FARM.items()}, actor="ada")
    client.get("/monitoring/live")
    client.get("/no/such/page")
    sample = meter.take(projects)
    assert (sample.requests, sample.refused, sample.errors) == (2, 1, 0)
    assert (sample.rows_written, sample.commits, sample.tables, sample.rows) == (1, 1, 3, 1)
    assert sample.commit_seconds > 0
    assert sample.file_bytes > 0
    assert sample.memory_bytes > 0
    assert meter.take(projects).requests == 0


def test_a_sample_is_taken_where_duckdb_cannot_be_read(settings):
    settings.DUCKDB_PATH.write_bytes(b"this is no DuckDB file" * 100)
    sample = Meter().take(get_store())
    assert sample.file_bytes is None
    assert "duckdb" in sample.troubles


def test_a_sample_says_that_the_ontology_server_is_silent(settings, projects):  # noqa: F811
    settings.USE_MOCK_ONTO_SERVER, settings.ONTO_SERVER_URL = False, "http://127.0.0.1:9"
    sample = Meter().take(projects)
    assert (sample.source_asked, sample.source_answered) == (1, 0)
    assert "http://127.0.0.1:9 is not well" in sample.troubles["onto_server"]


def test_a_day_keeps_every_sample_and_a_month_one_for_each_hour():
    step = timedelta(minutes=10)
    Sample.objects.bulk_create(
        Sample(at=NOON - n * step, seconds=600, requests=1, file_bytes=n if n % 2 else None) for n in range(6 * 24 * 40)
    )
    sampling.thin(NOON)
    sampling.thin(NOON)  # A second time does nothing.
    fine, hourly = Sample.objects.filter(hourly=False), Sample.objects.filter(hourly=True)
    assert fine.count() == 6 * 24 + 4
    assert hourly.count() == 29 * 24
    one = hourly.get(at=NOON.replace(day=22, hour=12, minute=0))
    assert (one.seconds, one.requests) == (3600, 6)
    assert one.file_bytes == max(n for n in range(6 * 24 * 40) if n % 2 and NOON - n * step >= one.at - timedelta(hours=1))
    assert hourly.earliest("at").at >= NOON - timedelta(days=30)


@pytest.mark.django_db(transaction=True)
def test_the_sampler_takes_samples_until_it_is_stopped(monkeypatch, settings, projects):  # noqa: F811
    monkeypatch.setattr(sampling, "START", 0.0)
    settings.SAMPLE_EVERY = 0.01
    sampler = Sampler()
    sampler.start()
    while Sample.objects.count() < 3:
        pass
    sampler.stop()
    count = Sample.objects.count()
    assert not sampler._thread.is_alive()
    assert Sample.objects.count() == count


def test_no_samples_are_taken_where_nobody_wants_them(settings):
    settings.SAMPLE_EVERY = 0
    sampling.start_sampler()
    assert sampling._sampler is None
