"""The grid's address: REST's own parameters of a list, so that whatever is seen can be shared, and had by REST as it is.

Names that begin with `__` are no column's, so the grid's own forms use them; what a form sends becomes an address of REST's words.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl, urlencode

from django.http import QueryDict

from projects.aliases import Names
from projects.conditions import Refused, target_in
from projects.filters import RESERVED, SELECTING
from schema_registry.schema import ColumnSchema

PLACE = ("cursor", "offset")  # parameters that say which page of a list is seen
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class State:
    """The parameters of an address, in their order."""

    pairs: Pairs = ()

    @classmethod
    def of(cls, query: str) -> Self:
        """Those of a query string."""
        return cls(tuple(parse_qsl(query, keep_blank_values=True)))

    @property
    def query(self) -> str:
        return urlencode(self.pairs)

    @property
    def address(self) -> str:
        """A link to the grid in this state, from any other state of it."""
        return f"?{self.query}"

    def get(self, name: str) -> str:
        return next((value for key, value in self.pairs if key == name), "")

    def without(self, *names: str) -> "State":
        return State(tuple(pair for pair in self.pairs if pair[0] not in names))

    def unpaged(self) -> "State":
        """The first page of the same list."""
        return self.without(*PLACE)

    def put(self, name: str, value: str) -> "State":
        """The parameter with this value, or without it where the value is empty; then the first page."""
        kept = self.unpaged().without(name)
        return State((*kept.pairs, (name, value))) if value else kept

    def at(self, cursor: str) -> "State":
        """The same list at a place in it."""
        return self.put("cursor", cursor)

    def dropping(self, place: int) -> "State":
        """The first page without the parameter in that place."""
        return State((*self.pairs[:place], *self.pairs[place + 1 :])).unpaged()

    def adding(self, pairs: Iterable[tuple[str, str]]) -> "State":
        return State((*self.unpaged().pairs, *pairs))

    @property
    def sorts(self) -> bool:
        return bool(self.get("sort"))

    @property
    def selecting(self) -> "State":
        """What chooses rows, and nothing else."""
        return State(tuple(pair for pair in self.pairs if pair[0] in SELECTING or pair[0] not in RESERVED))


def joined(values: Sequence[str]) -> str:
    """Values as a parameter lists them: with commas between, and quoted as in CSV where they need it."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()


def conditions_on(names: Names, state: State, column: ColumnSchema) -> dict[str, str]:
    """What the address asks of one column: the value by the operator."""
    return {operator: value for _, found, operator, value in conditions_in(names, state) if found.name == column.name}


def conditions_in(names: Names, state: State) -> list[tuple[int, ColumnSchema, str, str]]:
    """The columns' own parameters: the place of each, its column, its operator, its value."""
    target, found = target_in(names), []
    for place, (name, value) in enumerate(state.pairs):
        if name not in RESERVED:
            try:
                found.append((place, *target(name), value))
            except Refused:
                continue  # The listing says what is wrong with it.
    return found


# What a form of the grid sends.


def sent(names: Names, given: QueryDict) -> State | None:
    """The address that a form of the grid asks for, or None where no form was sent."""
    if "__state" not in given:
        return None
    state = State.of(str(given["__state"]))
    if "__q" in given:
        return state.put("q", str(given["__q"]).strip())
    if "__fields" in given:
        fields = [c.name for c in names.schema.columns if c.name in given.getlist("__fields")]
        return state.put("fields", joined(fields) if len(fields) < len(names.schema.columns) else "")
    column = names.schema.column(given.get("__column", ""))
    return _filtered(names, state, column, given) if column else state


def _filtered(names: Names, state: State, column: ColumnSchema, given: QueryDict) -> State:
    """The state with the column's conditions replaced by what its form says."""
    places = {place for place, found, _, _ in conditions_in(names, state) if found.name == column.name}
    kept = State(tuple(pair for place, pair in enumerate(state.pairs) if place not in places))
    values, to, operator = given.getlist("__value"), given.get("__to", "").strip(), given.get("__op", "eq")
    return kept.adding((f"{column.name}__{op}" if op != "eq" else _own(column), value) for op, value in _asked(operator, values, to))


def _own(column: ColumnSchema) -> str:
    """A column called like a parameter is asked for by its operator."""
    return f"{column.name}__eq" if column.name in RESERVED else column.name


def _asked(operator: str, values: list[str], to: str) -> list[tuple[str, str]]:
    """Operators with their values; an empty value asks for nothing, but that a text is equal to nothing or is not."""
    value = values[0] if values else ""
    match operator:
        case "null" | "notnull":
            return [("isnull", "true" if operator == "null" else "false")]
        case "any":
            return []
        case "among":
            return [] if not values else [("eq", value)] if len(values) == 1 else [("in", joined(values))]
        case "range":
            low, high = value.strip(), to
            if low and low == high:
                return [("eq", low)]
            return [(op, bound) for op, bound in (("gte", low), ("lte", high)) if bound]
        case "eq" | "ne":
            return [(operator, value)]
    return [(operator, value)] if value else []
