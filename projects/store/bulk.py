"""Loads: a file into a table, checked by DuckDB itself.

The rows go straight in, past the rules that a cast would not enforce. Only when that fails, or where rows that are there
already are to be left alone or updated, is the file staged with its row numbers and asked, rule by rule, which rows are to blame.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb

from projects.aliases import NONE, Used
from projects.errors import DuplicateKeys, RowsRefused, StoreBusy
from projects.store import apart, books, sql, staging, updates
from projects.store.books import Entry, EntryRelation, LiveTable
from projects.store.connection import Store, Transaction
from projects.store.errors import MISFITS, DuplicateSeen, RowsMoved, fitting
from projects.store.references import Enforced, Reference
from projects.store.sources import ROW, Given, Source, absent
from schema_registry.schema import TableSchema

# What a file can be to blame for; an interrupt or a full disk is no fault of its rows.
OF_THE_FILE = (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.ConstraintException, duckdb.OutOfRangeException)
TRIES = 5  # how often a load is done anew that lost a race for a key

ON_CONFLICT = ("error", "ignore", "update")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What becomes of rows that meet others (`on_conflict`) and of bad ones (left out with `skips`, else all is refused)."""

    on_conflict: str = "error"
    skips: bool = False
    nulls: tuple[str, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load did, in rows, the old names that it was given by, and where all the rejects are to be had."""

    inserted: int
    updated: int = 0
    ignored: int = 0
    rejected: int = 0
    rejects: tuple[dict[str, Any], ...] = ()
    rejects_file: str | None = None
    used: Used = NONE

    def as_json(self) -> dict[str, Any]:
        counts = {name: getattr(self, name) for name in ("inserted", "updated", "ignored", "rejected")}
        more = {"rejects_file": self.rejects_file} if self.rejects_file else {}
        return counts | {"rejects": list(self.rejects)} | more


@dataclass(frozen=True, slots=True)
class Load:
    """One load: what goes where, and who is named for it; the rows that are refused go to the path `rejects`, had at `rejects_file`.

    `also` is done in the load's own transaction, once it is known what the load did.
    """

    store: Store
    table: LiveTable
    source: Source
    options: Options
    actor: str
    rejects: Path
    rejects_file: str
    job: str | None = None
    also: Callable[[Transaction, "Loaded"], None] | None = None
    enforced: Enforced | None = None
    is_large: bool = False

    @property
    def references(self) -> list[Reference]:
        """Those that the rows have to keep."""
        return self.enforced.own(self.table.schema) if self.enforced else []

    def referred(self) -> dict[str, int]:
        """The tables that it relies on, as they are now."""
        return self.store.lasting({reference.to for reference in self.references})


def run(load: Load) -> Loaded:
    """Loads the file in one transaction.

    Raises RowsRefused or DuplicateKeys, each naming rows, RowReferenced, or SchemaMoved; then nothing was loaded.
    The caller holds the table's lock shared. A load with a `job` runs on the measured cursor; its id and result are recorded with the rows.
    """
    with _cursor(load) as cursor, fitting(load.table.name):
        try:
            is_plain = load.options.on_conflict == "error" and not any(r.is_own for r in load.references)
            done = _straight(load, cursor) if is_plain else None
            done = done or _staged(load, cursor)
        except _DryRun as dry:
            return dry.loaded
    load.store.stats.loads += 1
    load.store.stats.load_rows += done.inserted + done.updated
    return done


@contextmanager
def _cursor(load: Load) -> Iterator[duckdb.DuckDBPyConnection]:
    """A cursor of the load's own, with its temporary tables."""
    if load.job is None:
        with load.store.read() as cursor:
            yield cursor
        return
    cursor = load.store.measured_cursor()
    try:
        yield cursor
    finally:
        staging.clear(cursor)


class _DryRun(Exception):
    """Carries what a load would have done out of its transaction, which rolls back."""

    def __init__(self, loaded: Loaded) -> None:
        super().__init__()
        self.loaded = loaded


def _straight(load: Load, cursor: duckdb.DuckDBPyConnection) -> Loaded | None:
    """One statement, in which every row that breaks a rule, or lacks what is required, makes all fail; None where it did."""
    explained = (*OF_THE_FILE, DuplicateSeen, RowsMoved, *(MISFITS if load.references else ()))
    referred = load.referred()
    try:
        with load.source.opened(cursor) as relation:
            if load.is_large and not load.options.dry_run and apart.fits(load.store, load.table):
                return _apart(load, cursor, relation, referred)
            with load.store.transaction(cursor) as transaction:
                transaction.relies_on = referred
                inserted = transaction.execute(straight_insert(load, relation, load.table.schema)).fetchall()[0][0]
                return _ended(load, transaction, Loaded(int(inserted)))
    except explained:
        return None


def _apart(load: Load, cursor: duckdb.DuckDBPyConnection, relation: str, referred: Mapping[str, int]) -> Loaded | None:
    """The same by way of a table apart."""
    made = apart.Apart.of(load.store, load.table)
    filling = straight_insert(load, relation, apart.into(made))

    def end(transaction: Transaction, rows: int) -> Loaded:
        transaction.relies_on = referred
        return _ended(load, transaction, Loaded(rows))

    return apart.insert(made, cursor, filling, end, load.job is not None)


def straight_insert(load: Load, relation: str, into: TableSchema) -> str:
    """The statement of a load without staging. The values are made once, beneath what looks at them: a filter would make them again."""
    given = load.source.given
    made = {g.column.name: sql.quote("=" + g.column.name) for g in given}
    below = ", ".join(f"{g.value} AS {made[g.column.name]}" for g in given)
    # One by one with OR: DuckDB looks no further at a row of which one is true, and null is as good as false.
    faults = [fault for g in given for fault in g.quick_faults(made[g.column.name])]
    faults += [f"NOT {load.source.guard}"] if load.source.guard else []
    values = {g.column.name: present(g, made[g.column.name], sparse=load.source.sparse) for g in given}
    faults += [_unheld(reference, values) for reference in load.references]
    if faults:
        first = given[0].column.name
        values[first] = f"CASE WHEN {' OR '.join(faults)} THEN error('a rule is broken') ELSE {values[first]} END"
    return sql.insert_values(into, values, f"(SELECT *, {below} FROM {relation})")


def _unheld(reference: Reference, values: Mapping[str, str]) -> str:
    """The condition that a new row's reference does not hold."""
    value = values.get(reference.column.name) or sql.default_of(reference.column)
    return f"(({value}) IS NOT NULL AND NOT {reference.has(value)})"


def present(given: Given, value: str, *, sparse: bool) -> str:
    """The value of a new row, or the default where the row lacks the column."""
    if not sparse or given.column.default is None:
        return value
    return f"CASE WHEN {absent(given.called)} THEN {sql.default_of(given.column)} ELSE {value} END"


def _ended(load: Load, transaction: Transaction, loaded: Loaded, changes: EntryRelation | None = None) -> Loaded:
    """Writes the load's entries of the feed and its job's result. Raises _DryRun."""
    if load.options.dry_run:
        raise _DryRun(loaded)
    if changes:
        transaction.entry_relations.append(changes)
    elif loaded.inserted:
        version = load.table.version
        entry = Entry(table=load.table.name, op="load", actor=load.actor, rows=loaded.inserted, job=load.job, schema_version=version)
        transaction.entries.append(entry)
    if load.job:
        books.put_job(transaction.cursor, load.job, json.dumps(loaded.as_json()))
    if load.also:
        load.also(transaction, loaded)
    return loaded


# By way of the temporary tables.


def _keeping(load: Load, cursor: duckdb.DuckDBPyConnection) -> AbstractContextManager[None]:
    """Runs the update; raises RowReferenced where an enforced reference to the table held before it, and would not after."""
    columns = {g.column.name for g in load.source.given} - {c.name for c in load.table.schema.key_columns}
    return load.enforced.keeping(cursor, load.table.schema, columns) if load.enforced else nullcontext()


def _staged(load: Load, cursor: duckdb.DuckDBPyConnection) -> Loaded:
    """Checks all rows here, on the caller's thread; what updates rows is then written by the writer, beside whom nobody updates."""
    staging.stage(cursor, load.source, load.table.schema, load.options.on_conflict)
    for _ in range(TRIES):
        referred = load.referred()
        try:
            if load.options.on_conflict == "update" and not load.options.dry_run:
                done: Loaded = load.store.writer.alone(lambda transaction: _written(load, transaction), cursor)
                return done
            with load.store.transaction(cursor) as transaction:
                transaction.relies_on = referred
                return _written(load, transaction)
        except (DuplicateSeen, RowsMoved):  # Somebody wrote one of the keys, or took away what a row refers to: now it is met.
            continue
    raise StoreBusy()


def _written(load: Load, transaction: Transaction) -> Loaded:
    """Writes the good rows. Raises RowsRefused, DuplicateKeys where there are others and they are not to be left out."""
    cursor, schema, on_conflict = transaction.cursor, load.table.schema, load.options.on_conflict
    staging.meet(cursor, load.source, schema, on_conflict)
    staging.refer(cursor, load.source, load.references)
    found = staging.report(cursor, load.rejects)
    if found.rejected and not load.options.skips:
        error = DuplicateKeys if found.only_duplicates else RowsRefused
        raise error(table=load.table.name, rejected=found.rejected, rejects=found.rejects, rejects_file=load.rejects_file)
    ignored = cursor.execute(f"SELECT count(DISTINCT {ROW}) FROM {staging.IGNORED}").fetchall()[0][0]
    file = load.rejects_file if found.rejected else None
    loaded = Loaded(0, ignored=ignored, rejected=found.rejected, rejects=tuple(found.rejects), rejects_file=file)
    if on_conflict == "update":
        with _keeping(load, cursor):
            updated, inserted = updates.write(cursor, schema, load.source)
        changes = updates.entries(cursor, load.table, actor=load.actor, job=load.job) if updated else None
        return _ended(load, transaction, replace(loaded, inserted=inserted, updated=updated), changes)
    values = {g.column.name: present(g, g.value, sparse=load.source.sparse) for g in load.source.given}
    inserted = cursor.execute(sql.insert_values(schema, values, staging.GOOD)).fetchall()[0][0]
    return _ended(load, transaction, replace(loaded, inserted=int(inserted)))
