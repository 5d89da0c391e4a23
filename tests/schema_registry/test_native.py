import json
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schema_registry import documents, names
from schema_registry.errors import DocumentRefused
from schema_registry.mock import folder
from schema_registry.schema import TableSchema
from schema_registry.sources.native import check_set, parse_document
from schema_registry.types import BASES
from tests.schema_registry.documents import column, parsed, table


def refused_at(document: object) -> list[tuple[str, str]]:
    with pytest.raises(DocumentRefused) as refusal:
        parse_document(document, "doc")
    return [(problem.pointer, problem.code) for problem in refusal.value.problems]


def test_the_sample_projects_are_as_the_design_says():
    schema = parse_document(documents.read(folder.content(folder.SAMPLE, "project_schema")), "project_schema")
    assert schema.primary_key == ("project_id",)
    assert [(c.name, c.sql_type) for c in schema.columns] == [
        ("project_id", "UUID"),
        ("project_name", "VARCHAR"),
        ("description", "VARCHAR"),
        ("total_amount", "DECIMAL(20,2)"),
        ("maturity_years", "INTEGER"),
        ("expected_tri", "DECIMAL(5,2)"),
        ("dscr", "DECIMAL(5,2)"),
        ("status", "VARCHAR"),
        ("creation_date", "DATE"),
        ("last_updated", "TIMESTAMP"),
        ("currency_code", "VARCHAR"),
    ]
    assert [c.name for c in schema.columns if not c.required] == ["description"]
    assert {c.name: c.generated for c in schema.columns if c.generated} == {
        "project_id": "uuid",
        "creation_date": "created",
        "last_updated": "updated",
    }
    assert schema.column("status").enum == ("PROPOSED", "ACTIVE", "COMPLETED")
    assert schema.column("currency_code").max_length == 3
    assert schema.notes == ()


def test_the_seeds_own_document_gets_its_key_and_its_filled_columns_with_notes():
    plain = documents.read(folder.content(folder.SAMPLE, "project_schema"))
    seed = {"name": "projects", "columns": [{k: c[k] for k in ("name", "type", "description", "required")} for c in plain["columns"]]}
    schema = parse_document(seed, "project_schema")
    assert schema.primary_key == ("project_id",)
    assert {c.generated for c in schema.columns} == {"uuid", "created", "updated", None}
    assert any("project_id is taken" in note for note in schema.notes)
    assert any("creation_date" in note for note in schema.notes)


def test_every_schema_comes_back_from_its_json_the_same():
    for stem in folder.stems(folder.SAMPLE):
        schema = parse_document(documents.read(folder.content(folder.SAMPLE, stem)), stem)
        again = TableSchema.from_json(json.loads(json.dumps(schema.as_json())))
        assert (again, again.fingerprint) == (schema, schema.fingerprint)


def test_a_table_without_a_key_gets_one_put_first():
    schema = parse_document({"name": "notes", "columns": [column("_id"), column("text", required=True)]}, "doc")
    assert schema.primary_key == ("_id_2",)
    assert schema.columns[0].name == "_id_2"
    assert schema.columns[0].generated == "uuid"
    assert "_id_2 was added" in schema.notes[0]


@pytest.mark.parametrize(
    ("table_name", "key"),
    [
        ("projects", "project_id"),
        ("categories", "category_id"),
        ("movies", "movie_id"),
        ("addresses", "address_id"),
        ("statuses", "status_id"),
        ("analyses", "analysis_id"),
        ("boxes", "box_id"),
        ("people", "person_id"),
        ("houses", "house_id"),
        ("wolves", "wolf_id"),
        ("heroes", "hero_id"),
        ("buses", "bus_id"),
        ("portfolio_projects", "portfolio_project_id"),
        ("project", "project_id"),
        ("news", "news_id"),
        ("Projects", "PROJECT_ID"),
    ],
)
def test_a_key_is_known_by_the_singular_of_its_table(table_name, key):
    schema = parse_document({"name": table_name, "columns": [column("note"), column(key, required=True)]}, "doc")
    assert schema.primary_key == (key,)


def test_an_inferred_key_is_required_and_of_a_type_that_can_be_one():
    columns = [column("id", "JSON", required=True), column("thing_id", required=False), column("things_id", "INTEGER", required=True)]
    assert parse_document({"name": "things", "columns": columns}, "doc").primary_key == ("things_id",)


def test_an_inferred_uuid_key_that_points_elsewhere_is_not_generated():
    columns = [column("id", "UUID", required=True, references="users.id")]
    assert parse_document({"name": "profiles", "columns": columns}, "doc").columns[0].generated is None


def test_a_declared_key_is_left_as_the_document_says_but_required():
    schema = parsed(column("code", "UUID"), primary_key=["CODE"])
    assert schema.primary_key == ("code",)
    assert schema.column("code").required
    assert schema.column("code").generated is None
    assert "code was made required" in schema.notes[-1]


@pytest.mark.parametrize("said", [{"generated": None}, {"generated": False}, {"default": "2024-01-01"}])
def test_a_document_can_say_that_a_date_is_not_filled_in(said):
    assert parsed(column("creation_date", "DATE", **said)).column("creation_date").generated is None


def test_names_are_composed_and_compare_without_case():
    schema = parsed(column("cafe\u0301"), name="Ma\u0308rkte")
    assert schema.column("CAF\u00c9").name == "caf\u00e9"
    assert schema.name == "M\u00e4rkte"
    assert refused_at(table(column("cafe\u0301"), column("CAF\u00c9"))) == [("/columns/2/name", "duplicate")]


@pytest.mark.parametrize("name", ['a"b', "a;b", "select", "50%", "日本", "a b", "_x", "a.b", "'"])
def test_a_column_may_be_called_almost_anything(name):
    assert parsed(column(name)).columns[1].name == name


@pytest.mark.parametrize("name", ["", " a", "a ", "a\tb", "a\nb", "__a", "x" * 201, "a\u200bb", None, 7])
def test_a_column_name_that_people_cannot_read_is_refused(name):
    assert refused_at(table(column(name)))[0][0] == "/columns/1/name"


@pytest.mark.parametrize(
    "name", ["", "1a", "a b", "a-b", "x" * 64, "Initialize", "QUERY", "jobs", "_duckspawn", "_DuckSpawn_x", None, [], "a\n"]
)
def test_a_table_name_outside_the_rule_is_refused(name):
    assert refused_at(table(name=name))[0][0] == "/name"


@pytest.mark.parametrize(
    ("kind", "sql_type", "length"),
    [("VARCHAR(10)", "VARCHAR", 10), ("char(3)", "VARCHAR", 3), ("INTEGER[]", "INTEGER[]", None), ("text", "VARCHAR", None)],
)
def test_a_type_says_length_and_list(kind, sql_type, length):
    made = parsed(column("x", kind)).column("x")
    assert (made.sql_type, made.max_length) == (sql_type, length)


def test_the_smaller_of_two_lengths_wins():
    assert parsed(column("x", "VARCHAR(10)", max_length=4)).column("x").max_length == 4
    assert parsed(column("x", "VARCHAR(10)", max_length=40)).column("x").max_length == 10


@pytest.mark.parametrize(
    ("made", "place"),
    [
        (column(kind="NOPE"), "type"),
        (column(kind="INTEGER(3)"), "type"),
        (column(kind="VARCHAR(99999999999)"), "type"),
        (column(kind="DECIMAL(" + "9" * 190 + ")"), "type"),
        (column(kind=None), "type"),
        (column(required="yes"), "required"),
        (column(description=5), "description"),
        (column(enum=[]), "enum"),
        (column(enum="a"), "enum"),
        (column(enum=["a", 5]), "enum/1"),
        (column(kind="DATE", enum=["2024-01-01"]), "enum"),
        (column(kind="INTEGER", max_length=5), "max_length"),
        (column(max_length=0), "max_length"),
        (column(max_length=True), "max_length"),
        (column(max_length=2**31), "max_length"),
        (column(kind="INTEGER", pattern="a"), "pattern"),
        (column(pattern="a" * 1001), "pattern"),
        (column(minimum="a"), "minimum"),
        (column(kind="BOOLEAN", maximum=True), "maximum"),
        (column(kind="INTEGER", minimum=5, maximum=4), "maximum"),
        (column(kind="INTEGER", minimum=5, default=4), "default"),
        (column(kind="INTEGER", maximum=5, default=6), "default"),
        (column(kind="INTEGER", default=1.5), "default"),
        (column(kind="INTEGER", default=2**31), "default"),
        (column(kind="INTEGER[]", default=5), "default"),
        (column(kind="INTEGER[]", default=[5, "x"]), "default"),
        (column(kind="VARCHAR[]", enum=["a"], default=["a", "b"]), "default"),
        (column(enum=["a"], default="b"), "default"),
        (column(max_length=2, default="abc"), "default"),
        (column(required=True, default=None), "default"),
        (column(kind="UUID", generated="uuid", default="00000000-0000-0000-0000-000000000000"), "default"),
        (column(kind="INTEGER", generated="uuid"), "generated"),
        (column(kind="UUID", generated="created"), "generated"),
        (column(kind="UUID", generated="sequence"), "generated"),
        (column(kind="UUID", generated=True), "generated"),
        (column(kind="CHAR(10)", generated="uuid"), "generated"),
        (column(kind="UUID[]", generated="uuid"), "generated"),
        (column(kind="INTEGER[]", multivalued=False), "multivalued"),
        (column(references="airports"), "references"),
        (column(references=".x"), "references"),
        (column(renamed_from="__old"), "renamed_from"),
        (column(deprecated="since May"), "deprecated"),
        (column(id=5), "id"),
        (column(unit="x" * 101), "unit"),
    ],
)
def test_a_fault_of_a_column_is_refused_at_its_place(made, place):
    assert [pointer for pointer, _ in refused_at(table(made))] == [f"/columns/1/{place}"]


@pytest.mark.parametrize("kind", ["JSON", "BLOB", "FLOAT", "DOUBLE", "INTEGER[]"])
def test_a_key_of_a_type_that_cannot_be_one_is_refused(kind):
    assert refused_at(table(column(kind=kind), primary_key=["x"])) == [("/primary_key/0", "conflict")]


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"primary_key": ["nope"]}, "/primary_key/0"),
        ({"primary_key": ["id", "ID"]}, "/primary_key/1"),
        ({"primary_key": [5]}, "/primary_key/0"),
        ({"primary_key": {}}, "/primary_key"),
        ({"unique": [["x", "nope"]]}, "/unique/0/1"),
        ({"unique": [[]]}, "/unique/0"),
        ({"unique": "x"}, "/unique"),
        ({"unique": [["x"]] * 101}, "/unique"),
    ],
)
def test_a_key_or_unique_rule_that_names_no_column_is_refused(more, pointer):
    assert [found for found, _ in refused_at(table(column(), **more))] == [pointer]


def test_unique_rules_are_kept_once_and_without_the_key():
    schema = parsed(column("B"), column("a"), unique=[["b", "a"], ["a", "B"], "a", ["id"]])
    assert schema.unique == (("a", "B"), ("a",))


def test_two_columns_cannot_claim_one_old_name():
    assert refused_at(table(column("a", renamed_from="z"), column("b", renamed_from="Z"))) == [("/columns/2/renamed_from", "duplicate")]


def test_all_problems_are_told_at_once():
    found = refused_at({"name": "1", "description": 5, "columns": [5, {"name": "a"}, column("b", "X", required=1)]})
    assert {pointer for pointer, _ in found} == {
        "/name",
        "/description",
        "/columns/0",
        "/columns/1/type",
        "/columns/2/type",
        "/columns/2/required",
    }


@pytest.mark.parametrize("document", [None, True, 5, Decimal("1.5"), "x", [], [{}], {}])
def test_what_is_no_table_is_refused(document):
    assert refused_at(document)


@pytest.mark.parametrize(("count", "stands"), [(1000, True), (1001, False)])
def test_a_table_has_at_most_a_thousand_columns(count, stands):
    document = {"name": "wide", "columns": [column(f"c{n}") for n in range(count)]}
    if stands:
        assert len(parse_document(document, "doc").columns) == count + 1
    else:
        assert refused_at(document) == [("/columns", "limit")]


def test_a_document_nested_without_end_is_refused():
    deep: object = 5
    for _ in range(100_000):
        deep = [deep]
    assert refused_at(table(unknown=deep)) == [("", "limit")]


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_text_that_no_database_keeps_is_refused(text):
    assert refused_at(table(column(description=text))) == [("", "limit")]


def test_unknown_keys_are_no_fault():
    assert parsed(column(colour="red"), owner={"name": "me"}).name == "things"


def test_two_documents_of_one_name_are_both_refused_each_naming_the_other():
    one, two = (parse_document(table(name=name), name) for name in ("Things", "things"))
    third = parse_document(table(name="items"), "third")
    standing, refused = check_set([one, two, third])
    assert standing == (third,)
    assert {r.document_id: r.problems[0].detail.split()[0] for r in refused} == {"Things": "things", "things": "Things"}


def test_two_documents_of_one_table_id_are_both_refused():
    schemas = [parse_document(table(name=name, id="urn:t"), name) for name in ("a", "b")]
    standing, refused = check_set(schemas)
    assert standing == ()
    assert [(r.document_id, r.problems[0].pointer) for r in refused] == [("a", "/id"), ("b", "/id")]


def test_a_singular_is_never_empty():
    assert names.singulars("s") == ()
    assert "id" in names.key_names("s")


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_types = st.sampled_from([*sorted(BASES), "DECIMAL(5,2)", "CHAR(3)", "INTEGER[]", "JSON[]", "VARCHAR[]"])
_column_keys = ("name", "type", "description", "required", "id", "unit", "enum", "default", "generated", "minimum", "maximum", "max_length")
_column_keys += ("pattern", "references", "multivalued", "deprecated", "renamed_from")
_columns = st.builds(
    lambda name, kind, more: {"name": name, "type": kind, **more},
    st.sampled_from(["a", "b", "id", "last_updated", "A"]) | _json,
    _types | _json,
    st.dictionaries(st.sampled_from(_column_keys), _json | st.sampled_from(["uuid", "created", "a.b", 5, True, ["a"]]), max_size=4),
)
_tables = st.fixed_dictionaries(
    {"name": st.just("things") | _json, "columns": st.lists(_columns | _json, max_size=4) | _json},
    optional={
        "primary_key": st.lists(st.sampled_from(["a", "b"])) | _json,
        "unique": _json | st.just([["a"]]),
        "id": _json,
        "description": _json,
    },
)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(_tables | _json)
def test_every_json_value_makes_a_table_or_is_refused_with_a_reason(document):
    try:
        schema = parse_document(document, "doc")
    except DocumentRefused as refusal:
        assert refusal.problems
    else:
        assert schema.key_columns
        assert all(c.required for c in schema.key_columns)
        again = TableSchema.from_json(json.loads(json.dumps(schema.as_json())))
        assert again.fingerprint == schema.fingerprint
