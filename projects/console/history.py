"""A row's history, out of the change feed: who changed which of its fields, and when."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from projects.fields import json_text
from projects.rows import read_json
from projects.store import feed
from projects.store.books import LiveTable
from projects.store.connection import Store

AT_ONCE = 20  # entries
WORDS = {"create": "created", "replace": "replaced", "patch": "changed", "delete": "deleted", "load": "loaded"}


@dataclass(frozen=True, slots=True)
class Value:
    """A value in words; `is_void` where there is null, or nothing."""

    text: str
    is_void: bool = False


@dataclass(frozen=True, slots=True)
class Changed:
    """One field, before and after; None where the row was not there."""

    name: str
    before: Value | None
    after: Value | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one write did to the row."""

    seq: int
    at: str
    actor: str
    words: str
    job: str | None
    fields: list[Changed]


@dataclass(frozen=True, slots=True)
class History:
    """Entries, the latest first. `older` is where the next ones begin, None at the end; `forgotten` that some are kept no longer."""

    entries: list[Entry]
    older: int | None
    forgotten: bool


def of_row(store: Store, live: LiveTable, key: str, before: int | None = None) -> History:
    """What became of the row of that key, before a number of the feed or up to now."""
    told, forgotten = feed.of_row(store, live, key, before, AT_ONCE + 1)
    entries = [_entry(json.loads(one.text), read_json(one.text.encode())) for one in told[:AT_ONCE]]
    return History(entries, entries[-1].seq if len(told) > AT_ONCE else None, forgotten > 0)


def _entry(plain: Mapping[str, Any], exact: Mapping[str, Any]) -> Entry:
    op, before, after = plain["op"], exact["before"], exact["after"]
    words = WORDS.get(op, op)
    return Entry(
        seq=plain["seq"], at=plain["at"], actor=plain["actor"], words=words, job=plain["job"], fields=list(_changed(before, after))
    )


def _changed(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Iterator[Changed]:
    for name in after or before or {}:
        old, new = _value(before, name), _value(after, name)
        if old != new:
            yield Changed(name, old, new)


def _value(row: Mapping[str, Any] | None, name: str) -> Value | None:
    """The value of a field, None where there is no row."""
    if row is None:
        return None
    value = row.get(name)
    if value is None or value == "":
        return Value("null" if value is None else "empty", is_void=True)
    return Value(value if isinstance(value, str) else json_text(value))
