"""A copy of the whole file while it serves: `COPY FROM DATABASE` in one transaction, which has the store as it was at one moment.

Keys, rules, defaults, comments, our own bookkeeping and the file's format go over. Rows are written meanwhile; a plan waits, and so does
the end of a large load. The log of the live file is not folded in meanwhile. Measured, DuckDB 2.0, two cores: 2 to 6 s for a
million rows with their key, and the commit, which builds the keys anew, needs about 60 MiB for each million rows.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from projects.errors import BackupDamaged, BackupFailed
from projects.store import books, sql
from projects.store.books import LiveTable
from projects.store.connection import Store
from projects.store.errors import translated
from projects.store.gauge import BACKUPS, Gauge
from projects.store.sql import BOOKS, LOADING, literal, quote

VERSION = duckdb.__version__
PATIENCE = 60  # seconds
NAME = "spawn backup"  # what the copy is called while it is attached; no schema has such a name
# What looking at a copy may take from a process that serves.
LIMITS: dict[str, Any] = {"threads": 1, "memory_limit": "1GB", "autoload_known_extensions": False}
_TABLES = "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_database() AND NOT temporary ORDER BY ALL"


@dataclass(frozen=True, slots=True)
class Content:
    """What a table has: its rows, and a sum over all their values that no swap of two of them keeps."""

    rows: int
    sum: int


@dataclass(frozen=True, slots=True)
class Copied:
    """A copy: the change feed's last number in it, the format of its books, and what each table has by (schema, name)."""

    seq: int
    format: int
    tables: dict[tuple[str, str], Content]


def copy(store: Store, path: Path, job: str, beside: Callable[[], None]) -> Copied:
    """Copies the store to a new file of the spool, in which the job `job` is done.

    `beside` is called at the moment that the copy is of. Raises DiskFull, OutOfMemory, BackupFailed; then there is no file.
    """
    gauge = store.gauge(BACKUPS)
    with _tables_held(store), translated():
        try:
            with _attached(gauge, path):
                copied = _copied(store, gauge, job, beside)
            _settle(path, gauge)
            return copied
        except BaseException:
            for leftover in (path, Path(f"{path}.wal")):
                leftover.unlink(missing_ok=True)
            raise


@contextmanager
def _tables_held(store: Store) -> Iterator[None]:
    """No plan changes a table meanwhile, and no load puts one in another's place. In the order in which plans take their locks."""
    while True:
        names = {table.name.casefold() for table in store.tables()}
        with ExitStack() as stack:
            for name in sorted(names):
                stack.enter_context(store.locks.of(name).shared())
            if {table.name.casefold() for table in store.tables()} <= names:  # Else one was made or renamed while we waited.
                yield
                return


@contextmanager
def _attached(gauge: Gauge, path: Path) -> Iterator[None]:
    """The new file as a second database; at the end it is whole without a log."""
    gauge.cursor.execute(f"DETACH DATABASE IF EXISTS {quote(NAME)}")
    gauge.cursor.execute(f"ATTACH {literal(str(path))} AS {quote(NAME)} (STORAGE_VERSION 'v1.5.0')")
    try:
        yield
    except BaseException:
        _detach(gauge)
        raise
    gauge.cursor.execute(f"DETACH {quote(NAME)}")


def _detach(gauge: Gauge) -> None:
    """After a failure, again until it is done: a job that is cancelled has its cursor interrupted again and again."""
    for _ in range(1000):
        try:
            with suppress(duckdb.TransactionException):
                gauge.cursor.rollback()
            gauge.cursor.execute(f"DETACH {quote(NAME)}")
        except duckdb.InterruptException:
            continue
        except duckdb.Error:
            pass  # It is detached, but what it had could not be written, which is thrown away anyhow.
        return


def _settle(path: Path, gauge: Gauge) -> None:
    """Opens the copy for itself, and folds its log in if there still is one. Raises BackupFailed.

    Whoever was looking through the catalogue as it was detached, keeps it open until their statement ends.
    """
    until = time.monotonic() + PATIENCE
    while True:
        gauge.check()
        try:
            with duckdb.connect(str(path), config=LIMITS) as copy:
                copy.execute("CHECKPOINT")
            return
        except duckdb.Error as error:
            if "already attached" not in str(error):
                raise
            if time.monotonic() > until:
                raise BackupFailed(reason="a statement of somebody's has kept the copy open for a minute") from error
            time.sleep(0.01)


def _copied(store: Store, gauge: Gauge, job: str, beside: Callable[[], None]) -> Copied:
    cursor = gauge.cursor
    with store.still():
        cursor.begin()
        seq = books.last_seq(cursor)
        beside()
    gauge.stretch(0, 10)
    found = contents(cursor)
    gauge.stretch(10, 70)
    cursor.execute(f"COPY FROM DATABASE {_here(cursor)} TO {quote(NAME)}")
    for schema, table in [one for one in found if one[1].startswith(LOADING)]:
        cursor.execute(f"DROP TABLE {quote(NAME)}.{quote(schema)}.{quote(table)}")
        del found[schema, table]
    gauge.stretch(70, 70)
    # In the copy the job that makes it is done, so that a server that starts with it does not do it again.
    cursor.execute(f"INSERT INTO {quote(NAME)}.{BOOKS}.jobs VALUES (?, now() AT TIME ZONE 'UTC', '{{}}')", [job])
    cursor.commit()
    return Copied(seq, len(books.STEPS), found)


def _here(cursor: duckdb.DuckDBPyConnection) -> str:
    return quote(str(cursor.execute("SELECT current_database()").fetchall()[0][0]))


def contents(cursor: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], Content]:
    """What each table of the cursor's own database has."""
    return {(schema, table): _content(cursor, schema, table) for schema, table in cursor.execute(_TABLES).fetchall()}


def _content(cursor: duckdb.DuckDBPyConnection, schema: str, table: str) -> Content:
    row = quote("spawn row")  # No column has such a name, which would be taken for it.
    statement = f"SELECT count(*), coalesce(sum(hash({row})::HUGEINT), 0) FROM {quote(schema)}.{quote(table)} AS {row}"
    return Content(*cursor.execute(statement).fetchall()[0])


# Looking at a copy, apart from the store.


@contextmanager
def opened(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A copy for reading. Raises BackupDamaged."""
    try:
        with duckdb.connect(str(path), read_only=True, config=LIMITS) as connection:
            yield connection
    except duckdb.Error as error:
        reason = f"DuckDB {duckdb.__version__} cannot read {path.name}: {str(error).splitlines()[0]}"
        raise BackupDamaged(backup=path.parent.name, reason=reason) from error


def verify(path: Path, copied: Copied) -> list[tuple[LiveTable, int]]:
    """Reads every value of a fresh copy, and compares it with what the store had; gives the live tables with their rows.

    Raises BackupFailed.
    """
    with opened(path) as cursor:
        found = contents(cursor)
        live = _live(cursor, {table for schema, table in found if schema == "main"})
    own = (BOOKS, "jobs")  # has one row more
    wanted = {**copied.tables, own: Content(copied.tables[own].rows + 1, found[own].sum)} if own in found else copied.tables
    if differing := sorted(one for one in found.keys() | wanted.keys() if found.get(one) != wanted.get(one)):
        raise BackupFailed(reason=f"the copy is not what the store was: {', '.join('.'.join(one) for one in differing)}")
    return [(table, found["main", name].rows) for name, table in live.items()]


def counted(path: Path) -> dict[str, int]:
    """The rows of each live table of a copy. Raises BackupDamaged."""
    with opened(path) as cursor:
        names = {table for schema, table in cursor.execute(_TABLES).fetchall() if schema == "main"}
        statement = "SELECT count(*) FROM {}"
        live = _live(cursor, names).items()
        return {table.name: cursor.execute(statement.format(sql.table(name))).fetchall()[0][0] for name, table in live}


def _live(cursor: duckdb.DuckDBPyConnection, names: Iterable[str]) -> dict[str, LiveTable]:
    """The live tables by the names that the catalogue has; one that was dropped by hand is none."""
    known = books.tables(cursor)
    return {name: known[name.casefold()] for name in sorted(names) if name.casefold() in known}
