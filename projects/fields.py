"""One table of rules: what a cell of a column may be, as a Python test for one row and as SQL for a million.

A cell is a value as text (see store/sql.py). Both sides use the same regular expressions and the same bounds, so a row
that one door refuses, the other refuses too. Patterns of the ontology are RE2 and are always asked of DuckDB.
"""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import lru_cache, partial
from typing import Any
from uuid import UUID

from projects.store.sql import elements, literal, tried_value_of, value_of
from schema_registry.schema import ColumnSchema
from schema_registry.types import INTEGER_BOUNDS, ColumnType

_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?"
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
LARGEST_FLOAT = 3.4028234663852886e38

_FORMS: dict[str, tuple[str, str]] = {
    "BOOLEAN": (r"[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|[TtFf10]", "is not true or false"),
    "FLOAT": (r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", "is not a number"),
    "DOUBLE": (r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", "is not a number"),
    "DATE": (_DAY, "is not a date such as 2026-01-31"),
    "TIME": (_CLOCK, "is not a time such as 13:45:00"),
    "TIMESTAMP": (rf"{_DAY}([T ]{_CLOCK}(Z|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?)?)?", "is not a time such as 2026-01-31T13:45:00Z"),
    "TIMESTAMPTZ": (rf"{_DAY}([T ]{_CLOCK}(Z|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?)?)?", "is not a time such as 2026-01-31T13:45:00Z"),
    "UUID": (r"[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}", "is not a UUID"),
    "BLOB": (r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", "is not base64"),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that must hold of a cell: `sql` gives a condition over the SQL of a cell, `holds` is the same in Python.

    A `cast` rule is one that the cast to the column's type enforces itself, so a load need not ask it beforehand. `value` gives
    the same condition over the SQL of a value of the column's type, or of one that converts to it exactly, where there is one; of null
    it is null.
    """

    code: str
    detail: str
    sql: Callable[[str], str]
    holds: Callable[[str], bool]
    cast: bool = False
    value: Callable[[str], str] | None = None


@lru_cache(maxsize=4096)
def rules_of(column: ColumnSchema) -> tuple[Rule, ...]:
    """The rules of one value of the column, in the order in which they are asked."""
    rules = [_form(column.type), *_range(column)]
    if column.enum is not None:
        rules.append(_enum(column))
    for bound, sign, word in ((column.minimum, ">=", "less"), (column.maximum, "<=", "more")):
        if bound is not None:
            rules.append(_bound(column, bound, sign, word))
    if column.max_length is not None:
        limit = column.max_length
        detail, sql = f"is longer than {limit} characters", partial(_at_most, limit)
        value = sql if column.type.base == "VARCHAR" else None
        rules.append(Rule("max_length", detail, sql, lambda c: len(c) <= limit, value=value))
    return tuple(rules)


def pattern_rule(column: ColumnSchema) -> Rule | None:
    """The rule of the ontology's own pattern. It has no Python side: RE2 and `re` are not the same language."""
    if column.pattern is None:
        return None
    pattern = literal(column.pattern)

    def sql(cell: str) -> str:
        return f"regexp_matches({cell}, {pattern})"

    value = sql if column.type.base == "VARCHAR" else None
    return Rule("pattern", f"does not match the pattern {column.pattern}", sql, lambda _: True, value=value)


def _at_most(limit: int, cell: str) -> str:
    return f"length({cell}) <= {limit}"


def _form(kind: ColumnType) -> Rule:
    if kind.base == "VARCHAR":
        return Rule("type", "has the NUL character or half of a surrogate pair", _has_no_nul, _is_text, value=_has_no_nul)
    if kind.base == "JSON":
        return Rule("type", "is not JSON", _json_sql, _is_json)
    pattern, detail = _written(kind)
    compiled = re.compile(pattern, re.ASCII)
    return Rule("type", detail, lambda c: f"regexp_full_match({c}, {literal(pattern)})", lambda c: compiled.fullmatch(c) is not None)


def pattern_of(kind: ColumnType) -> str:
    """The regular expression that the whole of a cell matches; not for VARCHAR and JSON, which have none."""
    return _written(kind)[0]


def _written(kind: ColumnType) -> tuple[str, str]:
    return _number_form(kind) if kind.is_integer or kind.base == "DECIMAL" else _FORMS[kind.base]


def _has_no_nul(cell: str) -> str:
    return f"NOT contains({cell}, chr(0))"


def _number_form(kind: ColumnType) -> tuple[str, str]:
    if kind.is_integer:
        return r"[+-]?[0-9]+", "is not a whole number"
    digits = r"[+-]?([0-9]+(\.[0-9]{0,%d}0*)?|\.[0-9]{1,%d}0*)" % (kind.scale, max(kind.scale, 1))  # noqa: UP031
    return digits, f"is not a number of at most {kind.scale} decimal places"


def _range(column: ColumnSchema) -> list[Rule]:
    """The rules that a well-formed value of the type can still break: too large, no such day."""
    holds = _RANGES.get("INTEGER" if column.type.is_integer else column.type.base)
    if holds is None:
        return []
    kind = column.type
    # A zoned value's year is counted by era; without its zone, in UTC, it is counted straight.
    single = ColumnSchema(name="", type=ColumnType("TIMESTAMP") if kind.base == "TIMESTAMPTZ" else kind)

    def fits(cell: str) -> bool:
        return holds(kind, cell)

    def value(cell: str) -> str:
        return tried_value_of(single, cell)

    match kind.base:
        case "DATE" | "TIMESTAMP" | "TIMESTAMPTZ":
            detail, zone = "is no day of the calendar", " AT TIME ZONE 'UTC'" if kind.base == "TIMESTAMPTZ" else ""
            sql = f"coalesce({_in_calendar('{0}')}, false)"
            return [Rule("range", detail, lambda c: sql.format(value(c)), fits, value=lambda v: _in_calendar(f"({v}{zone})"))]
        case "FLOAT" | "DOUBLE":
            return [Rule("range", "is too large", lambda c: f"coalesce({_is_finite(value(c))}, false)", fits, value=_is_finite)]
    inside = partial(_between, *INTEGER_BOUNDS[kind.base]) if kind.is_integer else None
    return [Rule("range", _size(kind), lambda c: f"{value(c)} IS NOT NULL", fits, cast=True, value=inside)]


def _in_calendar(value: str) -> str:
    return f"(isfinite({value}) AND year({value}) BETWEEN 1 AND 9999)"


def _is_finite(value: str) -> str:
    return f"isfinite({value})"


def _between(low: int, high: int, value: str) -> str:
    return f"({value}) BETWEEN {low} AND {high}"


def _size(kind: ColumnType) -> str:
    if kind.is_integer:
        low, high = INTEGER_BOUNDS[kind.base]
        return f"is not from {low} to {high}"
    return f"has more than {kind.whole_digits} digits before the decimal point"


def _integer_fits(kind: ColumnType, cell: str) -> bool:
    low, high = INTEGER_BOUNDS[kind.base]
    return len(cell) <= 60 and low <= int(cell) <= high


def _decimal_fits(kind: ColumnType, cell: str) -> bool:
    return abs(Decimal(cell)) < Decimal(10) ** kind.whole_digits


def _float_fits(kind: ColumnType, cell: str) -> bool:
    return math.isfinite(float(cell)) and (kind.base == "DOUBLE" or abs(float(cell)) <= LARGEST_FLOAT)


def _day_exists(kind: ColumnType, cell: str) -> bool:
    try:
        moment(kind, cell)
    except (ValueError, OverflowError):
        return False
    return True


_RANGES: dict[str, Callable[[ColumnType, str], bool]] = {
    "INTEGER": _integer_fits,
    "DECIMAL": _decimal_fits,
    "FLOAT": _float_fits,
    "DOUBLE": _float_fits,
    "DATE": _day_exists,
    "TIMESTAMP": _day_exists,
    "TIMESTAMPTZ": _day_exists,
}


def moment(kind: ColumnType, cell: str) -> Any:
    """A temporal cell as Python's value, times without an offset in UTC. Raises ValueError, OverflowError."""
    if kind.base == "DATE":
        return date.fromisoformat(cell)
    if kind.base == "TIME":
        return time.fromisoformat(cell)
    found = datetime.fromisoformat(cell)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _comparable(kind: ColumnType, cell: str) -> Any:
    return Decimal(cell) if kind.is_number else moment(kind, cell)


def same_value(column: ColumnSchema, one: str, other: str) -> bool:
    """Whether two good cells of a key column are one value, such as 7 and 07."""
    if column.type.is_number or column.type.base in ("DATE", "TIME", "TIMESTAMP", "TIMESTAMPTZ"):
        return bool(_comparable(column.type, one) == _comparable(column.type, other))
    if column.type.base == "UUID":
        return UUID(one) == UUID(other)
    return one == other or (column.type.base == "BOOLEAN" and one[0].lower() in "t1" and other[0].lower() in "t1")


def _bound(column: ColumnSchema, bound: str, sign: str, word: str) -> Rule:
    single, limit = _single(column), _comparable(column.type, bound)

    def kept(value: str) -> str:
        return f"({value} {sign} {value_of(single, literal(bound))})"

    def sql(cell: str) -> str:
        return f"coalesce({kept(tried_value_of(single, cell))}, false)"

    def holds(cell: str) -> bool:
        value = _comparable(column.type, cell)
        return bool(value >= limit if sign == ">=" else value <= limit)

    return Rule("minimum" if sign == ">=" else "maximum", f"is {word} than {bound}", sql, holds, value=kept)


def _enum(column: ColumnSchema) -> Rule:
    """Numbers are compared as numbers, so that 1.50 is 1.5."""
    single, allowed = _single(column), column.enum or ()
    listed = ", ".join(value_of(single, literal(cell)) for cell in allowed) or "NULL"

    def kept(value: str) -> str:
        return f"({value} IN ({listed}))"

    def sql(cell: str) -> str:
        return f"coalesce({kept(tried_value_of(single, cell))}, false)"

    detail = f"is not one of {', '.join(allowed)}"
    if column.type.is_number:
        numbers = {Decimal(cell) for cell in allowed}
        return Rule("enum", detail, sql, lambda c: Decimal(c) in numbers, value=kept)
    return Rule("enum", detail, sql, lambda c: c in allowed, value=kept)


def _single(column: ColumnSchema) -> ColumnSchema:
    """The column of one element, where the column holds lists."""
    return ColumnSchema(name=column.name, type=column.type) if column.multivalued else column


def _is_text(cell: str) -> bool:
    """JSON can spell half of a surrogate pair, which UTF-8 cannot hold."""
    return "\0" not in cell and (cell.isascii() or not any("\ud800" <= c <= "\udfff" for c in cell))


def _json_sql(cell: str) -> str:
    """DuckDB takes NaN for JSON; outside of strings no other word has these letters."""
    outside = f"""regexp_replace({cell}, '"(\\\\.|[^"\\\\])*"', '', 'g')"""
    return f"(json_valid({cell}) AND NOT regexp_matches({outside}, '(?i)nan|inf'))"


def _is_json(cell: str) -> bool:
    try:
        json.loads(cell, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


# JSON values to cells.


class NotACell(ValueError):
    """The JSON value is of a kind that the column's type does not take; the text says why."""


def cell_of(column: ColumnSchema, value: Any) -> str:
    """The cell of a JSON value (numbers as int or Decimal) that is not null. Raises NotACell."""
    if not column.multivalued:
        return _cell(column.type, value)
    if not isinstance(value, list):
        raise NotACell("is not a list")
    if any(element is None for element in value):
        raise NotACell("has a null in its list")
    return json.dumps([_cell(column.type, element) for element in value])


def _cell(kind: ColumnType, value: Any) -> str:
    if kind.base == "JSON":
        return json_text(value)
    if isinstance(value, bool):
        if kind.base != "BOOLEAN":
            raise NotACell(f"is true or false where {kind} is wanted")
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, int | float | Decimal) and kind.is_number:
        return _number(kind, Decimal(repr(value)) if isinstance(value, float) else value)
    raise NotACell(f"is not a {'number' if kind.is_number else 'string'}")


def _number(kind: ColumnType, value: int | Decimal) -> str:
    """Plain digits for exact types, so that 1e3 is 1000 and 20.0 a whole number; an absurd exponent stays as written."""
    if isinstance(value, int) or not value.is_finite() or kind.base in ("FLOAT", "DOUBLE") or abs(value.adjusted()) > 100:
        return str(value)
    plain = format(value, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def json_text(value: Any) -> str:
    """Compact JSON that keeps every digit of a Decimal."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k, ensure_ascii=False)}:{json_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)


def faults(column: ColumnSchema, cell: str) -> Rule | None:
    """The first rule that the cell breaks, or None. The ontology's pattern is not asked here."""
    rules = rules_of(column)
    try:
        for element in _elements(cell) if column.multivalued else (cell,):
            for rule in rules:
                if not rule.holds(element):
                    return rule
    except InvalidOperation:
        return rules[0]
    return None


def _elements(cell: str) -> list[str]:
    """The cells inside a list's cell. Raises ValueError."""
    elements = json.loads(cell, parse_float=str, parse_int=str)
    if not isinstance(elements, list):
        raise NotACell("is not a list")
    return [e if isinstance(e, str) else json_text(e) for e in elements]


# The SQL side.


def condition(column: ColumnSchema, rule: Rule, cell: str) -> str:
    """The SQL condition that a cell, not null, keeps the rule; for a list, that each element does."""
    if not column.multivalued:
        return rule.sql(cell)
    return f"(json_valid({cell}) AND {_of_each(f'TRY({elements(cell)})', rule.sql('e'))})"


def value_condition(column: ColumnSchema, rule: Rule, value: str) -> str | None:
    """The SQL condition that a value, not null, keeps the rule; None where its type does already. For a list, each element must."""
    if not column.multivalued:
        return rule.value(value) if rule.value else None
    return _of_each(value, rule.value("e") if rule.value else "true")


def _of_each(elements: str, kept: str) -> str:
    each = f"coalesce(list_bool_and(list_transform({elements}, lambda e: {kept})), true)"
    return f"coalesce(list_count({elements}) = len({elements}) AND {each}, false)"


def quick_fault(column: ColumnSchema, cell: str, value: str) -> str:
    """The condition that a cell of this value has not its type's form: mostly it is as DuckDB writes the value, which is told sooner."""
    form = rules_of(column)[0].sql(cell)
    is_same = column.type.is_integer or column.type.base in ("DECIMAL", "DATE", "UUID")
    return f"(({value})::VARCHAR <> {cell} AND NOT {form})" if is_same else f"NOT {form}"
