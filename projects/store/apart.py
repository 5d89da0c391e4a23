"""Large loads: the rows become a table of their own, part by part, which then takes the place of the one that they go to.

DuckDB merges the keys of all new rows into the index within the commit, and nobody else commits meanwhile: four seconds for
five million rows. A part at a time nobody waits longer than a tenth of a second, and it needs less memory (measured, DuckDB 2.0).
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import uuid4

import duckdb

from projects.errors import ProjectsError, SchemaMismatch
from projects.store import catalogue, sql, tables
from projects.store.books import LiveTable
from projects.store.connection import Store, Transaction
from schema_registry.schema import TableSchema

log = logging.getLogger(__name__)
T = TypeVar("T")

PART = 245_760  # rows that are committed at once: two of DuckDB's row groups, which go straight to the file
GUARD = "spawn guard"  # a column that makes any other writer of the table that goes fail loudly
REST = 0.02  # seconds between parts, in which those who wait for the commit get theirs
STAGING = 40.0  # percent of the time that goes by before the first part


@dataclass(frozen=True, slots=True)
class Apart:
    """A table's rows to be: as the file gives them in `staged`, under the table's rules in `ruled`."""

    store: Store
    live: LiveTable
    staged: str
    ruled: str

    @classmethod
    def of(cls, store: Store, live: LiveTable) -> "Apart":
        number = uuid4().hex
        return cls(store, live, f"{sql.LOADING}{number} staged", f"{sql.LOADING}{number} ruled")


def fits(store: Store, live: LiveTable) -> bool:
    """Whether the table can be made anew in the end: it has few rows, which move too, and the file has it as its schema says."""
    with store.read() as cursor:
        if catalogue.altered(cursor, live):
            return False
        rows = cursor.execute(f"SELECT count(*) FROM {sql.table(live.name)}").fetchall()[0][0]
    return int(rows) <= PART


def insert(
    apart: Apart, cursor: duckdb.DuckDBPyConnection, filling: str, end: Callable[[Transaction, int], T], is_measured: bool
) -> T | None:
    """Fills the table by way of the others; gives what `end` makes of the rows' number in the transaction that swaps the tables.

    `filling` is the statement that fills `staged`. None where the table has too many rows by then; nothing is done in that case.
    The caller holds the table's lock shared; whatever is raised, the tables apart are gone and the table is as it was.
    """
    progress = apart.store.stretch if is_measured else _tell_nobody
    try:
        _make(apart, cursor)
        progress(0, STAGING)
        with apart.store.transaction(cursor) as transaction:
            rows = int(transaction.execute(filling).fetchall()[0][0])
        for first in range(0, rows, PART):
            done = STAGING + (100 - STAGING) * first / rows
            progress(done, min(100.0, done + (100 - STAGING) * PART / rows))
            with apart.store.transaction(cursor) as transaction:
                transaction.execute(_part(apart, first))
            time.sleep(REST)
        with apart.store.locks.of(apart.live.name).raised():
            return _swap(apart, rows, end)
    finally:
        progress(0, 100)
        _drop(apart)


def _tell_nobody(low: float, high: float) -> None:
    pass


def _make(apart: Apart, cursor: duckdb.DuckDBPyConnection) -> None:
    """Each in a transaction of its own: DuckDB 2.0 forgets to index rows that came in the one that made their table."""
    columns = ", ".join(f"{sql.quote(c.name)} {c.sql_type}" for c in apart.live.schema.stored_columns)
    for statement in (f"CREATE TABLE {sql.table(apart.staged)} ({columns})", sql.create_table(apart.live.schema, apart.ruled)):
        with apart.store.transaction(cursor) as transaction:
            transaction.execute(statement)


def into(apart: Apart) -> TableSchema:
    """The table's schema under the name of the one that is filled first."""
    return replace(apart.live.schema, name=apart.staged)


def _part(apart: Apart, first: int) -> str:
    columns = sql.names(apart.live.schema.stored_columns)
    rows = f"SELECT {columns} FROM {sql.table(apart.staged)} WHERE rowid >= {first} AND rowid < {first + PART}"
    return f"INSERT INTO {sql.table(apart.ruled)} ({columns}) {rows}"


def _swap(apart: Apart, rows: int, end: Callable[[Transaction, int], T]) -> T | None:
    """Moves the table's own rows over and gives its name away, on the writer's thread, beside whom nobody writes it."""
    schema, columns = apart.live.schema, sql.names(apart.live.schema.stored_columns)

    def work(transaction: Transaction) -> T | None:
        own = _count(transaction, schema.name)
        if own > PART:
            return None
        transaction.execute(sql.alter(schema, f"ADD COLUMN {sql.quote(GUARD)} INTEGER"))
        transaction.execute(f"INSERT INTO {sql.table(apart.ruled)} ({columns}) SELECT {columns} FROM {sql.table(schema.name)}")
        if (arrived := _count(transaction, apart.ruled)) != own + rows:
            raise SchemaMismatch(table=schema.name, reason=f"{arrived} of {own + rows} rows arrived")
        for statement in (sql.drop_table(schema.name), sql.rename_table(apart.ruled, schema.name), *sql.comments(schema)):
            transaction.execute(statement)
        if not tables.agree(tables.shape(transaction.cursor, schema.name), tables.wanted_shape(schema)):
            raise SchemaMismatch(table=schema.name, reason="it did not come out as its schema says")
        return end(transaction, rows)

    done: T | None = apart.store.writer.alone(work)
    return done


def _count(transaction: Transaction, name: str) -> int:
    return int(transaction.execute(f"SELECT count(*) FROM {sql.table(name)}").fetchall()[0][0])


def _drop(apart: Apart) -> None:
    """On a cursor of its own: a job that is cancelled has its cursor interrupted again and again. What is left, the next start drops."""
    try:
        with apart.store.read() as cursor:
            for name in (apart.staged, apart.ruled):
                cursor.execute(f"DROP TABLE IF EXISTS {sql.table(name)}")
    except (duckdb.Error, ProjectsError) as error:
        log.warning("the tables of a load into %s were not dropped: %s", apart.live.name, error)


def sweep(store: Store) -> None:
    """Drops what loads of a killed owner left."""
    with store.read() as cursor:
        left = cursor.execute(
            f"SELECT table_name FROM duckdb_tables() WHERE starts_with(table_name, {sql.literal(sql.LOADING)})"
        ).fetchall()
        for (name,) in left:
            cursor.execute(sql.drop_table(name))
