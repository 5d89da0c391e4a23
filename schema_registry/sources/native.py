"""The seed's JSON format: {name, description, columns: [{name, type, description, required}]}, and the optional keys of DESIGN.md."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from schema_registry import documents, names, pace
from schema_registry.errors import DocumentRefused, Problem
from schema_registry.schema import ColumnSchema, TableSchema
from schema_registry.sources.columns import MAX_IRI, Read, read_column
from schema_registry.sources.reading import Fields
from schema_registry.types import FLOATS, ColumnType

MAX_COLUMNS = 1_000
MAX_UNIQUE = 100  # unique rules of one table
MAX_NAMED = 10  # documents of one name that a refusal names


def parse_document(document: object, document_id: str) -> TableSchema:
    """The table that a native document describes; the document comes from `documents.read`, so that no digit is lost.

    Raises DocumentRefused with every problem, each with the JSON pointer of its place in the document.
    """
    problems: list[Problem] = []
    if reason := documents.trouble(document):
        raise DocumentRefused(document_id=document_id, problems=(Problem("", "limit", reason),))
    fields = Fields(document, "", problems)
    schema = _table(fields, document_id) if isinstance(document, dict) else None
    if schema is None or problems:
        raise DocumentRefused(document_id=document_id, problems=tuple(problems))
    return schema


def check_set(schemas: Sequence[TableSchema]) -> tuple[tuple[TableSchema, ...], tuple[DocumentRefused, ...]]:
    """Sorts out documents that make tables of one name or one id: (the schemas that stand, a refusal for each that does not)."""
    clashes = [*_clashes(schemas, "name"), *_clashes(schemas, "id")]
    problems: dict[str, list[Problem]] = defaultdict(list)
    for key, group in clashes:
        ids = sorted(one.document_id for one in group)
        more = f" and {len(ids) - MAX_NAMED} more" if len(ids) > MAX_NAMED + 1 else ""
        for one in group:
            others = ", ".join([name for name in ids[: MAX_NAMED + 1] if name != one.document_id][:MAX_NAMED]) + more
            detail = f"{others} makes a table of the same {key}; give each its own, then sync again"
            problems[one.document_id].append(Problem(f"/{key}", "clash", detail))
    refused = tuple(DocumentRefused(document_id=name, problems=tuple(found)) for name, found in sorted(problems.items()))
    return tuple(schema for schema in schemas if schema.document_id not in problems), refused


def _clashes(schemas: Iterable[TableSchema], key: str) -> list[tuple[str, list[TableSchema]]]:
    groups: dict[str, list[TableSchema]] = defaultdict(list)
    for schema in schemas:
        if said := schema.name.casefold() if key == "name" else schema.id:
            groups[said].append(schema)
    return [(key, group) for group in groups.values() if len(group) > 1]


def _table(fields: Fields, document_id: str) -> TableSchema | None:
    name = _table_name(fields)
    reads = _columns(fields)
    key_reads = _declared_key(fields, reads)
    description, identity = fields.text("description"), fields.text("id", longest=MAX_IRI)
    unique = _unique(fields, reads)
    if name is None or fields.problems:
        return None
    columns, key, notes = _with_key(name, reads, key_reads)
    return TableSchema(
        name=name,
        columns=columns,
        primary_key=key,
        description=description or "",
        id=identity or None,
        unique=tuple(u for u in unique if {n.casefold() for n in u} != {n.casefold() for n in key}),
        document_id=document_id,
        notes=notes,
    )


def _table_name(fields: Fields) -> str | None:
    text = fields.text("name", needed=True)
    if not text:
        return None
    name = names.normal(text)
    if fault := names.table_fault(name):
        fields.refuse("name", *fault)
        return None
    return name


def _columns(fields: Fields) -> list[Read]:
    plain = fields.array("columns", needed=True)
    if plain is None:
        return []
    if not 1 <= len(plain) <= MAX_COLUMNS:
        fields.refuse("columns", "limit", f"a table has 1 to {MAX_COLUMNS} columns; the document has {len(plain)}")
        return []
    reads = []
    for place, column in enumerate(plain):
        if place % 20 == 19:
            pace.breathe()
        reads.append(read_column(column, f"/columns/{place}", fields.problems))
    _refuse_repeats(reads, "name")
    _refuse_repeats(reads, "renamed_from")
    return reads


def _refuse_repeats(reads: list[Read], key: str) -> None:
    """Two columns of one name, or two that claim one old name."""
    seen: dict[str, str] = {}
    for read in reads:
        said = getattr(read.column, key) if read.column else None
        if said is None:
            continue
        first = seen.setdefault(said.casefold(), read.fields.pointer)
        if first != read.fields.pointer:
            read.fields.refuse(key, "duplicate", f"{said} stands at {first} already; names compare without case")


def _declared_key(fields: Fields, reads: list[Read]) -> list[Read]:
    """The columns that `primary_key` names; an empty list where the document declares none."""
    plain = fields.plain.get("primary_key")
    said = [plain] if isinstance(plain, str) else fields.array("primary_key")
    found = _named(fields, "primary_key", said or [], reads)
    for place, read in found:
        pointer = f"primary_key/{place}"
        if reason := unkeyable(read.column, "the key"):
            fields.refuse(pointer, "conflict", reason)
        if read.fields.given("default") and read.fields.plain["default"] is None and not (read.column and read.column.required):
            fields.refuse(pointer, "conflict", "a key column is required, so its default cannot be null")
    return [read for _, read in found]


def _unique(fields: Fields, reads: list[Read]) -> list[tuple[str, ...]]:
    """Each rule as its columns' names in alphabetical order, each rule once."""
    rules: list[tuple[str, ...]] = []
    plain = fields.array("unique") or []
    if len(plain) > MAX_UNIQUE:
        fields.refuse("unique", "limit", f"a table has at most {MAX_UNIQUE} unique rules")
        return []
    for place, said in enumerate(plain):
        pointer = f"unique/{place}"
        group = [said] if isinstance(said, str) else said
        if not isinstance(group, list) or not group:
            fields.refuse(pointer, "type", "a unique rule is an array of column names")
            continue
        found = _named(fields, pointer, group, reads)
        for inner, read in found:
            if reason := unkeyable(read.column, "a unique rule"):
                fields.refuse(f"{pointer}/{inner}", "conflict", reason)
        rules.append(tuple(sorted((read.column.name for _, read in found if read.column), key=str.casefold)))
    return list(dict.fromkeys(rules))


def _named(fields: Fields, key: str, said: list[Any], reads: list[Read]) -> list[tuple[int, Read]]:
    """The columns that a list of names means, each with its place in that list; a name that means none is a problem."""
    by_name = {read.column.name.casefold(): read for read in reversed(reads) if read.column}
    broken = {str(read.fields.plain.get("name")).casefold() for read in reads if not read.column}
    found: dict[str, tuple[int, Read]] = {}
    for place, name in enumerate(said):
        wanted = names.normal(name).casefold() if isinstance(name, str) else ""
        if not isinstance(name, str):
            fields.refuse(f"{key}/{place}", "type", "a column's name must be a text")
        elif wanted in found:
            fields.refuse(f"{key}/{place}", "duplicate", f"{name} is named twice")
        elif wanted in by_name:
            found[wanted] = (place, by_name[wanted])
        elif wanted not in broken:
            fields.refuse(f"{key}/{place}", "unknown_column", f"there is no column {name}"[:300])
    return list(found.values())


def unkeyable(column: ColumnSchema | None, what: str) -> str | None:
    """Why a column cannot be part of the key, or of a unique rule; floats differ where they look the same."""
    if column is None:
        return None
    if column.multivalued or column.type.base in ("JSON", "BLOB", *(FLOATS if what == "the key" else ())):
        return f"{column.name} is {column.sql_type}, which cannot be part of {what}"
    return None


def _with_key(name: str, reads: list[Read], declared: list[Read]) -> tuple[tuple[ColumnSchema, ...], tuple[str, ...], tuple[str, ...]]:
    """The columns with the key's made required, the key, and all notes; a key that the document leaves out is inferred."""
    columns = [read.column for read in reads if read.column]
    notes = [note for read in reads for note in read.notes]
    key = [read.column for read in declared if read.column]
    if not key:
        columns, key, note = _inferred(name, reads)
        notes = [*note, *notes]
    optional = [column.name for column in key if not column.required]
    if optional:
        notes.append(f"A key's columns are always filled: {', '.join(optional)} was made required.")
    key_names = tuple(column.name for column in key)
    return tuple(replace(c, required=True) if c.name in key_names else c for c in columns), key_names, tuple(notes)


def _inferred(name: str, reads: list[Read]) -> tuple[list[ColumnSchema], list[ColumnSchema], list[str]]:
    """The columns, the key's one column, and what to say about it."""
    columns = [read.column for read in reads if read.column]
    wanted = names.key_names(name)
    for place, column in enumerate(columns):
        if column.required and column.name.casefold() in wanted and not unkeyable(column, "the key"):
            note = [f"The document names no key; {column.name} is taken for it."]
            filled = _generated_key(column, reads[place].fields)
            if filled is not column:
                note.append(f"The server fills in {column.name} where a row comes without it.")
            return [filled if c is column else c for c in columns], [filled], note
    made = ColumnSchema(name=_free_name(columns), type=ColumnType("UUID"), required=True, generated="uuid", description="The row's own id.")
    return [made, *columns], [made], [f"The document names no key, and no column looks like one; {made.name} was added."]


def _generated_key(column: ColumnSchema, fields: Fields) -> ColumnSchema:
    """A UUID key is filled in, unless the document says what fills it or that it points to another table."""
    said = fields.given("generated") or fields.given("default") or column.references
    return column if said or column.type.base != "UUID" else replace(column, generated="uuid")


def _free_name(columns: list[ColumnSchema]) -> str:
    taken = {column.name.casefold() for column in columns}
    return next(name for name in ("_id", *(f"_id_{n}" for n in range(2, MAX_COLUMNS + 3))) if name not in taken)
