"""What a person gives for the rows in the way: a constant, an expression, a mapping, or a unit's factor and offset."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

from projects.errors import InputsRefused, QueryRefused
from projects.fields import NotACell, cell_of, faults
from projects.store.connection import Store
from projects.store.expression import check_expression
from schema_registry import literals
from schema_registry.diff import Change, Pair, diff, paired
from schema_registry.errors import Problem
from schema_registry.schema import ColumnSchema, TableSchema

_NUMBER = re.compile(r"[+-]?\d{1,12}(/[1-9]\d{0,11}|(\.\d{1,12})?([eE][+-]?\d)?)", re.ASCII)
KINDS = ("constant", "expression", "mapping", "factor")
# The changes that can put a row in the way, which a constant, an expression or a mapping then answers.
ANSWERED = {
    "add_column",
    "change_type",
    "change_multivalued",
    "set_required",
    "set_enum",
    "remove_enum_value",
    "change_bounds",
    "change_length",
    "change_pattern",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """Values for one column; exactly one of the four is given.

    `constant` (a cell) and `expression` (SQL over the live row) are for the rows in the way, all others keep theirs. `mapping` takes
    cells of the live column to cells of the wanted one. `factor` and `offset` are for every row: new = old * factor + offset.
    """

    constant: str | None = None
    expression: str | None = None
    mapping: tuple[tuple[str, str | None], ...] = ()
    factor: Fraction | None = None
    offset: Fraction = Fraction(0)

    @property
    def kind(self) -> str:
        """Which of the four is given."""
        return next(iter(self.as_json()))

    def as_json(self) -> dict[str, Any]:
        """Plain JSON that `read` takes again."""
        if self.factor is not None:
            return {"factor": str(self.factor), "offset": str(self.offset)}
        if self.mapping:
            return {"mapping": dict(self.mapping)}
        return {"constant": self.constant} if self.expression is None else {"expression": self.expression}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of `as_json`."""
        if "factor" in plain:
            return cls(factor=Fraction(plain["factor"]), offset=Fraction(plain["offset"]))
        return cls(**{**plain, **({"mapping": tuple(plain["mapping"].items())} if "mapping" in plain else {})})

    def inverse(self) -> Self:
        """The change of unit that takes this one back."""
        factor = self.factor or Fraction(1)
        return type(self)(factor=1 / factor, offset=-self.offset / factor)


class _Refused(ValueError):
    """An input cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a person gave for a plan: values by the wanted column's name, and which column becomes which, their own word included."""

    values: Mapping[str, Backfill]
    pairs: tuple[Pair, ...]
    renames: Mapping[str, str]


def read_inputs(store: Store, live: TableSchema, wanted: TableSchema, given: Any, pairs: Sequence[Pair] | None = None) -> Inputs:
    """The inputs of a plan; `pairs` where it is known which column becomes which. Raises InputsRefused with every fault.

    `{column: {"renamed_from": old}}` confirms a rename.
    """
    if not isinstance(given, dict | None):
        problem = Problem("/inputs", "object", "inputs is an object: a column's name, what it gets.")
        raise InputsRefused(table=live.name, problems=(problem,))
    known, renames = list(paired(live, wanted) if pairs is None else pairs), {}
    read: dict[str, Backfill] = {}
    problems: list[Problem] = []
    for name, one in (given or {}).items():
        column = wanted.column(name)
        try:
            if column is None:
                raise _Refused(f"{wanted.name} has no column {name}")
            if column.name in read or column.name in renames:
                raise _Refused(f"{column.name} stands there twice")
            values = one
            if isinstance(one, dict) and "renamed_from" in one:
                renames[column.name] = _confirmed(live, column, known, one["renamed_from"])
                values = {key: value for key, value in one.items() if key != "renamed_from"}
            if values or column.name not in renames:
                old = next((pair.live for pair in known if pair.wanted.name == column.name), None)
                read[column.name] = _read(store, live, column, old, values)
                _check_used(column, read[column.name], diff(live, wanted, known))
        except _Refused as refused:
            problems.append(Problem(f"/inputs/{name}", "input", f"{refused}."))
    if problems:
        raise InputsRefused(table=live.name, problems=tuple(problems))
    return Inputs(read, tuple(known), renames)


def _confirmed(live: TableSchema, column: ColumnSchema, known: list[Pair], before: Any) -> str:
    """The old name of a column that would come, which is that of one that would go; the two become a pair."""
    old = live.column(before) if isinstance(before, str) else None
    if old is None or any(column.name == pair.wanted.name or old.name == pair.live.name for pair in known):
        raise _Refused(f"{column.name} was not {before}: one of them is not there, or is another column already")
    known.append(Pair(old, column))
    return old.name


def _check_used(column: ColumnSchema, given: Backfill, changes: Sequence[Change]) -> None:
    """What is given must have a change to answer: values that no step speaks of would change without a word."""
    kinds = {c.kind for c in changes if c.column == column.name}
    if given.factor is not None and not any(c.column == column.name and c.change_class == "meaning" for c in changes):
        raise _Refused(f"the unit of {column.name} does not change, so it takes no factor")
    if given.factor is None and not kinds & ANSWERED:
        raise _Refused(f"nothing of {column.name} changes that could put a row in the way, so it takes no {given.kind}")


def _read(store: Store, live: TableSchema, column: ColumnSchema, old: ColumnSchema | None, one: Any) -> Backfill:
    if not isinstance(one, dict) or not one:
        raise _Refused(f"give {column.name} an object with one of {', '.join(KINDS)}")
    if unknown := sorted(set(one) - {*KINDS, "offset"}):
        raise _Refused(f"there is no input {', '.join(unknown)}; there are {', '.join(KINDS)} and offset")
    kinds = [kind for kind in KINDS if kind in one]
    if "offset" in one and "factor" not in one:
        one, kinds = {"factor": 1, **one}, [*kinds, "factor"]
    if len(kinds) != 1:
        raise _Refused(f"give {column.name} one of {', '.join(KINDS)}, not {len(kinds)}")
    match kinds[0]:
        case "constant":
            return Backfill(constant=_cell(column, one["constant"]))
        case "expression":
            return Backfill(expression=_expression(store, live, one["expression"]))
        case "mapping":
            return Backfill(mapping=_mapping(old, column, one["mapping"]))
    return _affine(old, column, one)


def _cell(column: ColumnSchema, value: Any) -> str:
    try:
        cell = cell_of(column, value)
        rule = faults(column, cell)
    except (NotACell, ValueError) as reason:
        raise _Refused(f"the value for {column.name} {reason}") from None
    if rule:
        raise _Refused(f"the value {cell} for {column.name} {rule.detail}")
    return cell


def _expression(store: Store, live: TableSchema, text: Any) -> str:
    if not isinstance(text, str) or not text.strip():
        raise _Refused("an expression is a text, such as coalesce(a, b)")
    try:
        check_expression(store, live, text)
    except QueryRefused as refused:
        raise _Refused(str(refused).rstrip(".")) from None
    return text.strip()


def _mapping(old: ColumnSchema | None, column: ColumnSchema, mapping: Any) -> tuple[tuple[str, str | None], ...]:
    if old is None or old.multivalued or column.multivalued:
        raise _Refused(f"{column.name} has no old single values to map")
    if not isinstance(mapping, dict) or not mapping:
        raise _Refused('a mapping is an object: {"old value": "new value"}')
    bare = ColumnSchema(name=column.name, type=old.type)
    cells = [(_same_form(bare, _cell(bare, before)), None if after is None else _cell(column, after)) for before, after in mapping.items()]
    if None in (after for _, after in cells) and column.required:
        raise _Refused(f"{column.name} needs a value, so nothing can become null")
    return tuple(cells)


def _same_form(column: ColumnSchema, cell: str) -> str:
    """An exact number as rows have it: 12.5 is 12.50 in a DECIMAL(10,2)."""
    try:
        return literals.cell(column.type, cell) if column.type.is_integer or column.type.base == "DECIMAL" else cell
    except literals.BadLiteral as reason:
        raise _Refused(str(reason)) from None


def _affine(old: ColumnSchema | None, column: ColumnSchema, one: Mapping[str, Any]) -> Backfill:
    kinds: Sequence[ColumnSchema] = [c for c in (old, column) if c]
    if len(kinds) < 2 or any(not c.type.is_number or c.multivalued for c in kinds):
        raise _Refused(f"only numbers take a factor, and {column.name} is none, or new")
    factor, offset = _fraction(one["factor"]), _fraction(one.get("offset", 0))
    if factor == 0:
        raise _Refused("a factor is not 0")
    return Backfill(factor=factor, offset=offset)


def _fraction(value: Any) -> Fraction:
    """A number or its text, such as 0.001 or 1/60; few enough digits that 128 bits hold what it is multiplied with."""
    text = str(value).strip()
    if isinstance(value, bool) or not _NUMBER.fullmatch(text):
        raise _Refused(f"{text[:40]} is no number of at most 12 digits, such as 0.001 or 1/60")
    return Fraction(text)
