"""What a file is to a load: a relation of its rows, and for each column that it has the SQL of its cells and of its values.

CSV and JSON bring cells. Parquet and Arrow (typed.py) bring values of their own types.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import duckdb

from projects.aliases import Names
from projects.errors import HeadRefused
from projects.fields import Rule, condition, pattern_rule, quick_fault, rules_of, value_condition
from projects.store import sql
from schema_registry.errors import Problem
from schema_registry.schema import ColumnSchema, TableSchema

# Bytes in one record of a CSV file: DuckDB's buffers grow with what is allowed, and a small file in one buffer is read by one thread.
ORDINARY_LINE = 1 << 20
LONGEST_LINE = 16 << 20

ROW, ABSENT = "__row", "__absent"  # columns of staged rows: the row's number, and the columns that this row lacks
ROWS = "temp.staged"
REJECTED = "temp.rejected"


@dataclass(frozen=True, slots=True)
class Given:
    """A column that a file has, and what rejects call it; `cell`, `value` and `raw` are SQL over the file's relation.

    `raw` is the file's own value, where that has a type from which every value is the column's exactly, or too large for it.
    """

    column: ColumnSchema
    called: str
    cell: str
    value: str
    raw: str | None = None
    converts: bool = False  # `raw` may be too large

    @property
    def rules(self) -> tuple[Rule, ...]:
        pattern = pattern_rule(self.column)
        return (*rules_of(self.column), *([pattern] if pattern else []))

    def checks(self) -> Iterator[tuple[Rule, str]]:
        """Each rule that a cell or value, not null, of this file could break, with its condition."""
        for place, rule in enumerate(self.rules):
            kept = value_condition(self.column, rule, self.raw) if self.raw else None
            if kept is not None and (self.converts or not rule.cast or self.column.multivalued):
                yield rule, kept
            elif kept is None and not (self.raw and (place == 0 or rule.cast)):
                yield rule, condition(self.column, rule, self.cell)

    def quick_faults(self, value: str) -> Iterator[str]:
        """The same in less time and turned about, for a straight load: what is true of no good value, nor of null.

        `value` is SQL of the column's value, which the cast has made of the cell.
        """
        if self.raw or self.column.multivalued:
            yield from (f"({sql.quote(self.column.name)} IS NOT NULL AND NOT {kept})" for _, kept in self.checks())
            return
        for place, rule in enumerate(self.rules):
            if place == 0 and rule.value is None:
                yield quick_fault(self.column, self.cell, value)
            elif not rule.cast:
                yield f"NOT {rule.value(value) if rule.value else rule.sql(self.cell)}"


def cells_of(column: ColumnSchema, called: str) -> Given:
    """A column of cells, that stands in the relation by the column's own name."""
    cell = sql.quote(column.name)
    return Given(column, called, cell, sql.value_of(column, cell))


class Source(Protocol):
    """A file in the spool whose head is understood. Where it is `sparse`, its relation has in `__absent` which columns a row lacks."""

    @property
    def given(self) -> tuple[Given, ...]: ...

    @property
    def sparse(self) -> bool: ...

    @property
    def guard(self) -> str:
        """What a row must meet before its cells can be trusted, or nothing."""
        ...

    def opened(self, cursor: duckdb.DuckDBPyConnection) -> AbstractContextManager[str]:
        """The relation of a straight load, which may fail for a file that `stage` can read."""
        ...

    def stage(self, cursor: duckdb.DuckDBPyConnection, most: int | None = None) -> None:
        """Fills the temporary tables `staged`, with the rows and their numbers, and `rejected`, with what is no row at all.

        With `most` only as many of the first rows are staged.
        """
        ...


REJECTS = f'CREATE OR REPLACE TEMP TABLE {REJECTED} ("row" BIGINT, "column" VARCHAR, "value" VARCHAR, code VARCHAR, reason VARCHAR)'


def stage_relation(cursor: duckdb.DuckDBPyConnection, relation: str, most: int | None = None) -> None:
    cursor.execute(REJECTS)
    rows = f"SELECT row_number() OVER () AS {ROW}, * FROM {relation}{limit(most)}"
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE {ROWS} AS {rows}")


def limit(most: int | None) -> str:
    return "" if most is None else f" LIMIT {most}"


# Heads.


def read_head(names: Names, head: Sequence[str], *, whole: bool = True) -> list[tuple[str, ColumnSchema, str]]:
    """For each name of a head itself, the table's column, and what rejects call it.

    Where rows may be partial it need not be `whole`. Raises HeadRefused where the head does not fit the table.
    """
    schema = names.schema
    columns = {name: names.column(name) for name in head}
    given = [c for c in map(columns.__getitem__, head) if c]
    unknown = [name for name in head if columns[name] is None]
    problems = [
        *_unknown(schema, unknown),
        *_repeated(names, head, given),
        *(_missing(schema, given) if whole else _keyless(schema, given)),
    ]
    if problems:
        raise HeadRefused(table=schema.name, problems=tuple(problems))
    return [(name, names.stored_column(column), column.name) for name, column in zip(head, given, strict=True)]


def no_head(table: str, why: str) -> HeadRefused:
    return HeadRefused(table=table, problems=(Problem("/head", "head", why),))


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


def needs(column: ColumnSchema) -> bool:
    """Whether a new row has to have the column."""
    return column.required and column.default is None and not column.generated


def _missing(schema: TableSchema, given: Sequence[ColumnSchema]) -> Iterator[Problem]:
    for column in schema.columns:
        if needs(column) and column not in given:
            yield Problem(f"/head/{column.name}", "required", f"The column {column.name} is required and not in the head.")


def _keyless(schema: TableSchema, given: Sequence[ColumnSchema]) -> Iterator[Problem]:
    for column in schema.key_columns:
        if column not in given and not column.generated:
            yield Problem(f"/head/{column.name}", "required", f"The column {column.name} is part of the key and not in the head.")


# CSV.


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A CSV file in the spool, with the unquoted texts that mean null."""

    path: Path
    given: tuple[Given, ...]
    nulls: tuple[str, ...]
    sparse: bool = False
    guard: str = ""

    def relation(self, longest: int, *, collect: bool = False) -> str:
        """The file as a relation of cells. With `collect`, malformed records go to the table `malformed` instead of failing."""
        shape = ", ".join(f"{sql.literal(g.column.name)}: 'VARCHAR'" for g in self.given)
        nulls = ", ".join(sql.literal(n) for n in self.nulls)
        more = ", store_rejects = true, rejects_table = 'malformed', rejects_scan = 'malformed_scan', rejects_limit = 0" if collect else ""
        return (
            f"read_csv({sql.literal(str(self.path))}, columns = {{{shape}}}, header = true, auto_detect = false, delim = ',', "
            f"quote = '\"', escape = '\"', nullstr = [{nulls}], allow_quoted_nulls = false, "
            f"max_line_size = {longest}, buffer_size = {longest}{more})"
        )

    def opened(self, cursor: duckdb.DuckDBPyConnection) -> AbstractContextManager[str]:
        return nullcontext(self.relation(ORDINARY_LINE))

    def stage(self, cursor: duckdb.DuckDBPyConnection, most: int | None = None) -> None:
        if most is not None:  # DuckDB tells of malformed records once it has read to the end of the file.
            with beginning(self.path, most + 1) as path:
                replace(self, path=path).stage(cursor)
            return
        for table in ("malformed", "malformed_scan"):
            cursor.execute(f"DROP TABLE IF EXISTS temp.{table}")
        stage_relation(cursor, self.relation(LONGEST_LINE, collect=True))
        cursor.execute(_malformed(len(self.given)))
        cursor.execute(_RENUMBER)


def read_csv(names: Names, path: Path, nulls: Sequence[str] = (), *, whole: bool = True) -> CsvFile:
    """The file with its head understood. Raises HeadRefused where the head does not fit the table."""
    head = read_head(names, csv_head(names.schema.name, path), whole=whole)
    return CsvFile(path, tuple(cells_of(column, called) for _, column, called in head), ("", *nulls))


@contextmanager
def beginning(path: Path, records: int) -> Iterator[Path]:
    """A file beside this one that has its first records and no more, gone at the end; a line end between quotes ends no record."""
    cut = path.with_name(f"{uuid4().hex}.csv")
    try:
        with path.open("rb") as file, cut.open("xb") as copy:
            size, is_quoted = 0, False
            while records and size < LONGEST_LINE and (line := file.readline(LONGEST_LINE)):
                copy.write(line)
                size, is_quoted = size + len(line), is_quoted ^ bool(line.count(b'"') % 2)
                records -= not is_quoted
        yield cut
    finally:
        cut.unlink(missing_ok=True)


def csv_head(table: str, path: Path) -> list[str]:
    """The names in the file's first line. Raises HeadRefused where it has none."""
    with path.open("rb") as file:
        first = file.readline(LONGEST_LINE)
    try:
        rows = list(csv.reader(io.StringIO(first.decode("utf-8-sig").split("\r")[0] + "\n"), strict=True))
    except (UnicodeDecodeError, csv.Error):
        rows = []
    if not rows or not rows[0]:
        raise no_head(table, "The file has no head: its first line names the columns, in UTF-8, with commas between them.")
    return rows[0]


def _malformed(columns: int) -> str:
    """Records that are no rows at all, each once; DuckDB counts them with the head as the first, and tells of each column that lacks."""
    counts = f"fields than the {columns} of the head"
    reason = f"""CASE error_type WHEN 'TOO MANY COLUMNS' THEN 'has more {counts}' WHEN 'MISSING COLUMNS' THEN 'has fewer {counts}'
        WHEN 'UNQUOTED VALUE' THEN 'has a quote that does not close, or text after a closing quote'
        WHEN 'INVALID ENCODING' THEN 'is not UTF-8' WHEN 'INVALID UNICODE' THEN 'is not UTF-8'
        WHEN 'LINE SIZE OVER MAXIMUM' THEN 'is longer than {LONGEST_LINE >> 20} MiB' ELSE 'cannot be read as CSV' END"""
    return f"INSERT INTO {REJECTED} SELECT DISTINCT ON (line) line - 1, '', left(csv_line, 200), 'malformed', {reason} FROM malformed"


# Malformed records were left out of the staged rows, so that those after them have to count them too.
_RENUMBER = f"""UPDATE {ROWS} SET {ROW} = true_row FROM (
    SELECT n AS true_row, row_number() OVER (ORDER BY n) AS staged_row
    FROM range(1, (SELECT count(*) FROM {ROWS}) + (SELECT count(*) FROM {REJECTED}) + 1) r(n)
    WHERE n NOT IN (SELECT "row" FROM {REJECTED})
) WHERE {ROW} = staged_row AND EXISTS (SELECT 1 FROM {REJECTED})"""


def absent(called: str) -> str:
    """The condition that a row of a sparse relation lacks the column."""
    return f"coalesce(list_contains({ABSENT}, {sql.literal(called)}), false)"
