"""Names that look alike: what a person may want to call a rename, where neither a hint nor an id says so. Only ever a suggestion."""

from dataclasses import dataclass
from difflib import SequenceMatcher

from schema_registry.diff import paired
from schema_registry.schema import ColumnSchema, TableSchema
from schema_registry.types import FLOATS, TEMPORALS

LIKELY = 0.6  # of 1, which is the same name; Python's documentation calls 0.6 a close match


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A new column that may be an old one under another name; `likeness` is from 0.6 to 1."""

    column: str
    renamed_from: str
    likeness: float


def suggestions(live: TableSchema, wanted: TableSchema) -> list[Suggestion]:
    """The likeliest pairs of a column that goes and one that comes, of kindred types; each column in one at the most."""
    pairs = paired(live, wanted)
    going = [c for c in live.columns if c.name not in {pair.live.name for pair in pairs}]
    coming = [c for c in wanted.columns if c.name not in {pair.wanted.name for pair in pairs}]
    found = [Suggestion(new.name, old.name, round(_likeness(old, new), 2)) for old in going for new in coming if _are_kindred(old, new)]
    taken: set[str] = set()
    best = []
    for one in sorted(found, key=lambda s: (-s.likeness, s.column, s.renamed_from)):
        if one.likeness >= LIKELY and not {f"new {one.column}", f"old {one.renamed_from}"} & taken:
            taken |= {f"new {one.column}", f"old {one.renamed_from}"}
            best.append(one)
    return best


def _likeness(old: ColumnSchema, new: ColumnSchema) -> float:
    """Of the names without what stands between their words; a name inside the other is as good as a close match."""
    one, other = (name.casefold().replace("_", "").replace(" ", "") for name in (old.name, new.name))
    ratio = SequenceMatcher(None, one, other).ratio()
    shorter = min(one, other, key=len)
    return max(ratio, LIKELY) if len(shorter) >= 3 and shorter in (one if shorter == other else other) else ratio


def _are_kindred(old: ColumnSchema, new: ColumnSchema) -> bool:
    return _family(old) == _family(new)


def _family(column: ColumnSchema) -> tuple[str, bool]:
    base = column.type.base
    if column.type.is_number or base in FLOATS:
        return "number", column.multivalued
    return "time" if base in TEMPORALS else base, column.multivalued
