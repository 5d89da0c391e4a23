"""Loads: a file of cells into a table, all of it or none, checked by DuckDB itself.

The rows go straight in, past the rules that a cast would not enforce. Only when that fails is the file staged with its
row numbers and asked, rule by rule, which rows are to blame.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from projects.aliases import NONE, Names, Used
from projects.errors import DuplicateKeys, HeadRefused, ProjectsError, RowsRefused
from projects.fields import Rule, condition, pattern_rule, rules_of
from projects.store import books, sql
from projects.store.books import Entry, LiveTable
from projects.store.connection import Store, Transaction
from projects.store.errors import DuplicateSeen, fitting
from schema_registry.errors import Problem
from schema_registry.schema import ColumnSchema, TableSchema

SHOWN = 100  # rejects named in an answer
# Bytes in one record of a CSV file: DuckDB's buffers grow with what is allowed, and a small file in one buffer is read by one thread.
ORDINARY_LINE = 1 << 20
LONGEST_LINE = 16 << 20

# What a file can be to blame for; an interrupt or a full disk is no fault of its rows.
OF_THE_FILE = (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.ConstraintException, duckdb.OutOfRangeException)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load did, in rows, and the old names that it was given by."""

    inserted: int
    updated: int = 0
    ignored: int = 0
    rejected: int = 0
    rejects: tuple[dict[str, Any], ...] = ()
    used: Used = NONE

    def as_json(self) -> dict[str, Any]:
        counts = {name: getattr(self, name) for name in ("inserted", "updated", "ignored", "rejected")}
        return counts | {"rejects": list(self.rejects)}


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A CSV file in the spool, with the columns its head names, the unquoted texts that mean null, and what rejects call each column."""

    path: Path
    columns: tuple[ColumnSchema, ...]
    nulls: tuple[str, ...]
    called: Mapping[str, str]

    def relation(self, longest: int, *, collect: bool = False) -> str:
        """The file as a relation of cells. With `collect`, malformed records go to the table `malformed` instead of failing."""
        shape = ", ".join(f"{sql.literal(c.name)}: 'VARCHAR'" for c in self.columns)
        nulls = ", ".join(sql.literal(n) for n in self.nulls)
        more = ", store_rejects = true, rejects_table = 'malformed', rejects_scan = 'malformed_scan', rejects_limit = 0" if collect else ""
        return (
            f"read_csv({sql.literal(str(self.path))}, columns = {{{shape}}}, header = true, auto_detect = false, delim = ',', "
            f"quote = '\"', escape = '\"', nullstr = [{nulls}], allow_quoted_nulls = false, "
            f"max_line_size = {longest}, buffer_size = {longest}{more})"
        )


def read_head(names: Names, path: Path, nulls: Sequence[str] = ()) -> CsvFile:
    """The file with its head understood. Raises HeadRefused where the head does not fit the table."""
    schema = names.schema
    head = _head(schema, path)
    columns = {name: names.column(name) for name in head}
    given = [c for c in map(columns.__getitem__, head) if c]
    unknown = [name for name in head if columns[name] is None]
    problems = [*_unknown(schema, unknown), *_repeated(names, head, given), *_missing(schema, given)]
    if problems:
        raise HeadRefused(table=schema.name, problems=tuple(problems))
    stored = tuple(map(names.stored_column, given))
    return CsvFile(path, stored, ("", *nulls), {live.name: column.name for live, column in zip(stored, given, strict=True)})


def _head(schema: TableSchema, path: Path) -> list[str]:
    with path.open("rb") as file:
        first = file.readline(LONGEST_LINE)
    try:
        rows = list(csv.reader(io.StringIO(first.decode("utf-8-sig").split("\r")[0] + "\n"), strict=True))
    except (UnicodeDecodeError, csv.Error):
        rows = []
    if not rows or not rows[0]:
        problem = Problem("/head", "head", "The file has no head: its first line names the columns, in UTF-8, with commas between them.")
        raise HeadRefused(table=schema.name, problems=(problem,))
    return rows[0]


def _unknown(schema: TableSchema, names: Sequence[str]) -> Iterator[Problem]:
    for name in names:
        yield Problem(f"/head/{name}", "unknown", f"The table {schema.name} has no column {name!r}.")


def _repeated(names: Names, head: Sequence[str], given: Sequence[ColumnSchema]) -> Iterator[Problem]:
    folded = [n.casefold() for n in head]
    for name in sorted({n for n in head if folded.count(n.casefold()) > 1}):
        yield Problem(f"/head/{name}", "repeated", f"The column {name!r} stands twice in the head.")
    single = [n for n in head if folded.count(n.casefold()) == 1]
    for column in dict.fromkeys(c for place, c in enumerate(given) if c in given[:place]):
        if old := names.clash(column, single):
            yield Problem(f"/head/{old}", "repeated", f"{old!r} is an old name of {column.name!r}; give {column.name!r} alone.")


def _missing(schema: TableSchema, given: Sequence[ColumnSchema]) -> Iterator[Problem]:
    for column in schema.columns:
        if column.required and column.default is None and not column.generated and column not in given:
            yield Problem(f"/head/{column.name}", "required", f"The column {column.name} is required and not in the head.")


def load(store: Store, table: LiveTable, file: CsvFile, *, actor: str, job: str | None = None, dry_run: bool = False) -> Loaded:
    """Loads the file in one transaction. Raises RowsRefused or DuplicateKeys, each naming rows, or SchemaMoved; then nothing was loaded.

    The caller holds the table's lock shared. A `job` runs on the measured cursor; its id and result are recorded with the rows.
    """

    def attempt(longest: int) -> Loaded:
        with store.transaction(store.measured_cursor() if job else None) as transaction:
            loaded = Loaded(_insert(transaction, table.schema, file, longest))
            if dry_run:
                raise _DryRun(loaded)
            _record(transaction, table, loaded, actor, job)
        return loaded

    try:
        with fitting(table.name):
            loaded = _explained(store, table.schema, file, attempt)
    except _DryRun as dry:
        return dry.loaded
    store.stats.loads += 1
    store.stats.load_rows += loaded.inserted
    return loaded


def _explained(store: Store, schema: TableSchema, file: CsvFile, attempt: Callable[[int], Loaded]) -> Loaded:
    """Tries with ordinary lines; what fails is explained, and where the file is not to blame a line was long."""
    try:
        return attempt(ORDINARY_LINE)
    except (*OF_THE_FILE, DuplicateSeen):
        _explain(store, schema, file)
        return attempt(LONGEST_LINE)


class _DryRun(Exception):
    """Carries what a load would have done out of its transaction, which rolls back."""

    def __init__(self, loaded: Loaded) -> None:
        super().__init__()
        self.loaded = loaded


def _insert(transaction: Transaction, schema: TableSchema, file: CsvFile, longest: int) -> int:
    """One statement: every row that breaks a rule, or lacks what is required, makes it fail."""
    cells = {c: sql.quote(c.name) for c in file.columns}
    kept = [f"({cell} IS NULL OR {condition(c, rule, cell)})" for c, cell in cells.items() for rule in _asked(c)]
    guard = f" WHERE CASE WHEN {' AND '.join(kept)} THEN true ELSE error('a rule is broken') END" if kept else ""
    statement = sql.insert(schema, file.relation(longest) + guard, given=file.columns)
    return int(transaction.execute(statement).fetchall()[0][0])


def _asked(column: ColumnSchema) -> list[Rule]:
    """The rules that the cast to the column's type does not enforce by itself."""
    pattern = pattern_rule(column)
    rules = [*rules_of(column), *([pattern] if pattern else [])]
    return [rule for rule in rules if column.multivalued or not rule.cast]


def _record(transaction: Transaction, table: LiveTable, loaded: Loaded, actor: str, job: str | None) -> None:
    if loaded.inserted:
        entry = Entry(table=table.name, op="load", actor=actor, rows=loaded.inserted, job=job, schema_version=table.version)
        transaction.entries.append(entry)
    if job:
        books.put_job(transaction.cursor, job, json.dumps(loaded.as_json()))


# Which rows are to blame.


def _explain(store: Store, schema: TableSchema, file: CsvFile) -> None:
    """Raises RowsRefused or DuplicateKeys that names the rows; returns where the file is not to blame."""
    with store.read() as cursor:
        cursor.execute(
            f"CREATE TEMP TABLE staged AS SELECT row_number() OVER () AS __row, * FROM {file.relation(LONGEST_LINE, collect=True)}"
        )
        cursor.execute('CREATE TEMP TABLE rejected ("row" BIGINT, "column" VARCHAR, "value" VARCHAR, code VARCHAR, reason VARCHAR)')
        cursor.execute(_malformed(file))
        cursor.execute(_RENUMBER)
        for column in file.columns:
            for statement in _broken(column, file.called[column.name]):
                cursor.execute(statement)
        _raise_for(cursor, schema, RowsRefused)
        for columns in (schema.primary_key, *schema.unique):
            for statement in _repeats(schema, file, columns):
                cursor.execute(statement)
        _raise_for(cursor, schema, DuplicateKeys)


def _raise_for(cursor: duckdb.DuckDBPyConnection, schema: TableSchema, error: type[ProjectsError]) -> None:
    rejected = cursor.execute('SELECT count(DISTINCT "row") FROM rejected').fetchall()[0][0]
    if rejected:
        found = cursor.execute(f'SELECT * FROM rejected ORDER BY "row", "column" LIMIT {SHOWN}').fetchall()
        raise error(table=schema.name, rejected=rejected, rejects=[_reject(*row) for row in found])


def _reject(row: int, column: str, value: str | None, code: str, reason: str) -> dict[str, Any]:
    return {"row": row, "column": column, "value": value, "code": code, "reason": reason}


def _malformed(file: CsvFile) -> str:
    """Records that are no rows at all; DuckDB counts them with the head as the first."""
    counts = f"fields than the {len(file.columns)} of the head"
    reason = f"""CASE error_type WHEN 'TOO MANY COLUMNS' THEN 'has more {counts}' WHEN 'MISSING COLUMNS' THEN 'has fewer {counts}'
        WHEN 'UNQUOTED VALUE' THEN 'has a quote that does not close, or text after a closing quote'
        WHEN 'INVALID ENCODING' THEN 'is not UTF-8' WHEN 'INVALID UNICODE' THEN 'is not UTF-8'
        WHEN 'LINE SIZE OVER MAXIMUM' THEN 'is longer than {LONGEST_LINE >> 20} MiB' ELSE 'cannot be read as CSV' END"""
    return f"INSERT INTO rejected SELECT line - 1, '', left(csv_line, 200), 'malformed', {reason} FROM malformed"


# Malformed records were left out of the staged rows, so that those after them have to count them too.
_RENUMBER = """UPDATE staged SET __row = true_row FROM (
    SELECT n AS true_row, row_number() OVER (ORDER BY n) AS staged_row
    FROM range(1, (SELECT count(*) FROM staged) + (SELECT count(*) FROM rejected) + 1) r(n)
    WHERE n NOT IN (SELECT "row" FROM rejected)
) WHERE __row = staged_row AND EXISTS (SELECT 1 FROM rejected)"""


def _broken(column: ColumnSchema, called: str) -> list[str]:
    """The statement that finds the column's cells with a fault, each with the first rule that it breaks."""
    cell, name, pattern = sql.quote(column.name), sql.literal(called), pattern_rule(column)
    cases = [f"WHEN {cell} IS NULL THEN {_fault('required', 'is required')}"] if column.required and not column.generated else []
    for rule in (*rules_of(column), *([pattern] if pattern else [])):
        cases.append(f"WHEN {cell} IS NOT NULL AND NOT {condition(column, rule, cell)} THEN {_fault(rule.code, rule.detail)}")
    found = f"SELECT __row, {cell} AS cell, CASE {' '.join(cases)} END AS fault FROM staged"
    return [f"INSERT INTO rejected SELECT __row, {name}, cell, fault.code, fault.reason FROM ({found}) WHERE fault IS NOT NULL"]


def _fault(code: str, reason: str) -> str:
    return f"{{'code': {sql.literal(code)}, 'reason': {sql.literal(reason)}}}"


def _repeats(schema: TableSchema, file: CsvFile, columns: Sequence[str]) -> list[str]:
    """The statement that finds rows whose values for the columns stand in an earlier row of the file, or in the table already."""
    keys = [c for c in map(schema.column, columns) if c]
    if not {c.name for c in file.columns}.issuperset(c.name for c in keys):
        return []  # A key that the file does not give is generated: it is never met twice.
    values = {c.name: sql.value_of(c, f"s.{sql.quote(c.name)}") for c in keys}
    by = ", ".join(values.values())
    shown = ", ".join(f"s.{sql.quote(c.name)}" for c in keys)
    same = " AND ".join(f"t.{sql.quote(c.name)} = {values[c.name]}" for c in keys)
    whole = " AND ".join(f"s.{sql.quote(c.name)} IS NOT NULL" for c in keys)
    names = sql.literal(",".join(file.called[c.name] for c in keys))
    return [
        f"INSERT INTO rejected SELECT __row, {names}, concat_ws(',', {shown}), 'duplicate', "
        "CASE WHEN earlier < __row THEN 'row ' || earlier || ' of the file has the same' ELSE 'the table has it already' END "
        f"FROM (SELECT s.*, first_value(s.__row) OVER (PARTITION BY {by} ORDER BY s.__row) AS earlier, "
        f"EXISTS (SELECT 1 FROM {sql.table(schema.name)} t WHERE {same}) AS stored FROM staged s WHERE {whole}) s "
        "WHERE earlier < __row OR stored"
    ]


# JSON arrays as files of cells.


def csv_pieces(schema: TableSchema, rows: Sequence[Mapping[str, str | None]]) -> Iterator[bytes]:
    """Rows of cells as a CSV file with every column: null is an empty field, everything else is quoted."""
    names = [c.name for c in schema.columns]
    yield (",".join(_quoted(n) for n in names) + "\n").encode()
    for start in range(0, len(rows), 1000):
        lines = (",".join(_quoted(row[n]) for n in names) for row in rows[start : start + 1000])
        yield ("\n".join(lines) + "\n").encode()


def _quoted(cell: str | None) -> str:
    return "" if cell is None else '"' + cell.replace('"', '""') + '"'


def refused(table: str, rejects: list[dict[str, Any]]) -> ProjectsError:
    """The error for rows that were no rows of cells to begin with."""
    return RowsRefused(table=table, rejected=len({r["row"] for r in rejects}), rejects=rejects[:SHOWN])
