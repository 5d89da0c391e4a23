"""How large a value each of DuckDB's functions can make, from the sizes of what it is given.

A value counts in characters or list elements. What is counted here is what DuckDB makes within one call, where no interrupt reaches it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from projects.errors import QueryRefused
from projects.store.query_functions import BY_NAME

MOST_BUILT = 20_000  # characters and list elements that functions may build for one row, all together
CEILING = 10**12  # beyond every bound; keeps the numbers small

_REPEATING = frozenset({"repeat", "list_resize", "array_resize"})
_PADDING = frozenset({"lpad", "rpad"})
_COUNTING = frozenset({"range", "generate_series"})
_REPLACING = frozenset({"replace", "regexp_replace", "translate"})
_JOINING = BY_NAME | {"array_to_string", "list_string_agg"}
_BUILDING = frozenset({"||", "concat", "concat_ws", "list_concat", "list_cat", "array_concat", "array_cat", "json_object", "json_array"})
_FORMATTING = frozenset({"format", "printf"})
_ESCAPING = frozenset({"hex", "to_hex", "bin", "to_binary", "base64", "to_base64", "url_encode", "regexp_escape", "json_quote", "to_json"})
_ESCAPED = 8  # times longer, at worst: a byte as binary digits
MAPPING = frozenset({"list_transform", "list_apply", "array_transform", "array_apply", "apply"})
KEEPING = frozenset({"list_filter", "array_filter", "filter"})
REDUCING = frozenset({"list_reduce", "array_reduce", "reduce"})
_QUADRATIC = frozenset({"levenshtein", "damerau_levenshtein", "editdist3", "jaccard", "jaro_similarity", "jaro_winkler_similarity"})

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
    places = re.findall(r"\{[^}]*" if name == "format" else r"%[^a-zA-Z%]*", pattern.get("text", ""))
    given_elsewhere = "{" if name == "format" else "*"  # a width that is itself an argument
    if pattern.get("kind") != "STRING" or any(re.search(r"\d{4}", place) or given_elsewhere in place[1:] for place in places):
        raise QueryRefused(detail=f"{name} takes its pattern as text in the query, with widths below 1000.")
    widths = sum(int(number) for place in places for number in re.findall(r"\d+", place))
    return sum(a.total for a in arguments) + widths, 0


def _escaped(name: str, given: list[Tree], arguments: list[Extent]) -> Made:
    return _ESCAPED * sum(a.total for a in arguments), 0


def _listed(name: str, given: list[Tree], arguments: list[Extent]) -> Made:
    return sum(a.total for a in arguments), max((a.total for a in arguments), default=1)


def _chosen(name: str, given: list[Tree], arguments: list[Extent]) -> Made:
    return max((a.total for a in arguments), default=1), 0


def _compared(name: str, given: list[Tree], arguments: list[Extent]) -> Made:
    product = 1
    for argument in arguments:
        product = least(product * argument.total)
    if product > MOST_BUILT:
        raise _too_much(name)
    return 1, 0


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
    return sign * least(int(value["text"][:20]))


def least(number: int) -> int:
    return min(number, CEILING)


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
    (frozenset({"greatest", "least", "nullif", "if"}), _chosen),
    (_QUADRATIC, _compared),
)


def grown(name: str, spent: Extent, given: list[Tree], arguments: list[Extent]) -> Extent | None:
    """What a function makes of its arguments, where it has a rule of its own; `spent` is what they took together.

    Raises QueryRefused where one value could be larger than MOST_BUILT, or its size cannot be told.
    """
    rule = next((rule for names, rule in _RULES if name in names), None)
    if rule is None:
        return None
    made, item = rule(name, given, arguments)
    if made > MOST_BUILT:
        raise _too_much(name)
    return replace(spent, total=max(1, made), item=item, built=least(spent.built + made))
