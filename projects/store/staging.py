"""Staged rows: which of them break a rule, repeat a key in the file, or meet a row of the table; all of it asked in sets."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from projects.store import sql
from projects.store.references import Reference, as_it_is
from projects.store.sources import REJECTED, ROW, ROWS, Given, Source, absent, needs
from schema_registry.schema import TableSchema

SHOWN = 100  # rejects named in an answer
IGNORED, MATCHED = "temp.ignored", "temp.matched"
GOOD = f'(SELECT * FROM {ROWS} WHERE {ROW} NOT IN (SELECT "row" FROM {REJECTED}) AND {ROW} NOT IN (SELECT {ROW} FROM {IGNORED}))'
TEMPORARY = ("staged", "rejected", "ignored", "matched", "fresh", "olds", "noted", "malformed", "malformed_scan", "lines")


@dataclass(frozen=True, slots=True)
class Report:
    """The rows that were refused: how many, the first of them, and whether they are duplicates and nothing else."""

    rejected: int
    rejects: list[dict[str, Any]]
    only_duplicates: bool


def clear(cursor: duckdb.DuckDBPyConnection) -> None:
    """Drops what a load staged, for a cursor that lives on."""
    for table in TEMPORARY:
        cursor.execute(f"DROP TABLE IF EXISTS temp.{table}")


def stage(cursor: duckdb.DuckDBPyConnection, source: Source, schema: TableSchema, on_conflict: str, most: int | None = None) -> None:
    """Reads the file, or `most` of its first rows, into the temporary tables and finds all that can be found without the table itself."""
    source.stage(cursor, most)
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE {IGNORED} ({ROW} BIGINT)")
    for given in source.given:
        cursor.execute(_broken(given, is_sparse=source.sparse, is_partial=on_conflict == "update"))
    for columns in (schema.primary_key, *schema.unique):
        if key := _key(source.given, columns):
            cursor.execute(_repeats(key, on_conflict))


def meet(cursor: duckdb.DuckDBPyConnection, source: Source, schema: TableSchema, on_conflict: str) -> None:
    """Finds the staged rows whose key or unique values the table has; those that are to be updated go to `matched`."""
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE {MATCHED} ({ROW} BIGINT)")
    key = _key(source.given, schema.primary_key)
    if key and on_conflict == "update":
        cursor.execute(f"INSERT INTO {MATCHED} SELECT s.{ROW} FROM {_valued(key)} s JOIN {sql.table(schema.name)} t ON {_same(key)}")
    elif key:
        cursor.execute(_met(schema, key, on_conflict))
    for columns in schema.unique:
        if unique := _key(source.given, columns):
            cursor.execute(_met(schema, unique, on_conflict, but=key if on_conflict == "update" else ()))
    if on_conflict == "update":
        for statement in _lacking(schema, source):
            cursor.execute(statement)


def refer(cursor: duckdb.DuckDBPyConnection, source: Source, references: Sequence[Reference]) -> None:
    """Finds the good rows whose reference does not hold; a table that refers to itself may refer to another good row of the file."""
    given = {g.column.name: g for g in source.given}
    written = [r for r in references if r.column.name in given or r.column.default is not None]
    statements = [_dangling(reference, given, is_sparse=source.sparse) for reference in written]
    goes_on = bool(statements)
    while goes_on:  # A row that is refused may be what another one refers to.
        found = 0
        for reference, statement in zip(written, statements, strict=True):
            with as_it_is(reference.to):
                found += cursor.execute(statement).fetchall()[0][0]
        goes_on = found > 0 and any(reference.is_own for reference in written)


def report(cursor: duckdb.DuckDBPyConnection, path: Path) -> Report:
    """What was refused; where anything was, all of it stands in a CSV file at the path."""
    rejected, others = cursor.execute(f"SELECT count(DISTINCT \"row\"), count(*) FILTER (code <> 'duplicate') FROM {REJECTED}").fetchall()[
        0
    ]
    if not rejected:
        return Report(0, [], False)
    ordered = f'SELECT * FROM {REJECTED} ORDER BY "row", "column"'
    found = cursor.execute(f"{ordered} LIMIT {SHOWN}").fetchall()
    cursor.execute(f"COPY ({ordered}) TO {sql.literal(str(path))} (FORMAT csv, HEADER true)")
    path.chmod(0o600)
    return Report(rejected, [reject(*row) for row in found], others == 0)


def reject(row: int, column: str, value: str | None, code: str, reason: str) -> dict[str, Any]:
    return {"row": row, "column": column, "value": value, "code": code, "reason": reason}


def _broken(given: Given, *, is_sparse: bool, is_partial: bool) -> str:
    """The statement that finds the column's cells with a fault, each with the first rule that it breaks."""
    column, cell = given.column, given.cell
    cases = []
    if column.required and not column.generated:
        may_lack = is_sparse and (is_partial or column.default is not None)
        unless = f" AND NOT {absent(given.called)}" if may_lack else ""
        cases = [f"WHEN {sql.quote(column.name)} IS NULL{unless} THEN {_fault('required', 'is required')}"]
    for rule, kept in given.checks():
        cases.append(f"WHEN {sql.quote(column.name)} IS NOT NULL AND NOT {kept} THEN {_fault(rule.code, rule.detail)}")
    if not cases:
        return "SELECT 1"
    found = f"SELECT {ROW}, {cell} AS cell, CASE {' '.join(cases)} END AS fault FROM {ROWS}"
    called = sql.literal(given.called)
    return f"INSERT INTO {REJECTED} SELECT {ROW}, {called}, cell, fault.code, fault.reason FROM ({found}) WHERE fault IS NOT NULL"


def _fault(code: str, reason: str) -> str:
    return f"{{'code': {sql.literal(code)}, 'reason': {sql.literal(reason)}}}"


def _dangling(reference: Reference, given: Mapping[str, Given], *, is_sparse: bool) -> str:
    """The statement that finds the good rows whose reference does not hold, what a new row takes by default included."""
    column, own = reference.column, given.get(reference.column.name)
    default = f"CASE WHEN {ROW} NOT IN (SELECT {ROW} FROM {MATCHED}) THEN {sql.default_of(column)} END"
    value, cell, called = default, sql.literal(column.default), column.name
    if own:
        value = f"CASE WHEN {absent(own.called)} THEN {default} ELSE {tried_value(own)} END" if is_sparse else tried_value(own)
        cell, called = f"coalesce({own.cell}, {cell})", own.called
    held = reference.has("s.__value")
    if reference.is_own and reference.target and (beside := given.get(reference.target.name)):
        same = f"{reference.common('g.v')} = {reference.common('s.__value')}"
        held = f"({held} OR EXISTS (SELECT 1 FROM (SELECT {tried_value(beside)} AS v FROM {GOOD}) g WHERE {same}))"
    says = f"refers to {column.references}, which {'has no ' if reference.target else 'is no column of a table here'}"
    shown = f"{sql.literal(called)}, {cell}, 'reference', {sql.literal(says)}{f' || {cell}' if reference.target else ''}"
    rows = f"(SELECT *, {value} AS __value FROM {GOOD}) s"
    return f"INSERT INTO {REJECTED} SELECT {ROW}, {shown} FROM {rows} WHERE s.__value IS NOT NULL AND NOT {held}"


# Keys.


def _key(given: Sequence[Given], columns: Sequence[str]) -> list[Given]:
    """The key's columns in the file; none where it lacks one, which is generated or null then, so that the key is never met twice."""
    found = {g.column.name.casefold(): g for g in given}
    return [found[name.casefold()] for name in columns] if all(name.casefold() in found for name in columns) else []


def tried_value(given: Given) -> str:
    """The value of a column of staged rows, of which some may be bad: then null."""
    if given.raw:
        return f"TRY_CAST({given.value} AS {given.column.sql_type})"
    if given.column.multivalued or given.column.type.base == "BLOB":
        return f"TRY({given.value})"
    return sql.tried_value_of(given.column, given.cell)


def _whole(key: Sequence[Given]) -> str:
    return " AND ".join(f"{sql.quote(g.column.name)} IS NOT NULL" for g in key)


def _same(key: Sequence[Given]) -> str:
    """The condition that a row `t` of the table has the key of `s`, a staged row with its values."""
    return " AND ".join(f"t.{sql.quote(g.column.name)} = s.{sql.quote('=' + g.column.name)}" for g in key)


def _valued(key: Sequence[Given]) -> str:
    """The good staged rows with the values of these columns."""
    values = (f"{tried_value(g)} AS {sql.quote('=' + g.column.name)}" for g in dict.fromkeys(key))
    return f"(SELECT *, {', '.join(values)} FROM {GOOD})"


def _shown(key: Sequence[Given]) -> tuple[str, str]:
    """What a reject says of a key: its columns, and its values with commas between them."""
    called = sql.literal(",".join(g.called for g in key))
    return called, f"concat_ws(',', {', '.join(g.cell for g in key)})"


def _repeats(key: Sequence[Given], on_conflict: str) -> str:
    """The statement that finds rows whose key stands in an earlier good row of the file."""
    values = ", ".join(tried_value(g) for g in key)
    called, cells = _shown(key)
    numbered = f"SELECT *, first_value({ROW}) OVER (PARTITION BY {values} ORDER BY {ROW}) AS __earlier FROM {GOOD} WHERE {_whole(key)}"
    again = f"FROM ({numbered}) WHERE __earlier < {ROW}"
    if on_conflict == "ignore":
        return f"INSERT INTO {IGNORED} SELECT {ROW} {again}"
    return (
        f"INSERT INTO {REJECTED} SELECT {ROW}, {called}, {cells}, 'duplicate', 'row ' || __earlier || ' of the file has the same' {again}"
    )


def _met(schema: TableSchema, key: Sequence[Given], on_conflict: str, but: Sequence[Given] = ()) -> str:
    """The statement that finds rows whose key the table has, in another row than the one whose key is `but`."""
    called, cells = _shown(key)
    other = f" AND NOT ({_same(but)})" if but else ""
    met = f"EXISTS (SELECT 1 FROM {sql.table(schema.name)} t WHERE {_same(key)}{other})"
    stored = f"FROM {_valued([*key, *but])} s WHERE {_whole(key)} AND {met}"
    if on_conflict == "ignore":
        return f"INSERT INTO {IGNORED} SELECT {ROW} {stored}"
    return f"INSERT INTO {REJECTED} SELECT {ROW}, {called}, {cells}, 'duplicate', 'the table has it already' {stored}"


def _lacking(schema: TableSchema, source: Source) -> Iterator[str]:
    """The statements that find new rows without what is required; a row that is there already may leave it out."""
    given = {g.column.name: g for g in source.given}
    for column in filter(needs, schema.columns):
        has = given.get(column.name)
        if has is None or source.sparse:
            lacks = f" AND {absent(has.called)}" if has else ""
            called = sql.literal(has.called if has else column.name)
            new = f"FROM {GOOD} WHERE {ROW} NOT IN (SELECT {ROW} FROM {MATCHED}){lacks}"
            yield f"INSERT INTO {REJECTED} SELECT {ROW}, {called}, NULL, 'required', 'is required in a new row' {new}"
