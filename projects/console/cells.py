"""A value of a table as a page shows it."""

import json
from dataclasses import dataclass
from typing import Self

from projects.store.grid import LONGEST
from schema_registry.schema import ColumnSchema

SHORT = 120  # characters that stand in a line; the title has more


@dataclass(frozen=True, slots=True)
class Cell:
    """`kind` is text, number, code or list, `is_void` that there is null or nothing. `href` is where it leads.

    `title` is the whole where `text` is not all of it.
    """

    text: str
    kind: str
    title: str = ""
    href: str = ""
    is_outside: bool = False  # It leads to another host.
    is_void: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether there is its text and nothing else, as there mostly is."""
        return not (self.title or self.href or self.is_void)

    @classmethod
    def of(cls, column: ColumnSchema, value: str | None, href: str = "", *, short: int = SHORT) -> Self:
        """A value of which so many characters stand in `text`."""
        if value is None:
            return cls("null", kind_of(column), is_void=True)
        if value == "":
            return cls("empty", kind_of(column), is_void=True)
        text = readable(column, value)
        title = value if text != value or len(text) > short else ""
        outside = "" if href else address_in(column, value)
        cut = f"{text[:short]}…" if len(text) > short else text
        return cls(cut, kind_of(column), shortened(title), href or outside, bool(outside))


def kind_of(column: ColumnSchema) -> str:
    """How a column's values stand: numbers to the right, documents in a narrow letter."""
    if column.multivalued:
        return "list"
    if column.type.is_number:
        return "number"
    return "code" if column.type.base in ("JSON", "UUID", "BLOB") else "text"


def readable(column: ColumnSchema, value: str) -> str:
    """A cell as a person reads it: a list by its elements, a time with a space in it; its head says that it is UTC."""
    if column.multivalued:
        return _elements(value)
    if column.type.base in ("TIMESTAMP", "TIMESTAMPTZ"):
        return value.replace("T", " ").removesuffix("Z")
    return value


def _elements(value: str) -> str:
    try:
        return ", ".join(e if isinstance(e, str) else json.dumps(e, ensure_ascii=False) for e in json.loads(value, parse_float=str)) or "[]"
    except ValueError:  # It was cut.
        return value


def shortened(text: str) -> str:
    return f"{text[:LONGEST]}…" if len(text) > LONGEST else text


def address_in(column: ColumnSchema, value: str) -> str:
    """The value, where it is an address that a browser may follow."""
    is_one = column.type.base == "VARCHAR" and not column.multivalued and value.lower().startswith(("http://", "https://"))
    return value if is_one and len(value) <= LONGEST and not any(c.isspace() for c in value) else ""
