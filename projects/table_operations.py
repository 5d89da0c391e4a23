"""A live table's paths as OpenAPI 3.1 has them: what can be asked of its rows. Plain values, all pure."""

from typing import Any
from urllib.parse import quote

from projects.column_documents import Json, address_form, ref
from projects.filters import RESERVED
from projects.shared_documents import FILES, in_every_format
from projects.table_documents import needed, needing
from schema_registry.schema import ColumnSchema, TableSchema

CHOICE = ("Conditions", "Filter", "Search")  # which rows
READING = ("Format", "IfNoneMatch", "SchemaVersion")  # how they are answered
_KEY = "In a text, `~` `,` `/` are written `~7E` `~2C` `~2F`, and an empty text `~`."


def paths(schema: TableSchema, name: str) -> Json:
    """The paths of the table that speak of its columns, with `name` as its component's name."""
    address, described = f"/ops/{quote(schema.name)}", _Table(schema, name)
    return {
        address: {
            "get": described.listing(),
            "post": described.create(),
            "patch": described.patch_many(),
            "delete": described.delete_many(),
        },
        f"{address}/{{key}}": {
            "get": described.get(),
            "put": described.replace(),
            "patch": described.patch(),
            "delete": described.delete(),
        },
    }


def paths_alike(schema: TableSchema | None = None, name: str = "table") -> Json:
    """The paths that are the same for every table, for one table alone or with its name as a parameter."""
    address = f"/ops/{quote(schema.name)}" if schema else "/ops/{table}"
    tag, parameters = (schema.name, []) if schema else ("rows", _shared("Table"))
    groups = [
        *parameters,
        *_shared("GroupBy", "Aggregates", "Having", *CHOICE, "Sort", "Limit", "Cursor", "Offset", "PreferCount", *READING),
    ]
    found = {"200": ref("responses", "Groups"), "304": ref("responses", "NotModified")}
    told, described = {"200": ref("responses", "Changes")}, {"200": ref("responses", "JsonSchema")}
    changes = [*parameters, *_shared("Since", "Limit", "ChangesFormat", "LastEventId")]
    return {
        f"{address}/aggregate": {
            "get": _operation(f"{name}.aggregate", tag, "Groups of rows, and what is told of each", "ListProblem", found, parameters=groups)
        },
        f"{address}/changes": {
            "get": _operation(f"{name}.changes", tag, "What changed, oldest first", "ChangesProblem", told, parameters=changes)
        },
        f"{address}/schema": {
            "get": _operation(f"{name}.schema", tag, "The JSON Schema of a row", "Problem", described, parameters=parameters)
        },
    }


def components(schema: TableSchema, name: str) -> dict[str, Json]:
    """What several of the table's paths repeat, by kind: parameters, and the answer that is one row."""
    headers = _headers("ETag", "Location", "Deprecation", "Idempotency-Replayed")
    row = {"description": "The row as it is stored.", "headers": headers, "content": _json(ref("schemas", name))}
    return {"parameters": {_part(name, "key"): _key_parameter(schema)}, "responses": {_part(name, "row"): row}}


def _part(name: str, part: str) -> str:
    """A component's name. A table's has no point, so the two never meet."""
    return f"{name}.{part}"


def _operation(identity: str, tag: str, summary: str, problem: str, answers: Json, **more: Any) -> Json:
    responses = answers | {"default": ref("responses", problem)}
    return {"operationId": identity, "tags": [tag], "summary": summary, **more, "responses": responses}


class _Table:
    """What is said of each operation on one table's rows."""

    def __init__(self, schema: TableSchema, name: str) -> None:
        self.table, self.name = schema, name
        self.key = ref("parameters", _part(name, "key"))
        self.row, self.new, self.changes = (ref("schemas", f"{name}{suffix}") for suffix in ("", "New", "Patch"))
        self.one = ref("responses", _part(name, "row"))
        has_text = any(c.type.base == "VARCHAR" and not c.multivalued for c in schema.columns)
        self.choice = _shared(*(name for name in CHOICE if has_text or name != "Search"))

    def _operation(self, verb: str, summary: str, problem: str, answers: Json, **more: Any) -> Json:
        return _operation(_part(self.name, verb), self.table.name, summary, problem, answers, **more)

    def listing(self) -> Json:
        headers = _headers("Link", "ETag", "X-Total-Count", "Preference-Applied", "Deprecation")
        rows = {"description": "The rows.", "headers": headers, "content": in_every_format(_array(self.row))}
        page = _shared("Sort", "Limit", "Cursor", "Offset", "Fields", "PreferExport", *READING)
        parameters = _conditions(self.table) + self.choice + page
        answers = {"200": rows, "202": ref("responses", "Accepted"), "304": ref("responses", "NotModified")}
        return self._operation("list", "List rows", "ListProblem", answers, parameters=parameters)

    def create(self) -> Json:
        body = _body(_json({"oneOf": [self.new, _array(self.new)]}) | FILES)
        parameters = _shared("OnConflict", "OnError", "Null", "DryRun", "PreferAsync", "IdempotencyKey", "SchemaVersion")
        answers = {"201": self.one, "200": ref("responses", "Loaded"), "202": ref("responses", "Accepted")}
        return self._operation("create", "Create a row, or load many", "LoadProblem", answers, parameters=parameters, requestBody=body)

    def patch_many(self) -> Json:
        answers, parameters = {"200": ref("responses", "Changed")}, self.choice + _shared("MaxAffected", "DryRunOnRows", "SchemaVersion")
        body = _body(_json(self.changes))
        summary = "Change columns of every row that the conditions choose"
        return self._operation("patch_many", summary, "ManyProblem", answers, parameters=parameters, requestBody=body)

    def delete_many(self) -> Json:
        answers, parameters = {"200": ref("responses", "Deleted")}, self.choice + _shared("MaxAffected", "DryRunOnRows", "SchemaVersion")
        return self._operation("delete_many", "Delete every row that the conditions choose", "ManyProblem", answers, parameters=parameters)

    def _address(self, *headers: str) -> list[Json]:
        return [self.key, *_shared(*headers, "SchemaVersion")]

    def get(self) -> Json:
        answers = {"200": self.one, "304": ref("responses", "NotModified")}
        return self._operation("get", "One row", "RowProblem", answers, parameters=self._address("RowIfNoneMatch"))

    def replace(self) -> Json:
        body = _body(_json(needing(self.name, [c.name for c in needed(self.table) if c.name not in self.table.primary_key])))
        summary, answers = "Make the row with this key, or replace it", {"200": self.one, "201": self.one}
        parameters = self._address("IfMatch", "RowIfNoneMatch")
        return self._operation("replace", summary, "RowProblem", answers, parameters=parameters, requestBody=body)

    def patch(self) -> Json:
        body = _body(_json(self.changes))
        answers, parameters = {"200": self.one}, self._address("IfMatch")
        return self._operation("patch", "Change columns of a row", "RowProblem", answers, parameters=parameters, requestBody=body)

    def delete(self) -> Json:
        answers = {"204": {"description": "The row is gone."}}
        return self._operation("delete", "Delete a row", "RowProblem", answers, parameters=self._address("IfMatch"))


def _conditions(schema: TableSchema) -> list[Json]:
    """A parameter for each column; one that is named like another parameter is asked for by its `__eq`."""
    names = {c.name.casefold() for c in schema.columns}
    return [
        {"name": name, "in": "query", "schema": address_form(column)}
        for column in schema.columns
        if (name := _condition_name(column)) == column.name or name.casefold() not in names
    ]


def _condition_name(column: ColumnSchema) -> str:
    return f"{column.name}__eq" if column.name in RESERVED else column.name


def _key_parameter(schema: TableSchema) -> Json:
    columns = schema.key_columns
    description = (
        f"{columns[0].name}." if len(columns) == 1 else f"{', '.join(c.name for c in columns)}: their values with commas between them."
    )
    if len(columns) > 1 or columns[0].type.base == "VARCHAR":
        description = f"{description} {_KEY}"
    form = address_form(columns[0]) if len(columns) == 1 else {"type": "string"}
    return {"name": "key", "in": "path", "required": True, "description": description, "schema": form}


def _shared(*names: str) -> list[Json]:
    return [ref("parameters", name) for name in names]


def _headers(*names: str) -> Json:
    return {name: ref("headers", name) for name in names}


def _body(content: Json) -> Json:
    return {"required": True, "content": content}


def _json(form: Json) -> Json:
    return {"application/json": {"schema": form}}


def _array(form: Json) -> Json:
    return {"type": "array", "items": form}
