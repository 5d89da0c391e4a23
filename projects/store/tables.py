"""Tables: made, changed, dropped, described. Each runs on the writer thread, is read back and compared, then committed."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import duckdb

from projects.errors import PatternRefused, SchemaMismatch, SchemaMoved
from projects.store import books, sql
from projects.store.books import Entry, LiveTable
from projects.store.connection import Store, Transaction
from projects.store.errors import fitting
from projects.store.references import references_of
from schema_registry.schema import TableSchema
from schema_registry.types import UnknownType, parse_type


@dataclass(frozen=True, slots=True)
class Shape:
    """What DuckDB's own catalogue says of a table: (name, type, required) of each column, the key, the unique columns."""

    columns: tuple[tuple[str, str, bool], ...]
    primary_key: tuple[str, ...]
    unique: frozenset[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Size:
    """How large a table is; `bytes` is an estimate from its blocks on disk."""

    rows: int
    bytes: int


BLOCK = 262_144  # bytes, DuckDB's own


def wanted_shape(schema: TableSchema) -> Shape:
    columns = tuple((c.name, c.sql_type, c.required) for c in schema.stored_columns)
    return Shape(columns, tuple(c.name for c in schema.key_columns), frozenset(map(_rule, schema.unique)))


def _rule(names: Iterable[str]) -> tuple[str, ...]:
    """A unique rule's columns in the order of the alphabet, which is not that of a table whose columns were renamed."""
    return tuple(sorted(names, key=str.casefold))


def shape(cursor: duckdb.DuckDBPyConnection, name: str) -> Shape:
    """The table as the catalogue has it; a shape without columns where there is none."""
    of_table = "database_name = current_database() AND schema_name = 'main' AND lower(table_name) = lower(?)"
    columns = cursor.execute(
        f"SELECT column_name, data_type, NOT is_nullable FROM duckdb_columns() WHERE {of_table} ORDER BY column_index", [name]
    ).fetchall()
    constraints = cursor.execute(
        f"SELECT constraint_type, constraint_column_names FROM duckdb_constraints() WHERE {of_table}", [name]
    ).fetchall()
    keys = [tuple(names) for kind, names in constraints if kind == "PRIMARY KEY"]
    unique = frozenset(_rule(names) for kind, names in constraints if kind == "UNIQUE")
    return Shape(tuple((n, _spelled(t), r) for n, t, r in columns), keys[0] if keys else (), unique)


def _spelled(data_type: str) -> str:
    """A type as we spell it: the catalogue writes TIMESTAMP WITH TIME ZONE. One that no schema has stays as it is."""
    try:
        parsed = parse_type(data_type)
    except UnknownType:
        return data_type
    return f"{parsed.type}[]" if parsed.multivalued else str(parsed.type)


def creation(schema: TableSchema) -> list[str]:
    """The statements that make the table."""
    return [sql.create_table(schema), *sql.comments(schema)]


def create(store: Store, schema: TableSchema, *, version: int, provenance: str, actor: str) -> None:
    """Makes the table. Raises SchemaMismatch where the file has one of that name that is not ours, DiskNearlyFull."""
    store.room.check()

    def work(transaction: Transaction) -> None:
        if shape(transaction.cursor, schema.name).columns:
            raise SchemaMismatch(table=schema.name, reason="the DuckDB file has a table of that name that DuckDB Spawn did not make")
        _change(transaction, schema, creation(schema), version=version, provenance=provenance, actor=actor)

    store.writer.alone(work)


def confirm(store: Store, live: LiveTable, *, version: int, provenance: str) -> None:
    """Says that the table's schema, unchanged, is that of another version. Raises SchemaMoved. The caller holds the lock alone."""

    def work(transaction: Transaction) -> None:
        if store.table(live.name).schema != live.schema:
            raise SchemaMoved(table=live.name)
        books.put_table(transaction.cursor, live.schema, version=version, provenance=provenance)
        transaction.changes_catalogue = True

    store.writer.alone(work)


def _change(transaction: Transaction, schema: TableSchema, statements: Sequence[str], *, version: int, provenance: str, actor: str) -> None:
    check_patterns(transaction.cursor, schema)
    for statement in statements:
        transaction.execute(statement)
    found, wanted = shape(transaction.cursor, schema.name), wanted_shape(schema)
    if not agree(found, wanted):
        raise SchemaMismatch(table=schema.name, reason=f"DuckDB made {found} of {wanted}")
    books.put_table(transaction.cursor, schema, version=version, provenance=provenance)
    transaction.entries.append(Entry(table=schema.name, op="schema", actor=actor, schema_version=version))
    transaction.changes_catalogue = True


def check_patterns(cursor: duckdb.DuckDBPyConnection, schema: TableSchema) -> None:
    """Raises PatternRefused for a pattern that RE2 does not take, which no row could be asked."""
    for column in schema.columns:
        if column.pattern is not None:
            try:
                cursor.execute(f"SELECT regexp_matches('', {sql.literal(column.pattern)})").fetchall()
            except duckdb.InvalidInputException as error:
                raise PatternRefused(table=schema.name, column=column.name, pattern=column.pattern) from error


def agree(found: Shape, wanted: Shape) -> bool:
    """Whether two shapes are one; the order of columns is presentation: one added later stands last in DuckDB."""
    same_rest = (found.primary_key, found.unique) == (wanted.primary_key, wanted.unique)
    return same_rest and sorted(found.columns) == sorted(wanted.columns)


def size(store: Store, name: str) -> Size:
    """Counts the rows and estimates the bytes."""
    with store.read() as cursor:
        rows = cursor.execute(f"SELECT count(*) FROM {sql.table(name)}").fetchall()[0][0]
        blocks = cursor.execute(
            f"SELECT count(DISTINCT block_id) FROM pragma_storage_info({sql.literal(sql.quote(name))}) WHERE persistent"
        ).fetchall()[0][0]
    return Size(rows, blocks * BLOCK)


def estimated_rows(store: Store) -> dict[str, int]:
    """The live tables' rows by name, as the catalogue has them without counting: deleted rows may still be among them."""
    with store.read() as cursor:
        found = dict(
            cursor.execute(
                "SELECT table_name, estimated_size FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = 'main'"
            ).fetchall()
        )
    return {table.name: found.get(table.name, 0) for table in store.tables()}


def largest(store: Store, count: int) -> list[tuple[LiveTable, Size]]:
    """The tables with the most rows, at most `count` of them, each with its size; one that goes or moves meanwhile is left out."""
    estimated = estimated_rows(store)
    first = sorted(store.tables(), key=lambda table: -estimated.get(table.name, 0))[:count]
    found = []
    for table in first:
        with suppress(SchemaMoved), fitting(table.name):
            found.append((table, size(store, table.name)))
    return sorted(found, key=lambda one: -one[1].rows)


@dataclass(frozen=True, slots=True)
class Dangling:
    """Rows whose reference is no value of the column that it names; nulls are left out."""

    column: str
    references: str
    rows: int


def dangling(store: Store, schema: TableSchema) -> list[Dangling]:
    """The references of the table that do not hold; a reference to a table or column that is not there has every row."""
    found = []
    for reference in references_of(store, schema):
        value = f"s.{sql.quote(reference.column.name)}"
        statement = f"SELECT count(*) FROM {sql.table(schema.name)} s WHERE {value} IS NOT NULL AND NOT {reference.has(value)}"
        with store.read() as cursor:
            rows = cursor.execute(statement).fetchall()[0][0]
        if rows:
            found.append(Dangling(reference.column.name, reference.column.references or "", rows))
    return found
