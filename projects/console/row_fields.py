"""The fields of a row's form, made from the schema: what stands in each, and what a filled-in form says of the row.

A blank field means null, or nothing where a row is new; that a text is empty and not null is said by a box of its own.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from django.http import QueryDict

from projects.console.cells import address_in
from projects.console.grid_filters import INPUTS, as_input, step_of
from projects.errors import BadRequest
from projects.fields import faults, json_text, same_value
from projects.rows import read_json
from schema_registry.errors import Problem
from schema_registry.schema import ColumnSchema, TableSchema
from schema_registry.types import ColumnType

EMPTY = "__empty"  # names the columns whose text is empty, and not null
LONG = 120  # characters that a line of the form has room for
EXACT = 15  # digits that every browser's own field for numbers keeps
_MILLISECONDS = re.compile(r".*:\d\d(\.\d{1,3})?")
_IRI = ColumnSchema(name="", type=ColumnType("VARCHAR"))


@dataclass(frozen=True, slots=True)
class Entered:
    """What stands in a field; `is_empty` where that is an empty text and not null."""

    text: str = ""
    is_empty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a form. `widget` is line, area, select or box; `type` is the browser's own of a line."""

    column: ColumnSchema
    widget: str
    type: str
    entered: Entered
    is_fixed: bool = False
    is_needed: bool = False
    problems: tuple[str, ...] = ()
    theirs: str | None = None  # what somebody else wrote there meanwhile, in words
    leads: str = ""  # to the row that a reference names

    @property
    def choices(self) -> list[tuple[str, str]]:
        """The options of a select, each with its words; one that the ontology no longer has stays while the row has it."""
        known = ("true", "false") if self.column.type.base == "BOOLEAN" else self.column.enum or ()
        now = self.entered.text.removeprefix("=")
        values = (*known, now) if self.entered.text and now not in known else known
        blank = "" if self.is_needed else "null"
        return [("", blank), *((f"={value}", value or "(empty)") for value in values)]

    @property
    def takes_empty(self) -> bool:
        return self.widget in ("line", "area") and self.column.type.base in ("VARCHAR", "BLOB") and not self.column.multivalued

    @property
    def words(self) -> str:
        """The type, the unit, and that times are UTC."""
        unit = self.column.unit or ("UTC" if self.column.type.base in ("TIMESTAMP", "TIMESTAMPTZ") else "")
        return " · ".join(filter(None, (self.column.sql_type, unit)))

    @property
    def hint(self) -> str:
        """What becomes of the field as it is, how it is written, and the rules of the ontology, in words."""
        return " ".join(f"{part[0].upper()}{part[1:]}." for part in (self._left, self._form, self._limits) if part)

    @property
    def _left(self) -> str:
        if self.column.generated == "updated":
            return "left as it is, it becomes the time of the change"
        if self.column.generated and not self.entered.text:
            return "left blank, it is made" if self.column.generated == "uuid" else "left blank, it is the time of the making"
        return "" if self.column.default is None else f"by default {self.column.default or 'empty'}"

    @property
    def _form(self) -> str:
        if self.column.multivalued:
            return 'a list in JSON, such as ["a", "b"]'
        return "JSON" if self.column.type.base == "JSON" else ""

    @property
    def _limits(self) -> str:
        column = self.column
        bounds = (("at least", column.minimum), ("at most", column.maximum), ("matching", column.pattern))
        length = f"at most {column.max_length} characters" if column.max_length else ""
        return ", ".join(filter(None, (*(f"{word} {bound}" for word, bound in bounds if bound is not None), length)))

    @property
    def iri(self) -> str:
        return self.column.id or ""

    @property
    def iri_address(self) -> str:
        return address_in(_IRI, self.iri)

    @property
    def step(self) -> str:
        return "0.001" if self.type in ("time", "datetime-local") and "." in self.entered.text else step_of(self.column)

    @property
    def lines(self) -> int:
        return min(12, max(self.entered.text.count("\n") + 1, len(self.entered.text) // LONG + 1))


# What stands in a form.


def blank_fields(schema: TableSchema) -> list[Field]:
    """The form of a new row, with the defaults in it."""
    return [_field(schema, c, entered(c, c.default), is_new=True) for c in schema.columns]


def fields_of(schema: TableSchema, row: str) -> list[Field]:
    """The form of a row, given as JSON text; its key does not change."""
    cells = cells_of(schema, row)
    return [_field(schema, c, entered(c, cells[c.name])) for c in schema.columns]


def _field(schema: TableSchema, column: ColumnSchema, stands: Entered, *, is_new: bool = False) -> Field:
    widget, type_ = _widget(column, stands.text)
    is_needed = column.required and column.default is None and not column.generated
    is_fixed = not is_new and column in schema.key_columns
    return Field(column=column, widget=widget, type=type_, entered=stands, is_fixed=is_fixed, is_needed=is_needed)


def _widget(column: ColumnSchema, text: str) -> tuple[str, str]:
    kind = column.type
    if column.multivalued or kind.base == "JSON":
        return "area", ""
    if column.enum or kind.base == "BOOLEAN":
        return ("box", "") if column.required and not column.enum else ("select", "")
    if column.references:
        return ("area", "") if _plain(text).count("\n") else ("line", "text")
    if kind.base in INPUTS:  # A browser keeps milliseconds, not what is finer.
        return "line", INPUTS[kind.base] if kind.base == "DATE" or not text or _MILLISECONDS.fullmatch(text) else "text"
    if kind.is_number:
        return "line", "number" if kind.base in ("FLOAT", "DOUBLE") or _digits(kind) <= EXACT else "text"
    is_long = kind.base == "VARCHAR" and (column.max_length is None or column.max_length > LONG or _plain(text).count("\n") > 0)
    return ("area", "") if is_long else ("line", "text")


def _digits(kind: ColumnType) -> int:
    return kind.whole_digits if kind.is_integer else kind.precision


def entered(column: ColumnSchema, cell: str | None) -> Entered:
    """A cell as it stands in the column's field."""
    if cell is None:
        return Entered()
    if not column.multivalued and column.type.base != "BOOLEAN" and column.enum:
        return Entered(f"={cell}")
    if column.type.base == "BOOLEAN" and not column.multivalued:
        return Entered(cell if column.required else f"={cell}")
    if column.type.base in ("VARCHAR", "BLOB") and not column.multivalued:
        return Entered(cell, is_empty=not cell)
    return Entered(cell if column.multivalued else as_input(column, cell))


def cells_of(schema: TableSchema, row: str) -> dict[str, str | None]:
    """The cells of a row's JSON text, with every digit as it is written there."""
    exact, digits = read_json(row.encode()), json.loads(row, parse_float=str, parse_int=str)
    return {c.name: _cell(c, exact.get(c.name), digits.get(c.name)) for c in schema.columns}


def _cell(column: ColumnSchema, value: Any, digits: Any) -> str | None:
    if value is None:
        return None
    if column.multivalued or column.type.base == "JSON":
        return json_text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(digits)


# What a form says.


def filled(fields: Iterable[Field], given: QueryDict) -> list[Field]:
    """The fields as somebody filled them in; one that was not sent stays as it is."""
    empty = given.getlist(EMPTY)
    return [replace(f, entered=_entered(f, given, empty)) if f.column.name in given and not f.is_fixed else f for f in fields]


def _entered(field: Field, given: QueryDict, empty: list[str]) -> Entered:
    text = str(given[field.column.name])
    if field.widget == "area":
        text = text.replace("\r\n", "\n")  # A browser sends a line's end so, whatever stood there.
    return Entered(text, is_empty=field.takes_empty and not text and field.column.name in empty)


def is_as(one: Field, other: Field) -> bool:
    """Whether the same stands in both fields, as a browser sends it; of numbers, whether they are the same number."""
    mine, theirs = one.entered, other.entered
    if (_plain(mine.text), mine.is_empty) == (_plain(theirs.text), theirs.is_empty):
        return True
    column = one.column
    if not mine.text or not theirs.text or column.multivalued or not column.type.is_number or one.widget != "line":
        return False
    return faults(_bare(column), mine.text.strip()) is None and same_value(column, mine.text.strip(), theirs.text.strip())


def _bare(column: ColumnSchema) -> ColumnSchema:
    return ColumnSchema(name=column.name, type=column.type)


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def body_of(fields: Iterable[Field], *, is_new: bool) -> tuple[dict[str, Any], list[Problem]]:
    """The row, or the part of one, as REST takes it, and what cannot be read as such."""
    body: dict[str, Any] = {}
    problems: list[Problem] = []
    for field in fields:
        column, text = field.column, field.entered.text
        if field.takes_empty and (text or field.entered.is_empty):
            body[column.name] = text
        elif text.strip():
            try:
                body[column.name] = _value(field, text)
            except BadRequest:
                what = "a list in JSON" if column.multivalued else "JSON"
                problems.append(Problem(f"/{column.name}", "type", f"{column.name} is not {what}."))
        elif not (is_new and (column.generated or column.required)):
            body[column.name] = None
    return body, problems


def _value(field: Field, text: str) -> Any:
    if field.column.multivalued or field.column.type.base == "JSON":
        return read_json(text.encode())
    if field.widget == "select":
        return text.removeprefix("=")
    return text if field.takes_empty else text.strip()


def with_problems(fields: Iterable[Field], problems: Iterable[Problem]) -> tuple[list[Field], list[str]]:
    """The fields with what is wrong beside each, and what is wrong with the row as a whole."""
    by_column: dict[str, list[str]] = {}
    for problem in problems:
        by_column.setdefault(problem.pointer.removeprefix("/"), []).append(problem.detail)
    shown = [replace(f, problems=tuple(by_column.pop(f.column.name, ()))) for f in fields]
    return shown, [detail for details in by_column.values() for detail in details]


def merged(mine: list[Field], opened: list[Field], now: list[Field]) -> list[Field]:
    """The form after somebody else changed the row: what I changed stands, with theirs beside it; all else is as it is now."""
    found = []
    for my, old, new in zip(mine, opened, now, strict=True):
        if is_as(my, old):
            found.append(new)
        elif is_as(old, new) or is_as(my, new):
            found.append(my)
        else:
            found.append(replace(my, theirs=said(new)))
    return found


def said(field: Field) -> str:
    """What stands in a field, in words."""
    text = field.entered.text.removeprefix("=") if field.widget == "select" else field.entered.text
    return text or ("an empty text" if field.entered.is_empty else "null")
