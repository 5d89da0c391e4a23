"""What an address asks for: conditions, order, columns, page. Nothing in it is ever ignored."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from projects.aliases import Names
from projects.conditions import AllOf, AnyOf, Condition, Filter, Refused, Target, columns_of, condition_of, listed, target_in, tree_of
from projects.errors import BadRequest
from schema_registry.errors import Problem
from schema_registry.schema import ColumnSchema

DEFAULT_LIMIT = 100
LARGEST_LIMIT = 10_000
SELECTING = ("filter", "q")  # parameters that choose rows, beside the columns' own
RESERVED = ("sort", "limit", "offset", "fields", "format", "cursor", *SELECTING)

Reader = Callable[[str], Any]  # reads a parameter's text; raises Refused


@dataclass(frozen=True, slots=True)
class Listing:
    """A list as it was asked for. `limit` is None where none was given; `after` is the place that its `cursor` means.

    With `until` the list ends with the row in that place, and its limit is not asked again. One that is `backward` runs from its end on.
    """

    filter: AllOf = AllOf()  # noqa: RUF009 - It is frozen.
    sort: tuple[tuple[ColumnSchema, bool], ...] = ()
    fields: tuple[ColumnSchema, ...] = ()
    limit: int | None = None
    offset: int = 0
    cursor: str = ""
    after: tuple[str | None, ...] = ()
    until: tuple[str | None, ...] = ()
    backward: bool = False


def parse_listing(names: Names, parameters: Iterable[tuple[str, str]]) -> Listing:
    """Reads the parameters of a list's address; `names` has then the old ones too that it was given.

    Raises BadRequest that names every parameter it cannot use.
    """
    readers: dict[str, Reader] = {
        "sort": lambda text: sort_of(lambda name: _column(names, name), text),
        "fields": lambda text: _fields(names, text),
        "limit": lambda text: whole(text, 1, LARGEST_LIMIT),
        "offset": lambda text: whole(text, 0, 2**62),
        "cursor": cursor_of,
        "format": lambda text: text,  # formats.py has read it.
    }
    filter_, given = read_address(names, parameters, readers)
    given.pop("format", None)
    return Listing(filter=filter_, **given)


def read_address(names: Names, parameters: Iterable[tuple[str, str]], readers: Mapping[str, Reader]) -> tuple[AllOf, dict[str, Any]]:
    """The rows that an address chooses, by the columns' own parameters, `filter` and `q`; and what `readers` make of the others.

    Raises BadRequest that names every parameter it cannot use.
    """
    target = target_in(names)
    chosen: list[Filter] = []
    given: dict[str, Any] = {}
    problems: list[Problem] = []
    seen: set[str] = set()
    for name, value in parameters:
        try:
            if name in readers or name in SELECTING:
                if name in seen:
                    raise Refused("is given twice")
                seen.add(name)
            if name in readers:
                given[name] = readers[name](value)
            else:
                chosen.append(_chosen(names, target, name, value))
        except Refused as refused:
            problems.append(Problem(f"?{name}", "parameter", f"{name} {refused}"))
    if problems:
        raise BadRequest(detail="; ".join(p.detail for p in problems) + ".", problems=tuple(problems))
    return AllOf(tuple(chosen)), given


def _chosen(names: Names, target: Target, name: str, value: str) -> Filter:
    if name == "filter":
        return tree_of(target, value)
    return _search(names, value) if name == "q" else condition_of(target, name, value)


def _search(names: Names, text: str) -> AnyOf:
    """The text, in whatever case, in any of the text columns."""
    columns = [c for c in names.schema.columns if c.type.base == "VARCHAR" and not c.multivalued]
    if not columns:
        raise Refused(f"looks through the text columns, of which {names.live.name} has none")
    if not text or "\0" in text:
        raise Refused("is a text to look for")
    return AnyOf(tuple(Condition(column, "icontains", (text,)) for column in columns))


def sort_of(column: Callable[[str], ColumnSchema], text: str) -> tuple[tuple[ColumnSchema, bool], ...]:
    """Columns with commas between them, each with whether it runs down. Raises Refused."""
    return tuple((column(name.removeprefix("-")), name.startswith("-")) for name in listed(text))


def _fields(names: Names, text: str) -> tuple[ColumnSchema, ...]:
    columns = tuple(_column(names, name) for name in listed(text))
    repeated = next((c.name for place, c in enumerate(columns) if c in columns[:place]), None)
    if repeated:
        raise Refused(f"names {repeated} twice")
    return columns


def _column(names: Names, name: str) -> ColumnSchema:
    if column := names.column(name):
        return column
    raise Refused(f"names {name!r}, which is no column of {names.live.name}; {columns_of(names)}")


def cursor_of(text: str) -> str:
    """A cursor, unopened. Raises Refused."""
    if not text:
        raise Refused("is empty; the first page has none")
    return text


def whole(text: str, lowest: int, highest: int) -> int:
    """A whole number in its bounds. Raises Refused."""
    if text.isascii() and text.isdigit() and len(text) < 20 and lowest <= int(text) <= highest:
        return int(text)
    raise Refused(f"is a whole number from {lowest} to {highest}, not {text!r}")
