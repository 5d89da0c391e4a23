"""Rows as people send them: a JSON object is checked against the live schema, then written; every door comes through here."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from projects import versions
from projects.aliases import Names, Used
from projects.errors import BadRequest, DuplicateKey, RowRefused, TableReadOnly
from projects.fields import NotACell, Rule, cell_of, condition, faults, pattern_rule, same_value
from projects.models import enforcing, is_read_only
from projects.preconditions import Preconditions
from projects.store import rows
from projects.store.books import Entry, Kept, LiveTable
from projects.store.connection import Store
from projects.store.references import Enforced
from projects.store.retries import steadily
from schema_registry.errors import Problem
from schema_registry.names import MAX_COLUMN_NAME
from schema_registry.schema import ColumnSchema, TableSchema

MOST_UNKNOWN = 100  # names of one body that are told


def read_json(text: bytes) -> Any:
    """JSON with every digit kept. Raises BadRequest for what is no JSON, NaN and a name that stands twice included."""
    try:
        return json.loads(str(text, "utf-8-sig"), parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=_object)
    except _Repeated as repeated:
        raise BadRequest(detail=f"The body gives {str(repeated)!r} twice.") from repeated
    except (ValueError, RecursionError) as error:
        raise BadRequest(detail="The body is not JSON in UTF-8.") from error


class _Repeated(Exception):
    """A name stands twice in one object."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Repeated(next(n for n in names if names.count(n) > 1))
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(name)


# One row in.


@dataclass(frozen=True, slots=True)
class Written:
    """A row that was written: its entry of the feed, which has it as stored, the old names that it was written by, and its answer."""

    entry: Entry
    used: Used
    row: str


def create(
    store: Store, table: str, body: Any, *, actor: str, version: int | None = None, keep: Callable[[Written], Kept] | None = None
) -> Written:
    """A new row, in a version's shape where one is given; what `keep` makes of it is kept in its transaction.

    Raises RowRefused, DuplicateKey, TableNotFound, TableReadOnly, TableAltered, DiskFull, StoreBusy, and as `versions.names`.
    """

    def made(live: LiveTable, names: Names) -> rows.Create:
        cells = names.stored_cells(new_cells(store, names, body), is_new=True)
        kept = None if keep is None else lambda entry: keep(_written(names, entry))
        return rows.Create(live.schema, cells, actor, live.version, kept, enforced(store))

    return _write(store, table, made, version)


def replace(
    store: Store, table: str, key_text: str, body: Any, *, actor: str, version: int | None = None, wanted: Preconditions | None = None
) -> Written:
    """The whole row anew but for its key, or a new row where the key has none; what is left out takes its default.

    A column that the version does not know keeps its value: who does not know it cannot have meant to empty it.
    Raises as `create`, RowNotFound for what can be no row's key, PreconditionFailed.
    """

    def made(live: LiveTable, names: Names) -> rows.Change:
        key = read_key(names.schema, key_text)
        whole = new_cells(store, names, _with_key(names, key, body))
        cells = names.stored_cells(_without_key(names.schema, key, whole))
        kept = {c.name for c in live.schema.columns if c.generated in ("uuid", "created") and cells.get(c.name) is None}
        changed = {name: cell for name, cell in stamped(live.schema, cells).items() if name not in kept}
        fresh, check = names.stored_cells(whole, is_new=True), _check_of(names, key_text, wanted)
        return rows.Change(live.schema, changed, actor, live.version, key, "replace", fresh=fresh, check=check, enforced=enforced(store))

    try:
        return _write(store, table, made, version)
    except DuplicateKey:  # A load may have brought the row since it was looked for; now it is found.
        return _write(store, table, made, version)


def patch(
    store: Store, table: str, key_text: str, body: Any, *, actor: str, version: int | None = None, wanted: Preconditions | None = None
) -> Written:
    """Some columns of a row. Raises as `create`, RowNotFound, PreconditionFailed."""

    def made(live: LiveTable, names: Names) -> rows.Change:
        key = read_key(names.schema, key_text)
        cells = names.stored_cells(patch_cells(store, names, body, key))
        check = _check_of(names, key_text, wanted)
        return rows.Change(
            live.schema, stamped(live.schema, cells), actor, live.version, key, "patch", check=check, enforced=enforced(store)
        )

    return _write(store, table, made, version)


def delete(
    store: Store, table: str, key_text: str, *, actor: str, version: int | None = None, wanted: Preconditions | None = None
) -> Written:
    """The end of a row. Raises RowNotFound, TableNotFound, TableReadOnly, TableAltered, PreconditionFailed, and as `versions.names`."""

    def made(live: LiveTable, names: Names) -> rows.Delete:
        key = read_key(names.schema, key_text)
        check = _check_of(names, key_text, wanted)
        return rows.Delete(live.schema, actor, live.version, key, check=check, enforced=enforced(store))

    return _write(store, table, made, version, shows=wanted is not None, frees=True)


def _check_of(names: Names, key_text: str, wanted: Preconditions | None) -> rows.Check | None:
    """What the preconditions say to a stored row, which their tags know in the request's shape."""
    if wanted is None:
        return None
    return lambda row: wanted.refusal(names.live.name, key_text, names.shown_row(row) if row else None)


def _write(
    store: Store, table: str, made: Callable[[LiveTable, Names], Any], version: int | None, *, shows: bool = True, frees: bool = False
) -> Written:
    """Checks the row against the live schema and writes it; again where the schema moved in between."""
    store.room.check(frees=frees)

    def written(live: LiveTable) -> Written:
        check_writable(live.name)
        names = versions.names(live, table, version, reads=shows, writes=True)
        return _written(names, store.writer.write(made(live, names)))

    return steadily(store, table, written)


def _written(names: Names, entry: Entry) -> Written:
    return Written(entry, names.used, names.shown_row(entry.after) if entry.after else "")


def check_writable(table: str) -> None:
    """Raises TableReadOnly where a person made the table so."""
    if is_read_only(table):
        raise TableReadOnly(table=table)


def enforced(store: Store) -> Enforced | None:
    """What checks the references, where any table enforces its own."""
    tables = enforcing()
    return Enforced(store, tables) if tables else None


def read_key(schema: TableSchema, text: str) -> rows.Key:
    """The key in a row's address. Raises RowNotFound where it could be no row's."""
    key = rows.key_cells(text)
    if len(key) != len(schema.key_columns) or any(faults(_bare(c), cell) for c, cell in zip(schema.key_columns, key, strict=True)):
        raise rows.RowNotFound(table=schema.name, key=text)
    return key


def _bare(column: ColumnSchema) -> ColumnSchema:
    return ColumnSchema(name=column.name, type=column.type)


def _with_key(names: Names, key: rows.Key, body: Any) -> Any:
    """The body with the address's key where it names none, so that it is whole."""
    if not isinstance(body, dict):
        return body
    named = {name.casefold() for name in body}
    absent = ((c, cell) for c, cell in zip(names.schema.key_columns, key, strict=True) if not names.all_of(c) & named)
    return body | {c.name: cell for c, cell in absent}


def _without_key(schema: TableSchema, key: rows.Key | None, cells: rows.Cells) -> dict[str, str | None]:
    """The cells but for the key. Raises RowRefused where they would change it."""
    for column, own in zip(schema.key_columns, key or [None] * len(schema.key_columns), strict=True):
        given = cells.get(column.name)
        if column.name in cells and (given is None or own is None or not same_value(column, given, own)):
            detail = f"{column.name} is part of the key, which does not change; delete the row and create it anew."
            raise RowRefused(table=schema.name, problems=(Problem(f"/{column.name}", "key", detail),))
    keys = {c.name for c in schema.key_columns}
    return {name: cell for name, cell in cells.items() if name not in keys}


def stamped(schema: TableSchema, cells: rows.Cells) -> dict[str, str | None]:
    """The cells with the update time, where anything is written and none was given."""
    now = datetime.now(UTC)
    times = {c.name: _now(c, now) for c in schema.columns if c.generated == "updated" and cells.get(c.name) is None}
    return {**cells, **times} if cells else {}


def _now(column: ColumnSchema, now: datetime) -> str:
    return now.date().isoformat() if column.type.base == "DATE" else now.isoformat().replace("+00:00", "Z")


# From JSON to cells.


def new_cells(store: Store, names: Names, body: Any) -> dict[str, str | None]:
    """Every column's cell of a new row: given, by default, or None for the store to fill. Raises RowRefused."""
    given, problems = read_row(names, body)
    _check(store, names.schema, given, problems)
    return {c.name: given.get(c.name, c.default) for c in names.schema.columns}


def read_row(names: Names, body: Any, *, is_new: bool = True) -> tuple[dict[str, str | None], list[Problem]]:
    """The cells of what the body gives, with all that is wrong with it but for patterns; one that `is_new` must be whole."""
    given, problems = _read(names, body)
    faulty = {p.pointer for p in problems}
    for column in names.schema.columns if is_new and isinstance(body, dict) else ():
        wanted = column.required and column.default is None and not column.generated
        if wanted and column.name not in given and f"/{column.name}" not in faulty:
            problems.append(Problem(f"/{column.name}", "required", f"{column.name} is required."))
    return given, problems


def patch_cells(store: Store, names: Names, body: Any, key: rows.Key | None = None) -> dict[str, str | None]:
    """The cells that the body changes; null leaves a generated column as it is. Raises RowRefused, also where one is the key's.

    Of one row, whose `key` is given, the body may name the key that it has.
    """
    cells, problems = _read(names, body)
    _check(store, names.schema, cells, problems)
    cells = _without_key(names.schema, key, cells)
    generated = {c.name for c in names.schema.columns if c.generated}
    return {name: cell for name, cell in cells.items() if cell is not None or name not in generated}


def _read(names: Names, body: Any) -> tuple[dict[str, str | None], list[Problem]]:
    if not isinstance(body, dict):
        return {}, [Problem("", "object", f"A row of {names.live.name} is a JSON object.")]
    cells: dict[str, str | None] = {}
    problems: list[Problem] = []
    for name, value in body.items():
        column = names.column(name)
        if column is None:
            shown = name if len(name) <= MAX_COLUMN_NAME else f"{name[:MAX_COLUMN_NAME]}..."
            problems.append(Problem(f"/{shown}", "unknown", f"The table {names.live.name} has no column {shown}."))
            if len(problems) == MOST_UNKNOWN:  # An answer is not to be many times as long as what it answers.
                problems.append(Problem("", "unknown", "There are more names that are no column's."))
                break
        elif column.name in cells:
            problems.append(_repeated(names, column, name, body))
        elif problem := _read_cell(column, value, cells):
            problems.append(problem)
    return cells, problems


def _repeated(names: Names, column: ColumnSchema, name: str, body: Mapping[str, Any]) -> Problem:
    if old := names.clash(column, body):
        return Problem(f"/{old}", "repeated", f"{old} is an old name of {column.name}; give {column.name} alone.")
    return Problem(f"/{name}", "repeated", f"{column.name} is given twice.")


def _read_cell(column: ColumnSchema, value: Any, cells: dict[str, str | None]) -> Problem | None:
    if value is None:
        cells[column.name] = None
        if column.required and not column.generated:
            return Problem(f"/{column.name}", "required", f"{column.name} is required, not null.")
        return None
    try:
        cell = cell_of(column, value)
    except NotACell as reason:
        return Problem(f"/{column.name}", "type", f"{column.name} {reason}.")
    cells[column.name] = cell
    return _problem(column, rule) if (rule := faults(column, cell)) else None


def _problem(column: ColumnSchema, rule: Rule) -> Problem:
    return Problem(f"/{column.name}", rule.code, f"{column.name} {rule.detail}.")


def _check(store: Store, schema: TableSchema, cells: Mapping[str, str | None], problems: list[Problem]) -> None:
    """Raises RowRefused with every problem; the patterns are asked of DuckDB's engine, for only it knows RE2."""
    problems = [*problems, *(p for p in _patterns(store, schema, cells) if p.pointer not in {q.pointer for q in problems})]
    if problems:
        raise RowRefused(table=schema.name, problems=tuple(problems))


def _patterns(store: Store, schema: TableSchema, cells: Mapping[str, str | None]) -> list[Problem]:
    asked = [(c, rule) for c in schema.columns if cells.get(c.name) is not None and (rule := pattern_rule(c))]
    if not asked:
        return []
    conditions = ", ".join(condition(c, rule, f"${n}::VARCHAR") for n, (c, rule) in enumerate(asked, 1))
    with store.read() as cursor:
        kept = cursor.execute(f"SELECT {conditions}", [cells[c.name] for c, _ in asked]).fetchall()[0]
    return [_problem(c, rule) for (c, rule), good in zip(asked, kept, strict=True) if not good]
