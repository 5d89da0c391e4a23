"""What a table's page in the console shows beside its facts: columns, first rows, and how to reach it by REST."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

from projects import described
from projects.store.books import LiveTable
from projects.store.connection import Store
from projects.store.preview import first_rows
from schema_registry.schema import ColumnSchema, TableSchema

ROWS = 20  # rows shown
SHORT = 60  # characters of a value that stand in the page; its title has more


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of a row as the page shows it: `kind` is text, number or null; `title` is the value where `text` is cut."""

    text: str
    kind: str
    title: str = ""

    @classmethod
    def of(cls, column: ColumnSchema, value: str | None) -> Self:
        if value is None:
            return cls("null", "null")
        kind = "number" if _is_number(column) else "text"
        return cls(value[:SHORT] + "…", kind, value) if len(value) > SHORT else cls(value, kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePage:
    """Everything that a live table's page shows; `seen` is the table as `described.detail` has it."""

    seen: dict[str, Any]
    columns: Sequence[dict[str, Any]]
    heads: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[Cell]]
    list_example: str
    create_example: str


def table_page(store: Store, table: LiveTable, base: str) -> TablePage:
    """The page of a live table; `base` is the service's own address, such as http://localhost:8000."""
    columns, address = table.schema.columns, f"{base}/ops/{quote(table.name, safe='')}"
    seen = described.detail(store, table)
    return TablePage(
        seen=seen,
        columns=[_explained(column) for column in seen["columns"]],
        heads=[(c.name, "number" if _is_number(c) else "text") for c in columns],
        rows=[[Cell.of(c, v) for c, v in zip(columns, row, strict=True)] for row in first_rows(store, table.schema, ROWS)],
        list_example=curl(f"{address}?limit={ROWS}"),
        create_example=curl(address, example(table.schema)),
    )


def _is_number(column: ColumnSchema) -> bool:
    return column.type.is_number and not column.multivalued


def _explained(column: dict[str, Any]) -> dict[str, Any]:
    """A described column with its rules in words, and its meaning's address where a browser may follow it."""
    iri = column["id"] or ""
    return column | {"rules": _rules(column), "address": iri if iri.lower().startswith(("http://", "https://")) else ""}


def _rules(column: dict[str, Any]) -> list[tuple[str, str]]:
    """What a column's values must be, as (rule, value)."""
    said = (
        ("one of", ", ".join(column["enum"] or ())),
        ("at least", column["minimum"]),
        ("at most", column["maximum"]),
        ("characters at most", column["max_length"]),
        ("pattern", column["pattern"]),
        ("refers to", column["references"]),
        ("generated", column["generated"]),
    )
    return [(rule, str(value)) for rule, value in said if value not in (None, "")]


# REST.


def curl(address: str, body: dict[str, Any] | None = None) -> str:
    """A command line that lists, or that creates a row of `body`."""
    head = 'curl -H "Authorization: Bearer $TOKEN"'
    if body is None:
        return f"{head} {shlex.quote(address)}"
    sent = shlex.quote(json.dumps(body, ensure_ascii=False))
    return f"{head} -H 'Content-Type: application/json' \\\n  -d {sent} \\\n  {shlex.quote(address)}"


def example(schema: TableSchema) -> dict[str, Any]:
    """A row to begin with: a value for each column that needs one."""
    needed = (c for c in schema.columns if c.required and c.default is None and not c.generated)
    return {c.name: [_value(c)] if c.multivalued else _value(c) for c in needed}


_VALUES: dict[str, Any] = {
    "BOOLEAN": True,
    "DATE": "2026-01-31",
    "TIME": "12:00:00",
    "TIMESTAMP": "2026-01-31T12:00:00Z",
    "TIMESTAMPTZ": "2026-01-31T12:00:00Z",
    "UUID": "00000000-0000-4000-8000-000000000001",
    "BLOB": "YWJj",
    "JSON": {},
}


def _value(column: ColumnSchema) -> Any:
    cell = column.enum[0] if column.enum else column.minimum or column.maximum
    if cell is not None:
        return cell
    if column.type.is_number:
        return 0 if column.type.base == "DECIMAL" else 1
    return _VALUES.get(column.type.base, "text"[: column.max_length])
