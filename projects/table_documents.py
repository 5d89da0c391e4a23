"""A live table's rows as OpenAPI 3.1 and JSON Schema see them: its components. Plain values, all pure."""

import unicodedata
from collections.abc import Iterable
from hashlib import sha256

from projects.column_documents import Json, column_schema, inputs, ref
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
        "x-primary-key": list(schema.primary_key),
    }


def components(schema: TableSchema, name: str) -> Json:
    """The three shapes of a row: as answered, for a PATCH, and new; what its columns mean, and defaults, stand in the first alone.

    A new row is a PATCH with more of its columns required. With them come the components that their numbers refer to.
    """
    written = {c.name: column_schema(c, written=True) for c in schema.columns}
    return inputs(schema.columns) | {
        name: row_schema(schema),
        f"{name}Patch": {"type": "object", "properties": written, "additionalProperties": False},
        f"{name}New": needing(name, [c.name for c in needed(schema)]),
    }


def needed(schema: TableSchema) -> list[ColumnSchema]:
    """The columns that a new row cannot leave out."""
    return [c for c in schema.columns if c.required and c.default is None and not c.generated]


def needing(name: str, columns: list[str]) -> Json:
    """A row with these columns at least, of the table whose component has the name."""
    return {"allOf": [ref("schemas", f"{name}Patch")], "required": columns}


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
