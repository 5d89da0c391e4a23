"""JSON documents without loss: every number keeps its digits, and what no database could keep is refused."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from schema_registry import pace

MAX_DEPTH = 50  # levels of lists and objects
MAX_VALUES = 250_000
MAX_EXPONENT = 5_000  # A number's power of ten; beyond it the digits would fill the memory.
_BREATH = 500  # values that are looked at without a break
_UNKEPT = re.compile("[\0\ud800-\udfff]")


class NotJson(ValueError):
    """The text is no JSON document; its own text says why."""


def read(text: str | bytes) -> Any:
    """The document in a JSON text, its decimal numbers as Decimal. Raises NotJson; a key given twice is refused too.

    What has too many values is refused before it is parsed: Python's parser lets no other thread run, and needs 100 bytes for each.
    """
    if _marks(text) > MAX_VALUES:
        raise NotJson(f"it has more than {MAX_VALUES} values, counted by their commas and opening brackets")
    try:
        return json.loads(text, parse_float=_exact, parse_constant=_refuse_constant, object_pairs_hook=_ObjectReader())
    except NotJson:
        raise
    except RecursionError:
        raise NotJson(f"it is nested more than {MAX_DEPTH} deep") from None
    except ValueError:
        raise NotJson("it is not JSON") from None


def write(value: object) -> str:
    """The compact JSON text of plain JSON values and Decimals, exactly. Raises NotJson for NaN and what is no JSON value."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_scalar(str(key))}:{write(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(write, value)) + "]"
    if isinstance(value, Decimal) and value.is_finite():
        return str(value)
    return _scalar(value)


def pretty(value: object, *, indent: str = "\n") -> str:
    """As `write`, on several lines for people."""
    deeper = indent + "  "
    if isinstance(value, dict) and value:
        return "{" + ",".join(f"{deeper}{_scalar(str(key))}: {pretty(item, indent=deeper)}" for key, item in value.items()) + indent + "}"
    if isinstance(value, list | tuple) and value:
        return "[" + ",".join(deeper + pretty(item, indent=deeper) for item in value) + indent + "]"
    return write(value)


def _marks(text: str | bytes) -> int:
    """At least as many as the text has values; those inside texts count too."""
    if isinstance(text, str):
        return text.count(",") + text.count("[") + text.count("{")
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def trouble(value: object) -> str | None:
    """Why a parsed JSON value cannot be kept (too deep, too large, text that is no text), or None."""
    for count, (depth, item) in enumerate(_walk(value)):
        if depth > MAX_DEPTH:
            return f"it is nested more than {MAX_DEPTH} deep"
        if count % _BREATH == _BREATH - 1:
            pace.breathe()
        if count > MAX_VALUES:
            return f"it has more than {MAX_VALUES} values"
        if isinstance(item, str) and (reason := _text_trouble(item)):
            return reason
    return None


def _walk(value: object) -> Iterator[tuple[int, object]]:
    """Every value and key with its depth; without recursion, so that no nesting can stop it."""
    waiting = [(0, value)]
    while waiting:
        depth, item = waiting.pop()
        yield depth, item
        if depth > MAX_DEPTH:
            continue
        if isinstance(item, dict):
            waiting += [(depth + 1, inner) for pair in item.items() for inner in pair]
        elif isinstance(item, list | tuple):
            waiting += [(depth + 1, inner) for inner in item]


def _text_trouble(text: str) -> str | None:
    found = _UNKEPT.search(text)
    if not found:
        return None
    return "a text in it has a NUL character" if found[0] == "\0" else "a text in it has half a surrogate pair"


def _scalar(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        raise NotJson("it has a value that JSON cannot write") from None


def _exact(text: str) -> Decimal:
    exponent = text.lower().partition("e")[2]
    if len(exponent) > 6 or abs(int(exponent or 0)) > MAX_EXPONENT:
        raise NotJson(f"it has a number beyond 10 to the {MAX_EXPONENT}")
    return Decimal(text)


def _refuse_constant(name: str) -> None:
    raise NotJson(f"it has {name}, which JSON does not know")


class _ObjectReader:
    """Makes one document's objects of their pairs."""

    def __init__(self) -> None:
        self._made = 0

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        self._made += 1
        if self._made % _BREATH == 0:
            pace.breathe()
        found = dict(pairs)
        if len(found) < len(pairs):
            raise NotJson("an object in it gives one key twice")
        return found
