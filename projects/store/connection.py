"""The one place where the DuckDB file is opened: lazily, once a process, locked down; and how it is read and written.

Readers take a cursor each (`read`). Everything that writes goes through `transaction`, which gives the change feed its
numbers at the commit. Single rows and DDL run on the writer thread (writer.py), loads on the thread that asked.
"""

import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import duckdb
from django.conf import settings

from projects.errors import StoreClosed, TableNotFound
from projects.store import books
from projects.store.books import Entry, EntryRelation, LiveTable
from projects.store.errors import RowsMoved, translated
from projects.store.gauge import JOBS, LANES, Gauge
from projects.store.locks import TableLocks
from projects.store.opening import Guard, Limits, check_untouched, connect, lock_down, make_folders
from projects.store.prepared import Prepared
from projects.store.room import Room
from projects.store.rounds import Rounds
from projects.store.stats import Stats
from projects.store.writer import Writer

log = logging.getLogger(__name__)

ADDING = ("create", "load")  # what an entry does that takes no row away; a load that changes rows has a relation of entries
DUCKDBS_OWN = Limits()
Cursor = duckdb.DuckDBPyConnection  # for those above the store, who hand one on without knowing DuckDB


@dataclass(slots=True)
class Transaction:
    """An open write transaction: its cursor, and the feed's entries that are numbered and written at the commit.

    Where many rows change their entries stand in relations, which are numbered after the single ones. `relies_on` is what
    `Store.lasting` gave before it began, of tables whose rows it took for granted.
    """

    cursor: duckdb.DuckDBPyConnection
    entries: list[Entry] = field(default_factory=list)
    entry_relations: list[EntryRelation] = field(default_factory=list)
    changes_catalogue: bool = False
    relies_on: Mapping[str, int] = field(default_factory=dict)
    committed: bool = False
    prepared: Prepared | None = None

    def tables(self) -> set[str]:
        """The tables that the entries are of."""
        return {entry.table for entry in self.entries} | {relation.table for relation in self.entry_relations}

    def shaken(self) -> set[str]:
        """The tables of which rows may be gone or changed, and not only new."""
        changed = {entry.table for entry in self.entries if entry.op not in ADDING}
        return changed | {relation.table for relation in self.entry_relations}

    def run(self, statement: str, text: str) -> duckdb.DuckDBPyConnection:
        """Runs a statement whose one parameter is a text; a cursor that is kept plans it once."""
        return self.prepared.run(statement, text) if self.prepared else self.cursor.execute(statement, [text])

    def execute(self, sql: str, parameters: Any = None) -> duckdb.DuckDBPyConnection:
        return self.cursor.execute(sql, parameters)


class Store:
    """The DuckDB file at `path`. Work files go to `spool`, what destructive steps took away to `archive`."""

    def __init__(self, path: Path, spool: Path, archive: Path, *, limits: Limits = DUCKDBS_OWN, room: Room | None = None) -> None:
        self.path, self.spool, self.archive = path, spool, archive
        self.stats = Stats()
        self.room = room or Room({}, 0)
        self.guard: Guard | None = None
        self.identity = ""
        self._limits = limits
        self._opening = threading.RLock()
        self._committing = threading.Lock()
        self._news = threading.Condition()
        self._hushed = False
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._gauges: dict[str, Gauge] = {}
        self._closed = False
        self._catalogue: dict[str, LiveTable] = {}
        self._seq = 0
        self._opened = ""
        self._changed: dict[str, int] = {}
        self._shaken: dict[str, int] = {}
        self.writer = Writer(self)
        self.locks = TableLocks()
        self.rounds = Rounds()
        self.generation = 0  # grows whenever the set of tables or a schema changes

    @classmethod
    def from_settings(cls) -> Self:
        return cls(
            Path(settings.DUCKDB_PATH),
            Path(settings.SPOOL_DIR),
            Path(settings.ARCHIVE_DIR),
            limits=Limits(settings.DUCKDB_MEMORY_LIMIT, settings.DUCKDB_TEMP_LIMIT, settings.DUCKDB_THREADS),
            room=Room.from_settings(),
        )

    # Opening and closing.

    def connection(self) -> duckdb.DuckDBPyConnection:
        """The open file. Raises StoreHeld where another process has it, StoreDamaged, StoreTooNew, FolderUnusable, StoreClosed."""
        if self._connection is not None:
            return self._connection
        with self._opening:
            if self._closed:
                raise StoreClosed()
            if self._connection is None:
                self._connection = self._open()
            return self._connection

    def _open(self) -> duckdb.DuckDBPyConnection:
        if self.guard:
            self.guard.check_there(self.path)
        make_folders(self.path, self.spool, self.archive)
        with translated():
            connection = connect(self.path, self._limits)
            try:
                if self.guard:
                    check_untouched(connection, self.guard)
                self._gauges = {lane: Gauge(connection) for lane in LANES}
                lock_down(connection, self.spool)
                books.prepare(connection)
                self._catalogue = books.tables(connection)
                self.identity, self._seq = books.identity(connection)
            except BaseException:
                connection.close()
                raise
        self.generation += 1
        self._opened, self._changed = uuid4().hex, {}
        return connection

    def close(self) -> None:
        """Writes what was accepted and closes the file, with its log folded in. Later use raises StoreClosed."""
        self.end_waits()
        self.writer.stop()
        with self._opening:
            self._closed = True
            self._forget_connection()

    def _forget_connection(self, failed: duckdb.DuckDBPyConnection | None = None) -> None:
        """After a fatal error DuckDB refuses everything until the file is opened anew; the next use does that.

        Of the many who meet the error one forgets the connection that `failed`; the others find another one.
        """
        with self._opening:
            if self._connection is not None and failed in (None, self._connection):
                self._connection.close()
                self._connection, self._gauges = None, {}

    def _open_anew(self, failed: duckdb.DuckDBPyConnection, error: duckdb.FatalException) -> None:
        log.error("DuckDB failed; the file is opened anew: %s", error)
        self._forget_connection(failed)
        self.writer.let_go()

    # Long work.

    def gauge(self, lane: str = JOBS) -> Gauge:
        """What measures the job that runs in the lane. Raises StoreClosed, and as `connection`."""
        if self.connection() and lane in self._gauges:
            return self._gauges[lane]
        raise StoreClosed()

    def measured_cursor(self) -> duckdb.DuckDBPyConnection:
        """The cursor of the one job that people wait for."""
        return self.gauge().cursor

    def progress(self) -> float:
        """How far that job is, in percent."""
        return self.gauge().progress()

    def stretch(self, low: float, high: float) -> None:
        """Says which part of it, in percent, the measured cursor's next statements are."""
        self.gauge().stretch(low, high)

    # Reading.

    @contextmanager
    def read(self, kept: duckdb.DuckDBPyConnection | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """A fresh cursor for one reader, or the one that is `kept`; fetch to the end. DuckDB's errors leave it as ours."""
        with translated():
            connection = self.connection()
            cursor = kept or connection.cursor()
            try:
                yield cursor
            except duckdb.FatalException as error:
                self._open_anew(connection, error)
                raise
            finally:
                if kept is None:
                    cursor.close()

    @property
    def is_open(self) -> bool:
        """Whether this process is the owner of the file."""
        return self._connection is not None

    def tables(self) -> list[LiveTable]:
        """The live tables by name."""
        self.connection()
        return sorted(self._catalogue.values(), key=lambda t: t.schema.name.casefold())

    def settled_tables(self) -> list[LiveTable]:
        """As `tables`, once a commit under way is through, so that no table that DuckDB shows already is missing."""
        self.connection()
        with self._committing:
            return self.tables()

    def table(self, name: str) -> LiveTable:
        """The live table that has the name, compared without case, or else the one that had it before. Raises TableNotFound."""
        self.connection()
        catalogue, wanted = self._catalogue, name.casefold()
        found = catalogue.get(wanted) or _renamed(catalogue.values(), wanted)
        if found is None:
            raise TableNotFound(table=name)
        return found

    def present_name(self, name: str) -> str:
        """The name now of the table that `table` gives for it; the same where there is none."""
        try:
            return self.table(name).name
        except TableNotFound:
            return name

    def has(self, name: str) -> bool:
        """Whether a live table has the name now."""
        self.connection()
        return name.casefold() in self._catalogue

    def mark_of(self, table: str) -> str:
        """A text that is another one after every commit that changed the table's rows or any schema, and after each opening of the file."""
        self.connection()
        return f"{self._opened}.{self.generation}.{self._changed.get(table.casefold(), 0)}"

    def lasting(self, tables: Iterable[str]) -> dict[str, int]:
        """For each table the number of the last commit that took rows of it away or changed them, for `Transaction.relies_on`."""
        return {table: self._shaken.get(table.casefold(), 0) for table in tables}

    @contextmanager
    def still(self) -> Iterator[None]:
        """Nobody commits to the file meanwhile, so what is begun here in it and elsewhere is of one moment. For milliseconds only."""
        with self._committing:
            yield

    def is_live(self, table: LiveTable) -> bool:
        """Whether the table is still the one that it was, once a commit under way is through: DuckDB shows it sooner than `table` does."""
        with self._committing:
            return self._catalogue.get(table.name.casefold()) is table

    # The change feed.

    @property
    def seq(self) -> int:
        """The last number of the change feed; everything up to it can be read."""
        self.connection()
        return self._seq

    def wait_past(self, seq: int, seconds: float) -> bool:
        """Waits until the feed goes on after `seq`, at most so long. False where nobody is to wait, for the process stops."""
        with self._news:
            self._news.wait_for(lambda: self._seq > seq or self._hushed, seconds)
            return not self._hushed

    def end_waits(self) -> None:
        """Sends those away who wait for the change feed, now and from now on."""
        with self._news:
            self._hushed = True
            self._news.notify_all()

    # Writing.

    @contextmanager
    def transaction(self, cursor: duckdb.DuckDBPyConnection | None = None, *, prepared: Prepared | None = None) -> Iterator[Transaction]:
        """All or nothing: commits at the end, rolls back on any error.

        The feed's numbers are given and the commit is made under one lock, so that they become visible in order.
        """
        with translated():
            connection, kept = self.connection(), prepared.cursor if prepared else cursor
            own = kept or connection.cursor()
            transaction = Transaction(own, prepared=prepared)
            try:
                own.begin()
                yield transaction
                self.commit(transaction)
            except duckdb.FatalException as error:
                self._open_anew(connection, error)
                raise
            except BaseException:
                if not transaction.committed:
                    _roll_back(own)
                raise
            finally:
                if kept is None:
                    own.close()

    def commit(self, transaction: Transaction) -> None:
        """Commits now, for work that must undo something outside DuckDB if the commit fails; once is enough.

        Raises RowsMoved where rows of a table that the transaction relies on went or changed since it began.
        """
        if transaction.committed:
            return
        with self._committing:
            if self.lasting(transaction.relies_on) != transaction.relies_on:
                raise RowsMoved()
            seq = self._number(transaction)
            started = time.perf_counter()
            transaction.cursor.commit()
            transaction.committed = True
            self.stats.commit_seconds.add(time.perf_counter() - started)
            self._tell(seq)
            self._changed |= {table.casefold(): seq for table in transaction.tables()}
            self._shaken |= {table.casefold(): seq for table in transaction.shaken()}
            if transaction.changes_catalogue:
                self._reload(transaction.cursor)

    def _tell(self, seq: int) -> None:
        """Wakes those who wait for the feed's next number."""
        if seq > self._seq:
            with self._news:
                self._seq = seq
                self._news.notify_all()

    def _number(self, transaction: Transaction) -> int:
        """Writes the transaction's entries with their numbers, and forgets the oldest of all; gives the last number."""
        seq, now = self._seq, datetime.now(UTC)
        if transaction.entries:
            seq = books.write_entries(transaction.run, transaction.entries, after=seq, at=now)
        for relation in transaction.entry_relations:
            seq = books.write_relation(transaction.cursor, relation, after=seq, at=now)
        if seq // 1000 > self._seq // 1000:
            books.forget_entries(transaction.cursor, up_to=seq - settings.CHANGES_KEEP)
        return seq

    def _reload(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Takes in the tables as they are now; an unchanged one keeps its object, for writes that were checked against it."""
        fresh, kept = books.tables(cursor), self._catalogue
        self._catalogue = {name: kept[name] if kept.get(name) == table else table for name, table in fresh.items()}
        self.generation += 1


def _renamed(tables: Iterable[LiveTable], name: str) -> LiveTable | None:
    """The table that had the name, without case, until the latest."""
    had = [(alias.since, table) for table in tables for alias in table.aliases if alias.column is None and alias.name.casefold() == name]
    return max(had, key=lambda one: one[0])[1] if had else None


def _roll_back(cursor: duckdb.DuckDBPyConnection) -> None:
    try:
        cursor.rollback()
    except duckdb.TransactionException:
        pass  # The failed statement had ended the transaction already.


_store: Store | None = None
_store_pid = 0
_finding = threading.Lock()


def get_store() -> Store:
    """This process's store. A forked child gets its own, for an inherited handle corrupts the file."""
    global _store, _store_pid
    with _finding:
        if _store is None or _store_pid != os.getpid():
            _store, _store_pid = Store.from_settings(), os.getpid()
        return _store


def reset_store() -> None:
    """Closes this process's store and forgets it; the next `get_store` makes one from the settings as they are then."""
    global _store  # noqa: PLW0603
    with _finding:
        if _store is not None and _store_pid == os.getpid():
            _store.close()
        _store = None
