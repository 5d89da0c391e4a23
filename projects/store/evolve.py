"""Tables from one schema to another, in one transaction on the writer thread: checked, archived, changed, read back, committed.

No row is written meanwhile, and what fails leaves the tables, the books and the archive folder as they were.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb

from projects.errors import RowsInTheWay, SchemaMismatch, SchemaMoved, TableAltered
from projects.store import books, tables
from projects.store.archive import Archive, archived, opened, remove
from projects.store.books import Alias, Entry, LiveTable
from projects.store.connection import Store, Transaction
from projects.store.errors import DuplicateSeen
from schema_registry.schema import TableSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """What an archive is made of: the query of its rows, and what stands beside them; `empty` is kept too where it says something."""

    query: str
    described: Mapping[str, Any]
    empty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Evolution:
    """Everything that one plan does to the file.

    `base` is None where the table comes back, `wanted` where it goes. `filling` is the one of `statements` that writes every row anew.
    `check` is asked in the transaction, before anything is changed, and raises what stops it. `restored` is the archive that the
    statements read, by the name of its view. `found` is what the file has, where somebody altered it by hand; without columns where the
    table is gone.
    """

    plan: int
    actor: str
    base: LiveTable | None
    wanted: TableSchema | None
    statements: Sequence[str]
    version: int
    provenance: str
    filling: str = ""
    aliases: tuple[Alias, ...] = ()
    keeping: Keeping | None = None
    restored: tuple[str, Archive] | None = None
    found: TableSchema | None = None
    check: Callable[[duckdb.DuckDBPyConnection], None] = lambda _: None

    @property
    def table(self) -> str:
        schema = self.base.schema if self.base else self.wanted
        return schema.name if schema else ""


def evolve(store: Store, *evolutions: Evolution) -> list[dict[str, Any]]:
    """Does them all in one transaction, or none; gives each one's `rows`, `seconds`, and `archive` or None, which the file keeps too.

    Raises SchemaMoved where a table is not as it was when its plan was made, SchemaMismatch where it did not come out as wanted,
    RowsInTheWay where two rows would be one, TableAltered where somebody's index stands in the way,
    and what the checks raise. The caller holds the tables' locks alone.
    """

    def work(transaction: Transaction) -> list[dict[str, Any]]:
        with ExitStack() as stack:
            done = [stack.enter_context(_evolved(store, transaction, one)) for one in evolutions]
            transaction.changes_catalogue = True
            store.commit(transaction)
        return done

    try:
        results: list[dict[str, Any]] = store.writer.alone(work)
    except DuplicateSeen as seen:
        name = ", ".join(one.table for one in evolutions)
        raise RowsInTheWay(table=name, reason=f"two of them have the same {seen.pairs or 'key'}.", changes=[]) from seen
    except duckdb.DependencyException as hindered:  # Somebody's index, which is no column's business and so no part of the shape.
        raise TableAltered(table=", ".join(one.table for one in evolutions)) from hindered
    return results


@contextmanager
def _evolved(store: Store, transaction: Transaction, evolution: Evolution) -> Iterator[dict[str, Any]]:
    """One table changed, not yet committed; what fails before that takes its archive away again."""
    started = time.perf_counter()
    _check_base(store, transaction, evolution)
    with ExitStack() as stack:
        if evolution.restored:
            view, restored = evolution.restored
            stack.enter_context(opened(store, transaction.cursor, restored, view))
        evolution.check(transaction.cursor)
        archive = stack.enter_context(_kept(store, transaction, evolution))
        rows = _run(transaction, evolution)
        result = {"rows": rows, "seconds": round(time.perf_counter() - started, 3), "archive": archive.as_json() if archive else None}
        _record(transaction, evolution, result)
        yield result


@contextmanager
def _kept(store: Store, transaction: Transaction, evolution: Evolution) -> Iterator[Archive | None]:
    """The archive; none where there is nothing to keep, or no row of it."""
    if evolution.keeping is None:
        yield None
        return
    label = f"{evolution.table}-plan{evolution.plan}"
    with archived(store, transaction, evolution.keeping.query, label, evolution.keeping.described) as archive:
        if archive.rows or evolution.keeping.empty:
            yield archive
        else:
            remove(store, [archive.file])
            yield None


def _check_base(store: Store, transaction: Transaction, evolution: Evolution) -> None:
    name = evolution.table
    found = tables.shape(transaction.cursor, name)
    if evolution.base is None:
        if found.columns or store.has(name):
            raise SchemaMoved(table=name)
        return
    if not store.has(name) or store.table(name).schema != evolution.base.schema:
        raise SchemaMoved(table=name)
    wanted = evolution.wanted
    if wanted and wanted.name.casefold() != name.casefold() and tables.shape(transaction.cursor, wanted.name).columns:
        raise SchemaMoved(table=wanted.name)
    if not tables.agree(found, tables.wanted_shape(evolution.found or evolution.base.schema)):
        raise SchemaMoved(table=name)


def _run(transaction: Transaction, evolution: Evolution) -> int:
    """Runs the statements; gives the table's rows."""
    is_there = evolution.base and (evolution.found is None or evolution.found.columns)
    rows = _count(transaction, evolution.base.schema) if evolution.base and is_there else 0
    if evolution.wanted:
        tables.check_patterns(transaction.cursor, evolution.wanted)
    for statement in evolution.statements:
        written = transaction.execute(statement).fetchall()
        if statement == evolution.filling and evolution.base and written[0][0] != rows:
            raise SchemaMismatch(table=evolution.table, reason=f"{written[0][0]} of {rows} rows arrived")
    if evolution.wanted is None:
        return rows
    found, wanted = tables.shape(transaction.cursor, evolution.wanted.name), tables.wanted_shape(evolution.wanted)
    if not tables.agree(found, wanted):
        raise SchemaMismatch(table=evolution.table, reason=f"DuckDB made {found} of {wanted}")
    left = _count(transaction, evolution.wanted)
    if evolution.base and left != rows:
        raise SchemaMismatch(table=evolution.table, reason=f"{left} of {rows} rows are left")
    return left


def _count(transaction: Transaction, schema: TableSchema) -> int:
    return int(transaction.execute(f"SELECT count(*) FROM {tables.sql.table(schema.name)}").fetchall()[0][0])


def _record(transaction: Transaction, evolution: Evolution, result: Mapping[str, Any]) -> None:
    cursor = transaction.cursor
    if evolution.base:
        books.remove_table(cursor, evolution.base.name)
        books.put_aliases(cursor, evolution.base.name, ())
    if evolution.wanted:
        books.put_table(cursor, evolution.wanted, version=evolution.version, provenance=evolution.provenance)
        books.put_aliases(cursor, evolution.wanted.name, evolution.aliases)
    books.put_plan(cursor, evolution.plan, json.dumps(result))
    name = evolution.wanted.name if evolution.wanted else evolution.table
    entry = Entry(table=name, op="schema", actor=evolution.actor, rows=result["rows"], schema_version=evolution.version)
    transaction.entries.append(entry)
