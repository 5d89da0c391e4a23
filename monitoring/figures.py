"""Figures that are dear to find, for Prometheus: each part in a thread of its own, and kept, so that a scrape costs and waits little.

A part that fails leaves its figures out, and says so in the log; `duckspawn_figures_timestamp_seconds` tells how old each part is.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import DatabaseError
from django.db.models import Count, Max, Min
from prometheus_client.core import GaugeMetricFamily, Metric

from monitoring import system
from monitoring.kept import Kept
from projects import audit, drift, jobs
from projects.models import Job, Notice, Owner, Plan
from projects.plans import OPEN
from projects.store.connection import Store, get_store
from schema_registry.errors import SpawnError
from schema_registry.models import AuditEntry, Snapshot

log = logging.getLogger(__name__)

PATIENCE = 2.0  # seconds that a scrape waits for all parts; Prometheus gives it ten
PROVENANCES = ("live", "cached", "mock", "request")
DRIFTS = ("in step", "behind", "orphaned", "altered", "missing", "unknown")


def figure(name: str, words: str, value: float | datetime | None) -> GaugeMetricFamily:
    """One number or moment; a family without a sample where there is none."""
    family = GaugeMetricFamily(f"duckspawn_{name}", words)
    if value is not None:
        family.add_metric([], value.timestamp() if isinstance(value, datetime) else value)
    return family


# The parts.


def _file(store: Store) -> Iterator[Metric]:
    """The DuckDB file and its folders; DuckDB itself is asked only where the file is open already."""
    disk = system.disk()
    yield figure("disk_free_bytes", "Free bytes of the disk that has the DuckDB file.", disk["free_bytes"])
    yield figure("disk_size_bytes", "Bytes of the disk that has the DuckDB file.", disk["total_bytes"])
    yield figure("spool_bytes", "Bytes of uploads, results and other work files.", system.folder_size(store.spool))
    yield figure("archive_bytes", "Bytes of what changes of schemas took away.", system.folder_size(store.archive))
    if not store.is_open:
        return
    found = system.duckdb()
    yield figure("duckdb_memory_bytes", "Bytes of memory that DuckDB holds.", found["memory_bytes"])
    yield figure("duckdb_memory_limit_bytes", "Bytes of memory that DuckDB may hold.", found["memory_limit_bytes"])
    yield figure("duckdb_spilled_bytes", "Bytes that DuckDB put on disk for want of memory.", found["spilled_bytes"])
    yield figure("duckdb_file_bytes", "Bytes of the DuckDB file.", found["file_bytes"])
    yield figure("duckdb_wal_bytes", "Bytes of the write-ahead log beside it.", found["wal_bytes"])
    info = GaugeMetricFamily("duckspawn_info", "1, with the versions of DuckDB Spawn and DuckDB.", labels=["version", "duckdb_version"])
    info.add_metric([str(settings.SPECTACULAR_SETTINGS["VERSION"]), found["version"]], 1)
    yield info


def _books(store: Store) -> Iterator[Metric]:
    """What Django's database has: jobs, plans, notices, snapshots, the heartbeat."""
    queued = Job.objects.filter(state=Job.State.QUEUED)
    begun = Job.objects.filter(id__in=jobs.running())
    waiting = GaugeMetricFamily("duckspawn_jobs", "Jobs that have not ended.", labels=["kind", "state"])
    for state, found in (("queued", queued), ("running", begun)):
        counts = Counter(dict(found.order_by().values_list("kind").annotate(count=Count("id"))))
        for kind in dict.fromkeys((*jobs.KINDS, *counts)):
            waiting.add_metric([kind, state], counts[kind])
    yield waiting
    oldest, longest = queued.aggregate(at=Min("created_at"))["at"], begun.aggregate(at=Min("started_at"))["at"]
    yield figure("job_queued_oldest_timestamp_seconds", "When the oldest job that waits was left.", oldest)
    yield figure("job_running_oldest_timestamp_seconds", "When the job that has run longest began.", longest)
    yield figure("plans_waiting", "Plans that wait for a person or to be applied.", Plan.objects.filter(state__in=OPEN).count())
    yield figure("notices_waiting", "Notices that nobody has taken yet.", Notice.objects.filter(sent_at=None).count())
    seen = Snapshot.objects.aggregate(seen=Max("last_seen_at"))["seen"]
    yield figure("schema_confirmed_timestamp_seconds", "When a source last confirmed a schema.", seen)
    # The entry that each backup leaves (projects/backups.py), so that what another process made counts too.
    backup = AuditEntry.objects.filter(action="backup.make").order_by("-seq").values_list("at", flat=True).first()
    yield figure("backup_last_timestamp_seconds", "When the last backup was made.", backup)
    beat = Owner.objects.aggregate(at=Max("beat_at"))["at"]
    yield figure("owner_beat_timestamp_seconds", "When the owner of the file last said that it is there.", beat)


def _drift(store: Store) -> Iterator[Metric]:
    """The tables by where their schemas came from, and by how they agree with them."""
    if not store.is_open:
        return
    live = store.tables()
    sources = Counter(table.provenance for table in live)
    yield _by("tables", "Live tables, by where the schema that each has came from.", "provenance", PROVENANCES, sources)
    states = Counter(one.state for one in drift.look(store, live).values())
    yield _by("table_drift", "Live tables, by how they agree with the ontology and their books.", "state", DRIFTS, states)


def _by(name: str, words: str, label: str, known: tuple[str, ...], counts: Counter[str]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"duckspawn_{name}", words, labels=[label])
    for value in dict.fromkeys((*known, *counts)):
        family.add_metric([value], counts[value])
    return family


def _audit(store: Store) -> Iterator[Metric]:
    """The audit log's chain, as far as it was verified; DuckDB's file, which has its witness, is not opened for it."""
    if not store.is_open:
        return
    found = audit.standing()
    yield figure(
        "audit_chain_whole", "1 where the audit log's chain is whole as far as it was verified, 0 where it is broken.", found.verdict.ok
    )
    yield figure("audit_entries", "Entries of the audit log.", found.last)
    yield figure("audit_verified_entries", "Entries of the audit log that were verified.", found.verdict.entries)


# Keeping.


@dataclass(frozen=True, slots=True)
class Found:
    """The families of a part, and when they were found (seconds since 1970, UTC)."""

    families: list[Metric]
    at: float


def _part(name: str, find: Callable[[Store], Iterator[Metric]], kept: float) -> Kept[Found | None]:
    def look() -> Found | None:
        try:
            return Found(list(find(get_store())), time.time())
        except (SpawnError, DatabaseError, OSError) as error:
            log.warning("the figures of the part %s were not found: %s", name, error)
            return None

    return Kept(f"figures {name}", look, kept=kept)


def _parts() -> dict[str, Kept[Found | None]]:
    """The parts, with the seconds that each is kept: what a look costs does not depend on how often somebody scrapes."""
    return {
        "file": _part("file", _file, 10),
        "books": _part("books", _books, 10),
        "drift": _part("drift", _drift, 60),
        "audit": _part("audit", _audit, 300),
    }


_kept = _parts()


def families() -> Iterator[Metric]:
    """Every part's, as it was found last."""
    began = [part for part in _kept.values() if part.begin()]
    until = time.monotonic() + PATIENCE
    for part in began:
        part.wait(until - time.monotonic())
    ages = GaugeMetricFamily("duckspawn_figures_timestamp_seconds", "When the figures of each part were found.", labels=["part"])
    for name, part in _kept.items():
        if found := part.value:
            ages.add_metric([name], found.at)
            yield from found.families
    yield ages


def forget() -> None:
    """Has everything found anew, as a test's end does."""
    _kept.update(_parts())
