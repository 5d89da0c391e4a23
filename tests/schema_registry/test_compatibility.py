"""The compatibility modes: which kind of change keeps or breaks what readers of a table were promised."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projects.models import Compatibility
from schema_registry.compatibility import FAULTS, MODES, Breach, broken
from schema_registry.diff import diff
from schema_registry.schema import TableSchema
from tests.schema_registry.documents import column, parsed
from tests.schema_registry.test_diff import _schemas

BACKWARD, FORWARD = "BACKWARD", "FORWARD"
NONE, BOTH = set(), {BACKWARD, FORWARD}


def x(kind: str = "VARCHAR", **more: object) -> TableSchema:
    """A table of a key and the column x."""
    return parsed(column("x", kind, **more))


def number(**more: object) -> TableSchema:
    return x("INTEGER", **more)


def keyed(*key: str) -> TableSchema:
    return parsed(column("a", required=True), primary_key=list(key))


CASES = [
    # What is there at all.
    ("add_column", parsed(), x(), NONE),
    ("add_column", parsed(), x(required=True, default="a"), NONE),
    ("add_column", parsed(), x(required=True), {BACKWARD}),
    ("add_column", parsed(), x("TIMESTAMP", required=True, generated="updated"), NONE),
    ("drop_column", x(), parsed(), NONE),
    ("drop_column", x(required=True, default="a"), parsed(), NONE),
    ("drop_column", x(required=True), parsed(), {FORWARD}),
    ("drop_column", x("TIMESTAMP", required=True, generated="updated"), parsed(), {FORWARD}),
    ("rename_column", x(), parsed(column("y", renamed_from="x")), {FORWARD}),
    ("rename_column", x(id="urn:x"), parsed(column("y", id="urn:x")), {FORWARD}),
    ("rename_column", x("TIMESTAMP", generated="updated"), parsed(column("y", "TIMESTAMP", renamed_from="x")), {FORWARD}),
    ("rename_table", x(), replace(x(), name="objects"), NONE),
    # Types and units.
    ("change_type", number(), x("BIGINT"), {FORWARD}),
    ("change_type", x("BIGINT"), number(), {BACKWARD}),
    ("change_type", x("DECIMAL(5,2)"), x("DECIMAL(8,3)"), {FORWARD}),
    ("change_type", x("DECIMAL(5,2)"), x("DECIMAL(5,3)"), BOTH),
    ("change_type", number(), x(), BOTH),
    ("change_type", x("TIMESTAMP"), x("DATE"), BOTH),
    ("change_multivalued", number(), x("INTEGER[]"), BOTH),
    ("change_multivalued", x("INTEGER[]"), number(), BOTH),
    ("change_unit", number(unit="kW"), number(unit="W"), BOTH),
    ("change_unit", number(), number(unit="W"), NONE),
    # What a value may be.
    ("set_required", x(), x(required=True), {BACKWARD}),
    ("set_required", x(), x(required=True, default="a"), {BACKWARD}),
    ("set_optional", x(required=True), x(), {FORWARD}),
    ("set_enum", x(), x(enum=["a"]), {BACKWARD}),
    ("drop_enum", x(enum=["a"]), x(), {FORWARD}),
    ("add_enum_value", x(enum=["a"]), x(enum=["a", "b"]), {FORWARD}),
    ("remove_enum_value", x(enum=["a", "b"]), x(enum=["a"]), {BACKWARD}),
    ("reorder_enum", x(enum=["a", "b"]), x(enum=["b", "a"]), NONE),
    ("change_bounds", number(minimum=9), number(minimum=10), {BACKWARD}),
    ("change_bounds", number(minimum=10), number(minimum=9), {FORWARD}),
    ("change_bounds", number(minimum=1), number(maximum=9), BOTH),
    ("change_length", x(max_length=5), x(max_length=6), {FORWARD}),
    ("change_length", x(max_length=6), x(max_length=5), {BACKWARD}),
    ("change_length", x(), x(max_length=5), {BACKWARD}),
    ("change_length", x(max_length=5), x(), {FORWARD}),
    ("change_pattern", x(), x(pattern="a"), {BACKWARD}),
    ("change_pattern", x(pattern="a"), x(), {FORWARD}),
    ("change_pattern", x(pattern="a"), x(pattern="b"), BOTH),
    # What holds among rows.
    ("change_key", keyed("id"), keyed("id", "a"), BOTH),
    ("add_unique", x(), parsed(column("x"), unique=[["x"]]), {BACKWARD}),
    ("drop_unique", parsed(column("x"), unique=[["x"]]), x(), {FORWARD}),
    # What no reader minds.
    ("set_default", x(), x(default="a"), NONE),
    ("change_generated", x("UUID"), x("UUID", generated="uuid"), NONE),
    ("change_reference", x(), x(references="a.b"), NONE),
    ("change_description", x(), x(description="text"), NONE),
    ("change_id", x(), x(id="urn:x"), NONE),
    ("change_deprecated", x(), x(deprecated=True), NONE),
    ("change_hint", x(), x(renamed_from="old"), NONE),
    ("change_document", x(), replace(x(), document_id="another"), NONE),
]


def rules(breaches: list[Breach]) -> set[str]:
    return {breach.rule for breach in breaches}


@pytest.mark.parametrize(("kind", "old", "new", "wanted"), CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_kind_of_change_breaks_its_rules_and_no_other(kind, old, new, wanted):
    assert kind in {change.kind for change in diff(old, new)}
    assert rules(broken("BACKWARD", [old], new)) == wanted & {BACKWARD}
    assert rules(broken("FORWARD", [old], new)) == wanted & {FORWARD}
    assert rules(broken("FULL", [old], new)) == wanted
    assert broken("NONE", [old], new) == []
    for breach in broken("FULL", [old], new):
        assert breach.column == (None if kind in ("change_key", "add_unique", "drop_unique") else "x")
        assert breach.detail.endswith(".") and "None" not in breach.detail


def test_every_kind_of_change_is_tried_but_those_of_a_whole_table():
    assert {case[0] for case in CASES} == set(FAULTS) - {"create_table", "drop_table"}


def test_a_table_may_choose_exactly_the_modes_there_are():
    assert set(Compatibility.values) == set(MODES)


@pytest.mark.parametrize(
    ("mode", "old", "new", "said"),
    [
        ("BACKWARD", parsed(), x(required=True), "A reader of the new schema needs a value in x, which rows of the old one do not have."),
        ("FORWARD", x(required=True), parsed(), "A reader of the old schema needs a value in x, which rows of the new one do not have."),
        (
            "FORWARD",
            x(),
            parsed(column("y", renamed_from="x")),
            "A reader of the old schema looks for x, which rows of the new one have as y.",
        ),
        (
            "BACKWARD",
            x("BIGINT"),
            number(),
            "A reader of the new schema takes x as INTEGER, which not every BIGINT of a row of the old one is.",
        ),
        (
            "FORWARD",
            number(maximum=5),
            number(),
            "A reader of the old schema takes x within ..5, and rows of the new one may hold anything.",
        ),
        (
            "FORWARD",
            keyed("id"),
            keyed("a"),
            "A reader of the old schema tells rows apart by id, and rows of the new one have the key a.",
        ),
    ],
)
def test_a_breach_says_who_is_hurt_by_what(mode, old, new, said):
    assert said in [breach.detail for breach in broken(mode, [old], new)]


def test_a_swap_of_two_names_breaks_readers_that_know_the_old_ones():
    old = parsed(column("a", id="urn:1"), column("b", id="urn:2"))
    new = parsed(column("b", id="urn:1"), column("a", id="urn:2"))
    assert broken("BACKWARD", [old], new) == []
    assert {breach.column for breach in broken("FORWARD", [old], new)} == {"a", "b"}


def test_a_column_that_is_renamed_and_narrowed_is_compared_with_itself():
    new = parsed(column("y", "INTEGER", renamed_from="x"))
    assert [(b.rule, b.column) for b in broken("FULL", [x("BIGINT")], new)] == [(BACKWARD, "y"), (FORWARD, "x")]


@pytest.mark.parametrize("rule", ["BACKWARD", "FORWARD", "FULL"])
def test_the_last_version_is_compared_and_by_a_transitive_mode_every_one(rule):
    first, last, new = parsed(column("x", "INTEGER", minimum=0, maximum=9)), x(), x()
    assert broken(rule, [last, first], new) == []
    assert broken(f"{rule}_TRANSITIVE", [last, first], new) == broken(rule, [first], new) != []


def test_a_promise_that_is_broken_to_two_versions_alike_is_said_once():
    new = x(required=True)
    assert len(broken("BACKWARD_TRANSITIVE", [x(description="first"), x()], new)) == 1


def test_a_first_schema_breaks_nothing():
    assert all(broken(mode, [], x(required=True)) == [] for mode in MODES)


@settings(max_examples=80, deadline=None)
@given(st.lists(_schemas(), max_size=3), _schemas())
def test_full_is_broken_exactly_where_backward_or_forward_is(old, new):
    for more in ("", "_TRANSITIVE"):
        backward, forward, full = (broken(f"{rule}{more}", old, new) for rule in ("BACKWARD", "FORWARD", "FULL"))
        assert set(full) == {*backward, *forward}
        assert len(full) == len(set(full))
    assert set(broken("FULL", old, new)) <= set(broken("FULL_TRANSITIVE", old, new))


@settings(max_examples=80, deadline=None)
@given(_schemas(), _schemas())
def test_where_nothing_changes_nothing_is_broken(old, new):
    assert broken("FULL_TRANSITIVE", [old, old], old) == []
    if broken("FULL", [old], new):
        assert diff(old, new) != []


def _plain(schema: TableSchema) -> TableSchema:
    """Without what tells a reader of the new schema more than one of the old."""
    return replace(schema, columns=tuple(replace(c, id=None, renamed_from=None, generated=None) for c in schema.columns))


@settings(max_examples=80, deadline=None)
@given(_schemas(), _schemas())
def test_a_step_forward_breaks_what_the_step_back_breaks_the_other_way(old, new):
    there, back = broken("BACKWARD", [_plain(old)], _plain(new)), broken("FORWARD", [_plain(new)], _plain(old))
    assert [(breach.column, breach.rule) for breach in there] == [(breach.column, BACKWARD) for breach in back]
