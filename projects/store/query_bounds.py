"""What a SELECT would cost where no interrupt can reach: inside DuckDB's binder, and inside one call of a function.

Measured on DuckDB 2.0.0, each with an interrupt after 1 s: `repeat(b, 1000000)` took 31 s and 8 GB, for a call works on 2,048 rows before
anything is asked; `levenshtein` of two texts of 5,000 characters took 49 s; a chain of 20 CTEs that each name the one before twice, or of
25 column aliases that do, had not been bound after 40 s. So both are bounded from the tree alone, before it runs. A stored value counts as
one character, since nobody can know; from there on sizes are worked out, and DuckDB's memory limit stands behind.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from projects.errors import QueryRefused
from projects.store.query_functions import BY_NAME, SMALL, fold

MOST_BUILT = 20_000  # characters and list elements that functions may build for one row, all together
MOST_BOUND = 20_000  # expressions, once aliases, stars and CTEs are written out
_CEILING = 10**12  # beyond every bound; keeps the numbers small
_TABLE_WIDTH = 10  # columns, for a stored table

_REPEATING = frozenset({"repeat", "list_resize", "array_resize"})
_PADDING = frozenset({"lpad", "rpad"})
_COUNTING = frozenset({"range", "generate_series"})
_REPLACING = frozenset({"replace", "regexp_replace", "translate"})
_JOINING = BY_NAME | {"array_to_string", "list_string_agg"}
_BUILDING = frozenset({"||", "concat", "concat_ws", "list_concat", "list_cat", "array_concat", "array_cat", "json_object", "json_array"})
_FORMATTING = frozenset({"format", "printf"})
_ESCAPING = frozenset({"hex", "to_hex", "bin", "to_binary", "base64", "to_base64", "url_encode", "regexp_escape", "json_quote", "to_json"})
_ESCAPED = 8  # times longer, at worst: a byte as binary digits
_MAPPING = frozenset({"list_transform", "list_apply", "array_transform", "array_apply", "apply"})
_KEEPING = frozenset({"list_filter", "array_filter", "filter"})
_REDUCING = frozenset({"list_reduce", "array_reduce", "reduce"})
_QUADRATIC = frozenset({"levenshtein", "damerau_levenshtein", "editdist3", "jaccard", "jaro_similarity", "jaro_winkler_similarity"})
_CASTS_TO_TEXT = frozenset(
    "varchar text string char bpchar json blob bytea binary varbinary bit bitstring list array struct row map union".split()
)

Tree = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Extent:
    """What one expression comes to: its largest value, what building it takes, and its size for the binder."""

    total: int = 1  # characters or elements of one value
    item: int = 0  # the same of one element, where it is a list of known length; 0 where it is not
    built: int = 0  # characters and elements built on the way
    weight: int = 1  # expressions
    width: int = 1  # columns it makes, where a star stands in it

    @property
    def length(self) -> int:
        return -(-self.total // self.item) if self.item else self.total


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
        rest = self._parts({name: part for name, part in node.items() if name not in ("select_list", "from_table", "cte_map", "type")}, place)
        return Source(
            total=max((c.total for c in columns), default=1),
            built=_least(source.built + sum(c.built * c.width for c in columns) + rest.built),
            weight=_least(source.weight + sum(c.weight * c.width for c in columns) + rest.weight * rest.width),
            width=_least(sum(c.width for c in columns)),
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
        return Source(max(source.total, rest.total), source.built + rest.built, _least(source.weight + width * rest.weight), _least(width))

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
            case "CAST":
                return self._cast(part, place)
            case "OPERATOR":
                return self._operator(part, place)
            case "FUNCTION" | "WINDOW":
                return self._function(part, place)
        return _heavier(self._inside(part, place))

    def _inside(self, part: Tree, place: Place) -> Extent:
        return _together([self._parts(inner, place) for name, inner in part.items() if name not in ("qualified_name", "literal", "type_expr")])

    def _cast(self, part: Tree, place: Place) -> Extent:
        child = self._parts(part["child"], place)
        name = part.get("type_expr", {}).get("type_name", "").lower()
        if name not in _CASTS_TO_TEXT:
            return replace(_heavier(child), total=1, item=0)
        return replace(_heavier(child), total=_least(2 * child.total), item=2 * child.item)  # a quote becomes two characters

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
        if name in _MAPPING | _KEEPING | _REDUCING and given:
            return self._over_elements(name, given, place)
        arguments = [self._parts(argument, place) for argument in given]
        beside = self._parts({n: p for n, p in part.items() if n not in ("arguments", "qualified_name", "type", "class")}, place)
        whole = _together(arguments)
        spent = replace(whole, weight=_least(whole.weight + beside.weight + 1), built=_least(whole.built + beside.built), item=0)
        for names, rule in _RULES:
            if name in names:
                return _built(name, spent, rule(name, given, arguments))
        return replace(spent, total=1) if name in SMALL else spent

    def _over_elements(self, name: str, given: list[Tree], place: Place) -> Extent:
        """A function of a list and a lambda: the lambda is paid for each element."""
        items = self._parts(given[0], place)
        inner = replace(place, column=max(place.column, items.item or items.total))
        bodies = _together([self._parts(argument.get("expr", argument), inner) for argument in given[1:]])
        if name in _REDUCING and bodies.total > max(inner.column, items.total):
            raise QueryRefused(detail=f"{name} may not build texts or lists in a query; array_to_string joins texts.")
        whole = _together([items, bodies])
        built = _least(whole.built + items.length * (bodies.built + bodies.total))
        spent = replace(whole, built=built, weight=whole.weight + 1, item=0)
        if name in _KEEPING:
            return replace(spent, total=items.total, item=items.item)
        if name in _MAPPING:
            return replace(spent, total=_least(items.length * bodies.total), item=bodies.total)
        return replace(spent, total=_least(items.total * bodies.total))


# What functions that build make of their arguments: the largest value, and one element of it (0 where it is no list).

Made = tuple[int, int]


def _repeated(name: str, given: list[Tree], arguments: list[Extent]) -> Made:
    times = _whole(name, given, 1)
    return times * max((a.total for a in arguments[::2]), default=1), 0


def _padded(name: str, given: list[Tree], arguments: list[Extent]) -> Made:
    return max(arguments[0].total if arguments else 1, _whole(name, given, 1)), 0


def _counted(name: str, given: list[Tree], arguments: list[Extent]) -> Made:
    bounds = [_whole(name, given, n) for n in range(len(given))]
    start, stop, step = ([0, *bounds, 1] if len(bounds) == 1 else [*bounds, 1])[:3] if bounds else (0, 0, 1)
    return abs(stop - start) // max(1, abs(step)) + 1, 1


def _replaced(name: str, given: list[Tree], arguments: list[Extent]) -> Made:
    totals = [a.total for a in arguments[:3:2]]
    return (totals[0] * totals[1] if len(totals) == 2 else 1), 0


def _joined(name: str, given: list[Tree], arguments: list[Extent]) -> Made:
    separators = arguments[2:] if name in BY_NAME else arguments[1:]
    return (arguments[0].total if arguments else 1) * (1 + sum(a.total for a in separators)), 0


def _summed(name: str, given: list[Tree], arguments: list[Extent]) -> Made:
    separators = arguments[0].total * len(arguments) if name == "concat_ws" and arguments else 0
    return sum(a.total for a in arguments) + separators, max((a.item for a in arguments), default=0)


def _formatted(name: str, given: list[Tree], arguments: list[Extent]) -> Made:
    pattern = given[0].get("literal", {}) if given else {}
    if pattern.get("kind") != "STRING" or re.search(r"\*|\{[^}]*\{|\d{4}", pattern.get("text", "")):
        raise QueryRefused(detail=f"{name} takes its pattern as text in the query, with widths below 1000.")
    widths = sum(int(number) for number in re.findall(r"\d+", pattern["text"]))
    return sum(a.total for a in arguments) + widths, 0


def _escaped(name: str, given: list[Tree], arguments: list[Extent]) -> Made:
    return _ESCAPED * sum(a.total for a in arguments), 0


def _listed(name: str, given: list[Tree], arguments: list[Extent]) -> Made:
    return sum(a.total for a in arguments), max((a.total for a in arguments), default=1)


def _compared(name: str, given: list[Tree], arguments: list[Extent]) -> Made:
    product = 1
    for argument in arguments:
        product = _least(product * argument.total)
    if product > MOST_BUILT:
        raise _too_much(name)
    return 1, 0


_Rule = Callable[[str, list[Tree], list[Extent]], Made]
_RULES: tuple[tuple[frozenset[str], _Rule], ...] = (
    (_REPEATING, _repeated),
    (_PADDING, _padded),
    (_COUNTING, _counted),
    (_REPLACING, _replaced),
    (_JOINING, _joined),
    (_BUILDING, _summed),
    (_FORMATTING, _formatted),
    (_ESCAPING, _escaped),
    (frozenset({"list_value", "list_pack", "array_value"}), _listed),
    (_QUADRATIC, _compared),
)


def _built(name: str, spent: Extent, made: Made) -> Extent:
    total = _least(made[0])
    if total > MOST_BUILT:
        raise _too_much(name)
    return replace(spent, total=max(1, total), item=made[1], built=_least(spent.built + total))


def _too_much(name: str) -> QueryRefused:
    return QueryRefused(detail=f"{name} could build more than {MOST_BUILT} characters or elements for one row.")


def _whole(name: str, given: list[Tree], position: int) -> int:
    """An argument that must be a whole number written in the query."""
    part = given[position] if position < len(given) else {}
    sign = 1
    if part.get("class") == "FUNCTION" and part.get("function_name") == "-" and len(part.get("arguments", ())) == 1:
        sign, part = -1, part["arguments"][0]["expression"]
    value = part.get("literal", {})
    if value.get("kind") != "INTEGER" or not value.get("text", "").isdecimal():
        hint = " (FROM range(...) and FROM generate_series(...) take any bounds)" if name in _COUNTING else ""
        raise QueryRefused(detail=f"The size given to {name} must be a whole number written in the query{hint}.")
    return sign * _least(int(value["text"][:20]))


def _column(names: list[str], place: Place) -> Extent:
    """A column, or an alias of the same select list, which DuckDB writes out wherever it is named."""
    alias = place.aliases.get(fold(names[-1]))
    if alias is None:
        return Extent(total=place.column)
    return replace(alias, total=max(place.column, alias.total), weight=alias.weight + 1)


def _together(extents: list[Extent]) -> Extent:
    return Extent(
        total=_least(sum(e.total for e in extents)),
        built=_least(sum(e.built for e in extents)),
        weight=_least(sum(e.weight for e in extents)),
        width=max((e.width for e in extents), default=1),
    )


def _heavier(extent: Extent) -> Extent:
    return replace(extent, weight=extent.weight + 1)


def _stacked(sources: list[Source]) -> Source:
    return Source(
        total=max(s.total for s in sources),
        built=_least(sum(s.built for s in sources)),
        weight=_least(sum(s.weight for s in sources)),
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


def _least(number: int) -> int:
    return min(number, _CEILING)
