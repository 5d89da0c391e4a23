"""What Prometheus reads of the tables. The store counts plainly, knowing nothing of metrics; this reads it when it is asked."""

from collections.abc import Iterator

from django.db.models import Max
from django.utils import timezone
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from projects.store.connection import get_store
from schema_registry.errors import SpawnError
from schema_registry.models import Snapshot

# The store's counters, and what each says.
COUNTERS = {
    "rows_written": "Rows created, changed or deleted one by one.",
    "rows_read": "Rows handed out.",
    "groups": "Group commits of single-row writes.",
    "group_rows": "Writes that were committed in groups.",
    "failed_groups": "Groups that were rolled back and written again in parts.",
    "commit_seconds": "Seconds spent in commits.",
    "loads": "Bulk loads.",
    "load_rows": "Rows of bulk loads.",
    "queries": "Queries that people wrote.",
}


class StoreCollector(Collector):
    """The store's numbers, under `duckspawn_`."""

    def describe(self) -> list[Metric]:
        """Nothing, so that registering this opens no file."""
        return []

    def collect(self) -> Iterator[Metric]:
        store = get_store()
        for name, words in COUNTERS.items():
            yield CounterMetricFamily(f"duckspawn_{name}", words, value=getattr(store.stats, name))
        yield GaugeMetricFamily("duckspawn_queue_length", "Single-row writes that wait for the writer.", value=store.stats.queue_length)
        try:
            yield GaugeMetricFamily("duckspawn_tables", "Live tables.", value=len(store.tables()))
        except SpawnError:
            yield GaugeMetricFamily("duckspawn_tables", "Live tables.")  # No value: the store is not open, and health says why.
        yield _snapshot_age()


def _snapshot_age() -> GaugeMetricFamily:
    family = GaugeMetricFamily("duckspawn_snapshot_age_seconds", "Seconds since a source last confirmed a schema.")
    newest = Snapshot.objects.aggregate(seen=Max("last_seen_at"))["seen"]
    if newest is not None:
        family.add_metric([], (timezone.now() - newest).total_seconds())
    return family
