"""A live table as OpenAPI 3.1 and JSON Schema see it: its columns, its components, its paths. Plain values, all pure.

A literal that a JSON number cannot hold exactly, and a bound of a time, stand under `x-` and their keyword, as text.
"""

import json
import re
import unicodedata
from collections.abc import Iterable
from decimal import Decimal
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from projects.filters import OPERATORS, RESERVED
from schema_registry import literals
from schema_registry.schema import ColumnSchema, TableSchema
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


# Columns.


def column_schema(column: ColumnSchema, *, written: bool = False) -> Json:
    """The JSON Schema of a column's value: as it is answered, or as it may be `written`."""
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
    return form | _meaning(column)


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
    try:
        re.compile(pattern)
    except re.error:
        return False
    return _PORTABLE.fullmatch(pattern) is not None


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
        "deprecated": column.deprecated,
        "x-unit": column.unit,
        "x-iri": column.id,
        "x-references": column.references,
        "x-generated": column.generated,
    }
    return {key: value for key, value in said.items() if value}


# Tables.


def row_schema(schema: TableSchema) -> Json:
    """The JSON Schema of a row as it is answered."""
    return {
        "type": "object",
        **({"description": schema.description} if schema.description else {}),
        **({"x-iri": schema.id} if schema.id else {}),
        "properties": {c.name: column_schema(c) for c in schema.columns},
        "required": [c.name for c in schema.columns if c.required],
        "additionalProperties": False,
    }


def components(schema: TableSchema, name: str) -> Json:
    """The three shapes of a row: as answered, new, and for a PATCH, whose texts are those of the new one."""
    written = {c.name: column_schema(c, written=True) for c in schema.columns}
    keys = {c.name for c in schema.key_columns}
    needed = [c.name for c in schema.columns if c.required and c.default is None and not c.generated]
    closed = {"type": "object", "additionalProperties": False}
    patched = {column: _without(form, "default", "description") for column, form in written.items() if column not in keys}
    return {
        name: row_schema(schema),
        f"{name}New": closed | {"properties": written, "required": needed},
        f"{name}Patch": closed | {"properties": patched},
    }


def _without(form: Json, *keywords: str) -> Json:
    return {keyword: value for keyword, value in form.items() if keyword not in keywords}


def component_names(tables: Iterable[str], taken: Iterable[str]) -> dict[str, str]:
    """Each table's component name, in letters that OpenAPI allows; where two would meet, one has part of its hash too."""
    used, names = {name.casefold() for name in taken}, {}
    for table in sorted(tables, key=str.casefold):
        plain = unicodedata.normalize("NFKD", table).encode("ascii", "ignore").decode()
        name = "".join(part[:1].upper() + part[1:] for part in plain.split("_"))
        if not name[:1].isalpha():
            name = f"Table{name}"
        if used & _own(name):
            name = f"{name}_{sha256(table.encode()).hexdigest()[:12]}"
        used |= _own(name)
        names[table] = name
    return names


def _own(name: str) -> set[str]:
    return {f"{name}{suffix}".casefold() for suffix in ("", "New", "Patch")}


# Paths.

_OPERATORS = (
    f"Each column is a parameter: alone for equality (`{{column}}=value`), or with an operator after two underscores "
    f"(`{{column}}__gte=value`). The operators are {', '.join(OPERATORS)}. `in`, `nin` and `between` take values with commas "
    "between them, `isnull` true or false; contains and those after it are for text. Several conditions must all hold."
)
_KEY = "In a text, `~` `,` `/` are written `~7E` `~2C` `~2F`, and an empty text `~`."


def paths(schema: TableSchema, name: str) -> Json:
    """The table's paths, with `name` as its component's name."""
    address, row, key = f"/ops/{quote(schema.name)}", _ref("schemas", name), _key_parameter(schema)
    new, patch = _ref("schemas", f"{name}New"), _ref("schemas", f"{name}Patch")

    def operation(verb: str, summary: str, responses: Json, **more: Any) -> Json:
        answers = responses | {"default": _ref("responses", "Problem")}
        return {"operationId": f"{name}.{verb}", "tags": [schema.name], "summary": summary, **more, "responses": answers}

    one = {"description": "The row.", "content": _json(row)}
    return {
        address: {
            "get": operation(
                "list", f"List rows of {schema.name}", _listed(row), description=_OPERATORS, parameters=_list_parameters(schema)
            ),
            "post": operation(
                "create",
                f"Create a row of {schema.name}, or load many",
                {"201": _created(row), "200": _ref("responses", "Loaded"), **_problems(400, 409, 413, 415, 422, 423)},
                parameters=[_ref("parameters", "Null"), _ref("parameters", "DryRun")],
                requestBody=_body({**_json({"oneOf": [new, _array(new)]}), "text/csv": {"schema": {"type": "string"}}}),
            ),
        },
        f"{address}/{{key}}": {
            "get": operation("get", f"One row of {schema.name}", {"200": one, **_problems(404)}, parameters=[key]),
            "put": operation(
                "replace",
                f"Replace a row of {schema.name}; its key does not change",
                {"200": one, **_problems(400, 404, 409, 422, 423)},
                parameters=[key],
                requestBody=_body(_json(new)),
            ),
            "patch": operation(
                "patch",
                f"Change some columns of a row of {schema.name}",
                {"200": one, **_problems(400, 404, 409, 422, 423)},
                parameters=[key],
                requestBody=_body(_json(patch)),
            ),
            "delete": operation(
                "delete",
                f"Delete a row of {schema.name}",
                {"204": {"description": "The row is gone."}, **_problems(404, 423)},
                parameters=[key],
            ),
        },
        f"{address}/schema": {
            "get": operation(
                "schema", f"The JSON Schema of a row of {schema.name}", {"200": _ref("responses", "JsonSchema"), **_problems(404)}
            )
        },
    }


def _list_parameters(schema: TableSchema) -> list[Json]:
    """The columns', and those of every list; a column that is named like one of those is asked for by its `__eq`."""
    names = {c.name.casefold() for c in schema.columns}
    conditions = []
    for column in schema.columns:
        name = f"{column.name}__eq" if column.name in RESERVED else column.name
        if name == column.name or name.casefold() not in names:
            conditions.append({"name": name, "in": "query", "schema": _address_form(column)})
    shared = ("Conditions", "Sort", "Limit", "Offset", "Fields", "Format", "PreferCount")
    return conditions + [_ref("parameters", parameter) for parameter in shared]


def _address_form(column: ColumnSchema) -> Json:
    """A value in an address. A list's is the text of a JSON array."""
    text = column.multivalued or column.type.base in ("JSON", "BLOB")
    return {"type": "string"} if text else _FORMS[column.type.base]


def _key_parameter(schema: TableSchema) -> Json:
    columns = schema.key_columns
    description = (
        f"{columns[0].name}." if len(columns) == 1 else f"{', '.join(c.name for c in columns)}: their values with commas between them."
    )
    if len(columns) > 1 or columns[0].type.base == "VARCHAR":
        description = f"{description} {_KEY}"
    form = _address_form(columns[0]) if len(columns) == 1 else {"type": "string"}
    return {"name": "key", "in": "path", "required": True, "description": description, "schema": form}


def _listed(row: Json) -> Json:
    lines = {"schema": {"type": "string"}}
    content = {**_json(_array(row)), "application/x-ndjson": lines, "text/csv": lines}
    headers = {header: _ref("headers", header) for header in ("X-Total-Count", "Preference-Applied")}
    return {"200": {"description": "The rows.", "headers": headers, "content": content}, **_problems(400, 404, 406)}


def _created(row: Json) -> Json:
    return {"description": "The row as stored.", "headers": {"Location": _ref("headers", "Location")}, "content": _json(row)}


def _problems(*statuses: int) -> Json:
    return {str(status): _ref("responses", f"Problem{status}") for status in statuses}


def _body(content: Json) -> Json:
    return {"required": True, "content": content}


def _json(form: Json) -> Json:
    return {"application/json": {"schema": form}}


def _array(form: Json) -> Json:
    return {"type": "array", "items": form}


def _ref(kind: str, name: str) -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}
