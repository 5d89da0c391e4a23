"""What Prometheus reads of us, all of it named `duckspawn_`. The store counts plainly, and knows nothing of metrics; this reads it.

What is read here costs nothing; what is dear is found in the background (figures.py). No row of a table is counted.
"""

import threading
from collections.abc import Iterator

from django.conf import settings
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from monitoring import checks, figures
from monitoring.figures import figure
from projects import jobs, slots
from projects.store.connection import Store, get_store
from projects.store.stats import Distribution

# The store's counters, the name of each, and what it says.
COUNTERS = {
    "rows_written": ("rows_written", "Rows created, changed or deleted, but for those of loads."),
    "rows_read": ("rows_read", "Rows handed out."),
    "loads": ("loads", "Bulk loads."),
    "load_rows": ("rows_loaded", "Rows of bulk loads."),
    "queries": ("queries", "Queries that people wrote."),
    "failed_groups": ("write_groups_failed", "Groups of writes that were rolled back and written again in parts."),
    "checkpoints": ("checkpoints", "Times that the write-ahead log was folded into the file."),
    "checkpoint_seconds": ("checkpoint_seconds", "Seconds spent folding the write-ahead log in."),
}
# The store's distributions.
DISTRIBUTIONS = {
    "group_sizes": ("write_group_size", "Single-row writes in one group, which is one commit."),
    "group_seconds": ("write_group_duration_seconds", "Seconds that a group of writes took, its commit included."),
    "wait_seconds": ("write_queue_wait_seconds", "Seconds that a write waited until its group began."),
    "commit_seconds": ("commit_duration_seconds", "Seconds of a commit alone, of writes, loads and plans."),
}
ENDS = ("done", "failed", "cancelled")


class ServiceCollector(Collector):
    """Everything of ours but the requests (traffic.py)."""

    def describe(self) -> list[Metric]:
        """Nothing, so that registering this asks nobody."""
        return []

    def collect(self) -> Iterator[Metric]:
        store = get_store()
        yield from _counted(store)
        yield from _at_work(store)
        yield from _health()
        yield from figures.families()


def _counted(store: Store) -> Iterator[Metric]:
    for field, (name, words) in COUNTERS.items():
        yield CounterMetricFamily(f"duckspawn_{name}", words, value=getattr(store.stats, field))
    for field, (name, words) in DISTRIBUTIONS.items():
        yield _histogram(f"duckspawn_{name}", words, getattr(store.stats, field))
    yield figure("checkpoint_last_timestamp_seconds", "When the write-ahead log was last folded in.", store.stats.checkpointed_at)
    ended = CounterMetricFamily("duckspawn_jobs_ended", "Jobs that ended, by kind and how.", labels=["kind", "state"])
    for kind in jobs.KINDS:
        for state in ENDS:
            ended.add_metric([kind, state], jobs.ended[kind, state])
    yield ended


def _histogram(name: str, words: str, found: Distribution) -> HistogramMetricFamily:
    reached, total = found.reached(), found.total
    bounds = [*map(floatToGoString, found.bounds), "+Inf"]
    return HistogramMetricFamily(name, words, buckets=list(zip(bounds, reached, strict=True)), sum_value=total)


def _at_work(store: Store) -> Iterator[Metric]:
    yield figure("write_queue_length", "Writes that wait for their group to begin.", store.writer.waiting)
    yield figure("streams", "Streams, exports and uploads under way.", slots.taken())
    yield figure("streams_limit", "Streams, exports and uploads that there may be at once.", slots.most())
    yield figure("request_threads", "Threads that serve requests.", settings.THREADS)
    yield figure("threads", "Threads of this process that Python knows.", threading.active_count())
    yield figure("store_open", "1 where this process has the DuckDB file open, else 0.", store.is_open)


def _health() -> Iterator[Metric]:
    found = checks.findings(checks.BRIEF)
    status = GaugeMetricFamily("duckspawn_health_check", "1 for what each check found last.", labels=["check", "status"])
    seconds = GaugeMetricFamily("duckspawn_health_check_duration_seconds", "Seconds that each check took.", labels=["check"])
    for name, finding in found.items():
        for one in (checks.HEALTHY, checks.DEGRADED, checks.UNHEALTHY):
            status.add_metric([name, one], finding.status == one)
        seconds.add_metric([name], finding.seconds)
    yield status
    yield seconds
