"""Whether a new schema keeps the promise that was made to those who read a table: `broken(mode, old, new)`, pure.

The modes are those of Confluent's schema registry, carried over from messages to the rows of a table:
- BACKWARD: a reader that knows the new schema can read every row that the old schema allows.
- FORWARD: a reader that knows the old schema can read every row that the new one allows.
- FULL: both. NONE: nothing is promised.
The plain modes compare with the last version, those that end in _TRANSITIVE with every earlier one.

A reader finds a column by its name, takes the default of its own schema where the column is not there, and ignores what it does not
know. It counts on types, units, rules, the key and unique rules. It knows what a column was called before, and not what it will be
called; the store answers a table's old name. A column that the new schema adds and generates is filled in by the store; of one that
it takes away nobody can make up the values.
Source of the modes: https://docs.confluent.io/platform/current/schema-registry/fundamentals/schema-evolution.html
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from schema_registry.diff import Change, Pair, diff, paired
from schema_registry.schema import TableSchema

BACKWARD, FORWARD = "BACKWARD", "FORWARD"

# The rules of each mode, and whether it looks at every earlier version.
MODES: dict[str, tuple[tuple[str, ...], bool]] = {
    "NONE": ((), False),
    "BACKWARD": ((BACKWARD,), False),
    "FORWARD": ((FORWARD,), False),
    "FULL": ((BACKWARD, FORWARD), False),
    "BACKWARD_TRANSITIVE": ((BACKWARD,), True),
    "FORWARD_TRANSITIVE": ((FORWARD,), True),
    "FULL_TRANSITIVE": ((BACKWARD, FORWARD), True),
}


@dataclass(frozen=True, slots=True)
class Breach:
    """A promise that is not kept: the rule (BACKWARD or FORWARD), the column as the reader knows it, and a sentence."""

    rule: str
    column: str | None
    detail: str


@dataclass(frozen=True, slots=True)
class _Fault:
    """What a kind of change from the rows' schema to the reader's means to the reader.

    It is one where the change lets less in, or gives values another meaning, `always` whatever its class.
    """

    sentence: str
    always: bool = False
    rules: tuple[str, ...] = (BACKWARD, FORWARD)


_FEWER = ("strengthening", "destructive", "meaning")  # the classes after which not every old value is as good as before

# Every kind of change from the rows' schema to the reader's; None where the reader does not mind.
FAULTS: dict[str, _Fault | None] = {
    "create_table": None,
    "drop_table": None,
    "rename_table": None,
    "add_column": _Fault("A reader of the {reader} schema needs a value in {column}, which rows of the {rows} one do not have."),
    "drop_column": None,
    "rename_column": _Fault(
        "A reader of the {reader} schema looks for {column}, which rows of the {rows} one have as {before}.", always=True, rules=(FORWARD,)
    ),
    "change_type": _Fault(
        "A reader of the {reader} schema takes {column} as {after}, which not every {before} of a row of the {rows} one is."
    ),
    "change_multivalued": _Fault(
        "A reader of the {reader} schema takes {column} as {after}, and rows of the {rows} one have {before}.", always=True
    ),
    "set_required": _Fault("A reader of the {reader} schema needs a value in {column}, and rows of the {rows} one may have none."),
    "set_optional": None,
    "set_enum": _Fault("A reader of the {reader} schema knows only {after} in {column}, and rows of the {rows} one may hold anything."),
    "drop_enum": None,
    "add_enum_value": None,
    "remove_enum_value": _Fault(
        "A reader of the {reader} schema does not know {before} in {column}, which rows of the {rows} one may hold."
    ),
    "reorder_enum": None,
    "set_default": None,
    "change_bounds": _Fault("A reader of the {reader} schema takes {column} within {after}, and rows of the {rows} one may hold {before}."),
    "change_length": _Fault(
        "A reader of the {reader} schema takes at most {after} characters in {column}, and rows of the {rows} one may hold {before}."
    ),
    "change_pattern": _Fault(
        "A reader of the {reader} schema takes only what fits {after} in {column}, and rows of the {rows} one may hold {before}."
    ),
    "change_unit": _Fault("A reader of the {reader} schema takes {column} in {after}, and rows of the {rows} one have it in {before}."),
    "change_generated": None,
    "change_reference": None,
    "change_description": None,
    "change_id": None,
    "change_deprecated": None,
    "change_hint": None,
    "change_document": None,
    "change_key": _Fault("A reader of the {reader} schema tells rows apart by {after}, and rows of the {rows} one have the key {before}."),
    "add_unique": _Fault("A reader of the {reader} schema counts on no two rows with the same {after}, and the {rows} one lets them be."),
    "drop_unique": None,
}


def broken(mode: str, old: Sequence[TableSchema], new: TableSchema) -> list[Breach]:
    """The promises of the mode (a name in MODES) that the new schema does not keep; `old` has the earlier ones, the last version first."""
    rules, transitive = MODES[mode]
    compared = old if transitive else old[:1]
    found = [breach for earlier in compared for rule in rules for breach in _breaches(rule, earlier, new)]
    return list(dict.fromkeys(found))


def _breaches(rule: str, old: TableSchema, new: TableSchema) -> Iterator[Breach]:
    for change in _way_to_the_reader(rule, old, new):
        fault = FAULTS[change.kind]
        if fault and rule in fault.rules and (fault.always or change.change_class in _FEWER):
            yield Breach(rule, change.column, _said(fault, change, rule))


def _way_to_the_reader(rule: str, old: TableSchema, new: TableSchema) -> list[Change]:
    """The changes from the schema of the rows to that of the reader; which column is which is what the new schema says."""
    pairs = paired(old, new)
    if rule == BACKWARD:
        return diff(old, new, pairs)
    asked = replace(old, columns=tuple(replace(column, generated=None) for column in old.columns))
    return diff(new, asked, [Pair(pair.wanted, pair.live) for pair in pairs])


def _said(fault: _Fault, change: Change, rule: str) -> str:
    reader, rows = ("new", "old") if rule == BACKWARD else ("old", "new")
    before, after = (text or "anything" for text in (change.before, change.after))
    return fault.sentence.format(reader=reader, rows=rows, column=change.column, before=before, after=after)
