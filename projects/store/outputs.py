"""Columns on their way out: how each value is printed in a line of text, and what it is in Arrow and Parquet."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from projects.store import sql
from projects.store.printing import json_expression, members
from schema_registry.schema import ColumnSchema
from schema_registry.types import INTEGER_BOUNDS

MEANING = ("description", "unit", "id")  # of a column, in the metadata of its Arrow field; the id is an IRI


class Style(Enum):
    """What a value's text needs around it."""

    BARE = "numbers and booleans: nothing"
    PLAIN = "quotes in JSON; it is never empty, and has no character that a line of CSV minds"
    TEXT = "quotes, and signs before some of its characters"
    JSON = "nothing in JSON, for it is that; in CSV what TEXT needs"
    NESTED = "as JSON, once it is made so"


@dataclass(frozen=True, slots=True)
class Output:
    """One column of a result: `printed` is SQL whose text goes into lines, `value` is SQL of what Arrow and Parquet keep."""

    name: str
    printed: str
    style: Style
    value: str
    is_uuid: bool = False
    meaning: Mapping[str, str] = field(default_factory=dict)


def of_table(columns: Iterable[ColumnSchema]) -> list[Output]:
    """A table's columns, each with what it means."""
    return [_of_column(c) for c in columns]


def _of_column(column: ColumnSchema) -> Output:
    name, base = sql.quote(column.name), column.type.base
    meaning = {"type": column.sql_type} | {part: value for part in MEANING if (value := getattr(column, part))}
    if column.multivalued:
        kept = f"{name}::VARCHAR[]" if base in ("HUGEINT", "JSON", "UUID") else name
        if base == "JSON":
            return Output(column.name, sql.json_text(column, name), Style.JSON, kept, meaning=meaning)
        return Output(column.name, sql.json_of(column, name), Style.NESTED, kept, meaning=meaning)
    style = _STYLES.get(base, Style.TEXT)
    return Output(column.name, sql.json_of(column, name), style, _kept(name, base), base == "UUID", meaning)


def of_query(columns: Sequence[tuple[str, str]]) -> list[Output]:
    """The columns of somebody's own SELECT, by name and type as DuckDB writes it; the SELECT has them as c0, c1 and so on."""
    names = _distinct([name for name, _ in columns])
    return [_of_type(name, f"c{n}", type_) for n, (name, (_, type_)) in enumerate(zip(names, columns, strict=True))]


def _of_type(name: str, value: str, type_: str) -> Output:
    printed, base = json_expression(value, type_), type_.partition("(")[0]
    if _is_nested(type_):
        kept = value if _is_plain(type_) else f"to_json({printed})::VARCHAR"
        return Output(name, printed, Style.NESTED, kept)
    if match := re.fullmatch(r"DECIMAL\((\d+),\1\)", type_):  # DuckDB prints .50, which is no JSON; a wider one is 0.50.
        printed = f"{value}::DECIMAL(38,{match[1]})"
    kept = _kept(value, base) if base in _PLAIN else f"{value}::VARCHAR"
    return Output(name, printed, _STYLES.get(base, Style.TEXT), kept, base == "UUID")


def _kept(value: str, base: str) -> str:
    """What Arrow has no exact type for is text; a UUID is its sixteen bytes."""
    match base:
        case "HUGEINT" | "JSON":
            return f"{value}::VARCHAR"
        case "UUID":
            return f"unhex(replace({value}::VARCHAR, '-', ''))"
    return value


_BARE = ("BOOLEAN", *INTEGER_BOUNDS, "UHUGEINT", "BIGNUM", "FLOAT", "DOUBLE", "DECIMAL")
_TIMES = ("DATE", "TIME", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")
_STYLES = dict.fromkeys(_BARE, Style.BARE) | dict.fromkeys((*_TIMES, "UUID"), Style.PLAIN) | {"JSON": Style.JSON}
# Arrow and Parquet have these as they are; an interval, a union, an enum, bits and the like are text there.
_PLAIN = frozenset((*_BARE, *_TIMES, "UUID", "BLOB", "VARCHAR", '"NULL"')) - {"HUGEINT", "UHUGEINT", "BIGNUM"}


def _is_nested(type_: str) -> bool:
    return type_.endswith("]") or type_.startswith(("STRUCT(", "TUPLE(", "MAP("))


def _is_plain(type_: str) -> bool:
    """Whether Arrow and Parquet have the type, and all types inside it."""
    if list_ := re.fullmatch(r"(.*)\[\d*\]", type_, re.DOTALL):
        return _is_plain(list_[1])
    base, _, inside = type_.partition("(")
    if base in ("STRUCT", "TUPLE", "MAP"):
        return all(_is_plain(member) for _, member in members(inside.removesuffix(")")))
    return base in _PLAIN


def _distinct(names: list[str]) -> list[str]:
    """Names of which no two are equal without case: the second `a` becomes `a_1`."""
    taken: set[str] = set()
    for position, name in enumerate(names):
        number, candidate = 0, name
        while candidate.lower() in taken:
            number += 1
            candidate = f"{name}_{number}"
        taken.add(candidate.lower())
        names[position] = candidate
    return names
