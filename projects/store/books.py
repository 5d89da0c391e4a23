"""Our bookkeeping inside the DuckDB file, in schema `_duckspawn`: what must never disagree with the tables.

Each live table's schema, the change feed, answers under an Idempotency-Key, finished write jobs, the audit chain's head, a format number.
Every change here is written in the transaction of what it describes.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from uuid import UUID, uuid4

import duckdb

from projects.errors import StoreTooNew
from projects.store.sql import BOOKS, CELL_ROWS, cells, literal
from schema_registry.schema import TableSchema

# Each step takes the books from one format to the next; they only ever grow.
STEPS: tuple[tuple[str, ...], ...] = (
    (
        f"CREATE SCHEMA IF NOT EXISTS {BOOKS}",
        f"CREATE TABLE {BOOKS}.meta (key VARCHAR PRIMARY KEY, value VARCHAR NOT NULL)",
        f"""CREATE TABLE {BOOKS}.tables (
            name VARCHAR NOT NULL, document VARCHAR NOT NULL, fingerprint VARCHAR NOT NULL,
            version INTEGER NOT NULL, provenance VARCHAR NOT NULL, changed_at TIMESTAMP NOT NULL)""",
        f"""CREATE TABLE {BOOKS}.changes (
            seq BIGINT NOT NULL, changed_at TIMESTAMP NOT NULL, table_name VARCHAR NOT NULL, op VARCHAR NOT NULL,
            actor VARCHAR NOT NULL, key VARCHAR, before VARCHAR, after VARCHAR, rows BIGINT, job VARCHAR,
            schema_version INTEGER)""",
        f"CREATE TABLE {BOOKS}.jobs (id VARCHAR NOT NULL, finished_at TIMESTAMP NOT NULL, result VARCHAR NOT NULL)",
    ),
    (
        f"CREATE TABLE {BOOKS}.plans (id BIGINT NOT NULL, finished_at TIMESTAMP NOT NULL, result VARCHAR NOT NULL)",
        # A column's old name, or, where `column_name` is null, the table's.
        f"""CREATE TABLE {BOOKS}.aliases (
            table_name VARCHAR NOT NULL, alias VARCHAR NOT NULL, column_name VARCHAR, since TIMESTAMP NOT NULL)""",
    ),
    (
        f"""CREATE TABLE {BOOKS}.answers (
            id UUID PRIMARY KEY, digest VARCHAR NOT NULL, answered_at TIMESTAMP NOT NULL,
            status INTEGER NOT NULL, headers VARCHAR NOT NULL, body VARCHAR NOT NULL)""",
    ),
)


@dataclass(frozen=True, slots=True)
class Alias:
    """A name that a column (or the table itself, where `column` is None) had before, since when it is deprecated."""

    name: str
    column: str | None
    since: datetime


@dataclass(frozen=True, slots=True)
class LiveTable:
    """A table as it is now. `version` counts the snapshots it came through; `provenance` is live, cached, mock or request."""

    schema: TableSchema
    version: int
    provenance: str
    changed_at: datetime
    aliases: tuple["Alias", ...] = ()

    @property
    def name(self) -> str:
        return self.schema.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of the change feed, before the commit gives it its number and time.

    `op` is create, replace, patch, delete, load or schema; `before` and `after` are rows as JSON text.
    """

    table: str
    op: str
    actor: str
    key: str | None = None
    before: str | None = None
    after: str | None = None
    rows: int | None = None
    job: str | None = None
    schema_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRelation:
    """Entries of the change feed that stand in a relation, such as a temporary table of the transaction's own cursor.

    `source` is SQL after FROM; it has the columns `key`, `before` and `after` as texts and is read in its own order.
    """

    source: str
    table: str
    op: str
    actor: str
    job: str | None = None
    schema_version: int | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """The answer to a request that named an Idempotency-Key; `headers` is a JSON object, `digest` is of what was sent."""

    id: UUID
    digest: str
    at: datetime
    status: int
    headers: str
    body: str


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Brings the books to this version's format. Raises StoreTooNew where a newer one wrote them."""
    found = _format(connection)
    if found > len(STEPS):
        raise StoreTooNew(found=found, known=len(STEPS))
    for number, statements in enumerate(STEPS[found:], found + 1):
        connection.begin()
        for statement in statements:
            connection.execute(statement)
        put(connection, "format", str(number))
        connection.commit()
    if get(connection, _IDENTITY) is None:
        put(connection, _IDENTITY, str(uuid4()))


_IDENTITY = "store"


def identity(connection: duckdb.DuckDBPyConnection) -> tuple[str, int]:
    """What tells this file from any other, and the last number of its change feed; nothing and 0 in a file without books."""
    if not _format(connection):
        return "", 0
    return get(connection, _IDENTITY) or "", last_seq(connection)


def _format(connection: duckdb.DuckDBPyConnection) -> int:
    """Found by reading: to ask the catalogue whether there are books makes DuckDB write out all of its own views first, 8 ms."""
    try:
        return int(get(connection, "format") or 0)
    except duckdb.CatalogException:
        return 0


def get(cursor: duckdb.DuckDBPyConnection, key: str) -> str | None:
    found = cursor.execute(f"SELECT value FROM {BOOKS}.meta WHERE key = ?", [key]).fetchall()
    return found[0][0] if found else None


def put(cursor: duckdb.DuckDBPyConnection, key: str, value: str) -> None:
    cursor.execute(f"INSERT INTO {BOOKS}.meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", [key, value])


# Tables.


def tables(cursor: duckdb.DuckDBPyConnection) -> dict[str, LiveTable]:
    """The live tables by their names without case."""
    rows = cursor.execute(f"SELECT name, document, version, provenance, changed_at FROM {BOOKS}.tables").fetchall()
    old = aliases(cursor)
    live = (
        LiveTable(_schema_of(document), version, provenance, changed_at.replace(tzinfo=UTC), old.get(name.casefold(), ()))
        for name, document, version, provenance, changed_at in rows
    )
    return {table.name.casefold(): table for table in live}


@lru_cache(maxsize=4096)
def _schema_of(document: str) -> TableSchema:
    """A schema out of the books; the same text is the same object, so that an unchanged table costs nothing to read again."""
    return TableSchema.from_json(json.loads(document))


def put_table(cursor: duckdb.DuckDBPyConnection, schema: TableSchema, *, version: int, provenance: str) -> None:
    """Records the live schema of a new or changed table."""
    cursor.execute(f"DELETE FROM {BOOKS}.tables WHERE lower(name) = lower(?)", [schema.name])
    cursor.execute(
        f"INSERT INTO {BOOKS}.tables VALUES (?, ?, ?, ?, ?, now() AT TIME ZONE 'UTC')",
        [schema.name, json.dumps(schema.as_json()), schema.fingerprint, version, provenance],
    )


def remove_table(cursor: duckdb.DuckDBPyConnection, name: str) -> None:
    cursor.execute(f"DELETE FROM {BOOKS}.tables WHERE lower(name) = lower(?)", [name])


# Deprecated names.


def aliases(cursor: duckdb.DuckDBPyConnection) -> dict[str, tuple[Alias, ...]]:
    """The old names of each table and its columns, by the table's name without case."""
    rows = cursor.execute(f"SELECT table_name, alias, column_name, since FROM {BOOKS}.aliases ORDER BY since, alias").fetchall()
    found: dict[str, tuple[Alias, ...]] = {}
    for table, name, column, since in rows:
        found[table.casefold()] = (*found.get(table.casefold(), ()), Alias(name, column, since.replace(tzinfo=UTC)))
    return found


def put_aliases(cursor: duckdb.DuckDBPyConnection, table: str, kept: Sequence[Alias]) -> None:
    """Records the old names of a table and its columns in place of those that it had."""
    cursor.execute(f"DELETE FROM {BOOKS}.aliases WHERE lower(table_name) = lower(?)", [table])
    for alias in kept:
        since = alias.since.astimezone(UTC).replace(tzinfo=None)
        cursor.execute(f"INSERT INTO {BOOKS}.aliases VALUES (?, ?, ?, ?)", [table, alias.name, alias.column, since])


# Plans that were applied.


def put_plan(cursor: duckdb.DuckDBPyConnection, plan: int, result: str) -> None:
    """Records, with what it did, that a plan is applied."""
    cursor.execute(f"INSERT INTO {BOOKS}.plans VALUES (?, now() AT TIME ZONE 'UTC', ?)", [plan, result])


def plan_result(cursor: duckdb.DuckDBPyConnection, plan: int) -> str | None:
    """The result of a plan that committed, as JSON text, or None."""
    found = cursor.execute(f"SELECT result FROM {BOOKS}.plans WHERE id = ?", [plan]).fetchall()
    return found[0][0] if found else None


# The change feed.

_COLUMNS = ("seq", "changed_at", "table_name", "op", "actor", "key", "before", "after", "job", "rows", "schema_version")
_WRITE = f"INSERT INTO {BOOKS}.changes ({', '.join(_COLUMNS)}) SELECT {', '.join(cells(len(_COLUMNS)))} FROM {CELL_ROWS}"


def last_seq(cursor: duckdb.DuckDBPyConnection) -> int:
    found = cursor.execute(f"SELECT coalesce(max(seq), 0) FROM {BOOKS}.changes").fetchone()
    return max(found[0] if found else 0, forgotten(cursor))


def forgotten(cursor: duckdb.DuckDBPyConnection) -> int:
    """The number up to which entries are kept no longer."""
    return int(get(cursor, "changes_forgotten") or 0)


def utc_cell(at: datetime) -> str:
    """A time in UTC as the cell of a TIMESTAMP."""
    return at.strftime("%Y-%m-%d %H:%M:%S.%f")


def write_entries(run: Callable[[str, str], object], entries: Sequence[Entry], *, after: int, at: datetime) -> int:
    """Numbers and writes the entries; gives the last number. `run` takes a statement and its one parameter."""
    moment = utc_cell(at)
    run(_WRITE, json.dumps([_as_cells(entry, seq, moment) for seq, entry in enumerate(entries, after + 1)]))
    return after + len(entries)


def write_relation(cursor: duckdb.DuckDBPyConnection, entries: EntryRelation, *, after: int, at: datetime) -> int:
    """Numbers and writes what stands in a relation, in one statement; gives the last number."""
    moment = literal(utc_cell(at))
    texts = ", ".join(literal(text) for text in (entries.table, entries.op, entries.actor, entries.job))
    version = "NULL" if entries.schema_version is None else str(entries.schema_version)
    statement = (
        f"INSERT INTO {BOOKS}.changes (seq, changed_at, table_name, op, actor, job, key, before, after, schema_version) "
        f"SELECT {after} + row_number() OVER (), {moment}::TIMESTAMP, {texts}, key, before, after, {version} FROM {entries.source}"
    )
    return after + int(cursor.execute(statement).fetchall()[0][0])


def _as_cells(entry: Entry, seq: int, moment: str) -> list[str | None]:
    """The entry's cells in the order of `_COLUMNS`."""
    rows = None if entry.rows is None else str(entry.rows)
    version = None if entry.schema_version is None else str(entry.schema_version)
    texts = [entry.table, entry.op, entry.actor, entry.key, entry.before, entry.after, entry.job]
    return [str(seq), moment, *texts, rows, version]


def forget_entries(cursor: duckdb.DuckDBPyConnection, *, up_to: int) -> None:
    """Removes the oldest entries, and remembers up to which."""
    if up_to > 0:
        cursor.execute(f"DELETE FROM {BOOKS}.changes WHERE seq <= ?", [up_to])
        put(cursor, "changes_forgotten", str(up_to))


# Finished write jobs.


def put_job(cursor: duckdb.DuckDBPyConnection, job: str, result: str) -> None:
    """Records, with the rows it wrote, that a job is done."""
    cursor.execute(f"INSERT INTO {BOOKS}.jobs VALUES (?, now() AT TIME ZONE 'UTC', ?)", [job, result])


def job_result(cursor: duckdb.DuckDBPyConnection, job: str) -> str | None:
    """The result of a job that committed, as JSON text, or None."""
    found = cursor.execute(f"SELECT result FROM {BOOKS}.jobs WHERE id = ?", [job]).fetchall()
    return found[0][0] if found else None


# Answers to requests that named an Idempotency-Key.

_KEPT = "id, digest, answered_at, status, headers, body"


def put_kept(cursor: duckdb.DuckDBPyConnection, answers: Sequence[Kept]) -> None:
    """Keeps answers, each in place of an older one that is no longer given."""
    texts = ((str(a.id), a.digest, utc_cell(a.at), str(a.status), a.headers, a.body) for a in answers)
    rows = ", ".join(f"({', '.join(map(literal, row))})" for row in texts)
    cursor.execute(f"INSERT OR REPLACE INTO {BOOKS}.answers ({_KEPT}) VALUES {rows}")


def kept(cursor: duckdb.DuckDBPyConnection, ids: Sequence[UUID], *, since: datetime) -> Kept | None:
    """The answer under one of the ids that is not older than `since`."""
    listed = ", ".join(literal(str(one)) for one in ids)
    statement = f"SELECT {_KEPT} FROM {BOOKS}.answers WHERE id IN ({listed}) AND answered_at >= {literal(utc_cell(since))}::TIMESTAMP"
    found = cursor.execute(statement).fetchall()
    return Kept(*found[0]) if found else None


def forget_kept(cursor: duckdb.DuckDBPyConnection, *, before: datetime) -> None:
    cursor.execute(f"DELETE FROM {BOOKS}.answers WHERE answered_at < {literal(utc_cell(before))}::TIMESTAMP")
