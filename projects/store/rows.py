"""Rows one at a time, and lists of them. A row leaves as JSON text."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import duckdb

from projects.errors import RowNotFound
from projects.store import books, sql
from projects.store.books import Entry
from projects.store.connection import Store, Transaction
from projects.store.errors import fitting
from projects.store.row_text import Unprintable, row_text
from schema_registry.schema import ColumnSchema, TableSchema

if TYPE_CHECKING:  # It checks what is written here.
    from projects.store.references import Enforced

Key = tuple[str, ...]  # a row's key as cells, in the order of the key's columns
Cells = Mapping[str, str | None]  # a row by column name
Check = Callable[[str | None], Exception | None]  # what stands against a write, by the row's JSON text as it is stored, or None


def key_text(key: Sequence[str]) -> str:
    """The key as the last part of a row's address; what would be read as something else is written `~` and its code.

    A client takes `.` and `..` out of an address before it asks.
    """
    if len(key) == 1 and key[0] in sql.RESERVED_KEYS:
        return f"~{ord(key[0][0]):02X}{key[0][1:]}"
    return ",".join(_escaped(cell) for cell in key)


def _escaped(cell: str) -> str:
    return cell.replace("~", "~7E").replace(",", "~2C").replace("/", "~2F") or "~"


def key_cells(text: str) -> Key:
    """The inverse of `key_text`; `~` and two hex digits stand for a character."""
    return tuple(_unescaped(part) for part in text.split(","))


def _unescaped(part: str) -> str:
    if part == "~":
        return ""
    head, *rest = part.split("~")
    return head + "".join(_character(piece) for piece in rest)


def _character(piece: str) -> str:
    try:
        return chr(int(piece[:2], 16)) + piece[2:]
    except ValueError:
        return "~" + piece


@dataclass(frozen=True, slots=True, eq=False)
class Create:
    """A new row; `cells` has every column, checked, with defaults in place. What `keep` makes of its entry is kept with it."""

    schema: TableSchema
    cells: Cells
    actor: str
    version: int
    keep: Callable[[Entry], books.Kept] | None = None
    enforced: "Enforced | None" = None

    @property
    def batch(self) -> object:
        return ("create", id(self.schema), self.enforced is None)

    def run(self, transaction: Transaction, writes: Sequence["Create"]) -> list[Entry | Exception]:
        """One insert for all that came together and may be, each with its outcome in the order they came."""
        if self.enforced is None:
            return list(self._insert(transaction, writes))
        refused = self.enforced.of_new(transaction.cursor, self.schema, [w.cells for w in writes])
        made = iter(self._insert(transaction, [w for w, refusal in zip(writes, refused, strict=True) if refusal is None]))
        return [refusal or next(made) for refusal in refused]

    def _insert(self, transaction: Transaction, writes: Sequence["Create"]) -> list[Entry]:
        """The rows come back in the order they went in."""
        if not writes:
            return []
        statement = sql.insert_rows(self.schema) + sql.returning(self.schema, row_text(self.schema).selected)
        names = [c.name for c in self.schema.stored_columns]
        rows = transaction.run(statement, json.dumps([[w.cells[name] for name in names] for w in writes])).fetchall()
        width = len(self.schema.columns)
        entries = [
            _entry(w, "create", row[width:], after=_printed(transaction, self.schema, row)) for w, row in zip(writes, rows, strict=True)
        ]
        if kept := [w.keep(entry) for w, entry in zip(writes, entries, strict=True) if w.keep]:
            books.put_kept(transaction.cursor, kept)
        return entries


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """New values for some columns of one row; `op` is replace or patch. No cells leave the row as it is.

    Where there is no such row, it is made of the `fresh` cells, which are those of a Create.
    """

    schema: TableSchema
    cells: Cells
    actor: str
    version: int
    key: Key
    op: str
    fresh: Cells | None = None
    check: Check | None = None
    enforced: "Enforced | None" = None

    @property
    def batch(self) -> object:
        return id(self)

    def run(self, transaction: Transaction, _: Sequence["Change"]) -> list[Entry | Exception]:
        before = _fetch(transaction.cursor, self.schema, self.key)
        if before is None and self.fresh is None:
            return [RowNotFound(table=self.schema.name, key=key_text(self.key))]
        if self.check and (refusal := self.check(before)):
            return [refusal]
        if before is None and self.fresh is not None:
            made = Create(self.schema, self.fresh, self.actor, self.version, enforced=self.enforced)
            return made.run(transaction, [made])
        changed = [c for c in self.schema.columns if c.name in self.cells]
        if not changed:
            return [_entry(self, self.op, self.key, before=before, after=before)]
        if refusal := _unkept(transaction, self, self.cells):
            return [refusal]
        statement = sql.update(self.schema, self.key, changed) + sql.returning(self.schema, row_text(self.schema).selected)
        row = transaction.execute(statement, [self.cells[c.name] for c in changed]).fetchall()[0]
        after = _printed(transaction, self.schema, row)
        return [_entry(self, self.op, self.key, before=before, after=after)]


@dataclass(frozen=True, slots=True, eq=False)
class Delete:
    """The end of one row."""

    schema: TableSchema
    actor: str
    version: int
    key: Key
    check: Check | None = None
    enforced: "Enforced | None" = None

    @property
    def batch(self) -> object:
        return id(self)

    def run(self, transaction: Transaction, _: Sequence["Delete"]) -> list[Entry | Exception]:
        before = _fetch(transaction.cursor, self.schema, self.key)
        if before is None:
            return [RowNotFound(table=self.schema.name, key=key_text(self.key))]
        if self.check and (refusal := self.check(before)):
            return [refusal]
        if refusal := _unkept(transaction, self, None):
            return [refusal]
        transaction.execute(sql.delete(self.schema, self.key)).fetchall()
        return [_entry(self, "delete", self.key, before=before)]


def _unkept(transaction: Transaction, write: Change | Delete, cells: Cells | None) -> Exception | None:
    """What the enforced references have against it."""
    if write.enforced is None:
        return None
    return write.enforced.of_change(transaction.cursor, write.schema, sql.key_is(write.schema, write.key), cells)


def _entry(write: Create | Change | Delete, op: str, key: Sequence[str], *, before: str | None = None, after: str | None = None) -> Entry:
    """The feed's entry of a write that succeeded."""
    table, version = write.schema.name, write.version
    return Entry(table=table, op=op, actor=write.actor, key=key_text(key), before=before, after=after, schema_version=version)


def _fetch(cursor: duckdb.DuckDBPyConnection, schema: TableSchema, key: Key, source: str = "") -> str | None:
    text = row_text(schema)
    found = cursor.execute(sql.get(schema, key, text.selected, source)).fetchall()
    try:
        return text.of(found[0]) if found else None
    except Unprintable:
        return str(cursor.execute(sql.get(schema, key, sql.row_json(schema.columns), source)).fetchall()[0][0])


def _printed(transaction: Transaction, schema: TableSchema, returned: Sequence[Any]) -> str:
    """The text of a row that was written, of what `sql.returning` hands back."""
    try:
        return row_text(schema).of(returned)
    except Unprintable:
        return _fetch(transaction.cursor, schema, tuple(returned[len(schema.columns) :])) or ""


@contextmanager
def reader(store: Store, schema: TableSchema) -> Iterator[duckdb.DuckDBPyConnection]:
    """A fresh cursor for statements that were made for the schema. Raises SchemaMoved where the table is no longer, or not, like it."""
    with store.read() as cursor, fitting(schema.name):
        yield cursor


# Reading. `source` is a relation that has the rows as the schema says, where that is not the table itself.


def get(store: Store, schema: TableSchema, key: Key, source: str = "") -> str:
    """One row as JSON text. Raises RowNotFound, SchemaMoved."""
    value_of = None if source or len(key) > 1 else _key_value(schema.key_columns[0])
    row = _get_together(store, schema, key[0], value_of(key[0])) if value_of else _get_alone(store, schema, key, source)
    if row is None:
        raise RowNotFound(table=schema.name, key=key_text(key))
    store.stats.rows_read += 1
    return row


def _get_alone(store: Store, schema: TableSchema, key: Key, source: str = "") -> str | None:
    with reader(store, schema) as cursor:
        return _fetch(cursor, schema, key, source)


def _get_together(store: Store, schema: TableSchema, cell: str, value: Any) -> str | None:
    """The row, read by one statement with those that others want of the table at this moment."""

    def run(keys: Mapping[Any, str]) -> Mapping[Any, str] | None:
        text, place = row_text(schema), schema.columns.index(schema.key_columns[0])
        with reader(store, schema) as cursor:
            rows = cursor.execute(sql.get_any(schema, keys.values(), text.selected)).fetchall()
        try:
            return {row[place]: text.of(row) for row in rows}
        except Unprintable:
            return None

    found = store.rounds.read(id(schema), value, cell, run)
    return _get_alone(store, schema, (cell,)) if found is None else found.get(value)


def _key_value(column: ColumnSchema) -> Callable[[str], Any] | None:
    """What makes of a key's cell the value that DuckDB gives, where the two can be told to be the same."""
    return int if column.type.is_integer else {"UUID": UUID, "VARCHAR": str}.get(column.type.base)
