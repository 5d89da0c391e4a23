"""Conditions on rows as SQL: what `projects/conditions.py` has understood, made into the text of a WHERE."""

from collections.abc import Sequence

from projects.conditions import SEVERAL, TEXT_OPERATORS, AllOf, AnyOf, Condition, Filter, Not
from projects.store.sql import literal, quote, value_of
from schema_registry.schema import ColumnSchema

_SIGNS = {"eq": "=", "ne": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def where(filter_: Filter) -> str:
    """The clause, with a space before it; nothing where every row is meant."""
    return "" if filter_ == AllOf() else f" WHERE {holds(filter_)}"


def holds(filter_: Filter) -> str:
    """The condition that a row meets the filter."""
    match filter_:
        case Condition(column, operator, values):
            return compare(column, operator, values)
        case Not(part):
            return f"NOT ({holds(part)})"
        case AllOf(parts):
            return " AND ".join(map(_in_brackets, parts)) or "true"
        case AnyOf(parts):
            return " OR ".join(map(_in_brackets, parts)) or "false"


def _in_brackets(part: Filter) -> str:
    return f"({holds(part)})" if isinstance(part, AllOf | AnyOf) else holds(part)


def compare(column: ColumnSchema, operator: str, values: Sequence[str]) -> str:
    """One condition; the values are cells that fit the column."""
    name = quote(column.name)
    if operator == "isnull":
        return f"{name} IS {'' if values[0] == 'true' else 'NOT '}NULL"
    if operator in TEXT_OPERATORS:
        return _text_condition(column, operator, literal(values[0]))
    given = [value_of(column, literal(v)) for v in values]
    if operator == "between":
        return f"{name} BETWEEN {given[0]} AND {given[1]}"
    if operator in SEVERAL:
        return f"{name} {'NOT ' if operator == 'nin' else ''}IN ({', '.join(given)})"
    return f"{name} {_SIGNS[operator]} {given[0]}"


def _text_condition(column: ColumnSchema, operator: str, value: str) -> str:
    name = quote(column.name)
    if column.multivalued:
        return f"list_contains({name}, {value_of(ColumnSchema(name=column.name, type=column.type), value)})"
    match operator:
        case "icontains":
            return f"contains(lower({name}), lower({value}))"
        case "startswith":
            return f"starts_with({name}, {value})"
        case "endswith":
            return f"ends_with({name}, {value})"
        case "regex":
            return f"regexp_matches({name}, {value})"
    return f"contains({name}, {value})"
