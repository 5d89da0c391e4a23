import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema_registry.diff import Change, diff, paired
from schema_registry.schema import TableSchema
from schema_registry.sources.native import parse_document
from tests.schema_registry.documents import column, parsed, table


def told(live: TableSchema, wanted: TableSchema) -> list[tuple]:
    return [(c.kind, c.change_class, c.column) for c in diff(live, wanted)]


def between(before: dict, after: dict) -> list[tuple[str, str]]:
    """The changes of one column `x`."""
    live, wanted = (parsed(column(**{"name": "x", **said})) for said in (before, after))
    return [(c.kind, c.change_class) for c in diff(live, wanted)]


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        ({"kind": "INTEGER"}, {"kind": "BIGINT"}, ("change_type", "additive")),
        ({"kind": "INTEGER"}, {"kind": "DECIMAL(12,2)"}, ("change_type", "additive")),
        ({"kind": "DECIMAL(5,2)"}, {"kind": "DECIMAL(8,3)"}, ("change_type", "additive")),
        ({"kind": "BIGINT"}, {"kind": "INTEGER"}, ("change_type", "strengthening")),
        ({"kind": "DECIMAL(8,2)"}, {"kind": "DECIMAL(5,2)"}, ("change_type", "strengthening")),
        ({"kind": "DECIMAL(8,0)"}, {"kind": "INTEGER"}, ("change_type", "strengthening")),
        ({"kind": "INTEGER"}, {"kind": "VARCHAR"}, ("change_type", "strengthening")),
        ({"kind": "VARCHAR"}, {"kind": "UUID"}, ("change_type", "strengthening")),
        ({"kind": "VARCHAR"}, {"kind": "INTEGER"}, ("change_type", "destructive")),
        ({"kind": "DECIMAL(8,2)"}, {"kind": "DECIMAL(8,1)"}, ("change_type", "destructive")),
        ({"kind": "DOUBLE"}, {"kind": "INTEGER"}, ("change_type", "destructive")),
        ({"kind": "BIGINT"}, {"kind": "DOUBLE"}, ("change_type", "destructive")),
        ({"kind": "TIMESTAMP"}, {"kind": "DATE"}, ("change_type", "destructive")),
        ({"kind": "DATE"}, {"kind": "INTEGER"}, ("change_type", "destructive")),
        ({"kind": "INTEGER"}, {"kind": "INTEGER[]"}, ("change_multivalued", "additive")),
        ({"kind": "INTEGER[]"}, {"kind": "INTEGER"}, ("change_multivalued", "destructive")),
        ({}, {"required": True}, ("set_required", "strengthening")),
        ({"required": True}, {}, ("set_optional", "additive")),
        ({}, {"enum": ["a"]}, ("set_enum", "strengthening")),
        ({"enum": ["a"]}, {}, ("drop_enum", "additive")),
        ({"enum": ["a"]}, {"enum": ["a", "b"]}, ("add_enum_value", "additive")),
        ({"enum": ["a", "b"]}, {"enum": ["b"]}, ("remove_enum_value", "strengthening")),
        ({"enum": ["a", "b"]}, {"enum": ["b", "a"]}, ("reorder_enum", "metadata")),
        ({}, {"max_length": 5}, ("change_length", "strengthening")),
        ({"max_length": 5}, {"max_length": 6}, ("change_length", "additive")),
        ({"max_length": 6}, {"max_length": 5}, ("change_length", "strengthening")),
        ({"max_length": 6}, {}, ("change_length", "additive")),
        ({}, {"pattern": "a"}, ("change_pattern", "strengthening")),
        ({"pattern": "a"}, {}, ("change_pattern", "additive")),
        ({"kind": "INTEGER", "minimum": 9}, {"kind": "INTEGER", "minimum": 10}, ("change_bounds", "strengthening")),
        ({"kind": "INTEGER", "minimum": 10}, {"kind": "INTEGER", "minimum": 9}, ("change_bounds", "additive")),
        ({"kind": "INTEGER", "maximum": 9}, {"kind": "INTEGER", "maximum": 10}, ("change_bounds", "additive")),
        ({"kind": "INTEGER", "minimum": 1}, {"kind": "INTEGER", "maximum": 10}, ("change_bounds", "strengthening")),
        ({"kind": "DATE", "minimum": "2024-01-01"}, {"kind": "DATE"}, ("change_bounds", "additive")),
        ({"kind": "INTEGER", "unit": "kW"}, {"kind": "INTEGER", "unit": "W"}, ("change_unit", "meaning")),
        ({"kind": "INTEGER"}, {"kind": "INTEGER", "unit": "W"}, ("change_unit", "metadata")),
        ({"unit": "kW"}, {"unit": "W"}, ("change_unit", "metadata")),
        ({}, {"default": "a"}, ("set_default", "metadata")),
        ({"kind": "UUID"}, {"kind": "UUID", "generated": "uuid"}, ("change_generated", "metadata")),
        ({}, {"references": "a.b"}, ("change_reference", "metadata")),
        ({}, {"description": "x"}, ("change_description", "metadata")),
        ({}, {"id": "urn:x"}, ("change_id", "metadata")),
        ({}, {"deprecated": True}, ("change_deprecated", "metadata")),
        ({}, {"renamed_from": "old"}, ("change_hint", "metadata")),
    ],
)
def test_a_change_of_a_column_has_its_class(before, after, wanted):
    assert between(before, after) == [wanted]


@pytest.mark.parametrize(
    ("added", "change_class"),
    [({}, "additive"), ({"required": True, "default": "a"}, "additive"), ({"required": True}, "strengthening")],
)
def test_an_added_column_is_in_the_way_only_where_rows_need_a_value(added, change_class):
    assert told(parsed(), parsed(column(**added))) == [("add_column", change_class, "x")]


def test_a_dropped_column_is_destructive():
    assert told(parsed(column()), parsed()) == [("drop_column", "destructive", "x")]


def test_a_hint_renames_while_the_old_name_stands_and_the_new_one_does_not():
    wanted = parsed(column("new", renamed_from="OLD"))
    assert told(parsed(column("old")), wanted) == [("rename_column", "rename", "new"), ("change_hint", "metadata", "new")]
    assert told(wanted, wanted) == []
    assert told(parsed(column("old"), column("new")), wanted) == [("drop_column", "destructive", "old"), ("change_hint", "metadata", "new")]
    assert told(parsed(), wanted) == [("add_column", "additive", "new")]


def test_a_hint_wins_where_a_new_column_takes_the_old_name():
    wanted = parsed(column("old", "INTEGER"), column("new", renamed_from="old"))
    assert told(parsed(column("old")), wanted)[:2] == [("add_column", "additive", "old"), ("rename_column", "rename", "new")]


def test_the_same_id_renames_and_can_swap_two_names():
    live = parsed(column("a", id="urn:1"), column("b", id="urn:2"))
    assert told(live, parsed(column("c", id="urn:1"), column("b", id="urn:2"))) == [("rename_column", "rename", "c")]
    swapped = parsed(column("b", id="urn:1"), column("a", id="urn:2"))
    assert [(p.live.name, p.wanted.name) for p in paired(live, swapped)][1:] == [("a", "b"), ("b", "a")]


def test_an_id_that_stands_twice_renames_nothing():
    live = parsed(column("a", id="urn:1"), column("b", id="urn:1"))
    assert ("drop_column", "destructive", "a") in told(live, parsed(column("c", id="urn:1"), column("b")))


def test_without_a_hint_or_an_id_a_new_name_is_a_drop_and_an_add():
    assert told(parsed(column("a")), parsed(column("b"))) == [("drop_column", "destructive", "a"), ("add_column", "additive", "b")]


def test_a_rename_leaves_the_key_and_the_unique_rules_as_they_are():
    live = parsed(column("code", required=True), column("a"), primary_key=["code"], unique=[["a"]])
    wanted = parsed(column("kode", required=True, renamed_from="code"), column("b", renamed_from="a"), primary_key=["kode"], unique=[["b"]])
    assert {c.kind for c in diff(live, wanted)} == {"rename_column", "change_hint"}


def test_another_key_and_another_unique_rule_are_told():
    live = parsed(column("a", required=True), unique=[["a"]])
    wanted = parsed(column("a", required=True), column("b"), primary_key=["id", "a"], unique=[["b"]])
    assert told(live, wanted)[1:] == [
        ("change_key", "strengthening", None),
        ("drop_unique", "additive", None),
        ("add_unique", "strengthening", None),
    ]


def test_a_wider_decimal_keeps_its_enum():
    assert between({"kind": "DECIMAL(5,2)", "enum": [1.5]}, {"kind": "DECIMAL(6,3)", "enum": [1.5]}) == [("change_type", "additive")]


def test_a_table_that_is_new_or_gone_is_one_change():
    assert diff(None, parsed()) == [Change("create_table", "additive", after="things")]
    assert diff(parsed(), None) == [Change("drop_table", "destructive", before="things")]
    assert diff(None, None) == []


def test_a_change_is_said_in_a_sentence():
    live = parsed(column("power", "INTEGER", unit="kW"))
    assert diff(live, parsed(column("power", "INTEGER", unit="W")))[0].sentence == "Change the unit of power from kW to W."


_column = st.builds(
    lambda name, said, more: {"name": name, **said, **more},
    st.sampled_from("abcd"),
    st.sampled_from(
        [
            {"type": "VARCHAR"},
            {"type": "VARCHAR", "enum": ["x", "y"]},
            {"type": "VARCHAR", "enum": ["y", "z", "x"], "default": "z"},
            {"type": "CHAR(3)", "pattern": "^a"},
            {"type": "INTEGER", "minimum": 1, "unit": "m"},
            {"type": "DECIMAL(8,2)", "maximum": 5, "unit": "km"},
            {"type": "INTEGER[]"},
            {"type": "DATE", "generated": "created"},
            {"type": "TIMESTAMP", "minimum": "2024-01-01"},
        ]
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "required": st.booleans(),
            "id": st.sampled_from(["urn:1", "urn:2"]),
            "renamed_from": st.sampled_from("abcdz"),
            "description": st.just("text"),
            "deprecated": st.just(True),
        },
    ),
)


@st.composite
def _schemas(draw) -> TableSchema:
    columns = draw(st.lists(_column, max_size=4, unique_by=lambda c: c["name"]))
    hinted: set[str] = set()
    for made in columns:
        if made.get("renamed_from") in hinted:
            made.pop("renamed_from")
        hinted.add(made.get("renamed_from", ""))
    names = [c["name"] for c in columns if c["type"] != "INTEGER[]"]
    more = {"unique": draw(st.lists(st.lists(st.sampled_from(names), min_size=1, unique=True), max_size=2))} if names else {}
    return parse_document(table(*draw(st.permutations(columns)), **more), "doc")


@settings(max_examples=80, deadline=None)
@given(_schemas(), _schemas())
def test_there_is_a_change_exactly_where_the_fingerprints_differ(live, wanted):
    changes = diff(live, wanted)
    assert (changes == []) == (live.fingerprint == wanted.fingerprint)
    assert changes == diff(live, wanted)
    assert all(change.sentence for change in changes)
    pairs = paired(live, wanted)
    assert len({p.live.name for p in pairs}) == len({p.wanted.name for p in pairs}) == len(pairs)
    gone, new = ({c.column for c in changes if c.kind == kind} for kind in ("drop_column", "add_column"))
    assert gone == {c.name for c in live.columns} - {p.live.name for p in pairs}
    assert new == {c.name for c in wanted.columns} - {p.wanted.name for p in pairs}
