"""Conditions on rows: a column, an operator, its values; and trees of them. What does not fit is refused, never guessed."""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from projects.aliases import Names
from projects.fields import NotACell, cell_of, faults
from schema_registry.schema import ColumnSchema

COMPARISONS = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "between")
TEXT_OPERATORS = ("contains", "icontains", "startswith", "endswith", "regex")
OPERATORS = (*COMPARISONS, "isnull", *TEXT_OPERATORS)
SEVERAL = ("in", "nin", "between")  # operators that take more than one value
DEEPEST = 20  # trees inside trees


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition; `values` are cells that fit the column."""

    column: ColumnSchema
    operator: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds; none are true."""

    parts: tuple["Filter", ...] = ()


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds; none are false."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold; of a null neither it nor its opposite does, as in SQL."""

    part: "Filter"


Filter = Condition | AllOf | AnyOf | Not
Target = Callable[[str], tuple[ColumnSchema, str]]  # the column and operator that a name such as `total_amount__gte` means


class Refused(ValueError):
    """A parameter cannot be understood; the text says why."""


# As parameters of an address.


def condition_of(target: Target, name: str, value: str) -> Condition:
    """One parameter, such as `total_amount__gte=100`. Raises Refused."""
    column, operator = target(name)
    return Condition(column, operator, _checked(column, operator, _texts(column, operator, value)))


def target_in(names: Names) -> Target:
    """How a table's columns and the operators on them are named."""

    def target(name: str) -> tuple[ColumnSchema, str]:
        """The longest column name wins over `__`, so a column called `a__ne` can be asked for."""
        if column := names.column(name):
            return column, "eq"
        head, separator, operator = name.rpartition("__")
        if separator and (column := names.column(head)):
            if operator not in OPERATORS:
                raise Refused(f"has no operator {operator}; there are {', '.join(OPERATORS)}")
            return column, operator
        raise Refused(f"is no column of {names.live.name} and no parameter of a list; {columns_of(names)}")

    return target


def columns_of(names: Names) -> str:
    return f"the columns are {', '.join(c.name for c in names.schema.columns)}"


def listed(text: str) -> list[str]:
    """Values with commas between them; one that has a comma itself is quoted as in CSV. Raises Refused."""
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error:
        raise Refused("has a quote that does not close") from None
    if not rows or not rows[0]:
        raise Refused("is empty")
    return rows[0]


def _texts(column: ColumnSchema, operator: str, value: str) -> tuple[str, ...]:
    if operator == "isnull":
        return (value.lower(),)
    return tuple(listed(value)) if operator in SEVERAL and not column.multivalued else (value,)


# As a JSON tree.


def tree_of(target: Target, text: str) -> Filter:
    """The tree in the text of a JSON object, such as `{"_or": [{"status": "ACTIVE"}, {"total_amount__gte": 100}]}`. Raises Refused."""
    try:
        tree = json.loads(text, parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=_pairs)
    except (ValueError, RecursionError):
        raise Refused('is not a JSON object such as {"_or": [{"status": "ACTIVE"}, {"total_amount__gte": 100}]}') from None
    return _tree(target, tree, DEEPEST)


class _Object(list[tuple[str, Any]]):
    """A JSON object as it was written: a name may stand twice, for two conditions on one column."""


def _pairs(pairs: list[tuple[str, Any]]) -> _Object:
    return _Object(pairs)


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _tree(target: Target, tree: Any, deep: int) -> AllOf:
    if not isinstance(tree, _Object):
        raise Refused("has something else where a JSON object with conditions is wanted")
    if deep == 0:
        raise Refused(f"has more than {DEEPEST} trees inside each other")
    return AllOf(tuple(_part(target, name, value, deep - 1) for name, value in tree))


def _part(target: Target, name: str, value: Any, deep: int) -> Filter:
    if name == "_not":
        return Not(_tree(target, value, deep))
    if name in ("_and", "_or"):
        if not isinstance(value, list) or isinstance(value, _Object) or not value:
            raise Refused(f"has no list of conditions under {name}")
        parts = tuple(_tree(target, part, deep) for part in value)
        return AllOf(parts) if name == "_and" else AnyOf(parts)
    try:
        column, operator = target(name)
        return Condition(column, operator, _checked(column, operator, _cells(column, operator, value)))
    except Refused as refused:
        raise Refused(f"has {name}, which {refused}") from None


def _cells(column: ColumnSchema, operator: str, value: Any) -> tuple[str, ...]:
    """A JSON value as cells."""
    if operator == "isnull":
        return ("true" if value is True else "false" if value is False else "",)
    if value is None:
        raise Refused("is compared with null; ask for isnull")
    if operator in SEVERAL and not column.multivalued:
        if not isinstance(value, list) or isinstance(value, _Object) or not value:
            raise Refused("takes a list of values")
        return tuple(_cell(column, one) for one in value)
    return (_cell(_element(column) if operator in TEXT_OPERATORS else column, value),)


def _cell(column: ColumnSchema, value: Any) -> str:
    try:
        return cell_of(column, _plain(value))
    except NotACell as reason:
        raise Refused(str(reason)) from None


def _plain(value: Any) -> Any:
    if isinstance(value, _Object):
        return {name: _plain(part) for name, part in value}
    return [_plain(part) for part in value] if isinstance(value, list) else value


# Whether the values fit.


def _checked(column: ColumnSchema, operator: str, values: tuple[str, ...]) -> tuple[str, ...]:
    """The values, which fit the column and the operator. Raises Refused."""
    if operator == "isnull":
        if values[0] not in ("true", "false"):
            raise Refused("takes true or false")
        return values
    if operator in TEXT_OPERATORS:
        _check_text(column, operator, values[0])
        return values
    if column.multivalued and operator not in ("eq", "ne"):
        raise Refused("holds lists, which are compared by eq, ne, contains and isnull only")
    if operator == "between" and len(values) != 2:
        raise Refused("takes two values with a comma between them")
    for cell in values:
        _check(column, cell)
    return values


def _check_text(column: ColumnSchema, operator: str, value: str) -> None:
    if column.multivalued and operator == "contains":
        _check(_element(column), value)
    elif column.multivalued or column.type.base != "VARCHAR":
        raise Refused(f"is no text, which {operator} needs")
    else:
        _check(column, value)


def _check(column: ColumnSchema, cell: str) -> None:
    """The value must be of the column's type; that the ontology would not allow it makes the list empty, not wrong."""
    bare = ColumnSchema(name=column.name, type=column.type, multivalued=column.multivalued)
    try:
        rule = faults(bare, cell)
    except ValueError:
        raise Refused(f"{cell!r} is not a JSON list") from None
    if rule:
        raise Refused(f"{cell!r} {rule.detail}")


def _element(column: ColumnSchema) -> ColumnSchema:
    """The column of one element, where the column holds lists."""
    return ColumnSchema(name=column.name, type=column.type)


def conditions_in(filter_: Filter) -> Iterator[Condition]:
    """Every condition of a tree."""
    match filter_:
        case Condition():
            yield filter_
        case Not(part):
            yield from conditions_in(part)
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from conditions_in(part)
