"""A reader's own SELECT: checked, run inside a read-only transaction, stopped in time, and written out whole in any format.

The rows are printed by DuckDB, from the reader's statement as a subquery; DuckDB keeps the order that a subquery asked for where the
query around it asks for none (verified with two and four threads in `tests/projects/test_query.py`).
"""

import json
import logging
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import IO, Any

import duckdb

from projects.errors import DiskFull, QueryRefused, QueryTooLarge
from projects.store import export
from projects.store.errors import translate
from projects.store.lines import text
from projects.store.outputs import Style, of_query
from projects.store.query_guard import LONGEST_SQL, check, read_tree, refused
from projects.store.sql import quote, shortened
from projects.store.watch import Watch, stays

__all__ = ["First", "Limits", "check", "first", "write"]

_log = logging.getLogger(__name__)

ROWS_AT_ONCE = 256  # rows fetched before the limits are looked at again


@dataclass(frozen=True, slots=True)
class Limits:
    """What a query may take: seconds, rows, and bytes of the answer."""

    seconds: float
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class First:
    """The first rows of a result: its columns, each with whether it holds numbers, the rows' cells as text, and whether there are more."""

    columns: list[tuple[str, bool]]
    rows: list[list[str | None]]
    is_cut: bool


def write(
    file: IO[bytes],
    cursor: duckdb.DuckDBPyConnection,
    sql: str,
    params: Sequence[Any],
    *,
    tables: Collection[str],
    limits: Limits,
    form: str = "json",
    is_gone: Callable[[], bool] = stays,
) -> int:
    """Writes the rows of one SELECT to the file, in a format, and gives the number of bytes.

    Takes a fresh cursor, values for `?` or `$1` as JSON has them, and the `tables` that may be read. Raises QueryRefused, QueryTimedOut,
    QueryTooLarge, OutOfMemory, and ClientLeft once the client `is_gone`; what is in the file then is to be thrown away.
    """
    with _asked(cursor, sql, params, tables, Watch(cursor, limits.seconds, is_gone)) as (sheet, watch):
        with closing(export.chunks(cursor, sheet, form)) as chunks:
            rows = size = 0
            for chunk in chunks:
                watch.check()
                rows, size = rows + chunk.rows, size + len(chunk.data)
                _check_size(rows, size, limits)
                _write(file, chunk.data)
        watch.check()
        return size


def first(
    cursor: duckdb.DuckDBPyConnection,
    sql: str,
    params: Sequence[Any],
    *,
    tables: Collection[str],
    limits: Limits,
    is_gone: Callable[[], bool] = stays,
) -> First:
    """The first rows of one SELECT, no more than the limits say: what is over them is cut off. Takes and raises what `write` does."""
    with _asked(cursor, sql, params, tables, Watch(cursor, limits.seconds, is_gone)) as (sheet, watch):
        cells = ", ".join(shortened(text(output)) for output in sheet.outputs)
        cursor.execute(f"{sheet.select(f'[{cells}]::VARCHAR[]')} LIMIT {limits.rows + 1}", params)
        rows: list[list[str | None]] = []
        size = 0
        while size <= limits.bytes and (found := cursor.fetchmany(ROWS_AT_ONCE)):
            watch.check()
            rows += [row for (row,) in found]
            size += sum(len(cell or "") for (row,) in found for cell in row)
        watch.check()
        is_cut = len(rows) > limits.rows or size > limits.bytes
        return First([(o.name, o.style is Style.BARE) for o in sheet.outputs], rows[: limits.rows], is_cut)


def as_written(cursor: duckdb.DuckDBPyConnection, names: Sequence[str]) -> list[tuple[str, str]]:
    """Each name, and how a query has it: in quotes where it needs them."""
    found = cursor.execute("SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category <> 'unreserved'").fetchall()
    kept = {keyword for (keyword,) in found}
    return [(name, name if _PLAIN.fullmatch(name) and name not in kept else quote(name)) for name in names]


_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


@contextmanager
def _asked(
    cursor: duckdb.DuckDBPyConnection, sql: str, params: Sequence[Any], tables: Collection[str], watch: Watch
) -> Iterator[tuple[export.Sheet, Watch]]:
    """The checked query inside a read-only transaction, under the watch."""
    longest = _longest(params)
    with _translated(sql), watch:
        statement = read_tree(cursor, sql, tables, longest_parameter=longest)
        watch.check()
        with _read_only(cursor):
            sheet = _sheet(cursor, statement, params)
            watch.check()
            yield sheet, watch


def _write(file: IO[bytes], data: bytes) -> None:
    try:
        file.write(data)
    except OSError as error:
        raise DiskFull() from error


def _check_size(rows: int, size: int, limits: Limits) -> None:
    if rows > limits.rows:
        raise QueryTooLarge(limit=f"{limits.rows} rows")
    if size > limits.bytes:
        raise QueryTooLarge(limit=f"{limits.bytes} bytes")


def _sheet(cursor: duckdb.DuckDBPyConnection, statement: str, params: Sequence[Any]) -> export.Sheet:
    """The statement's columns by number, so that they may have any names, and the statement itself as a subquery."""
    inner = f"(\n{statement}\n)"  # On lines of its own: it may end with a comment.
    columns = cursor.execute(f"SELECT * FROM {inner} LIMIT 0", params).description or []
    cursor.fetchall()
    relation = f"{inner} AS q({', '.join(f'c{n}' for n in range(len(columns)))})"
    outputs = of_query([(str(column[0]), str(column[1])) for column in columns])
    return export.Sheet(outputs, lambda expression: f"SELECT {expression} FROM {relation}", params, rows_at_once=ROWS_AT_ONCE)


@contextmanager
def _read_only(cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
    try:
        cursor.execute("BEGIN TRANSACTION READ ONLY")
        yield
    finally:
        _roll_back(cursor)


def _roll_back(cursor: duckdb.DuckDBPyConnection) -> None:
    """Ends the transaction, and with it a result that was not fetched to its end; an interrupt may come in between."""
    while True:
        try:
            cursor.execute("ROLLBACK")
        except duckdb.InterruptException:
            continue
        except duckdb.TransactionException:  # None is open: BEGIN was interrupted, or an interrupt came when this was already over.
            pass
        return


@contextmanager
def _translated(sql: str) -> Iterator[None]:
    """DuckDB's errors about the statement or its values become QueryRefused; those of the store go on."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise translate(error) from error
    except duckdb.InternalException as error:
        _log.exception("DuckDB failed on a reader's query")
        raise QueryRefused(detail="DuckDB failed on this query; write it another way.") from error
    except duckdb.PermissionException as error:
        raise QueryRefused(detail="The query asks for what is not allowed.") from error
    except (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError) as error:
        raise refused(error, sql) from error


def _longest(params: Sequence[Any]) -> int:
    """Characters of the longest parameter as text. Together they are bounded as the query's own text is."""
    sizes = [len(json.dumps(value, default=str)) for value in params]
    if sum(sizes) > LONGEST_SQL:
        raise QueryRefused(detail=f"The parameters are longer than {LONGEST_SQL} bytes together.")
    return max(sizes, default=1)
