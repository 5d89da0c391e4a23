"""Rows one at a time, and lists of them. A row leaves as the JSON text that DuckDB wrote."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb

from projects.errors import BadRequest, RowNotFound
from projects.filters import DEFAULT_LIMIT, Listing
from projects.store import books, sql
from projects.store.books import Entry
from projects.store.conditions import where
from projects.store.connection import Store, Transaction
from projects.store.errors import fitting
from schema_registry.schema import TableSchema

Key = tuple[str, ...]  # a row's key as cells, in the order of the key's columns
Cells = Mapping[str, str | None]  # a row by column name


CHUNK = 20_000  # rows fetched at a time when a whole result streams


def key_text(key: Sequence[str]) -> str:
    """The key as the last part of a row's address; what would be read as something else is written `~` and its code.

    A client takes `.` and `..` out of an address before it asks.
    """
    if len(key) == 1 and key[0] in ("aggregate", "schema", "changes", ".", ".."):
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
    """A new row; `cells` has every column, checked, with defaults in place."""

    schema: TableSchema
    cells: Cells
    actor: str
    version: int

    @property
    def batch(self) -> object:
        return ("create", id(self.schema))

    def run(self, transaction: Transaction, writes: Sequence["Create"]) -> list[Entry | Exception]:
        """One insert for all that came together; the rows come back in the order they went in."""
        if len(writes) <= books.FEW:
            rows = transaction.execute(sql.insert_few(self.schema, (w.cells for w in writes)) + sql.returning(self.schema)).fetchall()
        else:
            statement = sql.insert(self.schema, sql.cells(self.schema.columns)) + sql.returning(self.schema)
            rows = transaction.execute(statement, [json.dumps([w.cells for w in writes])]).fetchall()
        return [_entry(w, "create", key, after=after) for w, (after, *key) in zip(writes, rows, strict=True)]


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """New values for some columns of one row; `op` is replace or patch. No cells leave the row as it is."""

    schema: TableSchema
    cells: Cells
    actor: str
    version: int
    key: Key
    op: str

    @property
    def batch(self) -> object:
        return id(self)

    def run(self, transaction: Transaction, _: Sequence["Change"]) -> list[Entry | Exception]:
        before = _fetch(transaction.cursor, self.schema, self.key)
        if before is None:
            return [RowNotFound(table=self.schema.name, key=key_text(self.key))]
        changed = [c for c in self.schema.columns if c.name in self.cells]
        if not changed:
            return [_entry(self, self.op, self.key, before=before, after=before)]
        statement = sql.update(self.schema, self.key, changed)
        after = transaction.execute(statement, [self.cells[c.name] for c in changed]).fetchall()[0][0]
        return [_entry(self, self.op, self.key, before=before, after=after)]


@dataclass(frozen=True, slots=True, eq=False)
class Delete:
    """The end of one row."""

    schema: TableSchema
    actor: str
    version: int
    key: Key

    @property
    def batch(self) -> object:
        return id(self)

    def run(self, transaction: Transaction, _: Sequence["Delete"]) -> list[Entry | Exception]:
        before = _fetch(transaction.cursor, self.schema, self.key)
        if before is None:
            return [RowNotFound(table=self.schema.name, key=key_text(self.key))]
        transaction.execute(sql.delete(self.schema, self.key)).fetchall()
        return [_entry(self, "delete", self.key, before=before)]


def _entry(write: Create | Change | Delete, op: str, key: Sequence[str], *, before: str | None = None, after: str | None = None) -> Entry:
    """The feed's entry of a write that succeeded."""
    table, version = write.schema.name, write.version
    return Entry(table=table, op=op, actor=write.actor, key=key_text(key), before=before, after=after, schema_version=version)


def _fetch(cursor: duckdb.DuckDBPyConnection, schema: TableSchema, key: Key, source: str = "") -> str | None:
    found = cursor.execute(sql.get(schema, key, source)).fetchall()
    return found[0][0] if found else None


@contextmanager
def reader(store: Store, schema: TableSchema) -> Iterator[duckdb.DuckDBPyConnection]:
    """A fresh cursor for statements that were made for the schema. Raises SchemaMoved where the table is no longer, or not, like it."""
    with store.read() as cursor, fitting(schema.name):
        yield cursor


# Reading. `source` is a relation that has the rows as the schema says, where that is not the table itself.


def get(store: Store, schema: TableSchema, key: Key, source: str = "") -> str:
    """One row as JSON text. Raises RowNotFound, SchemaMoved."""
    with reader(store, schema) as cursor:
        row = _fetch(cursor, schema, key, source)
    if row is None:
        raise RowNotFound(table=schema.name, key=key_text(key))
    store.stats.rows_read += 1
    return row


def page(store: Store, schema: TableSchema, listing: Listing, source: str = "") -> list[str]:
    """One page as JSON texts, in the order asked for, else in the key's. Raises BadRequest, SchemaMoved."""
    expression = sql.row_json(listing.fields or schema.columns)
    statement = select(schema, listing, expression, limit=listing.limit or DEFAULT_LIMIT, ordered=True, source=source)
    with reader(store, schema) as cursor:
        rows = [row for (row,) in _execute(cursor, statement).fetchall()]
    store.stats.rows_read += len(rows)
    return rows


def count(store: Store, schema: TableSchema, listing: Listing, source: str = "") -> int:
    """How many rows meet the list's conditions, whatever its page. Raises as `page`."""
    conditions = where(listing.filter)
    with reader(store, schema) as cursor:
        found = _execute(cursor, f"SELECT count(*) FROM {source or sql.table(schema.name)}{conditions}").fetchone()
    return int(found[0]) if found else 0


def stream(store: Store, schema: TableSchema, listing: Listing, expression: str, *, source: str = "") -> Iterator[list[str]]:
    """The whole result in chunks of text, or one page where the list has a limit; sorted only where that is asked for.

    Raises as `page`, at the first chunk.
    """
    ordered = bool(listing.sort or listing.limit or listing.offset)
    statement = select(schema, listing, expression, limit=listing.limit, ordered=ordered, source=source)
    with reader(store, schema) as cursor:
        _execute(cursor, statement)
        while chunk := cursor.fetchmany(CHUNK):
            store.stats.rows_read += len(chunk)
            yield [row for (row,) in chunk]


def select(schema: TableSchema, listing: Listing, expression: str, *, limit: int | None, ordered: bool, source: str = "") -> str:
    """The statement of a list: the rows inside, what is made of them outside, else DuckDB would make it of every row and then sort."""
    conditions = where(listing.filter)
    order = sql.order_by(schema, listing.sort) if ordered else ""
    page = (f" LIMIT {limit}" if limit else "") + (f" OFFSET {listing.offset}" if listing.offset else "")
    return f"SELECT {expression} FROM (SELECT * FROM {source or sql.table(schema.name)}{conditions}{order}{page})"


def _execute(cursor: duckdb.DuckDBPyConnection, statement: str) -> Any:
    """A regular expression that RE2 refuses is the one thing in a checked list that can fail for its caller's sake."""
    try:
        return cursor.execute(statement)
    except duckdb.InvalidInputException as error:
        raise BadRequest(detail=f"The regular expression cannot be used: {str(error).partition(': ')[2]}.") from error
