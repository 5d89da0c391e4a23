"""The compatibility that a table was promised: a schema that breaks it is kept, and not applied."""

from projects.errors import SchemaIncompatible
from projects.models import ManagedTable
from projects.store.books import LiveTable
from schema_registry import snapshots
from schema_registry.compatibility import broken
from schema_registry.models import Snapshot
from schema_registry.schema import TableSchema


def check_kept(live: LiveTable, wanted: TableSchema) -> None:
    """Raises SchemaIncompatible, with every rule that is broken, where the table's mode does not allow the schema."""
    record = ManagedTable.objects.filter(name__iexact=live.name).first()
    breaches = broken(record.compatibility, _earlier(live), wanted) if record else []
    if record and breaches:
        reason = " ".join(breach.detail for breach in breaches)
        raise SchemaIncompatible(table=live.name, mode=record.compatibility, reason=reason)


def _earlier(live: LiveTable) -> list[TableSchema]:
    """The table's versions up to its own, the last first."""
    known = Snapshot.objects.filter(table_key=live.name.casefold(), number__lt=live.version).exclude(provenance=snapshots.MOCK)
    return [live.schema, *(snapshot.as_schema() for snapshot in known.order_by("-number"))]
