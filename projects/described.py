"""What people see of a table: its size, its source, its columns, whether it is in step with the ontology."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from projects import drift
from projects.drift import Drift
from projects.errors import SchemaMoved, TableAltered, TableNotFound
from projects.models import ManagedTable
from projects.store import tables
from projects.store.books import LiveTable
from projects.store.connection import Store
from projects.store.errors import fitting
from projects.store.retries import steadily
from projects.store.tables import Size
from schema_registry.schema import ColumnSchema


def summaries(store: Store, live: Sequence[LiveTable], drifts: Mapping[str, Drift] | None = None) -> list[dict[str, Any]]:
    """The tables as a list shows them, with the drift from the file as it is now, and from what the ontology said last.

    One that was dropped meanwhile is left out; one that was dropped by hand has no size. `drifts` is what was seen a moment ago.
    """
    drifts = drift.look(store, live) if drifts is None else drifts
    records = {record.name.casefold(): record for record in ManagedTable.objects.all()}
    return [
        _summary(now, size, drifts[table.name.casefold()], records.get(table.name.casefold()))
        for table in live
        if table.name.casefold() in drifts
        for now, size in _measured(store, table)
    ]


def _measured(store: Store, table: LiveTable) -> Iterator[tuple[LiveTable, Size | None]]:
    try:
        yield steadily(store, table.name, lambda live: (live, _size(store, live)))
    except TableAltered:
        yield table, None
    except TableNotFound:
        return


def _size(store: Store, table: LiveTable) -> Size:
    with fitting(table.name):
        return tables.size(store, table.name)


def _summary(table: LiveTable, size: Size | None, drifted: Drift, record: ManagedTable | None) -> dict[str, Any]:
    return {
        "name": table.name,
        "description": table.schema.description,
        "rows": size and size.rows,
        "bytes": size and size.bytes,
        "version": table.version,
        "source": {"document": table.schema.document_id, "provenance": table.provenance},
        "drift": drifted.summary(),
        "columns": len(table.schema.columns),
        "primary_key": list(table.schema.primary_key),
        "pinned": bool(record and record.pinned),
        "read_only": bool(record and record.read_only),
        "changed_at": table.changed_at,
    }


def detail(store: Store, table: LiveTable, drifted: Drift | None = None, *, counted: bool = True) -> dict[str, Any]:
    """One table's own page: the summary, each column, and the references that do not hold, counted now. Raises SchemaMoved.

    `drifted` is its drift where that was seen a moment ago. Of a table that was altered by hand nothing may be to be `counted`.
    """
    record = ManagedTable.objects.filter(name__iexact=table.name).first()
    broken: dict[str, int] = {}
    if counted:
        with fitting(table.name):
            broken = {d.column: d.rows for d in tables.dangling(store, table.schema)}
    drifted = drifted or drift.look(store, [table]).get(table.name.casefold())
    if drifted is None:
        raise SchemaMoved(table=table.name)
    return _summary(table, _size(store, table) if counted else None, drifted, record) | {
        "columns": [column(table, c) for c in table.schema.columns],
        "unique": [list(names) for names in table.schema.unique],
        "aliases": [asdict(alias) for alias in table.aliases],
        "fingerprint": table.schema.fingerprint,
        "notes": list(table.schema.notes),
        "references": [
            {"column": c.name, "references": c.references, "rows_without": broken.get(c.name, 0) if counted else None}
            for c in table.schema.columns
            if c.references
        ],
        "enforce_references": bool(record and record.enforce_references),
    }


def column(table: LiveTable, column: ColumnSchema) -> dict[str, Any]:
    """One column with its type, its meaning and what constrains it; literals are cells."""
    return asdict(column) | {"type": column.sql_type, "key": column.name in table.schema.primary_key}
