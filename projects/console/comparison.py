"""Two schemas side by side, column by column; and two documents, line by line. Plain values, all pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from projects.console.columns import Rule, rules
from schema_registry.diff import Change, diff, paired
from schema_registry.schema import ColumnSchema, TableSchema

CONTEXT = 3  # lines shown around those that differ
MOST_LINES = 2_000  # of a comparison; the rest is told by its number


@dataclass(frozen=True, slots=True)
class Facet:
    """One thing that is said of a column, and whether the other side does not say it."""

    text: str
    differs: bool


@dataclass(frozen=True, slots=True)
class Side:
    """A column as one schema has it."""

    name: str
    facets: tuple[Facet, ...]
    renamed: bool = False


@dataclass(frozen=True, slots=True)
class Pairing:
    """A column of the one schema beside that of the other, and what has to change. `state` is same, changed, added, dropped or renamed."""

    state: str
    before: Side | None
    after: Side | None
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that differs between two schemas. `table` are the changes that are no column's; `classes` counts the changes of each class."""

    changes: tuple[Change, ...]
    table: tuple[Change, ...]
    columns: tuple[Pairing, ...]
    classes: dict[str, int] = field(default_factory=dict)


def compared(before: TableSchema, after: TableSchema) -> Comparison:
    """What has to change for the one schema to become the other."""
    changes = tuple(diff(before, after))
    classes: dict[str, int] = {}
    for change in changes:
        classes[change.change_class] = classes.get(change.change_class, 0) + 1
    table = tuple(change for change in changes if change.column is None)
    return Comparison(changes, table, tuple(_pairings(before, after, changes)), classes)


def _pairings(before: TableSchema, after: TableSchema, changes: Sequence[Change]) -> list[Pairing]:
    """The columns in the new order, each dropped one after the column that it stood behind."""
    olds = {pair.wanted.name: pair.live for pair in paired(before, after)}
    found = [_pairing(before, after, olds.get(c.name), c, changes) for c in after.columns]
    kept = {old.name for old in olds.values()}
    for place, column in enumerate(before.columns):
        if column.name not in kept:
            names = [one.before.name if one.before else None for one in found]
            above = names.index(before.columns[place - 1].name) + 1 if place else 0
            found.insert(above, _pairing(before, after, column, None, changes))
    return found


def _pairing(
    before: TableSchema, after: TableSchema, old: ColumnSchema | None, new: ColumnSchema | None, changes: Sequence[Change]
) -> Pairing:
    name = new.name if new else old.name if old else ""
    is_drop = new is None
    own = tuple(c for c in changes if c.column == name and (c.kind == "drop_column") == is_drop)
    left, right = facets(before, old) if old else [], facets(after, new) if new else []
    is_renamed = bool(old and new and old.name != new.name)
    sides = (
        Side(old.name, _marked(left, right, alone=new is None), is_renamed) if old else None,
        Side(new.name, _marked(right, left, alone=old is None), is_renamed) if new else None,
    )
    state = (
        "added" if old is None else "dropped" if new is None else "renamed" if is_renamed else "changed" if own or left != right else "same"
    )
    return Pairing(state, *sides, own)


def _marked(said: Sequence[str], other: Sequence[str], *, alone: bool) -> tuple[Facet, ...]:
    return tuple(Facet(text, not alone and text not in other) for text in said)


def facets(schema: TableSchema, column: ColumnSchema) -> list[str]:
    """All that a schema says of a column, in a few words each."""
    said = [
        column.sql_type,
        "key" if column in schema.key_columns else "",
        "required" if column.required else "optional",
        f"default {column.default}" if column.default is not None else "",
        f"unit {column.unit}" if column.unit else "",
        *map(_words, rules(column)),
        "deprecated" if column.deprecated else "",
        column.description,
        f"means {column.id}" if column.id else "",
    ]
    return [text for text in said if text]


def _words(rule: Rule) -> str:
    return f"{rule.words} {rule.value}"


# Documents.


@dataclass(frozen=True, slots=True)
class Lines:
    """A line of each document beside the other, numbered from 1. `state` is same, changed, added or dropped; a gap leaves `hidden` out."""

    state: str
    number_before: int | None = None
    before: str = ""
    number_after: int | None = None
    after: str = ""
    hidden: int = 0


def lines(before: str, after: str) -> tuple[list[Lines], int]:
    """The lines that differ with some around them, and how many more there are than are shown."""
    left, right = before.split("\n"), after.split("\n")
    found: list[Lines] = []
    for group in SequenceMatcher(None, left, right, autojunk=len(left) + len(right) > MOST_LINES).get_grouped_opcodes(CONTEXT):
        start = found[-1].number_before or 0 if found else 0
        gap = group[0][1] - start
        found += [Lines("gap", hidden=gap)] if gap > 0 else []
        for kind, i1, i2, j1, j2 in group:
            found += _beside(kind, left, range(i1, i2), right, range(j1, j2))
    return found[:MOST_LINES], max(len(found) - MOST_LINES, 0)


_KINDS = {"equal": "same", "replace": "changed", "delete": "dropped", "insert": "added"}


def _beside(kind: str, left: Sequence[str], old: range, right: Sequence[str], new: range) -> Iterator[Lines]:
    for place in range(max(len(old), len(new))):
        i = old[place] if place < len(old) else None
        j = new[place] if place < len(new) else None
        state = "dropped" if j is None else "added" if i is None else _KINDS[kind]
        yield Lines(
            state,
            number_before=None if i is None else i + 1,
            before="" if i is None else left[i],
            number_after=None if j is None else j + 1,
            after="" if j is None else right[j],
        )
