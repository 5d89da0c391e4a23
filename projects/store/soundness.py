"""Whether the file keeps what it promises: its tables, their keys and rules, the change feed, our own books. Nothing is changed.

Each table is looked at in one snapshot, so a store that is at work is as sound as one at rest.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb

from projects.errors import StoreBusy, StoreDamaged
from projects.store import books, catalogue, evidence, sql
from projects.store.books import LiveTable
from projects.store.connection import Store
from projects.store.errors import MISFITS, DuplicateSeen
from projects.store.references import references_of
from projects.store.sql import BOOKS, LOADING
from schema_registry.schema import ColumnSchema, TableSchema

TRIES = 3  # looks at a table whose schema changes while it is looked at
SUSPECTS = 1000  # rows without an entry in an index that are looked at one by one
ASKED = 200  # rows of a table that are asked for by each of its indexes


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is not as it should be. What is no `damage` is only told: it harms nothing, or is for people to decide."""

    check: str
    object: str
    detail: str
    rows: int | None = None
    damage: bool = True


@dataclass(frozen=True, slots=True)
class Rule:
    """A promise of a column: the condition that a row breaks it, and a sentence on rows that do."""

    breaks: str
    detail: str


@contextmanager
def snapshot(store: Store) -> Iterator[duckdb.DuckDBPyConnection]:
    """The cursor of the one job that runs, which can be interrupted, within one transaction that is rolled back."""
    with store.read(store.measured_cursor()) as cursor:
        cursor.begin()
        try:
            yield cursor
        finally:
            try:
                cursor.rollback()
            except duckdb.Error:
                pass  # A failed statement had ended it.


# Tables.


def check_table(
    store: Store, name: str, rules: Callable[[TableSchema], list[Rule]], enforced: Collection[str]
) -> Iterator[tuple[str, list[Finding]]]:
    """Each check of one live table with what it found: catalogue, keys, unique, values, references, feed. Nothing of one that is gone.

    A table that the file has otherwise than the books say is asked nothing else.
    """
    for look in range(1, TRIES + 1):
        try:
            with snapshot(store) as cursor:
                live = books.tables(cursor).get(name.casefold())
                found = list(_looks(store, cursor, live, rules, enforced)) if live else []
            if live and all(not findings for check, findings in found if check == "catalogue"):
                found.append(("index", _unindexed(store, live.schema)))
        except MISFITS as misfit:
            if look < TRIES:
                continue
            found = [("catalogue", [_unreadable(name, misfit)])]
        except StoreBusy:
            if look < TRIES:
                continue
            raise
        except (duckdb.InterruptException, duckdb.FatalException):
            raise
        except duckdb.Error as error:
            found = [("catalogue", [_unreadable(name, error)])]
        yield from found
        return


def _unreadable(name: str, error: duckdb.Error) -> Finding:
    return Finding(check="catalogue", object=name, detail=f"DuckDB cannot read it: {str(error).splitlines()[0]}")


def _looks(
    store: Store,
    cursor: duckdb.DuckDBPyConnection,
    live: LiveTable,
    rules: Callable[[TableSchema], list[Rule]],
    enforced: Collection[str],
) -> Iterator[tuple[str, list[Finding]]]:
    entry = catalogue.read(cursor, live.name).get(live.name.casefold())
    differs = catalogue.differences(cursor, entry, live)
    yield "catalogue", [Finding(check="catalogue", object=live.name, detail=detail) for detail in differs]
    if differs:
        return
    schema = live.schema
    yield "keys", _keys(cursor, schema)
    yield "unique", [found for rule in schema.unique for found in _repeated(cursor, schema, rule)]
    yield "values", _values(cursor, schema, rules(schema))
    yield "references", _references(store, cursor, schema, damage=live.name.casefold() in enforced)
    yield "feed", list(_feed(cursor, schema))


def _keys(cursor: duckdb.DuckDBPyConnection, schema: TableSchema) -> list[Finding]:
    """By a scan: an index may have lost what the table has."""
    names = [sql.quote(name) for name in schema.primary_key]
    empty = evidence.counts(cursor, sql.table(schema.name), [" OR ".join(f"{name} IS NULL" for name in names)])[1]
    twice = evidence.repeated(cursor, sql.table(schema.name), names)
    said = (("have no value in their key.", empty), ("have a key that another row has too.", twice))
    return [Finding(check="keys", object=schema.name, detail=f"Rows {what}", rows=rows) for what, rows in said if rows]


def _repeated(cursor: duckdb.DuckDBPyConnection, schema: TableSchema, rule: Collection[str]) -> Iterator[Finding]:
    rows = evidence.repeated(cursor, sql.table(schema.name), [sql.quote(name) for name in rule])
    if rows:
        yield Finding(check="unique", object=schema.name, detail=f"Rows have the same {', '.join(rule)} as another.", rows=rows)


def _values(cursor: duckdb.DuckDBPyConnection, schema: TableSchema, rules: list[Rule]) -> list[Finding]:
    _, *found = evidence.counts(cursor, sql.table(schema.name), [rule.breaks for rule in rules])
    broken = ((rule, rows) for rule, rows in zip(rules, found, strict=True) if rows)
    return [Finding(check="values", object=schema.name, detail=rule.detail, rows=rows) for rule, rows in broken]


def _references(store: Store, cursor: duckdb.DuckDBPyConnection, schema: TableSchema, *, damage: bool) -> list[Finding]:
    """A table that does not enforce its references may have rows whose reference does not hold."""
    found = []
    for reference in references_of(store, schema):
        value = f"s.{sql.quote(reference.column.name)}"
        asked = f"SELECT count(*) FROM {sql.table(schema.name)} s WHERE {value} IS NOT NULL AND NOT {reference.has(value)}"
        if rows := cursor.execute(asked).fetchall()[0][0]:
            detail = f"Rows refer by {reference.column.name} to a value of {reference.column.references} that is not there."
            found.append(Finding(check="references", object=schema.name, detail=detail, rows=rows, damage=damage))
    return found


def _unindexed(store: Store, schema: TableSchema) -> list[Finding]:
    """The rows that the index of the key, or of a unique rule, does not lead to.

    Each row is offered to the table once more, in a transaction that is rolled back: what the index knows is ignored, what it does not
    would be inserted. That takes half a second for a million rows, where to ask for each by its key takes a minute (DuckDB 2.0). But an
    index that leads to another row knows the key as well, so some rows are asked for by it.
    """
    found = []
    for rule in (schema.primary_key, *schema.unique):
        columns = [column for column in map(schema.column, rule) if column]
        names = [sql.quote(name) for name in rule]
        whole = " AND ".join(f"{name} IS NOT NULL" for name in names)
        offered = f"INSERT INTO {sql.table(schema.name)} SELECT * FROM {sql.table(schema.name)} WHERE {whole}"
        cells = ", ".join(_cells(columns))
        try:
            with snapshot(store) as cursor:
                missed = cursor.execute(f"{offered} ON CONFLICT ({', '.join(names)}) DO NOTHING RETURNING {cells}").fetchmany(SUSPECTS)
            with snapshot(store) as cursor:
                asked = f"SELECT {cells} FROM {sql.table(schema.name)} USING SAMPLE reservoir({ASKED} ROWS)"
                some = [row for row in cursor.execute(asked).fetchall() if None not in row]
                missed += [row for row in some if not _led_to(cursor, schema, columns, row)]
            rows = _confirmed(store, schema, columns, missed[:SUSPECTS]) if missed else 0
        except DuplicateSeen:  # Another index knew the row that this one did not.
            rows = 1
        if rows:
            detail = f"Rows are there that the index of {', '.join(rule)} does not lead to, so a request for one finds nothing."
            found.append(Finding(check="index", object=schema.name, detail=detail, rows=rows))
    return found


def _cells(columns: Sequence[ColumnSchema]) -> list[str]:
    return [sql.cell_of(column, sql.quote(column.name)) for column in columns]


def _led_to(cursor: duckdb.DuckDBPyConnection, schema: TableSchema, columns: Sequence[ColumnSchema], row: tuple[str, ...]) -> int:
    """How many rows of those values the index gives. DuckDB does not look whether it gives another one."""
    by_index = " AND ".join(f"{sql.quote(c.name)} = {sql.value_of(c, sql.literal(cell))}" for c, cell in zip(columns, row, strict=True))
    given = cursor.execute(f"SELECT {', '.join(_cells(columns))} FROM {sql.table(schema.name)} WHERE {by_index}").fetchall()
    return given.count(row)


def _confirmed(store: Store, schema: TableSchema, columns: Sequence[ColumnSchema], missed: list[tuple[str, ...]]) -> int:
    """How many of the rows are there by a scan and not by the index, in one snapshot: some may have been written meanwhile."""
    rows = 0
    with snapshot(store) as cursor:
        for row in dict.fromkeys(missed):
            by_scan = " AND ".join(f"{cell} = {sql.literal(value)}" for cell, value in zip(_cells(columns), row, strict=True))
            there = cursor.execute(f"SELECT count(*) FROM {sql.table(schema.name)} WHERE {by_scan}").fetchall()[0][0]
            rows += there > _led_to(cursor, schema, columns, row)
    return rows


# The change feed.


def _feed(cursor: duckdb.DuckDBPyConnection, schema: TableSchema) -> Iterator[Finding]:
    """The table's entries since its schema changed last, against its rows as they are."""
    named = f"lower(table_name) = lower({sql.literal(schema.name)})"
    changed = cursor.execute(
        f"SELECT seq, coalesce(rows, 0) FROM {BOOKS}.changes WHERE {named} AND op = 'schema' ORDER BY seq DESC LIMIT 1"
    ).fetchall()
    since, before = changed[0] if changed else (0, 0)
    entries = f"(SELECT * FROM {BOOKS}.changes WHERE {named} AND seq > {since})"
    for detail, rows in zip(_DISAGREEMENTS, _disagreements(cursor, schema, entries), strict=True):
        if rows:
            yield Finding(check="feed", object=schema.name, detail=detail, rows=rows)
    if changed:
        wanted = before + cursor.execute(f"SELECT coalesce(sum({_GAIN}), 0) FROM {entries}").fetchall()[0][0]
        there = evidence.counts(cursor, sql.table(schema.name), [])[0]
        if there != wanted:
            detail = f"It has {there:,} rows; by the change feed it should have {wanted:,}."
            yield Finding(check="feed", object=schema.name, detail=detail, rows=abs(there - wanted))


# How many rows an entry added.
_GAIN = "CASE WHEN key IS NULL THEN coalesce(rows, 0) ELSE (after IS NOT NULL)::INTEGER - (before IS NOT NULL)::INTEGER END"
_DISAGREEMENTS = (
    "Rows are gone, and the change feed does not say so.",
    "Rows are other than the change feed says.",
    "Rows are there of which the change feed says that they were deleted.",
)


def _disagreements(cursor: duckdb.DuckDBPyConnection, schema: TableSchema, entries: str) -> tuple[int, int, int]:
    """The last entry of each key says what its row is; a deleted one may be back by a load, whose rows are not named one by one."""
    last = f"SELECT key, max(seq) AS seq, arg_max({{'row': after}}, seq).row AS row FROM {entries} WHERE key IS NOT NULL GROUP BY key"
    loaded = f"(SELECT coalesce(max(seq), 0) FROM {entries} WHERE op = 'load' AND key IS NULL)"
    present = f'SELECT *, {sql.key_text(schema)} AS "spawn key" FROM {sql.table(schema.name)}'
    asked = f"""
        SELECT count(*) FILTER (WHERE l.row IS NOT NULL AND t."spawn key" IS NULL),
            count(*) FILTER (WHERE t."spawn key" IS NOT NULL AND {_differ(schema, "l.row", sql.row_json(schema.columns, "t."))}),
            count(*) FILTER (WHERE l.row IS NULL AND t."spawn key" IS NOT NULL AND l.seq > {loaded})
        FROM ({last}) l LEFT JOIN ({present}) t ON t."spawn key" = l.key"""
    found: tuple[int, int, int] = cursor.execute(asked).fetchall()[0]
    return found


def _differ(schema: TableSchema, one: str, other: str) -> str:
    """The condition that two rows as JSON text are not the same: one may say 3.0 where the other says 3.00."""
    exact = (c.type if c.type.is_integer or c.type.base == "DECIMAL" else "VARCHAR" for c in schema.columns)
    kinds = {c.name: [str(kind)] if c.multivalued else str(kind) for c, kind in zip(schema.columns, exact, strict=True)}
    values = sql.literal(json.dumps(kinds, ensure_ascii=False))
    return f"({one} <> {other} AND from_json({one}, {values}) IS DISTINCT FROM from_json({other}, {values}))"


def check_feed(store: Store) -> list[Finding]:
    """The numbers of the whole feed: each once, none left out after the last that was forgotten."""
    kept = f"coalesce((SELECT value::BIGINT FROM {BOOKS}.meta WHERE key = 'changes_forgotten'), 0)"
    numbered = "count(*), count(DISTINCT seq), coalesce(min(seq), 0), coalesce(max(seq), 0)"
    entries, numbers, first, last, forgotten = _asked(store, f"SELECT {numbered}, {kept} FROM {BOOKS}.changes")
    said = []
    if entries != numbers:
        said.append((f"Of its {entries:,} entries {entries - numbers:,} have a number that another has too.", entries - numbers))
    if entries and first <= forgotten:
        said.append((f"Its entry {first} was to be forgotten.", None))
    elif entries and last - forgotten != numbers:
        said.append((f"Of the entries {forgotten + 1} to {last} some are missing.", last - forgotten - numbers))
    return [Finding(check="feed", object="the change feed", detail=detail, rows=rows) for detail, rows in said]


# The books.


def _asked(store: Store, query: str) -> tuple[Any, ...]:
    """The one row of a query of our books. Raises StoreDamaged where they cannot be read."""
    with _readable(), snapshot(store) as cursor:
        row: tuple[Any, ...] = cursor.execute(query).fetchall()[0]
        return row


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (duckdb.InterruptException, duckdb.FatalException):
        raise
    except duckdb.Error as error:
        raise StoreDamaged(reason=f"our books in it cannot be read, {str(error).splitlines()[0]}") from error


def check_answers(store: Store) -> tuple[int, list[Finding]]:
    """The answers that are kept under an Idempotency-Key: how many, and those that could not be given."""
    headers = "coalesce(TRY(json_type(headers)), '') <> 'OBJECT'"
    bad = f"status NOT BETWEEN 200 AND 299 OR {headers} OR NOT regexp_full_match(digest, '[0-9a-f]{{64}}')"
    answers, faulty, ids = _asked(store, f"SELECT count(*), count(*) FILTER (WHERE {bad}), count(DISTINCT id) FROM {BOOKS}.answers")
    said = (("Kept answers are none that could be given.", faulty), ("Kept answers stand under an id twice.", answers - ids))
    return answers, [Finding(check="answers", object="Idempotency-Key", detail=detail, rows=rows) for detail, rows in said if rows]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the file says of Django's records: its live tables, the plans applied and the jobs done, and the audit chain's head."""

    tables: Mapping[str, LiveTable]
    fingerprints: Mapping[str, str]
    plans: frozenset[int]
    jobs: frozenset[str]
    leftovers: tuple[str, ...]
    twice: tuple[str, ...]


def recorded(store: Store) -> Recorded:
    """The books, read in one snapshot."""
    with _readable(), snapshot(store) as cursor:
        written = cursor.execute(f"SELECT lower(name), fingerprint FROM {BOOKS}.tables").fetchall()
        twice = cursor.execute(f"SELECT lower(name) FROM {BOOKS}.tables GROUP BY ALL HAVING count(*) > 1").fetchall()
        plans, jobs = (cursor.execute(f"SELECT id FROM {BOOKS}.{name}").fetchall() for name in ("plans", "jobs"))
        left = cursor.execute(f"SELECT table_name FROM duckdb_tables() WHERE starts_with(table_name, {sql.literal(LOADING)})").fetchall()
        return Recorded(
            tables=books.tables(cursor),
            fingerprints=dict(written),
            plans=frozenset(int(number) for (number,) in plans),
            jobs=frozenset(str(job) for (job,) in jobs),
            leftovers=tuple(name for (name,) in left),
            twice=tuple(name for (name,) in twice),
        )
