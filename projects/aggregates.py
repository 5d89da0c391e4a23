"""Groups of rows: what `/ops/{table}/aggregate` asks for, read and made into a relation that is listed as rows are.

A group is a row of a schema of its own: the columns that it is grouped by, then one for each aggregate. So its order, its pages, its
formats and the conditions on it (`having`) are a list's.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from projects.aliases import Names, Used
from projects.conditions import AllOf, Refused, columns_of, listed, target_in, tree_of
from projects.errors import BadRequest
from projects.filters import LARGEST_LIMIT, SELECTING, Listing, cursor_of, read_address, sort_of, whole
from projects.store.conditions import where
from projects.store.sql import quote, table
from schema_registry.errors import Problem
from schema_registry.schema import ColumnSchema, TableSchema
from schema_registry.types import ColumnType, parse_type

RESERVED = ("group_by", "agg", "having", "sort", "limit", "offset", "cursor", "format", *SELECTING)
_DATE_PARTS = ("year", "quarter", "month", "week", "day", "weekday")
_CLOCK_PARTS = ("hour", "minute")
PARTS = (*_DATE_PARTS, *_CLOCK_PARTS, "date")
FUNCTIONS = ("count", "count_distinct", "sum", "avg", "min", "max", "median")
_AGGREGATE = re.compile(r"(?P<function>[a-z_]+)(?:\((?P<column>.+)\))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Output:
    """One column of the groups: what it is called and is, and the SQL that makes it of the rows."""

    column: ColumnSchema
    sql: str


class Groups(Names):
    """The groups of a table, named and listed as rows are; `used` has the old names that the request had for the table's columns."""

    __slots__ = ("_of",)

    def __init__(self, of: Names, schema: TableSchema, source: str) -> None:
        super().__init__(of.live)
        self._of, self.aliases = of, ()
        self.schema, self.source = schema, source

    @property
    def used(self) -> Used:
        return self._of.used


def parse_groups(names: Names, parameters: Iterable[tuple[str, str]]) -> tuple[Groups, Listing]:
    """Reads the parameters of an aggregate's address: the groups, and which of them are listed in what order.

    Raises BadRequest that names every parameter it cannot use.
    """
    pairs = list(parameters)
    filter_, given = read_address(
        names,
        pairs,
        {
            "group_by": lambda text: [_group(names, name) for name in listed(text)],
            "agg": lambda text: [_aggregate(names, name.strip()) for name in _split(text)],
            "limit": lambda text: whole(text, 1, LARGEST_LIMIT),
            "offset": lambda text: whole(text, 0, 2**62),
            "cursor": cursor_of,
            **{name: lambda text: text for name in ("having", "sort", "format")},
        },
    )
    by = given.get("group_by", [])
    groups = _groups(names, by, given.get("agg") or [_aggregate(names, "count")], filter_)
    # The conditions and the order speak of the groups, which are known only now.
    later = [(name, value) for name, value in pairs if name in ("having", "sort")]
    _, on_groups = read_address(
        groups,
        later,
        {"having": lambda text: tree_of(target_in(groups), text), "sort": lambda text: sort_of(lambda name: _output(groups, name), text)},
    )
    page = {name: given[name] for name in ("limit", "offset", "cursor") if name in given}
    order = on_groups.get("sort") or tuple((column, False) for column in groups.schema.key_columns)
    return groups, Listing(filter=on_groups.get("having", AllOf()), sort=order, **page)


def _groups(names: Names, by: list[Output], aggregates: list[Output], filter_: AllOf) -> Groups:
    outputs = [*by, *aggregates]
    folded = [output.column.name.casefold() for output in outputs]
    if twice := next((name for place, name in enumerate(folded) if name in folded[:place]), None):
        reason = f"The groups would have two columns named {twice}."
        raise BadRequest(detail=reason, problems=(Problem("?agg", "parameter", reason),))
    made = ", ".join(f"{output.sql} AS {quote(output.column.name)}" for output in outputs)
    rows = f"{names.source or table(names.live.name)}{where(filter_)}"
    # Without columns to group by there is one group, of no rows too.
    source = f"(SELECT {made} FROM {rows}{' GROUP BY ' + ', '.join(output.sql for output in by) if by else ''})"
    columns = tuple(output.column for output in outputs)
    key = tuple(output.column.name for output in by)
    return Groups(names, TableSchema(name=names.live.name, columns=columns, primary_key=key), source)


def _output(groups: Groups, name: str) -> ColumnSchema:
    if column := groups.column(name):
        return column
    raise Refused(f"names {name!r}, which is no column of the groups; {columns_of(groups)}")


# Columns to group by.


def _group(names: Names, name: str) -> Output:
    """A column, or a part of a time such as `creation_date__month`; the longest column name wins."""
    if column := names.column(name):
        return Output(replace(_plain(column), name=column.name), quote(column.name))
    head, separator, part = name.rpartition("__")
    if not separator or not (column := names.column(head)):
        raise Refused(f"names {name!r}, which is no column of {names.live.name}; {columns_of(names)}")
    parts = _parts_of(column)
    if part not in parts:
        raise Refused(f"has no part {part} of {column.name}; there are {', '.join(parts) or 'none'}")
    kind = "DATE" if part == "date" else "BIGINT"
    return Output(_column(f"{column.name}__{part}", parse_type(kind).type), _part(column, part))


def _parts_of(column: ColumnSchema) -> tuple[str, ...]:
    if column.multivalued:
        return ()
    return {"DATE": _DATE_PARTS, "TIME": _CLOCK_PARTS, "TIMESTAMP": PARTS, "TIMESTAMPTZ": PARTS}.get(column.type.base, ())


def _part(column: ColumnSchema, part: str) -> str:
    """Times are in UTC; weeks are ISO 8601's, and its weekdays run from 1, Monday, to 7."""
    value = f"({quote(column.name)} AT TIME ZONE 'UTC')" if column.type.base == "TIMESTAMPTZ" else quote(column.name)
    return f"{value}::DATE" if part == "date" else f"{'isodow' if part == 'weekday' else part}({value})"


# Aggregates.


def _split(text: str) -> list[str]:
    """Cuts at the commas outside of brackets."""
    parts = re.findall(r"[^,(]+(?:\([^)]*\))?", text)
    if not text or ",".join(parts) != text:
        raise Refused("is a list such as count,sum(total_amount)")
    return parts


def _aggregate(names: Names, text: str) -> Output:
    """One aggregate, such as `sum(total_amount)`, called `sum_total_amount`."""
    match = _AGGREGATE.fullmatch(text)
    if not match or match["function"] not in FUNCTIONS:
        raise Refused(f"has {text!r}; there are count, and {', '.join(f'{name}(column)' for name in FUNCTIONS)}")
    function, name = match["function"], match["column"]
    if name is None:
        if function != "count":
            raise Refused(f"has {function} without a column, such as {function}({names.schema.columns[-1].name})")
        return Output(_column("count", _COUNT, required=True), "count(*)")
    column = names.column(name)
    if column is None:
        raise Refused(f"has {text}, and {name} is no column of {names.live.name}; {columns_of(names)}")
    return _of_column(function, column)


_COUNT, _DOUBLE = parse_type("BIGINT").type, parse_type("DOUBLE").type


def _of_column(function: str, column: ColumnSchema) -> Output:
    name, value = f"{function}_{column.name}", quote(column.name)
    if function in ("count", "count_distinct"):
        return Output(_column(name, _COUNT, required=True), f"count({'DISTINCT ' if function == 'count_distinct' else ''}{value})")
    if column.multivalued or (function in ("sum", "avg", "median") and not column.type.is_number):
        raise Refused(f"has {function}({column.name}), and {column.name} is {column.sql_type}")
    made: dict[str, Callable[[], tuple[ColumnType, str]]] = {
        "sum": lambda: (_sum_type(column.type), f"sum({value})"),
        "avg": lambda: (_DOUBLE, f"avg({value}{'::DOUBLE' if _is_wide(column.type) else ''})"),
        "median": lambda: (_DOUBLE, f"median({value}::DOUBLE)"),
    }
    kind, sql = made.get(function, lambda: (column.type, f"{function}({value})"))()
    return Output(replace(_column(name, kind), unit=column.unit), sql)


def _sum_type(kind: ColumnType) -> ColumnType:
    """As wide as DuckDB adds: every digit of integers and decimals is kept."""
    if kind.base == "DECIMAL":
        return parse_type(f"DECIMAL(38,{kind.scale})").type
    return parse_type("HUGEINT").type if kind.is_integer else _DOUBLE


def _is_wide(kind: ColumnType) -> bool:
    """Whether the sum behind an average could have more digits than there are."""
    return kind.base == "HUGEINT" or (kind.base == "DECIMAL" and kind.precision > 18)


def _column(name: str, kind: ColumnType, *, required: bool = False) -> ColumnSchema:
    return ColumnSchema(name=name, type=kind, required=required)


def _plain(column: ColumnSchema) -> ColumnSchema:
    """The column without the rules of a row that is written."""
    named = _column(column.name, column.type, required=column.required)
    return replace(named, multivalued=column.multivalued, unit=column.unit, description=column.description, id=column.id)
