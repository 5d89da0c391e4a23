"""A row erased from the file: itself, what the change feed and the kept answers say of it, and the archives that have it.

What DuckDB freed keeps its bytes until something else is written there (measured, DuckDB 2.0: DELETE, CHECKPOINT, VACUUM and a rebuilt
table leave them all); `rewrite` makes the file anew, without them.
"""

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb

from projects.errors import RewriteFailed, StoreBusy, StoreDamaged
from projects.store import archive, books, checkpoints, feed, sql
from projects.store.archive import Archive
from projects.store.books import Entry, LiveTable
from projects.store.connection import Store, Transaction
from projects.store.errors import translated
from projects.store.references import Enforced
from projects.store.rows import Key, key_text
from projects.store.sql import BOOKS, literal, quote
from schema_registry.schema import TableSchema

ERASE = "erase"  # what the feed says of the entries that are left, and of the erasure
TRIES, PAUSE = 1000, 0.01  # a checkpoint needs a moment in which nobody writes; seconds between looks for one


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose row: its table's schema and the names that it has and had, the key's cells; `live` is None for a table that was dropped.

    `before` is the key as the table had it while its columns were of other types, such as a date that is a time by now.
    """

    schema: TableSchema
    names: tuple[str, ...]
    key: Key
    live: LiveTable | None
    before: tuple[Key, ...] = ()

    @property
    def text(self) -> str:
        """The key as the feed and an address have it."""
        return key_text(self.key)

    @property
    def keys(self) -> tuple[Key, ...]:
        return (self.key, *self.before)

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(map(key_text, self.keys))


@dataclass(frozen=True, slots=True)
class Erased:
    """How much of a row the file had: itself (0 or 1), entries of the change feed, kept answers, results of jobs."""

    rows: int
    entries: int
    answers: int
    results: int


def spellings(cell: str) -> list[str]:
    """A cell as it may stand in a text: as it is, in SQL, in CSV, and in JSON, which may be ASCII alone; the longest first."""
    in_json = (json.dumps(cell, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False))
    return sorted({cell, cell.replace("'", "''"), cell.replace('"', '""'), *in_json}, key=len, reverse=True)


@dataclass(frozen=True, slots=True)
class Noted:
    """An erasure that the file has, and the audit log perhaps not: of which table, by whom, what the row is called there, the counts."""

    table: str
    actor: str
    called: str
    done: dict[str, int]


_NOTE = "erasing"


def noted(store: Store) -> Noted | None:
    with store.read() as cursor:
        text = books.get(cursor, _NOTE)
    return Noted(**json.loads(text)) if text else None


def forget_noted(store: Store) -> None:
    store.writer.alone(lambda writing: books.put(writing.cursor, _NOTE, ""))


def canonical(store: Store, schema: TableSchema, key: Key) -> Key:
    """The key's cells as DuckDB prints them, such as 7 for 007."""
    cells = (sql.cell_of(c, sql.value_of(c, literal(cell))) for c, cell in zip(schema.key_columns, key, strict=True))
    with store.read() as cursor:
        return tuple(cursor.execute(f"SELECT {', '.join(cells)}").fetchall()[0])


def as_of(store: Store, schema: TableSchema, key: Key, earlier: TableSchema) -> Key | None:
    """The key as it was written under an earlier schema; None where it was none then, for no value of that time is this one."""
    if len(schema.key_columns) != len(earlier.key_columns):
        return None
    cells = []
    for now, was, cell in zip(schema.key_columns, earlier.key_columns, key, strict=True):
        value = sql.value_of(now, literal(cell))
        then = f"TRY_CAST(({value})::VARCHAR AS {was.sql_type})"  # Every type is made of text, and not of every other type.
        cells.append(f"CASE WHEN TRY_CAST({then}::VARCHAR AS {now.sql_type}) = {value} THEN {sql.cell_of(was, then)} END")
    with store.read() as cursor:
        found = tuple(cursor.execute(f"SELECT {', '.join(cells)}").fetchall()[0])
    return None if None in found else found


def erase(store: Store, whose: Whose, *, actor: str, enforced: Enforced | None, called: str) -> Erased:
    """All of it in one transaction on the writer's thread; the feed keeps its numbers, and gets one more entry that says nothing.

    The file notes it under what the audit log has the row `called`, until `forget_noted`. Raises RowReferenced. The caller holds the
    table's lock alone.
    """

    def work(transaction: Transaction) -> Erased:
        rows = _row(transaction, whose, enforced) if whose.live else 0
        done = Erased(rows, _entries(store, transaction, whose), *_answers(transaction, whose))
        if any(asdict(done).values()):
            transaction.entries.append(Entry(table=whose.schema.name, op=ERASE, actor=actor, rows=-rows))
            books.put(transaction.cursor, _NOTE, json.dumps(asdict(Noted(whose.schema.name, actor, called, asdict(done)))))
        return done

    erased: Erased = store.writer.alone(work)
    return erased


def _row(transaction: Transaction, whose: Whose, enforced: Enforced | None) -> int:
    is_row = sql.key_is(whose.schema, whose.key)
    if enforced and (refusal := enforced.of_change(transaction.cursor, whose.schema, is_row, None)):
        raise refusal
    return int(transaction.execute(sql.delete(whose.schema, whose.key)).fetchall()[0][0])


def _entries(store: Store, transaction: Transaction, whose: Whose) -> int:
    """Each stays with its number, and with what it added to the table's rows."""
    named = " OR ".join(f"lower(table_name) = lower({literal(name)})" for name in whose.names)
    of_table = feed.of_table(store, whose.live) if whose.live else named
    gain = "(after IS NOT NULL)::INTEGER - (before IS NOT NULL)::INTEGER"
    redacted = f"op = {literal(ERASE)}, rows = {gain}, key = NULL, before = NULL, after = NULL"
    statement = f"UPDATE {BOOKS}.changes SET {redacted} WHERE key IN ({', '.join(map(literal, whose.texts))}) AND ({of_table})"
    return int(transaction.execute(statement).fetchall()[0][0])


def _answers(transaction: Transaction, whose: Whose) -> tuple[int, int]:
    """The answers that gave the row, and the rejects of loads that may be of it; who sends such a request again is told nothing more."""
    places = ", ".join(literal(f"/ops/{name.casefold()}/{text}") for name in whose.names for text in whose.texts)
    location = "url_decode(coalesce(json_extract_string(headers, '$.Location'), ''))"
    named = f"'/ops/' || lower(split_part({location}, '/', 3)) || '/' || split_part({location}, '/', 4)"
    plain = """body = '{}', headers = '{"Content-Type": "application/json"}'"""
    answers = transaction.execute(f"UPDATE {BOOKS}.answers SET {plain} WHERE {named} IN ({places})").fetchall()[0][0]
    shown = _unrejected(transaction, whose, "answers", "body")
    return int(answers) + shown, _unrejected(transaction, whose, "jobs", "result")


def _unrejected(transaction: Transaction, whose: Whose, table: str, column: str) -> int:
    """The rejects that a load's result shows may be of the row."""
    cells = (" OR ".join(f"contains({column}, {literal(text)})" for text in spellings(cell)) for cell in whose.key)
    spoken = " AND ".join(f"({cell})" for cell in cells)
    rejects = f"coalesce(TRY(json_array_length({column}, '$.rejects')), 0) > 0"
    emptied = f"""json_merge_patch({column}, '{{"rejects": []}}')"""
    return int(transaction.execute(f"UPDATE {BOOKS}.{table} SET {column} = {emptied} WHERE {rejects} AND {spoken}").fetchall()[0][0])


# Archives.


def without(store: Store, kept: Archive, schema: TableSchema, keys: Sequence[Key]) -> Archive | None:
    """The archive anew without the rows of those keys, or None where it has none. `schema` is what its keys are of; the old one stays.

    Raises ArchiveDamaged, DiskFull.
    """
    view = "spawn archive to erase from"
    with store.read() as cursor, archive.opened(store, cursor, kept, view):
        names = [name for name, *_ in cursor.execute(f"DESCRIBE {quote(view)}").fetchall()]
        prefix = "key " if "is kept" in names else ""
        if len(keys[0]) != len(schema.key_columns) or any(prefix + c.name not in names for c in schema.key_columns):
            return None
        values = [archive.kept(c, quote(prefix + c.name)) for c in schema.key_columns]
        cells = [[sql.cell_of(c, value), f"{value}::VARCHAR"] for c, value in zip(schema.key_columns, values, strict=True)]
        is_row = " OR ".join(
            " AND ".join(f"{literal(cell)} IN ({', '.join(ways)})" for ways, cell in zip(cells, key, strict=True)) for key in keys
        )
        if not cursor.execute(f"SELECT count(*) FROM {quote(view)} WHERE {is_row}").fetchall()[0][0]:
            return None
        described = json.loads((store.archive / kept.file).with_suffix(".json").read_text())
        label = kept.file.rsplit("-", 2)[0]
        return archive.write(store, cursor, f"SELECT * FROM {quote(view)} WHERE NOT coalesce({is_row}, false)", label, described)


def record_archive(store: Store, plan: int, made: Archive) -> None:
    """What the file remembers of the plan's archive."""

    def work(transaction: Transaction) -> None:
        if (result := books.plan_result(transaction.cursor, plan)) is not None:
            changed = json.dumps(json.loads(result) | {"archive": made.as_json()})
            transaction.execute(f"UPDATE {BOOKS}.plans SET result = {literal(changed)} WHERE id = {plan}")

    store.writer.alone(work)


# What is left of it on the disk.


def fold(store: Store) -> None:
    """Folds the log in, which still has what was written before. Raises StoreBusy where no moment for it was found."""
    for _ in range(TRIES):
        if checkpoints.folded(store):
            return
        time.sleep(PAUSE)
    raise StoreBusy()


def rewrite(path: Path) -> tuple[int, int]:
    """Makes the file anew from what stands in it, and puts that in its place; gives the bytes before and after.

    Nobody may have it open. Raises StoreHeld, StoreDamaged, DiskFull, RewriteFailed; then the file is as it was.
    """
    path = path.resolve()
    if not path.is_file():
        raise StoreDamaged(reason="it is not there; see that DUCKDB_PATH names the right one")
    made = path.with_name(f"{path.name}.rewritten")
    before = path.stat().st_size
    try:
        with translated(), duckdb.connect(":memory:") as instance, _both(instance, path, made):
            made.chmod(path.stat().st_mode & 0o777)
            _sync(made)
            made.replace(path)  # While the old one is held, so that nobody writes to it any more.
            _sync(path.parent)
    finally:
        made.unlink(missing_ok=True)
    return before, path.stat().st_size


@contextmanager
def _both(instance: duckdb.DuckDBPyConnection, path: Path, made: Path) -> Iterator[None]:
    """The file attached, and beside it a whole copy that is closed already."""
    made.unlink(missing_ok=True)
    instance.execute("SET TimeZone = 'UTC'")
    instance.execute(f"ATTACH {literal(str(path))} AS old")
    instance.execute("CHECKPOINT old")
    if (log := Path(f"{path}.wal")).exists() and log.stat().st_size:  # It would be played onto the new file.
        raise RewriteFailed()
    instance.execute(f"ATTACH {literal(str(made))} AS new (STORAGE_VERSION 'v1.5.0')")
    instance.execute("COPY FROM DATABASE old TO new")
    if _content(instance, "old") != _content(instance, "new"):
        raise RewriteFailed()
    instance.execute("CHECKPOINT new")
    instance.execute("DETACH new")
    yield
    instance.execute("DETACH old")


def _content(instance: duckdb.DuckDBPyConnection, database: str) -> list[Sequence[object]]:
    """What the catalogue says of each table, its number of rows, and a sum over their values."""
    tables = instance.execute(
        f"SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = '{database}' ORDER BY ALL"
    ).fetchall()
    found: list[Sequence[object]] = []
    for schema, name in tables:
        rows = f"FROM {database}.{quote(schema)}.{quote(name)} t"
        found += instance.execute(f"SELECT count(*), sum(hash(t)::HUGEINT) {rows}").fetchall()
    for asked in (
        "table_name, column_name, data_type, is_nullable, column_default, comment FROM duckdb_columns()",
        "table_name, constraint_type, constraint_text, '', '', '' FROM duckdb_constraints()",
    ):
        found += instance.execute(f"SELECT {asked} WHERE database_name = '{database}' ORDER BY ALL").fetchall()
    return [*tables, *found]


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
