"""What DuckDB's own catalogue says of the tables, whoever made them so: read, compared with our books, and taken for a schema.

Somebody who opens the file with another program can alter a table; the books do not know of it, the catalogue does.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from projects.errors import TableUnreadable
from projects.store import sql
from projects.store.books import LiveTable
from schema_registry import documents, literals
from schema_registry.diff import Change, Pair, diff
from schema_registry.schema import ColumnSchema, TableSchema
from schema_registry.types import ParsedType, UnknownType, parse_type

EXPRESSION = "expression: "  # before a default that is no constant; no schema has such a default


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column as DuckDB spells it; `default` is the text of an SQL expression."""

    name: str
    type: str
    required: bool
    default: str | None
    is_computed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One table, or view, of the catalogue; one outside of schema `main` is named with its schema. `strange` is what we never make."""

    name: str
    is_table: bool
    columns: tuple[Column, ...] = ()
    primary_key: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    strange: tuple[str, ...] = ()


# Reading.

_OURS = f"database_name = current_database() AND schema_name <> {sql.literal(sql.BOOKS)}"


def read(cursor: duckdb.DuckDBPyConnection, name: str | None = None) -> dict[str, Entry]:
    """The tables and views of the file but our own, all or the one of that name, by their names without case."""
    views = {_called(*row) for row in _ask(cursor, "view_name", "duckdb_views() WHERE NOT internal", name)}
    of_table: dict[str, list[Column]] = {}
    for schema, table, column, kind, is_nullable, default, is_computed, _ in sorted(
        _ask(cursor, _OF_COLUMN, "duckdb_columns() WHERE NOT internal", name), key=lambda row: row[-1]
    ):
        made = Column(name=column, type=kind, required=not is_nullable, default=default, is_computed=bool(is_computed))
        of_table.setdefault(_called(schema, table), []).append(made)
    rules: dict[str, list[tuple[str, str, list[str]]]] = {}
    constraints = _ask(cursor, _OF_CONSTRAINT, "duckdb_constraints() WHERE constraint_type <> 'NOT NULL'", name, "referenced_table")
    for schema, table, kind, text, names, referred in constraints:
        rules.setdefault(_called(schema, table), []).append((kind, text, names))
        if kind == "FOREIGN KEY" and referred != table:
            rules.setdefault(_called(schema, referred), []).append(("REFERRED", table, []))
    for schema, table, index in _ask(cursor, "table_name, index_name", "duckdb_indexes() WHERE true", name):
        rules.setdefault(_called(schema, table), []).append(("INDEX", index, []))
    entries = (
        _entry(table, table not in views, made, rules.get(table, []))
        for table, made in of_table.items()
        if not table.startswith(sql.LOADING)
    )
    return {entry.name.casefold(): entry for entry in entries if name is None or entry.name.casefold() == name.casefold()}


_OF_COLUMN = "table_name, column_name, data_type, is_nullable, column_default, is_generated, column_index"
_OF_CONSTRAINT = "table_name, constraint_type, constraint_text, constraint_column_names, referenced_table"


def _ask(cursor: duckdb.DuckDBPyConnection, outputs: str, source: str, name: str | None, *others: str) -> list[tuple[Any, ...]]:
    """Rows of DuckDB's own tables, all or those whose first output, or one of the others, has that name; each begins with a schema's name.

    Plain questions, for DuckDB plans each anew, and that is most of what they cost.
    """
    called = (outputs.partition(",")[0], *others)
    wanted = "" if name is None else f" AND ({' OR '.join(f'lower({output}) = lower($1)' for output in called)})"
    statement = f"SELECT schema_name, {outputs} FROM {source} AND {_OURS}{wanted}"
    return cursor.execute(statement, [] if name is None else [name]).fetchall()


def _called(schema: str, name: str) -> str:
    return name if schema == "main" else f"{schema}.{name}"


def _entry(name: str, is_table: bool, columns: Iterable[Column], rules: Iterable[tuple[str, str, list[str]]]) -> Entry:
    keys, unique, strange = [], [], []
    for kind, text, names in rules:
        if kind == "PRIMARY KEY":
            keys.append(tuple(names))
        elif kind == "UNIQUE":
            unique.append(tuple(sorted(names, key=str.casefold)))
        else:
            strange.append(_STRANGE.get(kind, _STRANGE[""]).format(text=text))
    return Entry(
        name=name,
        is_table=is_table,
        columns=tuple(columns),
        primary_key=keys[0] if keys else (),
        unique=tuple(sorted(unique)),
        strange=tuple(sorted(strange)),
    )


_STRANGE = {
    "INDEX": "The index {text} stands on it.",
    "REFERRED": "The table {text} refers to it with a foreign key.",
    "": "It has the rule {text}.",
}


# As a schema.


def found(cursor: duckdb.DuckDBPyConnection, live: LiveTable) -> TableSchema:
    """The table as the file has it: what has the name of a live column keeps its meaning, all else is plain; no columns where it is gone.

    Raises TableUnreadable where there is something that no schema can say.
    """
    entry = read(cursor, live.name).get(live.name.casefold())
    if entry and (reasons := list(unreadable(entry))):
        raise TableUnreadable(table=live.name, reason=" ".join(reasons))
    return _schema(cursor, entry, live)


def unreadable(entry: Entry) -> Iterator[str]:
    """What no schema can say, in sentences."""
    if not entry.is_table:
        yield "It is a view."
        return
    for column in entry.columns:
        if column.is_computed:
            yield f"The column {column.name} is computed."
        elif _parsed(column) is None:
            yield f"The column {column.name} is of the type {column.type}, which no schema has."
    yield from entry.strange


def _parsed(column: Column) -> ParsedType | None:
    try:
        return parse_type(column.type)
    except UnknownType:
        return None


def _schema(cursor: duckdb.DuckDBPyConnection, entry: Entry | None, live: LiveTable) -> TableSchema:
    """The readable part of an entry."""
    if entry is None:
        return replace(live.schema, columns=(), primary_key=(), unique=())
    columns = [_column(cursor, column, live.schema.column(column.name)) for column in entry.columns]
    readable = {column.name for column in columns if column}
    known = {frozenset(map(str.casefold, rule)): rule for rule in live.schema.unique}
    unique = [known.get(frozenset(map(str.casefold, rule)), rule) for rule in entry.unique]
    ordered = sorted((c for c in columns if c), key=lambda column: _place(live.schema, column))
    return replace(
        live.schema,
        columns=tuple(ordered),
        primary_key=tuple(name for name in entry.primary_key if name in readable),
        unique=tuple(rule for rule in unique if all(name.casefold() in {r.casefold() for r in readable} for name in rule)),
    )


def _place(schema: TableSchema, column: ColumnSchema) -> int:
    """Where a column stands among the live ones; a new one comes after them."""
    names = [c.name.casefold() for c in schema.columns]
    return names.index(column.name.casefold()) if column.name.casefold() in names else len(names)


def _column(cursor: duckdb.DuckDBPyConnection, column: Column, live: ColumnSchema | None) -> ColumnSchema | None:
    parsed = _parsed(column)
    if parsed is None or column.is_computed:
        return None
    plain = ColumnSchema(name=column.name, type=parsed.type, multivalued=parsed.multivalued)
    taken = replace(_retyped(live, plain), name=column.name) if live else plain
    default = _default(cursor, column.default, plain, live)
    return replace(taken, required=column.required, default=default)


def _retyped(live: ColumnSchema, plain: ColumnSchema) -> ColumnSchema:
    """The live column with another type: it keeps what it means, and of its rules those that its new type can have."""
    if live.sql_type == plain.sql_type:
        return live
    bare = replace(live, type=plain.type, multivalued=plain.multivalued, enum=None, max_length=None, pattern=None, generated=None)
    return replace(bare, minimum=_recast(live.minimum, live, bare), maximum=_recast(live.maximum, live, bare))


def _recast(cell: str | None, live: ColumnSchema, column: ColumnSchema) -> str | None:
    """A bound among numbers as the new type writes it, if that can."""
    if not (live.type.is_number and column.type.is_number) or column.multivalued:
        return None
    try:
        return None if cell is None else literals.cell(column.type, cell)
    except literals.BadLiteral:
        return None


# Defaults.


def _default(cursor: duckdb.DuckDBPyConnection, text: str | None, column: ColumnSchema, live: ColumnSchema | None) -> str | None:
    """The default as a cell, or marked as an EXPRESSION: it is no constant, or none that the column can hold."""
    if text is None or text == "NULL":
        return None
    if live and live.default is not None and live.sql_type == column.sql_type and text == _printed(column, live.default):
        return live.default
    if not _is_constant(cursor, text):
        return EXPRESSION + text
    value = f"CAST(({text}) AS {column.sql_type})"
    known = sql.default_of(replace(column, default=live.default)) if live and live.sql_type == column.sql_type else "NULL"
    asked = f"SELECT {value} IS NOT DISTINCT FROM {known}, coalesce({sql.json_text(column, value)}, 'null')"
    try:
        is_known, cell = cursor.execute(asked).fetchall()[0]
        return live.default if live and is_known else literals.cell(column.type, documents.read(cell), multivalued=column.multivalued)
    except (duckdb.DataError, duckdb.ProgrammingError, literals.BadLiteral):
        return EXPRESSION + text


def _printed(column: ColumnSchema, cell: str) -> str:
    """How DuckDB prints a default that `sql.default_of` wrote, of most types; it saves asking for the value."""
    kind = str(column.type).replace(",", ", ")
    if not column.multivalued:
        return f"CAST({sql.literal(cell)} AS {kind})"
    elements = (e if isinstance(e, str) else json.dumps(e) for e in json.loads(cell))
    return f"CAST(list_value({', '.join(f'CAST({sql.literal(e)} AS {kind})' for e in elements)}) AS {kind}[])"


def _is_constant(cursor: duckdb.DuckDBPyConnection, text: str) -> bool:
    """Whether the text is made of literals, casts and lists only, so that to compute it does nothing else."""
    tree = json.loads(cursor.execute("SELECT json_serialize_sql(?)", [f"SELECT {text}"]).fetchall()[0][0])
    waiting: list[Any] = [] if tree["error"] else [tree["statements"][0]["node"]["select_list"]]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if not _is_plain(part):
                return False
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)
    return not tree["error"]


def _is_plain(part: dict[str, Any]) -> bool:
    is_list = part.get("function_name") == "list_value"
    return part.get("class", "TYPE") in ("CONSTANT", "CAST", "TYPE") or is_list


# Compared with the books.


def altered(cursor: duckdb.DuckDBPyConnection, live: LiveTable) -> list[str]:
    """Where the file has the table otherwise than the books say, in sentences; none where they agree."""
    return differences(cursor, read(cursor, live.name).get(live.name.casefold()), live)


def differences(cursor: duckdb.DuckDBPyConnection, entry: Entry | None, live: LiveTable) -> list[str]:
    """As `altered`, of an entry that was read."""
    if entry is None:
        return ["The DuckDB file has no such table."]
    if not entry.is_table:
        return list(unreadable(entry))
    unread = {column.name.casefold() for column in entry.columns if column.is_computed or _parsed(column) is None}
    schema = _schema(cursor, entry, live)
    pairs = [Pair(before, after) for after in schema.columns if (before := live.schema.column(after.name))]
    changes = [c for c in diff(live.schema, schema, pairs) if c.kind in _SENTENCES and (c.column or "").casefold() not in unread]
    said = [_SENTENCES[c.kind].format(column=c.column, before=c.before or "nothing", after=c.after or "nothing") for c in changes]
    return [*said, *unreadable(entry), *_renamed(live.schema, schema, changes)]


_SENTENCES = {
    "add_column": "The file has a column {column} ({after}) that the schema does not have.",
    "drop_column": "The file has no column {column} ({before}).",
    "rename_column": "The file spells the column {before} as {after}.",
    "change_type": "In the file {column} is {after}, not {before}.",
    "change_multivalued": "In the file {column} is {after}, not {before}.",
    "set_required": "In the file {column} is required.",
    "set_optional": "In the file {column} may be empty.",
    "set_default": "In the file the default of {column} is {after}, not {before}.",
    "change_key": "In the file the key is {after}, not {before}.",
    "add_unique": "In the file no two rows may have the same {after}.",
    "drop_unique": "In the file rows may have the same {before}.",
}


def _renamed(live: TableSchema, schema: TableSchema, changes: Iterable[Change]) -> Iterator[str]:
    """A guess, for a person to confirm: one column that went and one of its type that came may be the same."""
    by_kind = {kind: [c.column or "" for c in changes if c.kind == kind] for kind in ("drop_column", "add_column")}
    if [len(names) for names in by_kind.values()] != [1, 1]:
        return
    went, came = live.column(by_kind["drop_column"][0]), schema.column(by_kind["add_column"][0])
    if went and came and went.sql_type == came.sql_type:
        given = json.dumps({went.name: {"renamed_from": came.name}}, ensure_ascii=False)
        yield f"Perhaps {went.name} was renamed to {came.name}: a repair with the inputs {given} keeps its values."
