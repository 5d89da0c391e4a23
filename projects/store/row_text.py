"""A single row's JSON text, put together here of the row's values.

DuckDB plans the expression that prints a row (`sql.row_json`) for longer than it takes to find one. The texts of both are the same.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from projects.store import sql
from schema_registry.schema import ColumnSchema, TableSchema

Printer = Callable[[Any], str]
MOST = 500  # schemas whose texts are kept


class Unprintable(ValueError):
    """Python has no value of its own for this day: DuckDB has to print it."""


# What the driver also gives for days that Python has not, such as infinity.
_AMBIGUOUS = (date.min, date.max)

# As DuckDB writes a string: the short escapes that JSON has, else a control character's code.
_ESCAPES = {code: f"\\u{code:04X}" for code in range(32)} | {
    ord(character): escape
    for character, escape in {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}.items()
}


def _string(value: str) -> str:
    return f'"{value.translate(_ESCAPES)}"'


def _quoted(value: object) -> str:
    return f'"{value}"'


def _decimal(value: Decimal) -> str:
    return format(value, "f")


def _day(value: date) -> str:
    if type(value) is not date or value in _AMBIGUOUS:
        raise Unprintable
    return f'"{value}"'


def _moment(value: datetime) -> str:
    if type(value) is not datetime or value.date() in _AMBIGUOUS:
        raise Unprintable
    text = value.isoformat()
    return f'"{text.rstrip("0") if value.microsecond else text}Z"'


def _boolean(value: bool) -> str:
    return "true" if value else "false"


_PRINTERS: dict[str, Printer] = {
    "BOOLEAN": _boolean,
    "DATE": _day,
    "DECIMAL": _decimal,
    "TIMESTAMP": _moment,
    "UUID": _quoted,
    "VARCHAR": _string,
}


def _selected(column: ColumnSchema) -> tuple[str, Printer]:
    """The SQL of a column's value, and what prints it; what is not simple is printed by DuckDB."""
    name, printer = sql.quote(column.name), str if column.type.is_integer else _PRINTERS.get(column.type.base)
    if printer is None or column.multivalued:
        return sql.json_text(column, name), str
    return name, printer


class RowText:
    """How rows of one schema are read: `selected` is the SQL of a row's values, `of` the JSON text of such values."""

    __slots__ = ("_parts", "selected")

    def __init__(self, columns: Sequence[ColumnSchema]) -> None:
        parts = [_selected(column) for column in columns]
        self.selected = ", ".join(expression for expression, _ in parts)
        self._parts = [(f"{_string(c.name)}:", printed) for c, (_, printed) in zip(columns, parts, strict=True)]

    def of(self, values: Sequence[Any]) -> str:
        """The row's JSON text, in the order of the columns. Raises Unprintable."""
        texts = [
            f"{name}null" if value is None else name + printed(value) for (name, printed), value in zip(self._parts, values, strict=False)
        ]
        return f"{{{','.join(texts)}}}"


_made: dict[int, tuple[TableSchema, RowText]] = {}


def row_text(schema: TableSchema) -> RowText:
    """The schema's own; a live schema is one object for as long as it lives, and is found by that, for comparing two takes longer."""
    found = _made.get(id(schema))
    if found is None or found[0] is not schema:
        if len(_made) >= MOST:
            _made.clear()
        found = _made[id(schema)] = (schema, RowText(schema.columns))
    return found[1]
