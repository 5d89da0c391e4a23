"""A table's columns as a JSON-LD context, which says what the names in a row mean."""

from typing import Any

from schema_registry.schema import ColumnSchema, TableSchema

XSD = "http://www.w3.org/2001/XMLSchema#"
# Where a value's JSON is plainly of a datatype. Numbers and booleans that are written bare have theirs without a word.
_DATATYPES = {
    **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"), "integer"),
    **dict.fromkeys(("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"), "nonNegativeInteger"),
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMPTZ"), "dateTime"),
    "DECIMAL": "decimal",
    "FLOAT": "float",
    "DOUBLE": "double",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIME": "time",
    "BLOB": "base64Binary",
}


def context(schema: TableSchema) -> dict[str, Any]:
    """The context of a row: each column that has an IRI is a term for it; a row's own type is the table's IRI, where it has one."""
    return {"@context": {c.name: _term(c) for c in schema.columns if c.id}} | ({"@type": schema.id} if schema.id else {})


def _term(column: ColumnSchema) -> dict[str, Any]:
    if column.type.base == "JSON":
        return {"@id": column.id, "@type": "@json"}
    datatype = _DATATYPES.get(column.type.base)
    kind: dict[str, Any] = {"@type": XSD + datatype} if datatype else {}
    return {"@id": column.id} | kind | ({"@container": "@list"} if column.multivalued else {})
