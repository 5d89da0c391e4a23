"""A live table's column as OpenAPI 3.1 and JSON Schema see it: plain values, all pure.

A literal that a JSON number cannot hold exactly, and a bound of a time, stand under `x-` and their keyword, as text.
"""

import json
import re
import sys
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from typing import Any

from projects.fields import LARGEST_FLOAT, pattern_of
from schema_registry import literals
from schema_registry.schema import ColumnSchema
from schema_registry.types import FLOATS, INTEGER_BOUNDS, TEMPORALS, ColumnType, parse_type

Json = dict[str, Any]

# What a value is in JSON. A time of day has no offset, so it is OpenAPI's time-local: `time` (RFC 3339) would ask for one.
# Formats: https://spec.openapis.org/registry/format/


def _whole(kind: ColumnType) -> str:
    """The pattern of the type's texts, from end to end."""
    return f"^(?:{pattern_of(kind)})$"


_FORMS: dict[str, Json] = {
    "BOOLEAN": {"type": "boolean"},
    "VARCHAR": {"type": "string"},
    "UUID": {"type": "string", "format": "uuid"},
    "BLOB": {"type": "string", "format": "byte", "contentEncoding": "base64"},
    "JSON": {},
    "DATE": {"type": "string", "format": "date"},
    "TIME": {"type": "string", "format": "time-local", "pattern": _whole(parse_type("TIME").type)},
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


def ref(kind: str, name: str) -> Json:
    """A reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


class _Inexact(ValueError):
    """No JSON number has this value."""


def column_schema(column: ColumnSchema, *, written: bool = False) -> Json:
    """The JSON Schema of a column's value: as it is answered, with what it means, or as it may be `written`."""
    kind, form = column.type, dict(_FORMS[column.type.base])
    is_null = not column.required or (written and column.generated is not None)
    if written and column.enum is None and is_shared(kind):
        form = ref("schemas", input_name(kind, null=is_null and not column.multivalued))
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
    if is_null:
        _allow_null(form)
    if column.default is not None and not written:
        _put(form, "default", column.default, exact=lambda cell: _default(column, cell))
    if column.deprecated:
        form["deprecated"] = True
    return form if written else form | _meaning(column)


# What may be written in the place of a number or a truth value: one component for each type, which columns refer to.


def is_shared(kind: ColumnType) -> bool:
    """Whether a value of the type can be written in more than one way."""
    return kind.is_number or kind.base == "BOOLEAN"


def input_name(kind: ColumnType, *, null: bool) -> str:
    """The component's name. A table's has no such underscore, so the two never meet."""
    digits = f"_{kind.precision}_{kind.scale}" if kind.base == "DECIMAL" else ""
    return f"In_{kind.base}{digits}{'_null' if null else ''}"


def inputs(columns: Iterable[ColumnSchema]) -> Json:
    """The components that the columns' written forms refer to."""
    kinds = {column.type for column in columns if is_shared(column.type)}
    return {input_name(kind, null=null): input_form(kind, null=null) for kind in kinds for null in (False, True)}


@lru_cache(maxsize=1024)
def input_form(kind: ColumnType, *, null: bool) -> Json:
    """A value of the type, or its text; a text keeps digits that a client's own numbers would lose."""
    form = _FORMS[kind.base]
    types = [form["type"], "string", *(["null"] if null else [])]
    return form | {"type": types, "pattern": _whole(kind)} | _limits(kind)


def _limits(kind: ColumnType) -> Json:
    """The bounds of a number's type. A HUGEINT's are beyond what readers of JSON tell apart, so they are left out."""
    if kind.base == "DECIMAL":
        beyond = 10**kind.whole_digits if kind.whole_digits < 19 else 10.0**kind.whole_digits
        return {"exclusiveMinimum": -beyond, "exclusiveMaximum": beyond, "x-scale": kind.scale}
    if kind.base in FLOATS:
        largest = LARGEST_FLOAT if kind.base == "FLOAT" else sys.float_info.max
        return {"minimum": -largest, "maximum": largest}
    if kind.base in INTEGER_BOUNDS and kind.base != "HUGEINT":
        low, high = INTEGER_BOUNDS[kind.base]
        return {"minimum": low, "maximum": high}
    return {}


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
    """A value in an address. A list's, and a JSON column's, is the text of JSON."""
    kind = column.type
    if column.multivalued or kind.base == "JSON":
        return {"type": "string", "contentMediaType": "application/json"}
    if kind.is_integer:
        return _FORMS[kind.base] | _limits(kind)
    return _FORMS[kind.base]
