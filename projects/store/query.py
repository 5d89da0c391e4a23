"""A reader's own SELECT: checked, run inside a read-only transaction, stopped in time, and handed out as JSON.

The rows are made into JSON by DuckDB, from the reader's statement as a subquery; DuckDB keeps the order that a subquery asked for where
the query around it asks for none (verified with two and four threads in `tests/projects/test_query.py`).
"""

import json
import logging
import re
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb

from projects.errors import OutOfMemory, QueryRefused, QueryTimedOut, QueryTooLarge
from projects.store.query_guard import LONGEST_SQL, check, explained, read_tree
from projects.store.sql import literal

__all__ = ["check", "json_expression", "run"]

_log = logging.getLogger(__name__)

ROWS_AT_ONCE = 100  # rows fetched before the limits are looked at again
INTERRUPT_EVERY = 0.05  # seconds between interrupts once the time is over; one that comes between two statements is lost


def run(
    cursor: duckdb.DuckDBPyConnection,
    sql: str,
    params: Sequence[Any],
    *,
    tables: Collection[str],
    timeout: float,
    max_rows: int,
    max_bytes: int,
) -> list[str]:
    """The rows of one SELECT, each as the text of a JSON object.

    Takes a fresh cursor, values for `?` or `$1` as JSON has them, the `tables` that may be read, and limits in seconds, rows and bytes of
    UTF-8. Raises QueryRefused, QueryTimedOut, QueryTooLarge or OutOfMemory; never answers with a part of the result.
    """
    longest = _longest(params)
    with _translated(), _Deadline(cursor, timeout) as deadline:
        statement = read_tree(cursor, sql, tables, longest_parameter=longest)
        deadline.check()
        with _read_only(cursor):
            wrapped = _as_json(cursor, statement, params)
            deadline.check()
            cursor.execute(wrapped, params)
            return _rows(cursor, deadline, max_rows=max_rows, max_bytes=max_bytes)


class _Deadline:
    """Interrupts a cursor once its time is over, and never after its block has been left."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, seconds: float) -> None:
        self._cursor = cursor
        self._seconds = seconds
        self._lock = threading.Lock()
        self._left = threading.Event()
        self._passed = False
        self._thread = threading.Thread(target=self._watch, name="query-deadline", daemon=True)

    def __enter__(self) -> "_Deadline":
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        with self._lock:  # once it is held, no interrupt is under way
            self._left.set()
        if isinstance(error, duckdb.InterruptException) and self._passed:
            raise QueryTimedOut(seconds=self._seconds) from error

    def check(self) -> None:
        """Raises QueryTimedOut where the time is over: an interrupt counts only while a statement runs."""
        if self._passed:
            raise QueryTimedOut(seconds=self._seconds)

    def _watch(self) -> None:
        pause = self._seconds
        while not self._left.wait(pause):
            with self._lock:
                if self._left.is_set():
                    return
                self._passed = True
                self._cursor.interrupt()
            pause = INTERRUPT_EVERY


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
def _translated() -> Iterator[None]:
    """DuckDB's errors about the statement or its values become QueryRefused; those of the store go on."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise OutOfMemory() from error
    except duckdb.InternalException as error:
        _log.exception("DuckDB failed on a reader's query")
        raise QueryRefused(detail="DuckDB failed on this query; write it another way.") from error
    except duckdb.PermissionException as error:
        raise QueryRefused(detail="The query asks for what is not allowed.") from error
    except (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError) as error:
        raise QueryRefused(detail=explained(error)) from error


def _longest(params: Sequence[Any]) -> int:
    """Characters of the longest parameter as text. Together they are bounded as the query's own text is."""
    sizes = [len(json.dumps(value, default=str)) for value in params]
    if sum(sizes) > LONGEST_SQL:
        raise QueryRefused(detail=f"The parameters are longer than {LONGEST_SQL} bytes together.")
    return max(sizes, default=1)


def _as_json(cursor: duckdb.DuckDBPyConnection, statement: str, params: Sequence[Any]) -> str:
    """The statement with each of its rows made into the text of one JSON object."""
    inner = f"(\n{statement}\n)"  # On lines of its own: it may end with a comment.
    columns = cursor.execute(f"SELECT * FROM {inner} LIMIT 0", params).description or []
    cursor.fetchall()
    names = _distinct([str(column[0]) for column in columns])
    values = [json_expression(f"c{n}", str(column[1])) for n, column in enumerate(columns)]
    pairs = ", ".join(f"{literal(name)}: {value}" for name, value in zip(names, values, strict=True))
    return f"SELECT CAST(to_json({{{pairs}}}) AS VARCHAR) FROM {inner} AS q({', '.join(f'c{n}' for n in range(len(columns)))})"


def _distinct(names: list[str]) -> list[str]:
    """Names of which no two are equal without case: the second `a` becomes `a_1`."""
    taken: set[str] = set()
    for position, name in enumerate(names):
        number, candidate = 0, name
        while candidate.lower() in taken:
            number += 1
            candidate = f"{name}_{number}"
        taken.add(candidate.lower())
        names[position] = candidate
    return names


def _rows(cursor: duckdb.DuckDBPyConnection, deadline: _Deadline, *, max_rows: int, max_bytes: int) -> list[str]:
    rows: list[str] = []
    size = 0
    while fetched := cursor.fetchmany(ROWS_AT_ONCE):
        deadline.check()
        rows += [row[0] for row in fetched]
        size += sum(len(row[0].encode()) for row in fetched)
        if len(rows) > max_rows:
            raise QueryTooLarge(limit=f"{max_rows} rows")
        if size > max_bytes:
            raise QueryTooLarge(limit=f"{max_bytes} bytes")
    deadline.check()
    return rows


# Values to JSON.

_AS_TEXT = ("UNION", "VARIANT", "GEOMETRY")
_PIECES = r"""'"(?:[^"\\]|\\.)*"|[^"]+'"""  # of a JSON text: its strings, and what stands between them
_BARE = "'(?i)-?(nan|inf(inity)?)'"


def json_expression(sql_expr: str, type_text: str) -> str:
    """An expression of which `to_json` prints exact JSON, for a value (an SQL expression) of a type as DuckDB writes it.

    Times are ISO 8601 in UTC with Z, BLOB is base64, NaN and the infinities are null, inside lists, structs and maps too. DECIMAL and
    the integers stay as they are: `to_json` of DuckDB 2.0 is exact for them.
    """
    return _json(sql_expr, type_text, 1)


def _json(value: str, type_: str, depth: int) -> str:
    if list_ := re.fullmatch(r"(.*)\[\d*\]", type_, re.DOTALL):
        return _json_list(value, list_[1], depth)
    base, _, inside = type_.partition("(")
    match base:
        case "STRUCT" | "TUPLE" | "MAP":
            return _json_nested(value, base, _members(inside.removesuffix(")")), depth)
        case "TIMESTAMP" | "TIMESTAMP_S" | "TIMESTAMP_MS" | "TIMESTAMP_NS":
            return f"CASE WHEN isfinite({value}) THEN replace(CAST({value} AS VARCHAR), ' ', 'T') || 'Z' END"
        case "TIMESTAMP WITH TIME ZONE":
            return f"CASE WHEN isfinite({value}) THEN replace(CAST(({value}) AT TIME ZONE 'UTC' AS VARCHAR), ' ', 'T') || 'Z' END"
        case "FLOAT" | "DOUBLE" | "DATE":
            return f"CASE WHEN isfinite({value}) THEN {value} END"
        case "BLOB":
            return f"to_base64({value})"
        case "JSON":
            return _json_strict(value)
    return f"CAST({value} AS VARCHAR)" if base in _AS_TEXT else value


def _json_list(value: str, type_: str, depth: int) -> str:
    element = f"e{depth}"
    printed = _json(element, type_, depth + 1)
    return value if printed == element else f"list_transform({value}, lambda {element}: {printed})"


def _json_nested(value: str, base: str, members: list[tuple[str, str]], depth: int) -> str:
    if base == "MAP":
        entry = f"e{depth}"
        printed = _json(f"{entry}.value", members[1][1], depth + 1)
        pair = f"{{'key': CAST({entry}.key AS VARCHAR), 'value': {printed}}}"
        return value if printed == f"{entry}.value" else f"map_from_entries(list_transform(map_entries({value}), lambda {entry}: {pair}))"
    fields = [f"struct_extract_at({value}, {position})" for position in range(1, len(members) + 1)]
    printed_fields = [_json(field, type_, depth) for field, (_, type_) in zip(fields, members, strict=True)]
    if printed_fields == fields:
        return value
    if base == "TUPLE":
        return f"CASE WHEN {value} IS NOT NULL THEN row({', '.join(printed_fields)}) END"
    pairs = ", ".join(f"{literal(name)}: {field}" for (name, _), field in zip(members, printed_fields, strict=True))
    return f"CASE WHEN {value} IS NOT NULL THEN {{{pairs}}} END"


def _json_strict(value: str) -> str:
    """DuckDB's JSON may hold NaN and Infinity, which no other reader takes; outside strings they become null."""
    pieces = f"regexp_extract_all(CAST({value} AS VARCHAR), {_PIECES})"
    cleaned = f"CASE WHEN starts_with(p, '\"') THEN p ELSE regexp_replace(p, {_BARE}, 'null', 'g') END"
    mended = f"CAST(array_to_string(list_transform({pieces}, lambda p: {cleaned}), '') AS JSON)"
    return f"CASE WHEN regexp_matches(CAST({value} AS VARCHAR), {_BARE}) THEN {mended} ELSE {value} END"


def _members(text: str) -> list[tuple[str, str]]:
    """The members of a struct, tuple or map as (name, type); a name is empty where there is none."""
    parts = [part.strip() for part in _split(text)]
    return [(_unquoted(match[1] or ""), match[2]) for part in parts if (match := _MEMBER.fullmatch(part))]


_MEMBER = re.compile(r'(?:("(?:[^"]|"")*"|[A-Za-z_]\w*) (?!WITH TIME ZONE))?(.*)', re.DOTALL)
_SIGNS = re.compile(r'"(?:[^"]|"")*"|' + r"'(?:[^']|'')*'" + r"|[(),]")


def _split(text: str) -> list[str]:
    """Cuts at the commas that stand outside brackets and quotes."""
    depth, start, parts = 0, 0, []
    for sign in _SIGNS.finditer(text):
        depth += (sign[0] == "(") - (sign[0] == ")")
        if sign[0] == "," and depth == 0:
            parts.append(text[start : sign.start()])
            start = sign.end()
    return [*parts, text[start:]]


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
