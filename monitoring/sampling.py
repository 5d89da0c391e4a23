"""A sample of how the service does, every SAMPLE_EVERY seconds: each for a day, then one for each hour, for a month."""

import logging
import threading
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby

from django.conf import settings
from django.db import connections, transaction
from django.utils import timezone

from monitoring import checks, system, traffic
from monitoring.models import Sample
from projects.store import tables
from projects.store.connection import Store, get_store

log = logging.getLogger(__name__)

FINE = timedelta(days=1)  # how long each sample is kept
KEPT = timedelta(days=30)  # how long that of an hour is
START = 2.0  # seconds that the owner is given to open the file before the first sample
STOPPING = 5.0  # seconds that a stop waits for a sample under way

COUNTED = ("requests", "refused", "errors", "rows_written", "rows_loaded", "commits", "commit_seconds")
SUMMED = ("seconds", *COUNTED, "source_asked", "source_answered", "source_seconds")
LEVELS = ("tables", "rows", "file_bytes", "wal_bytes", "memory_bytes")

# Taking.


class Meter:
    """Counts from one sample to the next; what it reads are counters that only grow while the process lives."""

    def __init__(self) -> None:
        self._before, self._since = dict.fromkeys(COUNTED, 0.0), timezone.now()

    def take(self, store: Store) -> Sample:
        """A new sample, kept; what DuckDB would say is left out while its file is not open."""
        now, counts = timezone.now(), _counts(store)
        counted = {name: max(counts[name] - self._before[name], 0) for name in COUNTED}
        seconds = (now - self._since).total_seconds()
        self._before, self._since = counts, now
        return Sample.objects.create(at=now, seconds=seconds, **counted, **_levels(store), **_findings())


def _counts(store: Store) -> dict[str, float]:
    stats, answers = store.stats, traffic.answers()
    return {
        "requests": sum(answers.values()),
        "refused": sum(count for status, count in answers.items() if 400 <= status < 500),
        "errors": sum(count for status, count in answers.items() if status >= 500),
        "rows_written": stats.rows_written,
        "rows_loaded": stats.load_rows,
        "commits": stats.group_seconds.count,
        "commit_seconds": stats.group_seconds.total,
    }


def _levels(store: Store) -> dict[str, int]:
    if not store.is_open:
        return {}
    found, rows = system.duckdb(), tables.estimated_rows(store)
    return {"tables": len(rows), "rows": sum(rows.values())} | {name: found[name] for name in ("file_bytes", "wal_bytes", "memory_bytes")}


def _findings() -> dict[str, object]:
    """What the checks found; the ontology server is asked by one of them, the sample ontology inside is not."""
    found = checks.findings()
    source, troubles = found["onto_server"], {name: one.detail for name, one in found.items() if one.status != checks.HEALTHY}
    asked = 0 if settings.USE_MOCK_ONTO_SERVER else 1
    answered = asked if source.status == checks.HEALTHY else 0
    return {"source_asked": asked, "source_answered": answered, "source_seconds": source.seconds * answered, "troubles": troubles}


# Keeping few.


def thin(now: datetime) -> None:
    """Puts one sample for each hour that is a day old in the place of its samples, and drops those that are a month old."""
    Sample.objects.filter(hourly=True, at__lt=now - KEPT).delete()
    until = (now - FINE).replace(minute=0, second=0, microsecond=0)
    old = Sample.objects.filter(hourly=False, at__lt=until).order_by("at")
    for hour, found in groupby(old, key=lambda sample: sample.at.replace(minute=0, second=0, microsecond=0)):
        _replace(hour, list(found))


def _replace(hour: datetime, found: Sequence[Sample]) -> None:
    """One hour in one short transaction, so that no request waits for long."""
    sums = {name: sum(getattr(sample, name) for sample in found) for name in SUMMED}
    highest = {name: _highest(getattr(sample, name) for sample in found) for name in LEVELS}
    with transaction.atomic():
        Sample.objects.create(at=hour + timedelta(hours=1), hourly=True, **sums, **highest)
        Sample.objects.filter(pk__in=[sample.pk for sample in found]).delete()


def _highest(values: Iterable[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)


# The loop.


class Sampler:
    """The thread that takes samples; the first soon after the start, for the first page is looked at then."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._meter = Meter()
        self._thread = threading.Thread(target=self._run, name="duckspawn-samples", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(timeout=STOPPING)

    def _run(self) -> None:
        wait = START
        try:
            while not self._ended.wait(wait):
                self._once()
                wait = settings.SAMPLE_EVERY
        finally:
            connections.close_all()

    def _once(self) -> None:
        try:
            self._meter.take(get_store())
            thin(timezone.now())
        except Exception as error:  # noqa: BLE001 - the loop survives anything; a sample that is missing is a gap in a chart
            log.warning("no sample was taken: %s", error)


_sampler: Sampler | None = None


def start_sampler() -> None:
    """Begins to take samples, where SAMPLE_EVERY says so; gunicorn calls it after the fork."""
    global _sampler  # noqa: PLW0603 - one process, one sampler
    if _sampler is None and settings.SAMPLE_EVERY:
        _sampler = Sampler()
        _sampler.start()


def stop_sampler() -> None:
    """Ends what `start_sampler` began."""
    global _sampler  # noqa: PLW0603
    if _sampler is not None:
        _sampler.stop()
        _sampler = None
