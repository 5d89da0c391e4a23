"""A schema's columns as the console shows them: the type, the meaning, and the rules in words."""

from collections.abc import Collection
from dataclasses import dataclass

from projects.console.places import table_page
from schema_registry.schema import ColumnSchema, TableSchema


@dataclass(frozen=True, slots=True)
class Rule:
    """What a column's values must be: `words` and a `value`, which leads to an `address` where it names a table that is here."""

    words: str
    value: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One column; `address` is its meaning's where a browser may follow it."""

    column: ColumnSchema
    is_key: bool
    address: str
    rules: tuple[Rule, ...]


def lines(schema: TableSchema, tables: Collection[str] = ()) -> list[Line]:
    """The columns in the schema's order; `tables` are the names without case of the tables that references lead to."""
    keys = {column.name for column in schema.key_columns}
    return [Line(c, c.name in keys, web_address(c.id), tuple(rules(c, tables))) for c in schema.columns]


def web_address(iri: str | None) -> str:
    """The IRI where a browser should follow it, else nothing."""
    return iri if iri and iri.lower().startswith(("http://", "https://")) else ""


def rules(column: ColumnSchema, tables: Collection[str] = ()) -> list[Rule]:
    """What the column's values must be, and where they come from."""
    said = (
        ("one of", ", ".join(column.enum or ())),
        ("at least", column.minimum),
        ("at most", column.maximum),
        ("characters at most", column.max_length),
        ("pattern", column.pattern),
        ("refers to", column.references),
        ("filled in as", column.generated),
        ("was named", column.renamed_from),
    )
    return [Rule(words, str(value), _address(words, str(value), tables)) for words, value in said if value not in (None, "")]


def _address(words: str, value: str, tables: Collection[str]) -> str:
    table = value.rpartition(".")[0]
    return table_page(table) if words == "refers to" and table.casefold() in tables else ""
