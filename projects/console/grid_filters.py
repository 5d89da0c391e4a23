"""The filter of each column, as its type wants it, and what an address filters by, in words."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from projects.aliases import Names
from projects.conditions import Refused, listed
from projects.console.grid_state import State, conditions_in, conditions_on
from schema_registry.schema import ColumnSchema

WORDS = {
    "eq": "is",
    "ne": "is not",
    "gt": "is more than",
    "gte": "is at least",
    "lt": "is less than",
    "lte": "is at most",
    "in": "is one of",
    "nin": "is none of",
    "between": "is between",
    "contains": "contains (same case)",
    "icontains": "contains",
    "startswith": "starts with",
    "endswith": "ends with",
    "regex": "matches",
}
TEXT = ("icontains", "startswith", "endswith", "eq", "ne", "contains", "regex")
FEW = 200  # values of an enum that are shown to be ticked
INPUTS = {"DATE": "date", "TIME": "time", "TIMESTAMP": "datetime-local", "TIMESTAMPTZ": "datetime-local"}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the operators or values that a form offers."""

    value: str
    words: str
    chosen: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFilter:
    """The form of one column: its operators, and by `kind` (text, range, choice) what they are asked with."""

    kind: str
    operators: list[Choice]
    input: str = "text"
    step: str = ""
    value: str = ""
    to: str = ""
    choices: list[Choice] = field(default_factory=list)
    is_on: bool = False


def filter_of(names: Names, state: State, column: ColumnSchema) -> ColumnFilter:
    """The form of the column's filter, with what the address asks for already in it."""
    asked = conditions_on(names, state, column)
    nulls = [] if column.required else [Choice("null", "is null"), Choice("notnull", "is not null")]
    chosen = {"true": "null", "false": "notnull"}.get(asked.get("isnull", ""), "")
    if values := _values(column):
        ticked = _ticked(asked)
        choices = [Choice(value, value or "(empty)", value in ticked) for value in values]
        return _form("choice", chosen or "among", [Choice("among", "is one of"), *nulls], choices=choices, is_on=bool(asked))
    if not column.multivalued and (column.type.is_number or column.type.base in INPUTS):
        low, high = _bounds(column, asked)
        shape: dict[str, Any] = {"input": INPUTS.get(column.type.base, "number"), "step": step_of(column), "value": low, "to": high}
        return _form("range", chosen or "range", [Choice("range", "is between"), *nulls], is_on=bool(asked), **shape)
    operators = _operators(column)
    own = next((op for op in operators if op in asked), "")
    first = "eq" if column.references else operators[0]
    return _form(
        "text", chosen or own or first, [Choice(op, WORDS[op]) for op in operators] + nulls, value=asked.get(own, ""), is_on=bool(asked)
    )


def _form(kind: str, chosen: str, operators: list[Choice], **shape: Any) -> ColumnFilter:
    return ColumnFilter(kind=kind, operators=[Choice(o.value, o.words, o.value == chosen) for o in operators], **shape)


def _values(column: ColumnSchema) -> tuple[str, ...]:
    if column.multivalued:
        return ()
    if column.type.base == "BOOLEAN":
        return ("true", "false")
    return column.enum if column.enum and len(column.enum) <= FEW else ()


def _ticked(asked: dict[str, str]) -> list[str]:
    try:
        return [asked["eq"]] if "eq" in asked else listed(asked["in"]) if "in" in asked else []
    except Refused:
        return []


def _bounds(column: ColumnSchema, asked: dict[str, str]) -> tuple[str, str]:
    low, high = asked.get("gte", asked.get("eq", "")), asked.get("lte", asked.get("eq", ""))
    return as_input(column, low), as_input(column, high)


def as_input(column: ColumnSchema, cell: str) -> str:
    """A cell as the browser's own input for the column takes it."""
    return cell.replace(" ", "T").removesuffix("Z") if column.type.base.startswith("TIMESTAMP") else cell


def step_of(column: ColumnSchema) -> str:
    """The step of the column's input: the last place that it keeps."""
    if column.type.is_integer:
        return "1"
    if column.type.base == "DECIMAL":
        return f"0.{'0' * (column.type.scale - 1)}1" if column.type.scale else "1"
    return "1" if column.type.base.startswith("TIME") else "any"


def _operators(column: ColumnSchema) -> tuple[str, ...]:
    if column.multivalued:
        return ("contains",)
    return TEXT if column.type.base == "VARCHAR" else ("eq", "ne")


# In words.


@dataclass(frozen=True, slots=True)
class Chip:
    """One condition in words, and the address without it."""

    words: str
    without: str


def chips(names: Names, state: State) -> Iterator[Chip]:
    """What the address filters by, whether or not it can be understood."""
    known = {place: (column, operator, value) for place, column, operator, value in conditions_in(names, state)}
    chosen = set(state.selecting.pairs)
    for place, (name, value) in enumerate(state.pairs):
        if place in known:
            yield Chip(_words(*known[place]), state.dropping(place).address)
        elif (name, value) in chosen and name != "q":
            yield Chip(f"{name}: {value}", state.dropping(place).address)


def _words(column: ColumnSchema, operator: str, value: str) -> str:
    if operator == "isnull":
        return f"{column.name} is {'' if value.lower() == 'true' else 'not '}null"
    if column.multivalued and operator == "contains":
        return f"{column.name} has {value}"
    return f"{column.name} {WORDS[operator]} {value or '(empty)'}"
