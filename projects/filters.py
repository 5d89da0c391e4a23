"""What a list's address asks for: conditions, order, columns, page. Nothing in it is ever ignored."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass

from projects.aliases import Names
from projects.errors import BadRequest
from projects.fields import faults
from schema_registry.errors import Problem
from schema_registry.schema import ColumnSchema

COMPARISONS = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "between")
TEXT_OPERATORS = ("contains", "icontains", "startswith", "endswith", "regex")
OPERATORS = (*COMPARISONS, "isnull", *TEXT_OPERATORS)
RESERVED = ("sort", "limit", "offset", "fields", "format")
DEFAULT_LIMIT = 100
LARGEST_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition; `values` are cells that fit the column."""

    column: ColumnSchema
    operator: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """A list as it was asked for. `limit` is None where none was given."""

    conditions: tuple[Condition, ...] = ()
    sort: tuple[tuple[ColumnSchema, bool], ...] = ()
    fields: tuple[ColumnSchema, ...] = ()
    limit: int | None = None
    offset: int = 0


class _Refused(ValueError):
    """A parameter cannot be understood; the text says why."""


def parse_listing(names: Names, parameters: Iterable[tuple[str, str]]) -> Listing:
    """Reads the parameters of a list's address; `names` has then the old ones too that it was given.

    Raises BadRequest that names every parameter it cannot use.
    """
    conditions: list[Condition] = []
    given: dict[str, str] = {}
    problems: list[Problem] = []
    for name, value in parameters:
        try:
            if name in RESERVED:
                if name in given:
                    raise _Refused("is given twice")
                given[name] = value
            else:
                conditions.append(_condition(names, name, value))
        except _Refused as refused:
            problems.append(Problem(f"?{name}", "parameter", f"{name} {refused}"))
    page = _page(names, given, problems)
    if problems:
        raise BadRequest(detail="; ".join(p.detail for p in problems) + ".", problems=tuple(problems))
    return Listing(conditions=tuple(conditions), **page)


def _page(names: Names, given: dict[str, str], problems: list[Problem]) -> dict:
    readers = {
        "sort": lambda text: _sort(names, text),
        "fields": lambda text: _fields(names, text),
        "limit": lambda text: _whole(text, 1, LARGEST_LIMIT),
        "offset": lambda text: _whole(text, 0, 2**62),
    }
    page = {}
    for name, read in readers.items():
        if name in given:
            try:
                page[name] = read(given[name])
            except _Refused as refused:
                problems.append(Problem(f"?{name}", "parameter", f"{name} {refused}"))
    return page


def _condition(names: Names, name: str, value: str) -> Condition:
    column, operator = _target(names, name)
    if operator not in OPERATORS:
        raise _Refused(f"has no operator {operator}; there are {', '.join(OPERATORS)}")
    return Condition(column, operator, _values(column, operator, value))


def _target(names: Names, name: str) -> tuple[ColumnSchema, str]:
    """The longest column name wins over `__`, so a column called `a__ne` can be asked for."""
    if column := names.column(name):
        return column, "eq"
    head, separator, operator = name.rpartition("__")
    if separator and (column := names.column(head)):
        return column, operator
    raise _Refused(f"is no column of {names.live.name} and no parameter of a list; {_columns(names)}")


def _columns(names: Names) -> str:
    return f"the columns are {', '.join(c.name for c in names.schema.columns)}"


def _values(column: ColumnSchema, operator: str, value: str) -> tuple[str, ...]:
    if operator == "isnull":
        if value.lower() not in ("true", "false"):
            raise _Refused("takes true or false")
        return (value.lower(),)
    if operator in TEXT_OPERATORS:
        return (_text(column, operator, value),)
    if column.multivalued and operator not in ("eq", "ne"):
        raise _Refused("holds lists, which are compared by eq, ne, contains and isnull only")
    values = tuple(_listed(value)) if operator in ("in", "nin", "between") else (value,)
    if operator == "between" and len(values) != 2:
        raise _Refused("takes two values with a comma between them")
    for cell in values:
        _check(column, cell)
    return values


def _text(column: ColumnSchema, operator: str, value: str) -> str:
    if column.multivalued and operator == "contains":
        _check(ColumnSchema(name=column.name, type=column.type), value)
    elif column.multivalued or column.type.base != "VARCHAR":
        raise _Refused(f"is no text, which {operator} needs")
    return value


def _check(column: ColumnSchema, cell: str) -> None:
    """The value must be of the column's type; that the ontology would not allow it makes the list empty, not wrong."""
    bare = ColumnSchema(name=column.name, type=column.type, multivalued=column.multivalued)
    try:
        rule = faults(bare, cell)
    except ValueError:
        raise _Refused(f"{cell!r} is not a JSON list") from None
    if rule:
        raise _Refused(f"{cell!r} {rule.detail}")


def _sort(names: Names, text: str) -> tuple[tuple[ColumnSchema, bool], ...]:
    return tuple((_column(names, name.removeprefix("-")), name.startswith("-")) for name in _listed(text))


def _fields(names: Names, text: str) -> tuple[ColumnSchema, ...]:
    columns = tuple(_column(names, name) for name in _listed(text))
    repeated = next((c.name for place, c in enumerate(columns) if c in columns[:place]), None)
    if repeated:
        raise _Refused(f"names {repeated} twice")
    return columns


def _column(names: Names, name: str) -> ColumnSchema:
    if column := names.column(name):
        return column
    raise _Refused(f"names {name!r}, which is no column of {names.live.name}; {_columns(names)}")


def _listed(text: str) -> list[str]:
    """Values with commas between them; one that has a comma itself is quoted as in CSV."""
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error:
        raise _Refused("has a quote that does not close") from None
    if not rows or not rows[0]:
        raise _Refused("is empty")
    return rows[0]


def _whole(text: str, lowest: int, highest: int) -> int:
    if text.isascii() and text.isdigit() and len(text) < 20 and lowest <= int(text) <= highest:
        return int(text)
    raise _Refused(f"is a whole number from {lowest} to {highest}, not {text!r}")
