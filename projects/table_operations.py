"""A live table's paths as OpenAPI 3.1 has them: what can be asked of its rows. Plain values, all pure."""

from typing import Any
from urllib.parse import quote

from projects.column_documents import Json, address_form, ref
from projects.exchange import FORMATS
from projects.filters import RESERVED
from projects.table_documents import needed, needing
from schema_registry.schema import ColumnSchema, TableSchema

_KEY = "In a text, `~` `,` `/` are written `~7E` `~2C` `~2F`, and an empty text `~`."


def paths(schema: TableSchema, name: str) -> Json:
    """The table's paths, with `name` as its component's name."""
    address = f"/ops/{quote(schema.name)}"
    described = _Table(schema, name)
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
        f"{address}/aggregate": {"get": described.aggregate()},
        f"{address}/schema": {"get": described.schema()},
    }


def parameters(schema: TableSchema, name: str) -> Json:
    """The parameters that several of the table's paths have."""
    return {_key_name(name): _key_parameter(schema)}


def _key_name(name: str) -> str:
    return f"key.{name}"


class _Table:
    """What is said of each operation on one table."""

    def __init__(self, schema: TableSchema, name: str) -> None:
        self.table, self.name = schema, name
        self.address = [ref("parameters", _key_name(name)), *_shared("IfMatch", "RowIfNoneMatch", "SchemaVersion")]
        self.row, self.new, self.changes = (ref("schemas", f"{name}{suffix}") for suffix in ("", "New", "Patch"))

    def _operation(self, verb: str, summary: str, responses: Json, **more: Any) -> Json:
        answers = responses | {"default": ref("responses", "Problem")}
        return {"operationId": f"{self.name}.{verb}", "tags": [self.table.name], "summary": summary, **more, "responses": answers}

    def listing(self) -> Json:
        headers = _headers("Link", "ETag", "X-Total-Count", "Preference-Applied", "Deprecation")
        rows = {"description": "The rows.", "headers": headers, "content": _in_every_format(_array(self.row))}
        answers = {"200": rows, "304": ref("responses", "NotModified"), **_problems(400)}
        shared = _shared("Conditions", *self._search(), "Sort", "Limit", "Cursor", "Offset", "Fields", "Format")
        shared += _shared("PreferCount", "IfNoneMatch", "SchemaVersion")
        return self._operation("list", f"List rows of {self.table.name}", answers, parameters=_conditions(self.table) + shared)

    def create(self) -> Json:
        created = self._one("The row as stored.", "Location", "Idempotency-Replayed")
        answers = {"201": created, "200": ref("responses", "Loaded"), **_problems(400, 409, 422)}
        body = _body({**_json({"oneOf": [self.new, _array(self.new)]}), "text/csv": {"schema": {"type": "string"}}})
        parameters = _shared("Null", "DryRun", "IdempotencyKey", "SchemaVersion")
        summary = f"Create a row of {self.table.name}, or load many"
        return self._operation("create", summary, answers, parameters=parameters, requestBody=body)

    def patch_many(self) -> Json:
        answers = {"200": ref("responses", "Changed"), **_problems(400, 409, 422)}
        summary = f"Change some columns of every row of {self.table.name} that the conditions choose"
        return self._operation("patch_many", summary, answers, parameters=self._choice(), requestBody=_body(_json(self.changes)))

    def delete_many(self) -> Json:
        answers = {"200": ref("responses", "Deleted"), **_problems(400, 409)}
        summary = f"Delete every row of {self.table.name} that the conditions choose"
        return self._operation("delete_many", summary, answers, parameters=self._choice())

    def get(self) -> Json:
        answers = {"200": self._one("The row."), "304": ref("responses", "NotModified"), **_problems(404, 412)}
        return self._operation("get", f"One row of {self.table.name}", answers, parameters=self.address)

    def replace(self) -> Json:
        whole = needing(self.name, [c.name for c in needed(self.table) if c.name not in self.table.primary_key])
        answers = {"201": self._one("The row, which is new.", "Location"), **self._written(), **_problems(409, 412, 422)}
        summary = f"Make the row of {self.table.name} with this key, or replace it"
        return self._operation("replace", summary, answers, parameters=self.address, requestBody=_body(_json(whole)))

    def patch(self) -> Json:
        summary = f"Change some columns of a row of {self.table.name}"
        answers = self._written() | _problems(404, 409, 412, 422)
        return self._operation("patch", summary, answers, parameters=self.address, requestBody=_body(_json(self.changes)))

    def delete(self) -> Json:
        answers = {"204": {"description": "The row is gone."}, **_problems(404, 412)}
        return self._operation("delete", f"Delete a row of {self.table.name}", answers, parameters=self.address)

    def aggregate(self) -> Json:
        answers = {"200": ref("responses", "Groups"), "304": ref("responses", "NotModified"), **_problems(400)}
        parameters = _shared("GroupBy", "Aggregates", "Having", "Conditions", *self._search(), "Sort", "Limit", "Cursor", "Offset")
        parameters += _shared("Format", "PreferCount", "IfNoneMatch", "SchemaVersion")
        return self._operation("aggregate", f"Groups of rows of {self.table.name}", answers, parameters=parameters)

    def schema(self) -> Json:
        summary = f"The JSON Schema of a row of {self.table.name}"
        return self._operation("schema", summary, {"200": ref("responses", "JsonSchema"), **_problems(404)})

    def _one(self, description: str, *headers: str) -> Json:
        return {"description": description, "headers": _headers("ETag", "Deprecation", *headers), "content": _json(self.row)}

    def _written(self) -> Json:
        return {"200": self._one("The row as it is now.")}

    def _choice(self) -> list[Json]:
        """What says which rows are meant; without any of it the request is refused."""
        return _shared("Conditions", *self._search(), "MaxAffected", "DryRunOnRows", "SchemaVersion")

    def _search(self) -> tuple[str, ...]:
        """How rows are chosen; a text is searched for where the table has any."""
        has_text = any(c.type.base == "VARCHAR" and not c.multivalued for c in self.table.columns)
        return ("Filter", "Search") if has_text else ("Filter",)


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


def _problems(*statuses: int) -> Json:
    return {str(status): ref("responses", f"Problem{status}") for status in statuses}


def _body(content: Json) -> Json:
    return {"required": True, "content": content}


def _json(form: Json) -> Json:
    return {"application/json": {"schema": form}}


def _in_every_format(form: Json) -> Json:
    """The rows as JSON, described; the other formats have the same rows."""
    return _json(form) | {kind: {} for kind in FORMATS.values() if kind != "application/json"}


def _array(form: Json) -> Json:
    return {"type": "array", "items": form}
