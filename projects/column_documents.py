"""A live table's column as OpenAPI 3.1 and JSON Schema see it: plain values, all pure.

A literal that a JSON number cannot hold exactly, and a bound of a time, stand under `x-` and their keyword, as text.
"""

import json
import re
from decimal import Decimal
from typing import Any

from schema_registry import literals
from schema_registry.schema import ColumnSchema
from schema_registry.types import INTEGER_BOUNDS, TEMPORALS, ColumnType

Json = dict[str, Any]

# What a value is in JSON. A time of day has no offset, so it is OpenAPI's time-local: `time` (RFC 3339) would ask for one.
# Formats: https://spec.openapis.org/registry/format/
_FORMS: dict[str, Json] = {
    "BOOLEAN": {"type": "boolean"},
    "VARCHAR": {"type": "string"},
    "UUID": {"type": "string", "format": "uuid"},
    "BLOB": {"type": "string", "format": "byte", "contentEncoding": "base64"},
    "JSON": {},
    "DATE": {"type": "string", "format": "date"},
    "TIME": {"type": "string", "format": "time-local"},
    "TIMESTAMP": {"type": "string", "format": "date-time"},
    "TIMESTAMPTZ": {"type": "string", "format": "date-time"},
    "DECIMAL": {"type": "number"},
    "FLOAT": {"type": "number", "format": "float"},
    "DOUBLE": {"type": "number", "format": "double"},
    "HUGEINT": {"type": "integer"},
    "TINYINT": {"type": "integer", "format": "int8"},
    "SMALLINT": {"type": "integer", "format": "int16"},
    "INTEGER": {"type": "integer", "format": "int32"},
    "BIGINT": {"type": "integer", "format": "int64"},
    "UTINYINT": {"type": "integer", "format": "uint8"},
    "USMALLINT": {"type": "integer", "format": "uint16"},
    "UINTEGER": {"type": "integer", "format": "uint32"},
    "UBIGINT": {"type": "integer", "format": "uint64"},
}
# What RE2 and ECMA 262 both understand; a pattern beyond it would make a validator refuse the whole document.
_PORTABLE = re.compile(r"(?:[^\\(\[]|\\[dDwWsSbBnrtf]|\\[^A-Za-z0-9]|\((?!\?)|\(\?:|\[(?!:))*")


class _Inexact(ValueError):
    """No JSON number has this value."""


def column_schema(column: ColumnSchema, *, written: bool = False) -> Json:
    """The JSON Schema of a column's value: as it is answered, with what it means, or as it may be `written`."""
    kind, form = column.type, dict(_FORMS[column.type.base])
    if written and kind.is_number:
        form |= _input_form(column)
    for keyword, bound in (("minimum", column.minimum), ("maximum", column.maximum)):
        if bound is not None:
            _put(form, keyword, bound, exact=kind.base not in TEMPORALS and (lambda cell: _value(kind, cell)))
    if column.enum is not None:
        _put(form, "enum", list(column.enum), exact=lambda cells: [_value(kind, cell) for cell in cells])
    if column.max_length is not None:
        form["maxLength"] = column.max_length
    if column.pattern is not None:
        form["pattern" if _is_portable(column.pattern) else "x-pattern"] = column.pattern
    if column.multivalued:
        form = {"type": "array", "items": form}
    if not column.required or (written and column.generated):
        _allow_null(form)
    if column.default is not None:
        _put(form, "default", column.default, exact=lambda cell: _default(column, cell))
    if column.deprecated:
        form["deprecated"] = True
    return form if written else form | _meaning(column)


def _input_form(column: ColumnSchema) -> Json:
    """A number may come as its text too, and has the bounds of its type; 64 bits' are said by the format."""
    form: Json = {} if column.enum is not None else {"type": [_FORMS[column.type.base]["type"], "string"]}
    low, high = INTEGER_BOUNDS.get(column.type.base, (0, 2**64))
    return form | ({"minimum": low, "maximum": high} if high < 2**32 else {})


def _put(form: Json, keyword: str, cell: Any, *, exact: Any) -> None:
    """The keyword with the value that `exact` makes of its text; under `x-` and as text where there is none."""
    try:
        value = exact(cell) if exact else None
    except _Inexact:
        value = None
    form[keyword if value is not None else f"x-{keyword}"] = value if value is not None else cell


def _default(column: ColumnSchema, cell: str) -> Any:
    values = [_value(column.type, item) for item in literals.items(column.type, cell, multivalued=column.multivalued)]
    return values if column.multivalued else values[0]


def _value(kind: ColumnType, cell: str) -> Any:
    if kind.is_number:
        return _number(cell)
    if kind.base == "BOOLEAN":
        return cell == "true"
    return json.loads(cell, parse_int=_number, parse_float=_number) if kind.base == "JSON" else cell


def _number(cell: str) -> int | float:
    """Raises _Inexact for what is neither an integer of 64 bits nor a double."""
    number = Decimal(cell)
    if abs(number) < 2**63 and number == int(number):
        return int(number)
    near = float(cell)
    if Decimal(repr(near)) != number:
        raise _Inexact(cell)
    return near


def _is_portable(pattern: str) -> bool:
    if not _PORTABLE.fullmatch(pattern):
        return False
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def _allow_null(form: Json) -> None:
    if "type" in form:
        kinds = form["type"] if isinstance(form["type"], list) else [form["type"]]
        form["type"] = [*kinds, "null"]
    if "enum" in form:
        form["enum"] = [*form["enum"], None]


def _meaning(column: ColumnSchema) -> Json:
    """What the values mean, for people and for machines; nothing that is unset."""
    unit = f"Unit: {column.unit}." if column.unit else ""
    said: Json = {
        "description": " ".join(filter(None, (column.description, unit))),
        "x-unit": column.unit,
        "x-iri": column.id,
        "x-references": column.references,
        "x-generated": column.generated,
    }
    return {key: value for key, value in said.items() if value}


def address_form(column: ColumnSchema) -> Json:
    """A value in an address. A list's is the text of a JSON array."""
    text = column.multivalued or column.type.base in ("JSON", "BLOB")
    return {"type": "string"} if text else _FORMS[column.type.base]
