"""A live table as OpenAPI 3.1 and JSON Schema see it: its components and its paths. Plain values, all pure."""

import unicodedata
from collections.abc import Iterable
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from projects.column_documents import Json, address_form, column_schema, inputs
from projects.filters import RESERVED
from schema_registry.schema import ColumnSchema, TableSchema


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
    """The three shapes of a row: as answered, for a PATCH, and new; what its columns mean, and defaults, stand in the first alone.

    A new row is a PATCH with more of its columns required. With them come the components that their numbers refer to.
    """
    written = {c.name: column_schema(c, written=True) for c in schema.columns}
    return inputs(schema.columns) | {
        name: row_schema(schema),
        f"{name}Patch": {"type": "object", "properties": written, "additionalProperties": False},
        f"{name}New": _needing(name, [c.name for c in needed(schema)]),
    }


def needed(schema: TableSchema) -> list[ColumnSchema]:
    """The columns that a new row cannot leave out."""
    return [c for c in schema.columns if c.required and c.default is None and not c.generated]


def _needing(name: str, columns: list[str]) -> Json:
    return {"allOf": [_ref("schemas", f"{name}Patch")], "required": columns}


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
            "get": operation("list", f"List rows of {schema.name}", _listed(row), parameters=_list_parameters(schema)),
            "post": operation(
                "create",
                f"Create a row of {schema.name}, or load many",
                {"201": _created(row), "200": _ref("responses", "Loaded"), **_problems(400, 409, 422)},
                parameters=[_ref("parameters", "Null"), _ref("parameters", "DryRun"), _ref("parameters", "SchemaVersion")],
                requestBody=_body({**_json({"oneOf": [new, _array(new)]}), "text/csv": {"schema": {"type": "string"}}}),
            ),
        },
        f"{address}/{{key}}": {
            "get": operation("get", f"One row of {schema.name}", {"200": one, **_problems(404)}, parameters=[key]),
            "put": operation(
                "replace",
                f"Replace a row of {schema.name}; its key does not change",
                {"200": one, **_problems(404, 409, 422)},
                parameters=[key],
                requestBody=_body(_json(_needing(name, [c.name for c in needed(schema) if c.name not in schema.primary_key]))),
            ),
            "patch": operation(
                "patch",
                f"Change some columns of a row of {schema.name}",
                {"200": one, **_problems(404, 409, 422)},
                parameters=[key],
                requestBody=_body(_json(patch)),
            ),
            "delete": operation(
                "delete",
                f"Delete a row of {schema.name}",
                {"204": {"description": "The row is gone."}, **_problems(404)},
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
            conditions.append({"name": name, "in": "query", "schema": address_form(column)})
    shared = (
        *("Conditions", "Filter", "Search", "Sort", "Limit", "Cursor", "Offset", "Fields", "Format"),
        *("PreferCount", "IfNoneMatch", "SchemaVersion"),
    )
    return conditions + [_ref("parameters", parameter) for parameter in shared]


def _key_parameter(schema: TableSchema) -> Json:
    columns = schema.key_columns
    description = (
        f"{columns[0].name}." if len(columns) == 1 else f"{', '.join(c.name for c in columns)}: their values with commas between them."
    )
    if len(columns) > 1 or columns[0].type.base == "VARCHAR":
        description = f"{description} {_KEY}"
    form = address_form(columns[0]) if len(columns) == 1 else {"type": "string"}
    return {"name": "key", "in": "path", "required": True, "description": description, "schema": form}


def _listed(row: Json) -> Json:
    lines = {"schema": {"type": "string"}}
    content = {**_json(_array(row)), "application/x-ndjson": lines, "text/csv": lines}
    headers = _headers("Link", "ETag", "X-Total-Count", "Preference-Applied", "Deprecation")
    rows = {"description": "The rows.", "headers": headers, "content": content}
    return {"200": rows, "304": _ref("responses", "NotModified"), **_problems(400)}


def _created(row: Json) -> Json:
    return {"description": "The row as stored.", "headers": _headers("Location", "Deprecation"), "content": _json(row)}


def _headers(*names: str) -> Json:
    return {name: _ref("headers", name) for name in names}


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
