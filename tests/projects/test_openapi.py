"""The OpenAPI document, Swagger UI and a table's JSON Schema: what they say is what the rows' doors do."""

import json
import re
import time
from dataclasses import replace
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from drf_spectacular.validation import validate_schema
from jsonschema import Draft202012Validator
from rest_framework.test import APIClient

from projects.column_documents import column_schema, inputs
from projects.store import books
from projects.store.connection import Store, get_store, reset_store
from projects.table_documents import component_names
from schema_registry.schema import ColumnSchema
from schema_registry.sources.native import parse_document
from schema_registry.types import parse_type
from tests.conftest import client_of, user_with_role
from tests.projects.altering import alter
from tests.projects.conftest import WIND_FARM, make_table

EVERY_TYPE = [
    {"name": "id", "type": "BIGINT", "required": True},
    {"name": "small", "type": "TINYINT", "minimum": 1, "maximum": 9, "required": True},
    {"name": "huge", "type": "HUGEINT", "maximum": 2**100},
    {"name": "unsigned", "type": "UBIGINT", "required": True},
    {"name": "exact", "type": "DECIMAL(38,10)", "default": "1234567890123456789012345678.5", "required": True},
    {"name": "price", "type": "DECIMAL(6,2)", "enum": ["1.50", "2"], "required": True},
    {"name": "ratio", "type": "DOUBLE", "unit": "kW", "description": "Output.", "required": True},
    {"name": "single", "type": "FLOAT", "required": True},
    {"name": "flag", "type": "BOOLEAN", "default": True, "required": True},
    {"name": "code", "type": "CHAR(3)", "pattern": "^[A-Z]+$", "required": True},
    {"name": "label", "type": "VARCHAR", "pattern": r"(?i)\pL+", "deprecated": True, "id": "https://example.org/label"},
    {"name": "other", "type": "UUID", "references": "projects.project_id", "required": True},
    {"name": "day", "type": "DATE", "minimum": "2020-01-01", "required": True},
    {"name": "clock", "type": "TIME", "required": True},
    {"name": "moment", "type": "TIMESTAMP", "required": True},
    {"name": "zoned", "type": "TIMESTAMPTZ", "required": True},
    {"name": "bytes", "type": "BLOB", "required": True},
    {"name": "anything", "type": "JSON", "default": {"n": 12345678901234567890123}, "required": True},
    {"name": "tags", "type": "VARCHAR", "multivalued": True, "enum": ["a", "b"]},
    {"name": "numbers", "type": "INTEGER[]", "required": True},
]
EXAMPLES = {
    "uuid": "0190f2a1-7c1e-7000-8000-000000000001",
    "date": "2026-01-31",
    "date-time": "2026-01-31T13:45:00Z",
    "time-local": "13:45:00",
    "byte": "AAEC",
}


def document(client: APIClient, query: str = "") -> dict[str, Any]:
    answer = client.get(f"/openapi.json{query}")
    assert answer.status_code == 200, answer.content
    return answer.json()


def faults(whole: dict, component: str, value: object) -> list[str]:
    """What a validator has against the value as a component of the document."""
    schema = {"$ref": f"#/components/schemas/{component}", "components": whole["components"]}
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return [error.message for error in validator.iter_errors(value)]


def example(form: dict) -> Any:
    """A value that the schema asks for, made from nothing but the schema."""
    if "enum" in form:
        return form["enum"][0]
    kind = form["type"][0] if isinstance(form.get("type"), list) else form.get("type")
    if kind == "array":
        return [example(form["items"])]
    if kind == "string":
        return EXAMPLES.get(form.get("format", ""), "ABC")
    return {"integer": form.get("minimum", 7), "number": 1.5, "boolean": False, None: {"any": "value"}}[kind]


def resolved(whole: dict, form: dict) -> dict:
    """The schema with what it refers to beside its own words."""
    while "$ref" in form:
        form = dict(form)
        form = whole["components"]["schemas"][form.pop("$ref").rpartition("/")[2]] | form
    return form | {"items": resolved(whole, form["items"])} if "items" in form else form


def made_from(whole: dict, component: str) -> dict:
    form = whole["components"]["schemas"][component]
    columns = resolved(whole, form["allOf"][0])["properties"]
    return {name: example(resolved(whole, columns[name])) for name in form["required"]}


# The document.


def test_the_document_is_valid_openapi_and_has_each_table(viewer_client, projects):
    whole = document(viewer_client)
    validate_schema(whole)
    assert whole["openapi"] == "3.1.0"
    assert {"/ops/projects", "/ops/projects/{key}", "/ops/{table}/schema", "/ops/portfolio_projects", "/ops/query"} <= set(whole["paths"])
    assert {"Projects", "ProjectsNew", "ProjectsPatch", "PortfolioProjects", "Problem"} <= set(whole["components"]["schemas"])


def test_the_description_validates_without_a_warning(projects, tmp_path, capsys):
    call_command("spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json", "--file", str(tmp_path / "openapi.json"))
    assert "/ops/projects/{key}" in json.loads((tmp_path / "openapi.json").read_text())["paths"]


def test_describing_the_api_makes_no_file(own_store, tmp_path):
    call_command("spectacular", "--file", str(tmp_path / "openapi.yml"))
    assert not get_store().path.exists()


def test_every_reference_leads_somewhere(viewer_client, projects):
    for query in ("", "?table=", "?table=portfolio_projects"):
        whole = document(viewer_client, query)
        for pointer in set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(whole))):
            place: Any = whole
            for part in pointer.split("/"):
                place = place[part]


def test_every_operation_has_its_own_id_and_says_how_it_fails(viewer_client, projects):
    make_table("query_list", [{"name": "id", "type": "INTEGER", "required": True}])
    operations = [o for path in document(viewer_client)["paths"].values() for o in path.values()]
    ids = [o["operationId"] for o in operations]
    assert len(ids) == len(set(ids)) > 40
    assert all(o["responses"]["default"]["$ref"].endswith("Problem") for o in operations)


def test_a_problem_is_as_the_document_says(viewer_client, editor_client, projects):
    whole = document(viewer_client)
    answers = [
        viewer_client.get("/ops/nothing"),
        viewer_client.get("/ops/projects?nothing=1"),
        editor_client.post("/ops/projects", {}, format="json"),
        editor_client.post("/ops/projects", [{}], format="json"),
    ]
    assert [a.status_code for a in answers] == [404, 400, 422, 422]
    for answer in answers:
        assert answer["Content-Type"] == "application/problem+json"
        assert faults(whole, "Problem", answer.json()) == []


def test_security_schemes_are_declared_and_used(viewer_client, projects):
    whole = document(viewer_client)
    assert {"bearerAuth", "cookieAuth", "basicAuth"} <= set(whole["components"]["securitySchemes"])
    assert whole["paths"]["/auth/tokens"]["post"]["security"] == [{"basicAuth": []}]
    assert whole["security"] == [{"bearerAuth": []}, {"cookieAuth": []}]


# Columns.


def test_a_column_is_described_in_full(viewer_client, projects):
    make_table("everything", EVERY_TYPE, primary_key=["id"], description="One of each.")
    row = document(viewer_client)["components"]["schemas"]["Everything"]
    columns = row["properties"]
    assert list(columns) == [c["name"] for c in EVERY_TYPE]
    assert columns["id"] == {"type": "integer", "format": "int64"}
    assert columns["small"] == {"type": "integer", "format": "int8", "minimum": 1, "maximum": 9}
    assert columns["huge"]["type"] == ["integer", "null"]
    assert columns["price"]["enum"] == [1.5, 2]
    assert columns["ratio"] == {"type": "number", "format": "double", "description": "Output. Unit: kW.", "x-unit": "kW"}
    assert columns["code"] == {"type": "string", "maxLength": 3, "pattern": "^[A-Z]+$"}
    assert columns["label"]["deprecated"] is True
    assert columns["label"]["x-iri"] == "https://example.org/label"
    assert columns["other"]["x-references"] == "projects.project_id"
    assert columns["anything"] == {"x-default": '{"n":12345678901234567890123}'}
    assert columns["tags"]["type"] == ["array", "null"]
    assert columns["tags"]["items"] == {"type": "string", "enum": ["a", "b"]}
    assert [columns[n]["format"] for n in ("other", "day", "clock", "moment", "zoned", "bytes")] == [
        "uuid",
        "date",
        "time-local",
        "date-time",
        "date-time",
        "byte",
    ]


def test_what_no_json_number_holds_is_given_as_text(viewer_client, projects):
    make_table("everything", EVERY_TYPE, primary_key=["id"])
    columns = document(viewer_client)["components"]["schemas"]["Everything"]["properties"]
    assert columns["exact"]["x-default"] == "1234567890123456789012345678.5000000000"
    assert columns["huge"]["x-maximum"] == str(2**100)
    assert columns["day"]["x-minimum"] == "2020-01-01"
    assert columns["label"]["x-pattern"] == r"(?i)\pL+"


@pytest.mark.parametrize(
    ("pattern", "shown"),
    [("^a+$", True), (r"\d{3}-[\w.]", True), (r"\z", False), ("(?P<n>a)", False), ("[[:alpha:]]", False), ("(?:a|b)", True), ("^*", False)],
)
def test_only_a_pattern_that_validators_understand_is_a_pattern(pattern, shown):
    column = ColumnSchema(name="c", type=parse_type("VARCHAR").type, pattern=pattern)
    assert ("pattern" in column_schema(column)) is shown


def test_the_default_of_a_list_is_a_list():
    column = ColumnSchema(name="c", type=parse_type("INTEGER").type, multivalued=True, default="[1,2]")
    assert column_schema(column)["default"] == [1, 2]


def test_numbers_may_be_sent_as_text_and_are_answered_as_numbers(viewer_client, editor_client, projects):
    whole = document(viewer_client)
    sent = WIND_FARM | {"total_amount": "1250000.50", "maturity_years": "20"}
    assert faults(whole, "ProjectsNew", sent) == []
    answer = editor_client.post("/ops/projects", sent, format="json")
    assert answer.status_code == 201
    assert faults(whole, "Projects", answer.json()) == []
    assert faults(whole, "Projects", answer.json() | {"total_amount": "1250000.50"}) != []


# What it says is what happens.


@pytest.mark.parametrize("name", ["projects", "portfolios", "portfolio_projects", "everything"])
def test_a_row_made_from_the_document_is_taken_and_answered_as_described(viewer_client, editor_client, projects, name):
    make_table("everything", EVERY_TYPE, primary_key=["id"])
    whole, component = document(viewer_client), component_names([name], [])[name]
    sent = made_from(whole, f"{component}New")
    assert faults(whole, f"{component}New", sent) == []
    answer = editor_client.post(f"/ops/{name}", sent, format="json")
    assert answer.status_code == 201, answer.content
    assert faults(whole, component, answer.json()) == []
    got = viewer_client.get(answer["Location"])
    assert got.json() == answer.json()


def test_what_the_document_refuses_is_refused(viewer_client, editor_client, projects):
    whole = document(viewer_client)
    for wrong in ({"project_name": None}, {"unknown": 1}, {"status": "SOLD"}, {"maturity_years": 2**40}, {"currency_code": "EURO"}):
        sent = WIND_FARM | wrong
        assert faults(whole, "ProjectsNew", sent) != []
        assert editor_client.post("/ops/projects", sent, format="json").status_code == 422


def test_a_patch_needs_no_column_and_names_no_default(viewer_client, editor_client, projects):
    whole = document(viewer_client)
    form = whole["components"]["schemas"]["ProjectsPatch"]
    assert "required" not in form
    assert not any("default" in column for column in form["properties"].values())
    row = editor_client.post("/ops/projects", WIND_FARM, format="json").json()
    answer = editor_client.patch(f"/ops/projects/{row['project_id']}", {"status": "ACTIVE", "description": None}, format="json")
    assert answer.status_code == 200
    assert faults(whole, "Projects", answer.json()) == []


def test_every_parameter_of_a_list_is_accepted(viewer_client, projects):
    whole = document(viewer_client)
    for given in whole["paths"]["/ops/projects"]["get"]["parameters"]:
        parameter = whole["components"]["parameters"][given["$ref"].rpartition("/")[2]] if "$ref" in given else given
        if parameter["in"] == "query" and parameter["name"] not in ("conditions", "filter", "cursor", "sort", "fields", "offset"):
            answer = viewer_client.get("/ops/projects", {parameter["name"]: json.dumps(example(parameter["schema"])).strip('"')})
            assert answer.status_code == 200, answer.content


def test_a_column_named_like_a_parameter_is_asked_for_by_its_operator(viewer_client, projects):
    make_table("odd", [{"name": "limit", "type": "INTEGER", "required": True}], primary_key=["limit"])
    names = [p.get("name") for p in document(viewer_client)["paths"]["/ops/odd"]["get"]["parameters"]]
    assert "limit__eq" in names
    assert "limit" not in names
    assert viewer_client.get("/ops/odd?limit__eq=1").status_code == 200


# Fresh, and as much of it as is asked for.


def test_a_schema_change_shows_at_once(viewer_client, projects):
    before = viewer_client.get("/openapi.json")
    live = projects.table("portfolios")
    wider = replace(live.schema, columns=(*live.schema.columns, ColumnSchema(name="region", type=parse_type("VARCHAR").type)))
    alter(projects, live, wider, ['ALTER TABLE "portfolios" ADD COLUMN "region" VARCHAR'], version=2, provenance="mock", actor="test")
    after = viewer_client.get("/openapi.json", HTTP_IF_NONE_MATCH=before["ETag"])
    assert after.status_code == 200
    assert after.json()["components"]["schemas"]["Portfolios"]["properties"]["region"] == {"type": ["string", "null"]}
    assert "region" in document(viewer_client, "?table=portfolios")["components"]["schemas"]["PortfoliosPatch"]["properties"]


def test_a_store_that_was_opened_anew_is_described_anew(viewer_client, projects):
    assert "/ops/projects" in document(viewer_client)["paths"]
    reset_store()
    get_store().path.unlink()
    assert "/ops/projects" not in document(viewer_client)["paths"]


def test_an_unchanged_document_is_not_sent_again(viewer_client, projects):
    for address in ("/openapi.json", "/openapi.json?table=projects", "/ops/projects/schema"):
        first = viewer_client.get(address)
        second = viewer_client.get(address, HTTP_IF_NONE_MATCH=first["ETag"])
        assert (second.status_code, second.content) == (304, b"")


def test_one_table_is_described_alone_and_in_the_words_of_the_whole(viewer_client, projects):
    whole, one = document(viewer_client), document(viewer_client, "?table=PROJECTS")
    validate_schema(one)
    assert set(one["paths"]) == {
        "/ops/projects",
        "/ops/projects/{key}",
        "/ops/projects/aggregate",
        "/ops/projects/changes",
        "/ops/projects/schema",
    }
    described = {name for name in one["components"]["schemas"] if not name.startswith("In_")}
    assert described == {"Projects", "ProjectsNew", "ProjectsPatch", "Problem", "Loaded", "Change"}
    assert {"In_INTEGER", "In_DECIMAL_20_2"} <= set(one["components"]["schemas"])
    assert all(one["paths"][path] == whole["paths"][path] for path in ("/ops/projects", "/ops/projects/{key}"))


def test_no_name_gives_the_service_without_its_tables(viewer_client, projects):
    general = document(viewer_client, "?table=")
    validate_schema(general)
    assert "/admin/tables" in general["paths"]
    assert "/ops/projects" not in general["paths"]
    assert "Projects" not in general["components"]["schemas"]


@pytest.mark.parametrize(
    ("query", "status"), [("?table=nothing", 404), ("?table=projects&x=1", 400), ("?x=1", 400), ("?table=projects&table=portfolios", 400)]
)
def test_what_cannot_be_asked_for_is_refused(viewer_client, projects, query, status):
    assert viewer_client.get(f"/openapi.json{query}").status_code == status


def test_it_can_be_had_under_its_own_media_type(viewer_client, projects):
    for accepted in ("application/json", "application/vnd.oai.openapi+json", "*/*"):
        assert viewer_client.get("/openapi.json", HTTP_ACCEPT=accepted)["Content-Type"] == "application/json"


# Who sees what.


def test_it_needs_the_right_to_read_rows(anonymous_client, operator_client, projects):
    assert anonymous_client.get("/openapi.json").status_code == 401
    assert anonymous_client.get("/ops/projects/schema").status_code == 401
    assert operator_client.get("/openapi.json").status_code == 200


def test_a_token_with_scopes_sees_its_tables_only(roles, projects):
    client = client_of(user_with_role("viewer"), scopes=["Portfolios"])
    whole = document(client)
    assert "/ops/portfolios" in whole["paths"]
    assert "/ops/projects" not in whole["paths"]
    assert "project_name" not in json.dumps(whole)
    assert client.get("/openapi.json?table=projects").status_code == 403
    assert client.get("/ops/projects/schema").status_code == 403
    assert document(client, "?table=portfolios")["paths"]


# Hostile names.


def test_names_of_any_kind_make_a_valid_document(viewer_client, editor_client, projects):
    columns = [
        {"name": name, "type": "INTEGER", "required": True, "description": "</script>{{x}}"}
        for name in ('a"b', "c\\d", "e/f~g", "$ref", "{key}", "日本", "&x=1#?", "properties", "it's")
    ]
    named = ["Übung", "ubung", "表", "_1", "problem", "projects_new", "portfolioprojects", "Ünew", "schema", "openapi"]
    for name in named:
        make_table(name, columns, primary_key=['a"b'])
    whole = document(viewer_client)
    validate_schema(whole)
    ids = [o["operationId"] for path in whole["paths"].values() for o in path.values()]
    assert len(ids) == len(set(ids))
    parts = [name.casefold() for name in whole["components"]["schemas"]]
    assert len(parts) == len(set(parts))
    assert "code" in whole["components"]["schemas"]["Problem"]["properties"]
    for name in named:
        one = document(viewer_client, f"?table={name}")
        address = next(iter(one["paths"]))
        component = one["paths"][address]["get"]["operationId"].removesuffix(".list")
        answer = editor_client.post(address, made_from(one, f"{component}New"), format="json")
        assert answer.status_code == 201, answer.content
        assert faults(one, component, answer.json()) == []


def test_a_name_is_never_given_to_two_tables():
    names = component_names(["a_b", "ab", "aB", "a_b_new", "ä", "a", "表", "図"], ["Problem", "A"])
    made = [f"{name}{suffix}".casefold() for name in names.values() for suffix in ("", "New", "Patch")]
    assert len(made) == len(set(made))
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in names.values())
    assert "problem" not in made


# Size.


def test_three_hundred_tables_are_described_within_bounds(viewer_client, store: Store):
    kinds = ("INTEGER", "VARCHAR(80)", "DECIMAL(20,2)", "DATE", "TIMESTAMP", "BOOLEAN", "UUID", "DOUBLE")
    columns = [{"name": "id", "type": "UUID", "required": True}] + [
        {"name": f"column_{n:02}", "type": kinds[n % 8], "description": "What it holds, in a few words."} for n in range(39)
    ]
    with store.transaction() as transaction:  # The books alone: 300 tables take a minute to make.
        for n in range(300):
            schema = parse_document({"name": f"table_{n:03}", "columns": columns}, "x")
            books.put_table(transaction.cursor, schema, version=1, provenance="mock")
        transaction.changes_catalogue = True
    document(viewer_client, "?table=")  # What does not depend on the tables is made once.
    start = time.process_time()
    answer = viewer_client.get("/openapi.json")
    first = time.process_time() - start
    start = time.process_time()
    viewer_client.get("/openapi.json", HTTP_IF_NONE_MATCH=answer["ETag"])
    again = time.process_time() - start
    print(f"{len(answer.content) / 1e6:.2f} MB, {first:.2f} s, then {again:.3f} s")
    assert len(answer.json()["paths"]) > 600
    assert len(answer.content) < 5_000_000
    assert first < 2
    assert again < 0.2
    assert len(viewer_client.get("/openapi.json?table=table_007").content) < 40_000


# A row's JSON Schema.


def test_a_table_has_the_json_schema_of_its_rows(viewer_client, editor_client, projects):
    answer = viewer_client.get("/ops/portfolio_projects/schema")
    form = answer.json()
    Draft202012Validator.check_schema(form)
    assert answer["Content-Type"] == "application/schema+json"
    assert form["$id"] == "http://testserver/ops/portfolio_projects/schema"
    assert form["title"] == "portfolio_projects"
    assert form["x-primary-key"] == ["portfolio_id", "project_id"]
    assert form["x-unique"] == []
    row = editor_client.post("/ops/projects", WIND_FARM, format="json").json()
    schema = viewer_client.get("/ops/projects/schema", HTTP_ACCEPT="application/schema+json").json()
    assert list(Draft202012Validator(schema).iter_errors(row)) == []
    assert list(Draft202012Validator(schema).iter_errors(row | {"status": "SOLD"}))


def test_the_schema_of_no_table_is_not_found_and_takes_no_parameter(viewer_client, projects):
    assert viewer_client.get("/ops/nothing/schema").status_code == 404
    assert viewer_client.get("/ops/projects/schema?x=1").status_code == 400


# Swagger UI.


@pytest.fixture
def browser(roles) -> Client:
    client = Client(HTTP_ACCEPT="text/html")
    client.force_login(user_with_role("viewer"))
    return client


def test_a_browser_that_is_not_signed_in_is_sent_to_the_login(db):
    answer = Client(HTTP_ACCEPT="text/html").get("/docs?table=projects")
    assert answer.status_code == 302
    assert answer["Location"] == "/console/login/?next=/docs%3Ftable%3Dprojects"


def test_swagger_ui_comes_from_here_alone_and_without_inline_scripts(browser, projects):
    page = browser.get("/docs?table=projects").content.decode()
    assert "<script>" not in page
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert all(address.startswith("/") for address in addresses)
    for address in addresses:
        if address.startswith("/static/"):
            assert browser.get(address).status_code == 200
    script = browser.get(re.findall(r'<script src="([^"]*script=[^"]*)"', page)[0].replace("&amp;", "&"))
    assert script["Content-Type"] == "application/javascript"
    assert "/openapi.json?table\\u003Dprojects" in script.content.decode()
    assert "http://" not in script.content.decode()
    assert "https://" not in script.content.decode()


def test_swagger_ui_of_no_table_shows_the_service_without_its_tables(browser, projects):
    script = browser.get("/docs?script=").content.decode()
    assert 'url: "/openapi.json?table\\u003D",' in script


def test_swagger_ui_offers_each_table(browser, projects):
    make_table("日本", [{"name": "id", "type": "INTEGER", "required": True}])
    page = browser.get("/docs").content.decode()
    for name in ("projects", "portfolios", "portfolio_projects", "%E6%97%A5%E6%9C%AC"):
        assert f'href="/docs?table={name}"' in page


def test_swagger_ui_of_an_unknown_table_is_a_page_that_says_so(browser, projects):
    answer = browser.get("/docs?table=nothing")
    assert answer.status_code == 404
    assert "There is no table named nothing" in answer.content.decode()


def test_somebody_without_the_right_gets_no_swagger_ui(db, django_user_model, projects):
    client = Client(HTTP_ACCEPT="text/html")
    client.force_login(django_user_model.objects.create_user("nobody"))
    assert client.get("/docs").status_code == 403


def test_the_schema_that_is_parsed_again_is_the_one_that_is_described():
    column = parse_document({"name": "t", "columns": [{"name": "n", "type": "SMALLINT", "required": True}]}, "t").column("n")
    assert column is not None
    assert column_schema(column, written=True) == {"$ref": "#/components/schemas/In_SMALLINT"}
    assert inputs([column])["In_SMALLINT"] == {
        "type": ["integer", "string"],
        "format": "int16",
        "pattern": "^(?:[+-]?[0-9]+)$",
        "minimum": -32768,
        "maximum": 32767,
    }
