"""The table of changes as cases: a table with rows, what it is to become, and what the plan for that says."""

from dataclasses import dataclass, field
from typing import Any

from tests.projects.ontology import FIRST, SECOND, TURBINES, table, with_column, without_column


@dataclass(frozen=True, kw_only=True)
class Case:
    """A table with rows, a wanted document, and what the plan says.

    `steps` are (change, class, strategy, action, rows in the way, sample). `inputs` is what a person gives for rows that cannot be kept,
    `mended` what they write in those rows instead, by key. `filled` are columns that are filled in anew, so that no two runs make the
    same. `then` has columns' values afterwards, in the order of the old key.
    """

    wanted: dict[str, Any]
    steps: list[tuple[Any, ...]]
    base: dict[str, Any] = field(default_factory=lambda: TURBINES)
    rows: tuple[dict[str, Any], ...] = (FIRST, SECOND)
    inputs: dict[str, Any] | None = None
    filled: tuple[str, ...] = ()
    mended: dict[str, dict[str, Any]] = field(default_factory=dict)
    then: dict[str, list[Any]] = field(default_factory=dict)


def step(
    change: str, change_class: str, strategy: str, action: str = "apply", *sample: tuple[str, str | None, str | None]
) -> tuple[Any, ...]:
    return change, change_class, strategy, action, len(sample), list(sample)


WITH_ID = with_column(TURBINES, "code", id="http://example.org/code")
SWAPPABLE = with_column(WITH_ID, "serial", type="VARCHAR(5)", id="http://example.org/serial")
ADDITIVE = {
    "add optional": Case(
        wanted=with_column(TURBINES, "colour", type="VARCHAR"),
        steps=[step("add_column", "additive", "alter")],
        then={"colour": [None, None]},
    ),
    "add optional with default": Case(
        wanted=with_column(TURBINES, "colour", type="VARCHAR", default="it's"),
        steps=[step("add_column", "additive", "alter")],
        then={"colour": ["it's", "it's"]},
    ),
    "add required with default": Case(
        wanted=with_column(TURBINES, "height", type="DECIMAL(6,3)", required=True, default=1.5, description="In m."),
        steps=[step("add_column", "additive", "alter")],
        then={"height": [1.5, 1.5]},
    ),
    "add required that is filled in": Case(
        wanted=with_column(TURBINES, "token", type="UUID", required=True, generated="uuid"),
        steps=[step("add_column", "additive", "rebuild")],
        filled=("token",),
    ),
    "required to optional": Case(wanted=with_column(TURBINES, "price", required=False), steps=[step("set_optional", "additive", "alter")]),
    "enum value added": Case(
        wanted=with_column(TURBINES, "status", enum=["NEW", "OLD", "GONE"]), steps=[step("add_enum_value", "additive", "record")]
    ),
    "longer": Case(wanted=with_column(TURBINES, "code", type="VARCHAR(9)"), steps=[step("change_length", "additive", "record")]),
    "wider integer": Case(wanted=with_column(TURBINES, "power", type="BIGINT"), steps=[step("change_type", "additive", "alter")]),
    "wider decimal": Case(
        wanted=with_column(TURBINES, "price", type="DECIMAL(20,4)"),
        steps=[step("change_type", "additive", "alter")],
        then={"price": [12.5, 0.25]},
    ),
    "wider key": Case(
        wanted=with_column(TURBINES, "id", type="BIGINT"),
        steps=[step("change_type", "additive", "rebuild")],
        then={"id": [1, 2]},
    ),
    "wider float": Case(
        base=with_column(TURBINES, "speed", type="FLOAT"),
        rows=(FIRST | {"speed": 0.1}, SECOND),
        wanted=with_column(TURBINES, "speed", type="DOUBLE"),
        steps=[step("change_type", "additive", "rebuild")],
        then={"speed": [0.1, None]},
    ),
    "wider bounds": Case(wanted=with_column(TURBINES, "power", maximum=None), steps=[step("change_bounds", "additive", "record")]),
    "no unique rule": Case(wanted=TURBINES | {"unique": []}, steps=[step("drop_unique", "additive", "rebuild")]),
    "scalar to list": Case(
        wanted=with_column(TURBINES, "code", type="VARCHAR(5)[]"),
        steps=[step("change_multivalued", "additive", "rebuild")],
        then={"code": [["abc"], None]},
    ),
}
METADATA = {
    "description of a column": Case(
        wanted=with_column(TURBINES, "power", description="It's made."), steps=[step("change_description", "metadata", "alter")]
    ),
    "description of the table": Case(wanted=TURBINES | {"description": ""}, steps=[step("change_description", "metadata", "alter")]),
    "unit label": Case(wanted=with_column(TURBINES, "price", unit="EUR"), steps=[step("change_unit", "metadata", "record")]),
    "id": Case(wanted=with_column(TURBINES, "power", id="http://example.org/p"), steps=[step("change_id", "metadata", "record")]),
    "deprecated flag": Case(wanted=with_column(TURBINES, "code", deprecated=True), steps=[step("change_deprecated", "metadata", "record")]),
    "default": Case(wanted=with_column(TURBINES, "status", default="OLD"), steps=[step("set_default", "metadata", "alter")]),
}
RENAME = {
    "rename by hint": Case(
        wanted=with_column(TURBINES, "code", name="label", renamed_from="code"),
        steps=[step("rename_column", "rename", "alter"), step("change_hint", "metadata", "record")],
        then={"label": ["abc", None]},
    ),
    "rename by id": Case(
        base=WITH_ID,
        wanted=with_column(WITH_ID, "code", name="label"),
        steps=[step("rename_column", "rename", "alter")],
        then={"label": ["abc", None]},
    ),
    "rename of a key": Case(
        wanted=with_column(TURBINES, "id", name="turbine_id", renamed_from="id"),
        steps=[step("rename_column", "rename", "alter"), step("change_hint", "metadata", "record")],
        then={"turbine_id": [1, 2]},
    ),
    "rename of a unique column": Case(
        wanted=with_column(TURBINES, "serial", name="number", renamed_from="serial") | {"unique": [["number"]]},
        steps=[step("rename_column", "rename", "alter"), step("change_hint", "metadata", "record")],
        then={"number": [7, None]},
    ),
    "two that swap their names": Case(
        base=SWAPPABLE,
        rows=(FIRST | {"serial": "7"}, SECOND),
        wanted=with_column(with_column(with_column(SWAPPABLE, "code", name="x"), "serial", name="code"), "x", name="serial")
        | {"unique": [["code"]]},
        steps=[step("rename_column", "rename", "rebuild"), step("rename_column", "rename", "rebuild")],
        then={"code": ["7", None], "serial": ["abc", None]},
    ),
    "the table's letters": Case(wanted=TURBINES | {"name": "Turbines"}, steps=[step("rename_table", "rename", "alter")]),
}
EMPTY: tuple[dict[str, Any], ...] = ()
THIRD = {"id": 3, "power": 300, "price": 1, "code": "abc", "status": "OLD", "serial": 9}
SERIAL_KEY = with_column(TURBINES, "serial", required=True) | {"primary_key": ["serial"], "unique": []}
STRENGTHENING = {
    "optional to required": Case(
        wanted=with_column(TURBINES, "power", required=True), steps=[step("set_required", "strengthening", "alter")]
    ),
    "optional to required, rows in the way": Case(
        wanted=with_column(TURBINES, "code", required=True),
        steps=[step("set_required", "strengthening", "alter", "wait", ("2", None, None))],
        inputs={"code": {"constant": "none"}},
        then={"code": ["abc", "none"]},
    ),
    "add required without default": Case(
        wanted=with_column(TURBINES, "colour", type="VARCHAR", required=True),
        rows=EMPTY,
        steps=[step("add_column", "strengthening", "rebuild")],
    ),
    "add required without default, rows in the way": Case(
        wanted=with_column(TURBINES, "colour", type="VARCHAR", required=True),
        steps=[step("add_column", "strengthening", "rebuild", "wait", ("1", None, None), ("2", None, None))],
        inputs={"colour": {"expression": "'paint ' || status"}},
        then={"colour": ["paint NEW", "paint OLD"]},
    ),
    "narrower integer": Case(
        wanted=with_column(TURBINES, "power", type="SMALLINT"),
        steps=[step("change_type", "strengthening", "alter")],
        then={"power": [100, 200]},
    ),
    "narrower integer, rows in the way": Case(
        wanted=with_column(TURBINES, "id", type="TINYINT"),
        rows=(FIRST, SECOND, THIRD | {"id": 128}),
        steps=[step("change_type", "strengthening", "rebuild", "wait", ("128", "128", None))],
        inputs={"id": {"constant": 127}},
        then={"id": [1, 2, 127]},
    ),
    "narrower decimal": Case(
        wanted=with_column(TURBINES, "price", type="DECIMAL(4,2)"), steps=[step("change_type", "strengthening", "alter")]
    ),
    "narrower decimal, rows in the way": Case(
        wanted=with_column(TURBINES, "price", type="DECIMAL(3,2)"),
        steps=[step("change_type", "strengthening", "alter", "wait", ("1", "12.50", None))],
        inputs={"price": {"expression": "price / 10"}},
        then={"price": [1.25, 0.25]},
    ),
    "shorter text": Case(wanted=with_column(TURBINES, "code", type="VARCHAR(3)"), steps=[step("change_length", "strengthening", "record")]),
    "shorter text, rows in the way": Case(
        wanted=with_column(TURBINES, "code", type="VARCHAR(2)"),
        steps=[step("change_length", "strengthening", "record", "wait", ("1", "abc", "abc"))],
        inputs={"code": {"expression": "left(code, 2)"}},
        then={"code": ["ab", None]},
    ),
    "enum value removed": Case(
        wanted=with_column(TURBINES, "status", enum=["NEW"]), rows=(FIRST,), steps=[step("remove_enum_value", "strengthening", "record")]
    ),
    "enum value removed, rows in the way": Case(
        wanted=with_column(TURBINES, "status", enum=["NEW"]),
        rows=(FIRST, SECOND, THIRD),
        steps=[step("remove_enum_value", "strengthening", "record", "wait", ("2", "OLD", "OLD"), ("3", "OLD", "OLD"))],
        inputs={"status": {"mapping": {"OLD": "NEW"}}},
        then={"status": ["NEW", "NEW", "NEW"]},
    ),
    "an enum": Case(wanted=with_column(TURBINES, "code", enum=["abc"]), steps=[step("set_enum", "strengthening", "record")]),
    "an enum, rows in the way": Case(
        wanted=with_column(TURBINES, "code", enum=["x"]),
        steps=[step("set_enum", "strengthening", "record", "wait", ("1", "abc", "abc"))],
        inputs={"code": {"mapping": {"abc": "x"}}},
        then={"code": ["x", None]},
    ),
    "tighter bounds": Case(wanted=with_column(TURBINES, "power", minimum=100), steps=[step("change_bounds", "strengthening", "record")]),
    "tighter bounds, rows in the way": Case(
        wanted=with_column(TURBINES, "power", minimum=150),
        steps=[step("change_bounds", "strengthening", "record", "wait", ("1", "100", "100"))],
        inputs={"power": {"constant": 150}},
        then={"power": [150, 200]},
    ),
    "a pattern": Case(wanted=with_column(TURBINES, "code", pattern="^a"), steps=[step("change_pattern", "strengthening", "record")]),
    "a pattern, rows in the way": Case(
        wanted=with_column(TURBINES, "code", pattern="^b"),
        steps=[step("change_pattern", "strengthening", "record", "wait", ("1", "abc", "abc"))],
        inputs={"code": {"expression": "'b' || code"}},
        then={"code": ["babc", None]},
    ),
    "new unique": Case(wanted=TURBINES | {"unique": [["serial"], ["code"]]}, steps=[step("add_unique", "strengthening", "rebuild")]),
    "new unique, rows in the way": Case(
        wanted=TURBINES | {"unique": [["serial"], ["code"]]},
        rows=(FIRST, SECOND, THIRD),
        steps=[step("add_unique", "strengthening", "rebuild", "wait", ("1", "abc", "abc"), ("3", "abc", "abc"))],
        mended={"3": {"code": "abd"}},
    ),
    "new key": Case(
        wanted=SERIAL_KEY,
        rows=(FIRST, THIRD),
        steps=[
            step("set_required", "strengthening", "rebuild"),
            step("change_key", "strengthening", "rebuild"),
            step("drop_unique", "additive", "rebuild"),
        ],
    ),
    "new key, rows in the way": Case(
        wanted=SERIAL_KEY,
        rows=(FIRST, SECOND, THIRD),
        steps=[
            step("set_required", "strengthening", "rebuild", "wait", ("2", None, None)),
            step("change_key", "strengthening", "rebuild", "wait", ("2", "", "")),
            step("drop_unique", "additive", "rebuild"),
        ],
        inputs={"serial": {"expression": "100 + id"}},
        then={"serial": [7, 102, 9], "id": [1, 2, 3]},
    ),
}
TAGGED = with_column(TURBINES, "tags", type="VARCHAR[]")
DESTRUCTIVE = {
    "drop column": Case(
        wanted=without_column(TURBINES, "code"), steps=[step("drop_column", "destructive", "rebuild", "wait", ("1", "abc", None))]
    ),
    "drop column, nothing in it": Case(
        wanted=without_column(TURBINES, "code"), rows=(SECOND,), steps=[step("drop_column", "destructive", "rebuild", "wait")]
    ),
    "drop column by alter": Case(
        base=TURBINES | {"unique": []},
        wanted=without_column(TURBINES, "code") | {"unique": []},
        steps=[step("drop_column", "destructive", "alter", "wait", ("1", "abc", None))],
    ),
    "list to scalar": Case(
        base=TAGGED,
        rows=(FIRST | {"tags": ["a"]}, SECOND),
        wanted=with_column(TAGGED, "tags", type="VARCHAR"),
        steps=[step("change_multivalued", "destructive", "rebuild", "wait")],
        then={"tags": ["a", None]},
    ),
    "list to scalar, rows in the way": Case(
        base=TAGGED,
        rows=(FIRST | {"tags": ["a", "b"]}, SECOND | {"tags": []}, THIRD | {"tags": ["c"]}),
        wanted=with_column(TAGGED, "tags", type="VARCHAR"),
        steps=[step("change_multivalued", "destructive", "rebuild", "wait", ("1", '["a","b"]', None), ("2", "[]", None))],
        then={"tags": [None, None, "c"]},
    ),
    "a cast that could lose values, and does not": Case(
        wanted=with_column(TURBINES, "price", type="DECIMAL(10,1)"),
        rows=(FIRST,),
        steps=[step("change_type", "strengthening", "alter")],
        then={"price": [12.5]},
    ),
    "a cast that loses values": Case(
        wanted=with_column(TURBINES, "price", type="DECIMAL(10,1)"),
        steps=[step("change_type", "destructive", "alter", "wait", ("2", "0.25", "0.3"))],
        then={"price": [12.5, 0.3]},
    ),
    "a narrower type that loses values": Case(
        base=with_column(TURBINES, "power", maximum=None),
        wanted=with_column(TURBINES, "power", type="SMALLINT", maximum=None),
        rows=(FIRST, SECOND | {"power": 40_000}),
        steps=[step("change_type", "destructive", "alter", "wait", ("2", "40000", None))],
        then={"power": [100, None]},
    ),
}
WATTS = with_column(TURBINES, "power", unit="W", maximum=1_000_000)
MEANING = {
    "unit changed": Case(
        wanted=WATTS,
        rows=(SECOND | {"power": None},),
        steps=[step("change_bounds", "additive", "record"), step("change_unit", "meaning", "record", "wait")],
    ),
    "unit changed, rows in the way": Case(
        wanted=WATTS,
        steps=[
            step("change_bounds", "additive", "record"),
            step("change_unit", "meaning", "record", "wait", ("1", "100", "100"), ("2", "200", "200")),
        ],
        inputs={"power": {"factor": 1000}},
        then={"power": [100000, 200000]},
    ),
}
CASES = ADDITIVE | METADATA | RENAME | STRENGTHENING | DESTRUCTIVE | MEANING

# Not a change more, but columns that are called as we call what is ours.
HOSTILE = ("t", "a", "is kept", "old id", "new id", "key id", "repeats", 'q"t', "x'y", "select")
NAMES = {
    "columns with names that mean something to us": Case(
        base=table("turbines", *({"name": name, "type": "VARCHAR"} for name in HOSTILE)),
        rows=({"id": 1, **dict.fromkeys(HOSTILE, "1.5")}, {"id": 2}),
        wanted=table("turbines", *({"name": name, "type": "INTEGER"} for name in HOSTILE[1:])),
        steps=[
            step("drop_column", "destructive", "rebuild", "wait", ("1", "1.5", None)),
            *[step("change_type", "destructive", "rebuild", "wait", ("1", "1.5", "2"))] * (len(HOSTILE) - 1),
        ],
        then={name: [2, None] for name in HOSTILE[1:]},
    )
}
