"""What has to change for a live schema to become the wanted one: `diff(live, wanted)`, pure and total.

`diff` of two schemas is empty exactly when their fingerprints are equal.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from schema_registry import literals
from schema_registry.schema import ColumnSchema, TableSchema
from schema_registry.types import FLOATS, ColumnType, is_widening

ChangeClass = Literal["additive", "metadata", "rename", "strengthening", "destructive", "meaning"]

# What each kind says to people; {column} is its name in the wanted schema, or in the live one where it goes.
_SENTENCES = {
    "create_table": "Create the table {after}.",
    "drop_table": "Drop the table {before} with all its rows.",
    "rename_table": "Rename the table {before} to {after}.",
    "add_column": "Add the column {column} ({after}).",
    "drop_column": "Drop the column {column} ({before}) with all its values.",
    "rename_column": "Rename the column {before} to {after}.",
    "change_type": "Change the type of {column} from {before} to {after}.",
    "change_multivalued": "Change {column} from {before} to {after}.",
    "set_required": "Require a value in {column}.",
    "set_optional": "Let {column} be empty.",
    "set_enum": "Let {column} hold only {after}.",
    "drop_enum": "Let {column} hold any value; it held only {before}.",
    "add_enum_value": "Let {column} hold {after} too.",
    "remove_enum_value": "Let {column} hold {before} no longer.",
    "reorder_enum": "List the values of {column} in another order.",
    "set_default": "Change the default of {column} from {before} to {after}.",
    "change_bounds": "Change the bounds of {column} from {before} to {after}.",
    "change_length": "Change the longest text in {column} from {before} to {after} characters.",
    "change_pattern": "Change the pattern of {column} from {before} to {after}.",
    "change_unit": "Change the unit of {column} from {before} to {after}.",
    "change_generated": "Change what fills in {column} from {before} to {after}.",
    "change_reference": "Change what {column} refers to from {before} to {after}.",
    "change_description": "Change the description of {what}.",
    "change_id": "Change the id of {what} from {before} to {after}.",
    "change_deprecated": "Change {column} from {before} to {after}.",
    "change_hint": "Change the old name that {column} is said to have had from {before} to {after}.",
    "change_document": "Take the table from the document {after}, no longer from {before}.",
    "change_key": "Change the key from {before} to {after}.",
    "add_unique": "Let no two rows have the same {after}.",
    "drop_unique": "Let rows have the same {before}.",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `column` is the wanted schema's name, or the live one's where it goes; `before` and `after` are texts."""

    kind: str
    change_class: ChangeClass
    column: str | None = None
    before: str | None = None
    after: str | None = None

    @property
    def sentence(self) -> str:
        """The change in words."""
        said = {"before": _said(self.before), "after": _said(self.after)}
        return _SENTENCES[self.kind].format(column=self.column, what=self.column or "the table", **said)


@dataclass(frozen=True, slots=True)
class Pair:
    """A column of the live schema and the one that it becomes."""

    live: ColumnSchema
    wanted: ColumnSchema


def diff(live: TableSchema | None, wanted: TableSchema | None, pairs: Sequence[Pair] | None = None) -> list[Change]:
    """The changes from one schema to another, in a fixed order: the table, its columns, then its key and unique rules.

    None stands for a table that is not there. `pairs` says which column becomes which where that is known, as for the way back.
    """
    if live is None or wanted is None:
        return _whole_table(live, wanted)
    if pairs is None:
        pairs = paired(live, wanted)
    return [*_table_changes(live, wanted), *_column_changes(live, wanted, pairs), *_rule_changes(live, wanted, pairs)]


def paired(live: TableSchema, wanted: TableSchema) -> list[Pair]:
    """Which live column becomes which, in the wanted order: by `renamed_from`, else by the same id, else by the same name.

    A hint counts only while the live table has the old name and not the new one; an id only where it stands once in each.
    """
    pairs: dict[str, Pair] = {}
    taken: set[str] = set()
    for match in (_by_hint, _by_id, _by_name):
        for column in wanted.columns:
            found = match(live, wanted, column) if column.name not in pairs else None
            if found and found.name not in taken:
                pairs[column.name] = Pair(found, column)
                taken.add(found.name)
    return [pairs[column.name] for column in wanted.columns if column.name in pairs]


def _by_hint(live: TableSchema, wanted: TableSchema, column: ColumnSchema) -> ColumnSchema | None:
    return live.column(column.renamed_from) if column.renamed_from and live.column(column.name) is None else None


def _by_id(live: TableSchema, wanted: TableSchema, column: ColumnSchema) -> ColumnSchema | None:
    if column.id is None or sum(c.id == column.id for c in wanted.columns) > 1:
        return None
    same = [c for c in live.columns if c.id == column.id]
    return same[0] if len(same) == 1 else None


def _by_name(live: TableSchema, wanted: TableSchema, column: ColumnSchema) -> ColumnSchema | None:
    return live.column(column.name)


def _whole_table(live: TableSchema | None, wanted: TableSchema | None) -> list[Change]:
    if wanted:
        return [Change("create_table", "additive", after=wanted.name)]
    return [Change("drop_table", "destructive", before=live.name)] if live else []


def _table_changes(live: TableSchema, wanted: TableSchema) -> Iterator[Change]:
    if live.name != wanted.name:
        yield Change("rename_table", "rename", before=live.name, after=wanted.name)
    if live.description != wanted.description:
        yield Change("change_description", "metadata", None, live.description, wanted.description)
    if live.id != wanted.id:
        yield Change("change_id", "metadata", None, live.id, wanted.id)
    if live.document_id != wanted.document_id:
        yield Change("change_document", "metadata", None, live.document_id, wanted.document_id)


def _column_changes(live: TableSchema, wanted: TableSchema, pairs: Sequence[Pair]) -> Iterator[Change]:
    by_wanted = {pair.wanted.name: pair for pair in pairs}
    kept = {pair.live.name for pair in pairs}
    for column in live.columns:
        if column.name not in kept:
            yield Change("drop_column", "destructive", column.name, before=column.sql_type)
    for column in wanted.columns:
        pair = by_wanted.get(column.name)
        if pair is None:
            yield Change("add_column", _class_of_added(column), column.name, after=column.sql_type)
            continue
        for compare in _COMPARISONS:
            yield from compare(pair.live, column)


def _class_of_added(column: ColumnSchema) -> ChangeClass:
    """The rows that are there get the default, or what is generated, or nothing; only where they need a value are they in the way."""
    filled = not column.required or column.default is not None or column.generated is not None
    return "additive" if filled else "strengthening"


def _name_changes(old: ColumnSchema, new: ColumnSchema) -> Iterator[Change]:
    if old.name != new.name:
        yield Change("rename_column", "rename", new.name, old.name, new.name)


def _type_changes(old: ColumnSchema, new: ColumnSchema) -> Iterator[Change]:
    if old.type != new.type:
        yield Change("change_type", _class_of_cast(old.type, new.type), new.name, str(old.type), str(new.type))
    if old.multivalued != new.multivalued:
        shapes = ("a list", "a single value") if old.multivalued else ("a single value", "a list")
        yield Change("change_multivalued", "destructive" if old.multivalued else "additive", new.name, *shapes)


def _class_of_cast(old: ColumnType, new: ColumnType) -> ChangeClass:
    if is_widening(old, new):
        return "additive"
    return "strengthening" if _keeps_or_fails(old, new) else "destructive"


def _keeps_or_fails(old: ColumnType, new: ColumnType) -> bool:
    """Whether DuckDB's cast keeps every value or fails, never rounds or cuts one.

    It rounds decimals to a smaller scale and texts to numbers, and cuts a time from a timestamp:
    https://duckdb.org/docs/stable/sql/data_types/typecasting
    """
    if new.base == "VARCHAR":
        return old.base not in (*FLOATS, "BLOB")
    if old.base == "VARCHAR":
        return new.base in ("JSON", "UUID", "BOOLEAN")
    if old.is_number and new.is_number:
        exact = {old.base, new.base}.isdisjoint(FLOATS)
        return exact and (old.scale <= new.scale)
    return (old.base, new.base) in (
        ("DATE", "TIMESTAMP"),
        ("DATE", "TIMESTAMPTZ"),
        ("TIMESTAMP", "TIMESTAMPTZ"),
        ("TIMESTAMPTZ", "TIMESTAMP"),
    )


def _value_changes(old: ColumnSchema, new: ColumnSchema) -> Iterator[Change]:
    if old.required != new.required:
        yield Change("set_required", "strengthening", new.name) if new.required else Change("set_optional", "additive", new.name)
    yield from _enum_changes(old, new)
    if _bounds(old) != _bounds(new):
        looser = _reaches(old, new, "minimum") and _reaches(old, new, "maximum")
        yield Change("change_bounds", "additive" if looser else "strengthening", new.name, _bounds(old), _bounds(new))
    if old.max_length != new.max_length:
        longer = new.max_length is None or (old.max_length is not None and new.max_length > old.max_length)
        yield Change("change_length", "additive" if longer else "strengthening", new.name, _text(old.max_length), _text(new.max_length))
    if old.pattern != new.pattern:
        yield Change("change_pattern", "strengthening" if new.pattern else "additive", new.name, old.pattern, new.pattern)


def _enum_changes(old: ColumnSchema, new: ColumnSchema) -> Iterator[Change]:
    before, after = _as_cells(old, new.type), new.enum
    if before == after:
        return
    if before is None:
        yield Change("set_enum", "strengthening", new.name, after=", ".join(after or ()))
    elif after is None:
        yield Change("drop_enum", "additive", new.name, before=", ".join(before))
    else:
        yield from (Change("remove_enum_value", "strengthening", new.name, before=value) for value in before if value not in after)
        yield from (Change("add_enum_value", "additive", new.name, after=value) for value in after if value not in before)
        if [value for value in before if value in after] != [value for value in after if value in before]:
            yield Change("reorder_enum", "metadata", new.name, ", ".join(before), ", ".join(after))


def _as_cells(old: ColumnSchema, new_type: ColumnType) -> tuple[str, ...] | None:
    """The old enum as the new type writes it, so that 1.50 and 1.500 are one value."""
    if old.enum is None or old.type == new_type or not new_type.is_number:
        return old.enum
    try:
        return tuple(literals.cell(new_type, value) for value in old.enum)
    except literals.BadLiteral:
        return old.enum


def _bounds(column: ColumnSchema) -> str | None:
    """`0..100`, a side without a bound left empty."""
    if column.minimum is None and column.maximum is None:
        return None
    return f"{column.minimum or ''}..{column.maximum or ''}"


def _reaches(old: ColumnSchema, new: ColumnSchema, side: Literal["minimum", "maximum"]) -> bool:
    """Whether every value that the old bound let in is let in by the new one."""
    before, after = getattr(old, side), getattr(new, side)
    if after is None or before == after:
        return True
    if before is None or old.type.is_number != new.type.is_number or (old.type.base == "TIME") != (new.type.base == "TIME"):
        return False
    was, is_now = literals.ordered(old.type, before), literals.ordered(new.type, after)
    return bool(is_now <= was if side == "minimum" else is_now >= was)


def _meaning_changes(old: ColumnSchema, new: ColumnSchema) -> Iterator[Change]:
    if old.unit != new.unit:
        other = bool(old.unit and new.unit and old.type.is_number)
        yield Change("change_unit", "meaning" if other else "metadata", new.name, old.unit, new.unit)
    for kind, attribute in _METADATA:
        before, after = getattr(old, attribute), getattr(new, attribute)
        if before != after:
            yield Change(kind, "metadata", new.name, before, after)
    if old.deprecated != new.deprecated:
        words = ("in use", "deprecated")
        yield Change("change_deprecated", "metadata", new.name, words[old.deprecated], words[new.deprecated])


def _rule_changes(live: TableSchema, wanted: TableSchema, pairs: Sequence[Pair]) -> Iterator[Change]:
    """The key's and the unique rules' changes; a rule whose columns were only renamed stays the same rule."""
    names = {pair.live.name: pair.wanted.name for pair in pairs}
    key = tuple(names.get(column.name, f"{column.name} (dropped)") for column in live.key_columns)
    if key != tuple(column.name for column in wanted.key_columns):
        yield Change("change_key", "strengthening", None, ", ".join(live.primary_key), ", ".join(wanted.primary_key))
    before = [tuple(sorted(names.get(name, f"{name} (dropped)") for name in rule)) for rule in _rules(live)]
    after = [tuple(sorted(rule)) for rule in _rules(wanted)]
    yield from (Change("drop_unique", "additive", None, before=", ".join(rule)) for rule in before if rule not in after)
    yield from (Change("add_unique", "strengthening", None, after=", ".join(rule)) for rule in after if rule not in before)


def _rules(schema: TableSchema) -> list[tuple[str, ...]]:
    """The unique rules with the names as the columns spell them."""
    found = [[schema.column(name) for name in rule] for rule in schema.unique]
    return [tuple(column.name for column in rule if column) for rule in found]


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)


def _said(text: str | None) -> str:
    return "none" if text is None else text or "nothing"


_METADATA = (
    ("set_default", "default"),
    ("change_generated", "generated"),
    ("change_reference", "references"),
    ("change_description", "description"),
    ("change_id", "id"),
    ("change_hint", "renamed_from"),
)
_Comparison = Callable[[ColumnSchema, ColumnSchema], Iterator[Change]]
_COMPARISONS: tuple[_Comparison, ...] = (_name_changes, _type_changes, _value_changes, _meaning_changes)
