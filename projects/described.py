"""What people see of a table: its size, its source, its columns, whether it is in step with the ontology."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from projects.models import ManagedTable
from projects.store import tables
from projects.store.books import LiveTable
from projects.store.connection import Store
from schema_registry import snapshots
from schema_registry.diff import diff
from schema_registry.models import Snapshot
from schema_registry.schema import ColumnSchema


def summaries(store: Store, live: Sequence[LiveTable]) -> list[dict[str, Any]]:
    """The tables as a list shows them, with the drift that was known when each schema was last fetched."""
    latest = _last_said(*live)
    records = {record.name.casefold(): record for record in ManagedTable.objects.all()}
    return [_summary(store, t, latest.get(t.name.casefold()), records.get(t.name.casefold())) for t in live]


def _last_said(*live: LiveTable) -> dict[str, Snapshot]:
    """What each table's source said when it was last asked, by the table's key; a schema that a person sent is not its source's."""
    of_sources = Snapshot.objects.filter(table_key__in=[table.name.casefold() for table in live]).exclude(provenance=snapshots.REQUEST)
    last = dict(of_sources.order_by("last_seen_at", "number").values_list("table_key", "id"))
    return {snapshot.table_key: snapshot for snapshot in Snapshot.objects.filter(id__in=last.values())}


def _summary(store: Store, table: LiveTable, latest: Snapshot | None, record: ManagedTable | None) -> dict[str, Any]:
    size = tables.size(store, table.name)
    return {
        "name": table.name,
        "description": table.schema.description,
        "rows": size.rows,
        "bytes": size.bytes,
        "version": table.version,
        "source": {"document": table.schema.document_id, "provenance": table.provenance},
        "drift": drift(table, latest),
        "columns": len(table.schema.columns),
        "primary_key": list(table.schema.primary_key),
        "pinned": bool(record and record.pinned),
        "read_only": bool(record and record.read_only),
        "changed_at": table.changed_at,
    }


def drift(table: LiveTable, latest: Snapshot | None) -> dict[str, Any]:
    """Whether the live schema is what its source said last, the changes between them, and when the source was last asked."""
    if latest is None:
        return {"state": "unknown", "checked_at": None, "changes": []}
    changes = [] if latest.fingerprint == table.schema.fingerprint else diff(table.schema, latest.as_schema())
    state = "behind" if changes else "in step"
    return {"state": state, "checked_at": latest.last_seen_at, "changes": [change.sentence for change in changes]}


def detail(store: Store, table: LiveTable) -> dict[str, Any]:
    """One table's own page: the summary, each column, and the references that do not hold, counted now."""
    record = ManagedTable.objects.filter(name__iexact=table.name).first()
    broken = {d.column: d.rows for d in tables.dangling(store, table.schema)}
    return _summary(store, table, _last_said(table).get(table.name.casefold()), record) | {
        "columns": [column(table, c) for c in table.schema.columns],
        "unique": [list(names) for names in table.schema.unique],
        "fingerprint": table.schema.fingerprint,
        "notes": list(table.schema.notes),
        "references": [
            {"column": c.name, "references": c.references, "rows_without": broken.get(c.name, 0)}
            for c in table.schema.columns
            if c.references
        ],
    }


def column(table: LiveTable, column: ColumnSchema) -> dict[str, Any]:
    """One column with its type, its meaning and what constrains it; literals are cells."""
    return asdict(column) | {"type": column.sql_type, "key": column.name in table.schema.primary_key}
