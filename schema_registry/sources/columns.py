"""One column of a native document: reads its fields and checks that they agree with its type."""

from dataclasses import dataclass, replace
from typing import Any

from schema_registry import literals, names, pace
from schema_registry.errors import Problem
from schema_registry.schema import GENERATED, ColumnSchema
from schema_registry.sources.reading import Fields
from schema_registry.types import TEMPORALS, ColumnType, ParsedType, parse_type

MAX_PATTERN = 1_000  # characters
MAX_IRI = 2_000  # characters
MAX_UNIT = 100  # characters
MAX_ENUM = 10_000  # values

_MOMENTS = ("DATE", "TIMESTAMP", "TIMESTAMPTZ")
_GENERATED_ON = {"uuid": ("UUID", "VARCHAR"), "created": _MOMENTS, "updated": _MOMENTS}
# The seed's documents say no more than these names; the server fills such columns in.
_FILLED_IN = {"creation_date": ("created", ("DATE", "TIMESTAMP")), "last_updated": ("updated", ("DATE", "TIMESTAMP", "TIMESTAMPTZ"))}


@dataclass(frozen=True, slots=True)
class Read:
    """A column as read: what it is (None where its name or type is at fault), its fields, and what was inferred."""

    column: ColumnSchema | None
    fields: Fields
    notes: tuple[str, ...] = ()


def read_column(plain: object, pointer: str, problems: list[Problem]) -> Read:
    """Reads one column of a document; every fault is added to `problems`."""
    fields = Fields(plain, pointer, problems)
    if not isinstance(plain, dict):
        return Read(None, fields)
    name, parsed = _name(fields), _type(fields)
    column = ColumnSchema(
        name=name or "?",
        type=parsed.type if parsed else ColumnType("VARCHAR"),
        required=fields.flag("required") or False,
        description=fields.text("description") or "",
        id=fields.text("id", longest=MAX_IRI) or None,
        unit=fields.text("unit", longest=MAX_UNIT) or None,
        deprecated=fields.flag("deprecated") or False,
        references=_reference(fields),
        renamed_from=_old_name(fields),
    )
    if name is None or parsed is None:
        return Read(None, fields)
    column = _with_values(fields, _with_shape(fields, column, parsed))
    return Read(*_filled_in(fields, column))


def _name(fields: Fields) -> str | None:
    text = fields.text("name", needed=True)
    return _column_name(fields, "name", text) if text else None


def _column_name(fields: Fields, key: str, text: str) -> str | None:
    name = names.normal(text)
    if fault := names.column_fault(name):
        fields.refuse(key, *fault)
        return None
    return name


def _type(fields: Fields) -> ParsedType | None:
    text = fields.text("type", needed=True, longest=200)
    if not text:
        return None
    try:
        return parse_type(text)
    except ValueError as refusal:
        fields.refuse("type", "unknown_type", str(refusal))
        return None


def _old_name(fields: Fields) -> str | None:
    text = fields.text("renamed_from")
    return _column_name(fields, "renamed_from", text) if text else None


def _reference(fields: Fields) -> str | None:
    """A table has no dot in its name, so the first one ends it."""
    text = fields.text("references")
    if not text:
        return None
    table, _, column = names.normal(text).partition(".")
    if names.table_fault(table) or names.column_fault(column):
        fields.refuse("references", "value", 'references must be "table.column"')
        return None
    return f"{table}.{column}"


def _with_shape(fields: Fields, column: ColumnSchema, parsed: ParsedType) -> ColumnSchema:
    """The column with what bounds its texts, and whether it is a list."""
    multivalued = fields.flag("multivalued")
    if multivalued is False and parsed.multivalued:
        fields.refuse("multivalued", "conflict", "multivalued is false, but the type is a list")
    is_text = column.type.base == "VARCHAR"
    for key in ("max_length", "pattern"):
        if fields.plain.get(key) is not None and not is_text:
            fields.refuse(key, "conflict", f"{key} is for text columns only")
    lengths = [n for n in (parsed.max_length, fields.count("max_length")) if n]
    if lengths and lengths[0] > 2**31 - 1:
        fields.refuse("type", "limit", f"a length is at most {2**31 - 1}")
    return replace(
        column,
        multivalued=parsed.multivalued or multivalued or False,
        max_length=min(lengths) if lengths else None,
        pattern=fields.text("pattern", longest=MAX_PATTERN) or None,
    )


def _with_values(fields: Fields, column: ColumnSchema) -> ColumnSchema:
    """The column with its literals and what fills it in."""
    column = replace(
        column, enum=_enum(fields, column), minimum=_bound(fields, column, "minimum"), maximum=_bound(fields, column, "maximum")
    )
    if column.minimum is not None and column.maximum is not None and _order(column, column.minimum) > _order(column, column.maximum):
        fields.refuse("maximum", "conflict", "maximum is less than minimum")
    column = replace(column, generated=_generated(fields, column))
    return replace(column, default=_default(fields, column))


def _enum(fields: Fields, column: ColumnSchema) -> tuple[str, ...] | None:
    values = fields.array("enum")
    if values is None:
        return None
    if column.type.base != "VARCHAR" and not column.type.is_number:
        fields.refuse("enum", "conflict", "enum is for text and number columns only")
        return None
    if not 1 <= len(values) <= MAX_ENUM:
        fields.refuse("enum", "limit", f"enum must have 1 to {MAX_ENUM} values")
        return None
    cells = []
    for place, value in enumerate(values):
        if place % 100 == 99:
            pace.breathe()
        cells.append(_cell(fields, column.type, value, f"enum/{place}"))
    return tuple(dict.fromkeys(cell for cell in cells if cell is not None)) or None


def _bound(fields: Fields, column: ColumnSchema, key: str) -> str | None:
    value = fields.plain.get(key)
    if value is None:
        return None
    if not column.type.is_number and column.type.base not in TEMPORALS:
        fields.refuse(key, "conflict", f"{key} is for number and time columns only")
        return None
    return _cell(fields, column.type, value, key)


def _cell(fields: Fields, column_type: ColumnType, value: object, key: str) -> str | None:
    try:
        return literals.cell(column_type, value)
    except literals.BadLiteral as refusal:
        fields.refuse(key, "value", str(refusal))
        return None


def _generated(fields: Fields, column: ColumnSchema) -> str | None:
    """`false` is taken as "none", so that a document can say that nothing is to be inferred."""
    if fields.plain.get("generated") in (None, False):
        return None
    generated = fields.text("generated")
    if generated is None:
        return None
    if generated not in GENERATED:
        fields.refuse("generated", "value", f"generated must be one of {', '.join(GENERATED)}")
        return None
    bases = _GENERATED_ON[generated]
    if column.type.base not in bases or column.multivalued:
        fields.refuse("generated", "conflict", f"generated {generated} is for columns of type {', '.join(bases)} only")
    elif generated == "uuid" and column.max_length is not None and column.max_length < 36:
        fields.refuse("generated", "conflict", "a UUID has 36 characters; the column holds fewer")
    return generated


def _default(fields: Fields, column: ColumnSchema) -> str | None:
    if not fields.given("default"):
        return None
    value = fields.plain["default"]
    if value is None:
        if column.required:
            fields.refuse("default", "conflict", "the default of a required column cannot be null")
        return None
    if column.generated:
        fields.refuse("default", "conflict", "a generated column has no default")
    try:
        text = literals.cell(column.type, value, multivalued=column.multivalued)
    except literals.BadLiteral as refusal:
        fields.refuse("default", "value", str(refusal))
        return None
    for item in literals.items(column.type, text, multivalued=column.multivalued):
        if reason := _misfit(column, item):
            fields.refuse("default", "value", reason)
            break
    return text


def _misfit(column: ColumnSchema, text: str) -> str | None:
    """Why one value, by the column's other rules, cannot stand in it; a pattern is left to the floor that has RE2."""
    if column.enum is not None and text not in column.enum:
        return "the default is none of the enum's values"
    if column.max_length is not None and len(text) > column.max_length:
        return f"the default is longer than {column.max_length} characters"
    if column.minimum is not None and _order(column, text) < _order(column, column.minimum):
        return "the default is less than minimum"
    if column.maximum is not None and _order(column, text) > _order(column, column.maximum):
        return "the default is more than maximum"
    return None


def _order(column: ColumnSchema, text: str) -> Any:
    return literals.ordered(column.type, text)


def _filled_in(fields: Fields, column: ColumnSchema) -> tuple[ColumnSchema, Fields, tuple[str, ...]]:
    """The column, filled in by the server where its name and type are known for it and the document says nothing else."""
    generated, bases = _FILLED_IN.get(column.name.casefold(), ("", ()))
    said = fields.given("generated") or fields.given("default") or column.multivalued
    if said or column.type.base not in bases:
        return column, fields, ()
    moment = "created" if generated == "created" else "last changed"
    note = f"The server fills in {column.name} when a row is {moment}: its name and type say so."
    return replace(column, generated=generated), fields, (note,)
