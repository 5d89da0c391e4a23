"""What a SELECT would cost where no interrupt can reach: inside DuckDB's binder, and inside one call of a function.

Measured on DuckDB 2.0.0, each with an interrupt after 1 s: `repeat(b, 1000000)` took 31 s and 8 GB, for a call works on 2,048 rows before
anything is asked; `levenshtein` of two texts of 5,000 characters took 49 s; a chain of 20 CTEs that each name the one before twice, or of
25 column aliases that do, had not been bound after 40 s. So both are bounded from the tree alone, before it runs. A stored value counts as
one character, since nobody can know; from there on sizes are worked out, and DuckDB's memory limit stands behind.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from projects.errors import QueryRefused
from projects.store.query_functions import SMALL, fold, words
from projects.store.query_sizes import KEEPING, MAPPING, MOST_BUILT, REDUCING, Extent, Tree, grown, least

MOST_BOUND = 20_000  # expressions, once aliases, stars and CTEs are written out
_TABLE_WIDTH = 10  # columns, for a stored table
_CASTS_TO_TEXT = words(
    """
varchar text string char bpchar json blob bytea binary varbinary bit bitstring list array struct row map union"""
)


@dataclass(frozen=True, slots=True)
class Source:
    """What a query or a table comes to: the largest value in it, and how often what it costs is paid."""

    total: int = 1
    built: int = 0
    weight: int = 1
    width: int = 1


@dataclass(frozen=True, slots=True)
class Place:
    """What can be seen where an expression stands."""

    ctes: Mapping[str, Source] = field(default_factory=dict)
    aliases: Mapping[str, Extent] = field(default_factory=dict)
    column: int = 1  # characters or elements of the largest column
    width: int = 1  # columns that a star stands for


class Bounds:
    """Measures one statement's tree, which the guard has found to have known forms only."""

    def __init__(self, parameter: int = 1) -> None:
        self._parameter = max(1, parameter)

    def check(self, node: Tree) -> None:
        """Raises QueryRefused where the statement could build too much, or be too large once written out."""
        self._query(node, Place())

    # Queries and what they read from.

    def _query(self, node: Tree, place: Place) -> Source:
        for entry in node.get("cte_map", {}).get("map", ()):
            place = _with_cte(place, entry["key"], self._query(entry["value"]["query_node"], place))
        if node["type"] == "SELECT_NODE":
            return _checked(self._select(node, place))
        left = [self._query(node["left"], place)] if "left" in node else []
        if node["type"] == "RECURSIVE_CTE_NODE":
            place = _with_cte(place, node["cte_name"], replace(left[0], weight=1, built=0))
        right = [self._query(node["right"], place)] if "right" in node else []
        halves = left + right + [self._query(child, place) for child in node.get("children", ())]
        rest = self._parts(node.get("modifiers"), place)
        return _checked(_stacked([*halves, Source(rest.total, rest.built, rest.weight, 1)]))

    def _select(self, node: Tree, place: Place) -> Source:
        source = self._relation(node.get("from_table", {}), place)
        place = replace(place, column=max(place.column, source.total), width=source.width)
        columns: list[Extent] = []
        for expression in node.get("select_list", ()):
            extent = self._expression(expression, place)
            columns.append(extent)
            if alias := expression.get("alias"):
                place = replace(place, aliases={**place.aliases, fold(alias): extent})
        rest = self._parts(
            {name: part for name, part in node.items() if name not in ("select_list", "from_table", "cte_map", "type")}, place
        )
        return Source(
            total=max((c.total for c in columns), default=1),
            built=least(source.built + sum(c.built * c.width for c in columns) + rest.built),
            weight=least(source.weight + sum(c.weight * c.width for c in columns) + rest.weight * rest.width),
            width=least(sum(c.width for c in columns)),
        )

    def _relation(self, part: Tree, place: Place) -> Source:
        match part.get("type"):
            case "BASE_TABLE":
                path = part["qualified_name"]["path"]
                stored = Source(width=_TABLE_WIDTH)
                return place.ctes.get(fold(path[0]), stored) if len(path) == 1 else stored
            case "SUBQUERY":
                return self._query(part["subquery"]["node"], place)
            case "JOIN":
                return self._join(part, place)
            case "EXPRESSION_LIST":
                return _of(self._parts(part.get("values"), place), width=len((part.get("values") or [[]])[0]))
            case "TABLE_FUNCTION":
                return _of(self._parts([a["expression"] for a in part["function"].get("arguments", ())], place), width=2)
            case "PIVOT":
                return self._pivot(part, place)
        return Source(width=0)

    def _join(self, part: Tree, place: Place) -> Source:
        left = self._relation(part["left"], place)
        right = self._relation(part["right"], replace(place, column=max(place.column, left.total)))
        both = _stacked([left, right])
        rest = self._parts(part.get("condition"), replace(place, column=max(place.column, both.total)))
        return replace(both, width=left.width + right.width, weight=both.weight + rest.weight, built=both.built + rest.built)

    def _pivot(self, part: Tree, place: Place) -> Source:
        source = self._relation(part["source"], place)
        inner = replace(place, column=max(place.column, source.total), width=source.width)
        rest = self._parts([part.get("aggregates"), part.get("pivots")], inner)
        width = source.width + rest.weight + sum(len(p.get("entries", ())) for p in part.get("pivots", ()))
        return Source(max(source.total, rest.total), source.built + rest.built, least(source.weight + width * rest.weight), least(width))

    # Expressions.

    def _parts(self, parts: Any, place: Place) -> Extent:
        """All expressions in any nesting of lists and plain groups, taken together."""
        if isinstance(parts, list):
            return _together([self._parts(part, place) for part in parts])
        if not isinstance(parts, dict):
            return Extent(total=0, weight=0)
        if "class" in parts:
            return self._expression(parts, place)
        if isinstance(parts.get("type"), str) and parts["type"].endswith("_NODE"):
            source = self._query(parts, place)
            return Extent(source.total, 0, source.built, source.weight)
        return _together([self._parts(part, place) for part in parts.values() if isinstance(part, dict | list)])

    def _expression(self, part: Tree, place: Place) -> Extent:
        match part["class"]:
            case "CONSTANT":
                return Extent(total=max(1, len(part.get("literal", {}).get("text", ""))), weight=0)
            case "PARAMETER":
                return Extent(total=self._parameter)
            case "COLUMN_REF":
                return _column(part["column_names"], place)
            case "STAR":
                return replace(_heavier(self._inside(part, place)), total=place.column, width=max(1, place.width))
            case "COMPARISON" | "CONJUNCTION" | "BETWEEN":
                return replace(_heavier(self._inside(part, place)), total=1, item=0)
            case "CASE":
                return self._case(part, place)
            case "CAST":
                return self._cast(part, place)
            case "OPERATOR":
                return self._operator(part, place)
            case "FUNCTION" | "WINDOW":
                return self._function(part, place)
        return _heavier(self._inside(part, place))

    def _inside(self, part: Tree, place: Place) -> Extent:
        return _together(
            [self._parts(inner, place) for name, inner in part.items() if name not in ("qualified_name", "literal", "type_expr")]
        )

    def _case(self, part: Tree, place: Place) -> Extent:
        results = [self._parts(result, place) for result in [*(c["then_expr"] for c in part["case_checks"]), part.get("else_expr")]]
        return replace(_heavier(self._inside(part, place)), total=max(r.total for r in results), item=0)

    def _cast(self, part: Tree, place: Place) -> Extent:
        child = self._parts(part["child"], place)
        name = part.get("type_expr", {}).get("type_name", "").lower()
        if name not in _CASTS_TO_TEXT:
            return replace(_heavier(child), total=1, item=0)
        return replace(_heavier(child), total=least(2 * child.total), item=2 * child.item)  # a quote becomes two characters

    def _operator(self, part: Tree, place: Place) -> Extent:
        children = [self._parts(child, place) for child in part.get("children", ())]
        whole = _heavier(_together(children))
        if part["type"] in ("ARRAY_EXTRACT", "STRUCT_EXTRACT") and children:
            return replace(whole, total=children[0].item or children[0].total, item=0)
        if part["type"] == "ARRAY_SLICE" and children:
            return replace(whole, total=children[0].total, item=children[0].item)
        if part["type"] == "OPERATOR_COALESCE" and children:
            return replace(whole, total=max(c.total for c in children), item=0)
        return whole if part["type"] in ("ARRAY_CONSTRUCTOR", "OPERATOR_UNPACK", "OPERATOR_TRY") else replace(whole, total=1, item=0)

    def _function(self, part: Tree, place: Place) -> Extent:
        *owner, called = part["qualified_name"]["path"]
        name = fold(called)
        given = [argument["expression"] for argument in part.get("arguments", ())]
        if owner and owner != ["main"]:  # `x.f(y)` is f(x, y)
            given = [{"class": "COLUMN_REF", "column_names": owner}, *given]
        if name in MAPPING | KEEPING | REDUCING and given:
            return self._over_elements(name, given, place)
        arguments = [self._parts(argument, place) for argument in given]
        beside = self._parts({n: p for n, p in part.items() if n not in ("arguments", "qualified_name", "type", "class")}, place)
        whole = _together(arguments)
        spent = replace(whole, weight=least(whole.weight + beside.weight + 1), built=least(whole.built + beside.built), item=0)
        return grown(name, spent, given, arguments) or (replace(spent, total=1) if name in SMALL else spent)

    def _over_elements(self, name: str, given: list[Tree], place: Place) -> Extent:
        """A function of a list and a lambda: the lambda is paid for each element."""
        items = self._parts(given[0], place)
        inner = replace(place, column=max(place.column, items.item or items.total))
        bodies = _together([self._parts(argument["expr"], inner) for argument in given[1:] if argument["class"] == "LAMBDA"])
        others = _together([self._parts(argument, place) for argument in given[1:] if argument["class"] != "LAMBDA"])
        if name in REDUCING and bodies.total > max(inner.column, others.total):
            raise QueryRefused(detail=f"{name} may not build texts or lists in a query; array_to_string joins texts.")
        whole = _together([items, bodies, others])
        built = least(whole.built + items.length * (bodies.built + bodies.total))
        spent = replace(whole, built=built, weight=whole.weight + 1, item=0)
        if name in KEEPING:
            return replace(spent, total=items.total, item=items.item)
        if name in MAPPING:
            return replace(spent, total=least(items.length * bodies.total), item=bodies.total)
        return replace(spent, total=least(items.total * bodies.total))


def _column(names: list[str], place: Place) -> Extent:
    """A column, or an alias of the same select list, which DuckDB writes out wherever it is named."""
    alias = place.aliases.get(fold(names[-1]))
    if alias is None:
        return Extent(total=place.column)
    return replace(alias, total=max(place.column, alias.total), weight=alias.weight + 1)


def _together(extents: list[Extent]) -> Extent:
    return Extent(
        total=least(sum(e.total for e in extents)),
        built=least(sum(e.built for e in extents)),
        weight=least(sum(e.weight for e in extents)),
        width=max((e.width for e in extents), default=1),
    )


def _heavier(extent: Extent) -> Extent:
    return replace(extent, weight=extent.weight + 1)


def _stacked(sources: list[Source]) -> Source:
    return Source(
        total=max(s.total for s in sources),
        built=least(sum(s.built for s in sources)),
        weight=least(sum(s.weight for s in sources)),
        width=max(s.width for s in sources),
    )


def _of(extent: Extent, *, width: int) -> Source:
    return Source(extent.total, extent.built, extent.weight, width)


def _with_cte(place: Place, name: str, source: Source) -> Place:
    return replace(place, ctes={**place.ctes, fold(name): replace(source, weight=source.weight + 1)})


def _checked(source: Source) -> Source:
    if source.built > MOST_BUILT:
        raise QueryRefused(detail=f"The query could build more than {MOST_BUILT} characters or elements for one row.")
    if source.weight > MOST_BOUND or source.width > MOST_BOUND:
        raise QueryRefused(detail=f"The query has more than {MOST_BOUND} expressions, once its aliases, stars and CTEs are written out.")
    return source
