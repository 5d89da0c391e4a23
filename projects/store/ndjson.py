"""Rows as lines of JSON: a plain line is taken apart by DuckDB, any other is read as one row's JSON is.

A line is plain where its keys are known and stand once, and each value is of a kind that its column takes as it is written. What else
JSON can say (1e3 for a thousand, an old name of a column) costs more, so that it is asked of Python for those lines alone.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from projects.aliases import Names
from projects.errors import BadRequest
from projects.store import sql
from projects.store.sources import ABSENT, LONGEST_LINE, REJECTED, REJECTS, ROW, ROWS, Given, cells_of, limit
from schema_registry.schema import ColumnSchema

Cells = Mapping[str, str | None]
Faults = Sequence[tuple[str, str | None, str, str]]  # column, value, code, reason
ReadLine = Callable[[str], tuple[Cells, Faults]]  # the cells of what the line gives, by stored name, and what is wrong with it

_KEYS = "json_keys(line)"
_PIECE = 4 << 20  # bytes of lines that are read at a time
_ODD = 2000  # odd lines that are read at a time


@dataclass(frozen=True, slots=True)
class NdjsonFile:
    """A file of JSON lines; `keys` has the column for each name that the lines may use without being odd.

    `first` are the names of the first line, if all are known, and `strings` those whose value is a string there: in a straight load the
    numbers and truths of all lines have to be written as they are in the first.
    """

    path: Path
    given: tuple[Given, ...]
    keys: tuple[tuple[str, ColumnSchema], ...]
    first: tuple[str, ...]
    strings: frozenset[str]
    read_line: ReadLine
    sparse: bool = True

    @property
    def guard(self) -> str:
        return "__plain"

    def opened(self, cursor: duckdb.DuckDBPyConnection) -> AbstractContextManager[str]:
        path = sql.literal(str(self.path))
        source = f"(SELECT json AS line FROM read_ndjson_objects({path}, maximum_object_size = {LONGEST_LINE}))"
        return nullcontext(self._relation(source, self.strings))

    def stage(self, cursor: duckdb.DuckDBPyConnection, most: int | None = None) -> None:
        cursor.execute(REJECTS)
        cursor.register("__lines", _numbered(self.path))
        try:
            cursor.execute(f"CREATE OR REPLACE TEMP TABLE lines AS SELECT * FROM __lines{limit(most)}")
        finally:
            cursor.unregister("__lines")
        sound = f"(SELECT {ROW}, line FROM temp.lines WHERE CASE WHEN json_valid(line) THEN json_type(line) = 'OBJECT' ELSE false END)"
        names = ", ".join(sql.quote(g.column.name) for g in self.given)
        plain = f"SELECT {ROW}, {ABSENT}, {names} FROM {self._relation(sound)} WHERE __plain AND {self._normal()}"
        cursor.execute(f"CREATE OR REPLACE TEMP TABLE {ROWS} AS {plain}")
        self._stage_odd(cursor)

    def _relation(self, source: str, strings: Collection[str] | None = None) -> str:
        """Lines as rows of cells, each with what it lacks, and whether it is plain; a decimal in the shape keeps every digit of all."""
        shape = {key: "JSON" for key, _ in self.keys} | {"=exact": "DECIMAL(1,0)"}
        parts = f"(SELECT *, from_json(line, {sql.literal(json.dumps(shape))}) AS __o FROM {source})"
        tokens = ", ".join(f"__o.{sql.quote(key)} AS {sql.quote('.' + c.name)}" for key, c in self.keys)
        is_any = {key: strings is None or key in strings for key, _ in self.keys}
        cells = ", ".join(f"{self._cell(c, is_any=is_any[key])} AS {sql.quote(c.name)}" for key, c in self.keys)
        kinds = " AND ".join([self._is_known(), *(kind for _, c in self.keys if (kind := self._kind(c)))])
        taken = f"(SELECT *, {tokens} FROM {parts})"
        return f"(SELECT *, {cells}, {self._lacks()} AS {ABSENT}, coalesce({kinds}, false) AS __plain FROM {taken})"

    def _is_known(self) -> str:
        """The condition that a line is an object whose keys are known and stand once; of most that is told by their length."""
        known = _list([key for key, _ in self.keys])
        each = f"list_has_all({known}, {_KEYS}) AND len(list_distinct({_KEYS})) = len({_KEYS})"
        one_by_one = f"(json_type(line) = 'OBJECT' AND {each})"
        # The keys are asked for here, where few lines come, and not once for all.
        usual = f"CASE WHEN {_KEYS} = {_list(self.first)} THEN true ELSE {one_by_one} END" if self.first else one_by_one
        return f"CASE WHEN {self._is_compact()} THEN true ELSE {usual} END"

    def _is_compact(self) -> str:
        """The condition that a line has nothing but the known keys and their values: then it is just as long as these are.

        A value's text is never longer than it was in the line. A null may be a key that is not there, so it has to be seen; inside of
        an object, or a list of them, it might be another's.
        """
        if any(c.type.base == "JSON" for _, c in self.keys):
            return "false"
        values = [(f'"{key}":', sql.quote("." + c.name)) for key, c in self.keys]
        between = sum(len(start.encode()) for start, _ in values) + len(values) + 1
        length = " + ".join(f"coalesce(strlen({token}), 4)" for _, token in values)
        # CASE, because in a list of conditions DuckDB would look for every null in every line.
        is_full = " AND ".join(f"{token} IS NOT NULL" for _, token in values)
        seen = (f"CASE WHEN {token} IS NULL THEN contains(line, {sql.literal(start + 'null')}) ELSE true END" for start, token in values)
        all_seen = f"CASE WHEN {is_full} THEN true ELSE {' AND '.join(seen)} END"
        return f"CASE WHEN strlen(line) = {between} + {length} THEN {all_seen} ELSE false END"

    def _lacks(self) -> str:
        """What rejects call the columns that a line lacks."""
        names = ", ".join(f"{sql.literal(key)}: {sql.literal(self._called(c))}" for key, c in self.keys)
        known = _list([key for key, _ in self.keys])
        missing = f"list_filter({known}, lambda k: NOT list_contains({_KEYS}, k))"
        called = f"list_transform({missing}, lambda k: map_extract_value(MAP {{{names}}}, k))"
        return f"CASE WHEN len({_KEYS}) < {len(self.keys)} THEN {called} END"

    def _called(self, column: ColumnSchema) -> str:
        return next(g.called for g in self.given if g.column.name == column.name)

    def _cell(self, column: ColumnSchema, *, is_any: bool) -> str:
        """The cell of a value's JSON text: what a string says, or any other value as it is written; of numbers `is_any` takes both."""
        token = sql.quote("." + column.name)
        if column.multivalued or column.type.base == "JSON":
            return token
        string = f"CASE WHEN contains({token}, '\\') THEN {token}->>'$' ELSE substring({token}, 2, length({token}) - 2) END"
        if column.type.base == "BOOLEAN" or column.type.is_number:
            return f"CASE WHEN starts_with({token}, '\"') THEN {string} ELSE {token}::VARCHAR END" if is_any else f"{token}::VARCHAR"
        return string

    def _kind(self, column: ColumnSchema) -> str:
        """The condition that a value is of a kind that the column takes; numbers are told by their form, as cells are."""
        token, base = sql.quote("." + column.name), column.type.base
        if base == "JSON" and not column.multivalued:
            return ""
        if column.multivalued:
            return f"({token} IS NULL OR {_list_kind(column, token)})"
        if column.type.is_number:
            return ""
        strings = f"starts_with({token}, '\"')"
        return f"({token} IS NULL OR {strings}{f' OR {token} IN ({_BOOLEANS})' if base == 'BOOLEAN' else ''})"

    def _normal(self) -> str:
        """The condition that no number is written in a way that only its value makes good, such as 20.0 for a whole one."""
        exact = [c for _, c in self.keys if (c.type.is_integer or c.type.base == "DECIMAL") and not c.multivalued]
        if not exact:
            return "true"
        odd = (_is_odd(sql.quote("." + c.name), "[eE]" if c.type.base == "DECIMAL" else "[.eE]") for c in exact)
        return f"NOT coalesce({' OR '.join(odd)}, false)"

    def _stage_odd(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Reads the lines that are not plain, one by one, into the staged rows or the rejects."""
        last = 0
        odd = f"SELECT {ROW}, line FROM temp.lines WHERE {ROW} NOT IN (SELECT {ROW} FROM {ROWS}) AND {ROW} > "
        while found := cursor.execute(f"{odd}{last} ORDER BY {ROW} LIMIT {_ODD}").fetchall():
            last = found[-1][0]
            self._stage_read(cursor, [(row, *self.read_line(line)) for row, line in found])

    def _stage_read(self, cursor: duckdb.DuckDBPyConnection, read: list[tuple[int, Cells, Faults]]) -> None:
        rejected = [dict(zip(_FAULT, (row, *map(_sayable, fault)), strict=True)) for row, _, faults in read for fault in faults]
        cursor.execute(f"INSERT INTO {REJECTED} {_unnested(_FAULT)}", [json.dumps(rejected)])
        called = {g.column.name: g.called for g in self.given}
        shape = {ROW: "BIGINT", ABSENT: ["VARCHAR"]} | dict.fromkeys((f"c{n}" for n in range(len(called))), "VARCHAR")
        rows = [
            {ROW: row, ABSENT: [called[c] for c in called if c not in cells]} | {f"c{n}": cells.get(c) for n, c in enumerate(called)}
            for row, cells, faults in read
            if not faults
        ]
        cursor.execute(f"INSERT INTO {ROWS} {_unnested(shape)}", [json.dumps(rows)])


_FAULT: Mapping[str, Any] = {"row": "BIGINT", "column": "VARCHAR", "value": "VARCHAR", "code": "VARCHAR", "reason": "VARCHAR"}


def _sayable(text: str | None) -> str | None:
    """A text without what UTF-8 or DuckDB's JSON cannot hold, which may be just what is wrong with it."""
    return text and text.encode(errors="replace").decode().replace("\0", "\ufffd")


def _unnested(shape: Mapping[str, Any]) -> str:
    """A JSON array of such objects, one parameter, as rows."""
    return f"SELECT unnest(from_json(?, {sql.literal(json.dumps([shape]))}), recursive := true)"


_BOOLEANS = "'true', 'false'"


def _is_odd(token: str, signs: str) -> str:
    return f"(NOT starts_with({token}, '\"') AND regexp_matches({token}, '{signs}'))"


def _list(names: Sequence[str]) -> str:
    return f"[{', '.join(map(sql.literal, names))}]::VARCHAR[]"


def _list_kind(column: ColumnSchema, token: str) -> str:
    """The condition on a list's elements; a list of JSON values is always odd."""
    if column.type.base == "JSON":
        return "false"
    each = "starts_with(e, '\"')" + (" OR regexp_matches(e, '^-?[0-9][^eE]*$')" if column.type.is_number else "")
    each += f" OR e IN ({_BOOLEANS})" if column.type.base == "BOOLEAN" else ""
    all_good = f"list_bool_and(list_transform(from_json({token}, '[\"JSON\"]'), lambda e: {each}))"
    return f"(starts_with({token}, '[') AND coalesce({all_good}, true))"


def read_ndjson(names: Names, path: Path, read_line: ReadLine) -> NdjsonFile:
    """The file, with the names that its first line has for the columns. No line is wrong yet."""
    schema, row = names.schema, first_row(path)
    first = list(row)
    columns = {key: names.column(key) for key in first}
    found = [c for c in columns.values() if c]
    spelled = {c.name: key for key, c in columns.items() if c and found.count(c) == 1}
    keys = tuple((spelled.get(c.name, c.name), names.stored_column(c)) for c in schema.columns)
    given = tuple(cells_of(names.stored_column(c), c.name) for c in schema.columns)
    usual = tuple(first) if set(first) <= {key for key, _ in keys} else ()
    return NdjsonFile(path, given, keys, usual, frozenset(k for k, value in row.items() if isinstance(value, str)), read_line)


def first_row(path: Path) -> dict[str, Any]:
    """The first line that is not empty; no names and values where that is no object."""
    with path.open("rb") as file:
        line = next((line for line in iter(lambda: file.readline(LONGEST_LINE), b"") if line.strip()), b"{}")
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return row if isinstance(row, dict) else {}


def _numbered(path: Path) -> Any:
    """The lines with their numbers, as an Arrow stream."""
    import pyarrow as pa  # noqa: PLC0415 - as in batches.py

    schema = pa.schema([("__row", pa.int64()), ("line", pa.string())])
    batches = (
        pa.record_batch([pa.array(range(n, n + len(lines)), pa.int64()), pa.array(lines, pa.string())], schema) for n, lines in _lines(path)
    )
    return pa.RecordBatchReader.from_batches(schema, batches)


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The lines in pieces, each with the number of its first; empty ones are left out and not counted. What is not UTF-8 is no JSON."""
    number, rest = 1, b""
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            if len(rest) > LONGEST_LINE:
                raise BadRequest(detail=f"A line is longer than {LONGEST_LINE >> 20} MiB.")
            *whole, rest = (rest + piece).split(b"\n")
            lines = [_text(line) for line in whole if line.strip()]
            yield number, lines
            number += len(lines)
    if rest.strip():
        yield number, [_text(rest)]


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return "\x00" + line.decode(errors="replace")
