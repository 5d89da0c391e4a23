"""Rows by REST, one at a time: what goes in comes out, and what is wrong is named."""

import json
from decimal import Decimal

import pytest
from rest_framework.test import APIClient

from projects import undoing
from projects.errors import TableReadOnly
from projects.models import ManagedTable
from projects.store.connection import Store
from tests.projects.conftest import WIND_FARM, make_table

pytestmark = pytest.mark.django_db


def post(client: APIClient, table: str, body: object):
    return client.post(f"/ops/{table}", data=json.dumps(body), content_type="application/json")


def created(client: APIClient, table: str = "projects", **more: object) -> dict:
    answer = post(client, table, WIND_FARM | more)
    assert answer.status_code == 201, answer.content
    return answer.json()


def test_the_seeds_own_example_is_created_with_everything_filled_in(projects: Store, editor_client: APIClient) -> None:
    answer = post(editor_client, "projects", WIND_FARM)
    row = answer.json()
    assert answer.status_code == 201
    assert (row["status"], row["currency_code"], row["description"]) == ("PROPOSED", "USD", None)
    assert row["creation_date"] and row["last_updated"].endswith("Z")
    assert answer["Location"] == f"/ops/projects/{row['project_id']}"
    assert editor_client.get(answer["Location"]).json() == row
    assert editor_client.get("/ops/projects").json() == [row]


def test_a_path_with_a_slash_at_its_end_answers_too(projects: Store, editor_client: APIClient) -> None:
    row = editor_client.post("/ops/projects/", data=json.dumps(WIND_FARM), content_type="application/json").json()
    assert editor_client.get("/ops/projects/").json() == [row]


def test_every_digit_of_a_decimal_survives(store: Store, editor_client: APIClient) -> None:
    make_table("sums", [{"name": "id", "type": "BIGINT", "required": True}, {"name": "amount", "type": "DECIMAL(38,9)"}])
    body = '{"id": 9223372036854775807, "amount": 12345678901234567890123456789.123456789}'
    answer = editor_client.post("/ops/sums", data=body, content_type="application/json")
    assert answer.status_code == 201
    assert json.loads(answer.content, parse_float=Decimal) == {
        "id": 9223372036854775807,
        "amount": Decimal("12345678901234567890123456789.123456789"),
    }


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"project_name": None}, "/project_name", "required"),
        ({"total_amount": "a lot"}, "/total_amount", "type"),
        ({"total_amount": 1.005}, "/total_amount", "type"),
        ({"total_amount": True}, "/total_amount", "type"),
        ({"total_amount": 1e30}, "/total_amount", "range"),
        ({"maturity_years": 20.5}, "/maturity_years", "type"),
        ({"maturity_years": 3_000_000_000}, "/maturity_years", "range"),
        ({"status": "DREAMT"}, "/status", "enum"),
        ({"currency_code": "EURO"}, "/currency_code", "max_length"),
        ({"creation_date": "2026-02-30"}, "/creation_date", "range"),
        ({"creation_date": "yesterday"}, "/creation_date", "type"),
        ({"project_id": "not-a-uuid"}, "/project_id", "type"),
        ({"project_name": 7}, "/project_name", "type"),
        ({"project_name": "\ud800"}, "/project_name", "type"),
        ({"colour": "red"}, "/colour", "unknown"),
    ],
)
def test_a_bad_value_is_refused_by_name(projects: Store, editor_client: APIClient, change: dict, pointer: str, code: str) -> None:
    answer = post(editor_client, "projects", WIND_FARM | change)
    assert answer.status_code == 422
    assert answer["Content-Type"] == "application/problem+json"
    assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [(pointer, code)]
    assert editor_client.get("/ops/projects").json() == []


def test_all_that_is_wrong_is_said_at_once(projects: Store, editor_client: APIClient) -> None:
    answer = post(editor_client, "projects", {"status": "DREAMT", "colour": "red"})
    assert {e["pointer"] for e in answer.json()["errors"]} >= {"/status", "/colour", "/project_name", "/dscr"}


@pytest.mark.parametrize(
    "body", ["", "{", "nonsense", '{"a": 1, "a": 2}', '{"dscr": NaN}', "\xff", "[" * 100_000, '{"dscr": 1' + "0" * 5000 + "}"]
)
def test_what_is_no_json_is_a_bad_request(projects: Store, editor_client: APIClient, body: str) -> None:
    answer = editor_client.post("/ops/projects", data=body.encode("latin-1"), content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["code"] == "bad-request"


def test_an_explicit_value_of_a_generated_column_is_kept(projects: Store, editor_client: APIClient) -> None:
    given = {
        "project_id": "0197f0a0-0000-7000-8000-000000000001",
        "creation_date": "1969-07-20",
        "last_updated": "2020-01-01T01:00:00+01:00",
    }
    row = created(editor_client, **given)
    assert (row["project_id"], row["creation_date"]) == (given["project_id"], "1969-07-20")
    assert row["last_updated"] == "2020-01-01T00:00:00Z"


def test_the_same_key_twice_is_a_conflict(projects: Store, editor_client: APIClient) -> None:
    row = created(editor_client)
    answer = post(editor_client, "projects", WIND_FARM | {"project_id": row["project_id"]})
    assert answer.status_code == 409
    assert row["project_id"] in answer.json()["detail"]
    assert len(editor_client.get("/ops/projects").json()) == 1


def test_a_patch_changes_what_it_names_and_the_update_time(projects: Store, editor_client: APIClient) -> None:
    row = created(editor_client)
    answer = editor_client.patch(f"/ops/projects/{row['project_id']}", data='{"status": "ACTIVE"}', content_type="application/json")
    after = answer.json()
    assert answer.status_code == 200
    assert after["last_updated"] > row["last_updated"]
    assert after | {"last_updated": 0} == row | {"status": "ACTIVE", "last_updated": 0}
    assert editor_client.get(f"/ops/projects/{row['project_id']}").json() == after


def test_an_empty_patch_leaves_the_row_as_it_is(projects: Store, editor_client: APIClient) -> None:
    row = created(editor_client)
    answer = editor_client.patch(f"/ops/projects/{row['project_id']}", data="{}", content_type="application/json")
    assert (answer.status_code, answer.json()) == (200, row)


def test_a_put_sets_what_it_leaves_out_to_its_default(projects: Store, editor_client: APIClient) -> None:
    row = created(editor_client, status="ACTIVE", description="old", creation_date="2001-02-03")
    answer = editor_client.put(f"/ops/projects/{row['project_id']}", data=json.dumps(WIND_FARM), content_type="application/json")
    after = answer.json()
    assert answer.status_code == 200
    assert (after["status"], after["description"], after["creation_date"]) == ("PROPOSED", None, "2001-02-03")
    assert after["last_updated"] > row["last_updated"]


@pytest.mark.parametrize("method", ["put", "patch"])
def test_the_key_of_a_row_does_not_change(projects: Store, editor_client: APIClient, method: str) -> None:
    row = created(editor_client)
    other = WIND_FARM | {"project_id": "0197f0a0-0000-7000-8000-000000000001"}
    answer = getattr(editor_client, method)(f"/ops/projects/{row['project_id']}", data=json.dumps(other), content_type="application/json")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["code"] == "key"
    same = WIND_FARM | {"project_id": row["project_id"].upper()}
    answer = getattr(editor_client, method)(f"/ops/projects/{row['project_id']}", data=json.dumps(same), content_type="application/json")
    assert answer.status_code == 200


def test_a_deleted_row_is_gone(projects: Store, editor_client: APIClient) -> None:
    row = created(editor_client)
    assert editor_client.delete(f"/ops/projects/{row['project_id']}").status_code == 204
    for method in ("get", "delete"):
        assert getattr(editor_client, method)(f"/ops/projects/{row['project_id']}").status_code == 404


@pytest.mark.parametrize("key", ["nonsense", "1,2", "~", "~7", "%00", "0197f0a0-0000-7000-8000-00000000000f", "x" * 5000])
def test_a_key_that_no_row_has_is_not_found(projects: Store, editor_client: APIClient, key: str) -> None:
    assert editor_client.get(f"/ops/projects/{key}").status_code == 404


def test_a_table_that_is_not_there_is_not_found(projects: Store, editor_client: APIClient) -> None:
    for path in ("/ops/nothing", "/ops/nothing/1", "/ops/projects;drop", "/ops/_duckspawn.meta"):
        assert editor_client.get(path).status_code == 404
    assert editor_client.get("/ops/PROJECTS").status_code == 200


def test_a_compound_key_with_commas_slashes_and_tildes_finds_its_row(store: Store, editor_client: APIClient) -> None:
    make_table(
        "pairs",
        [{"name": "a", "type": "VARCHAR"}, {"name": "b", "type": "VARCHAR"}, {"name": "n", "type": "INTEGER"}],
        primary_key=["a", "b"],
    )
    for number, (a, b) in enumerate([("x,y", "z"), ("x", "y,z"), ("~", "/"), ("", "ünï"), ("a b", "?#%"), ("..", "~7E")]):
        answer = post(editor_client, "pairs", {"a": a, "b": b, "n": number})
        assert answer.status_code == 201
        assert editor_client.get(answer["Location"]).json() == {"a": a, "b": b, "n": number}, answer["Location"]


@pytest.mark.parametrize("key", ["aggregate", "schema", "changes", ".", ".."])
def test_a_key_that_looks_like_an_address_of_ours_finds_its_row(store: Store, editor_client: APIClient, key: str) -> None:
    make_table("words", [{"name": "id", "type": "VARCHAR", "required": True}])
    answer = post(editor_client, "words", {"id": key})
    assert answer["Location"].startswith("/ops/words/~")
    assert editor_client.get(answer["Location"]).json() == {"id": key}


def test_a_pattern_is_asked_of_duckdbs_own_engine(store: Store, editor_client: APIClient) -> None:
    make_table("codes", [{"name": "id", "type": "VARCHAR", "required": True, "pattern": r"^\p{Lu}{2}\d+$"}])
    assert post(editor_client, "codes", {"id": "ÄB12"}).status_code == 201
    answer = post(editor_client, "codes", {"id": "ab12"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "pattern")


def test_a_unique_column_is_kept_unique(store: Store, editor_client: APIClient) -> None:
    make_table("users", [{"name": "id", "type": "INTEGER", "required": True}, {"name": "mail", "type": "VARCHAR"}], unique=[["mail"]])
    assert post(editor_client, "users", {"id": 1, "mail": "a@b"}).status_code == 201
    assert post(editor_client, "users", {"id": 2, "mail": "a@b"}).status_code == 409
    assert post(editor_client, "users", {"id": 2, "mail": None}).status_code == 201
    assert post(editor_client, "users", {"id": 3}).status_code == 201


ODD_TYPES = {
    "flag": ("BOOLEAN", True),
    "small": ("UTINYINT", 255),
    "huge": ("HUGEINT", 170141183460469231731687303715884105727),
    "single": ("FLOAT", 0.5),
    "twice": ("DOUBLE", 1e300),
    "day": ("DATE", "0001-01-01"),
    "clock": ("TIME", "23:59:59.999999"),
    "moment": ("TIMESTAMPTZ", "1969-12-31T23:59:59.5Z"),
    "blob": ("BLOB", "AAECgA=="),
    "tree": ("JSON", {"a": [1, None, "x"], "b": {}}),
    "names": ("VARCHAR[]", ["a,b", 'q"uote', ""]),
    "fraction": ("DECIMAL(5,5)", 0.5),
    "long fraction": ("DECIMAL(38,37)", -0.25),
    "numbers": ("DECIMAL(10,2)[]", [1.25, 3]),
    "text": ("VARCHAR", "line\nbreak \"quotes\" 'single' \\ emoji 🦆 "),
}


def test_each_type_comes_back_as_it_went_in(store: Store, editor_client: APIClient) -> None:
    columns = [{"name": name, "type": kind} for name, (kind, _) in ODD_TYPES.items()]
    make_table("odd", [{"name": "id", "type": "INTEGER", "required": True}, *columns])
    row = {"id": 1} | {name: value for name, (_, value) in ODD_TYPES.items()}
    answer = post(editor_client, "odd", row)
    assert (answer.status_code, answer.json()) == (201, row)
    assert editor_client.get("/ops/odd/1").json() == row
    nulls = editor_client.put("/ops/odd/1", data="{}", content_type="application/json")
    assert nulls.json() == {"id": 1} | dict.fromkeys(ODD_TYPES)


def test_a_lists_default_is_filled_in(store: Store, editor_client: APIClient) -> None:
    columns = [
        {"name": "id", "type": "INTEGER", "required": True},
        {"name": "sums", "type": "DECIMAL(38,9)", "multivalued": True, "default": [1.5, 2]},
        {"name": "days", "type": "TIMESTAMP", "multivalued": True, "default": ["2026-01-01T00:00:00+02:00"]},
        {"name": "none", "type": "VARCHAR", "multivalued": True, "default": []},
    ]
    make_table("listed", columns)
    row = {"id": 1, "sums": [1.5, 2], "days": ["2025-12-31T22:00:00Z"], "none": []}
    assert post(editor_client, "listed", {"id": 1}).json() == row
    assert editor_client.post("/ops/listed", data="id\n2\n", content_type="text/csv").status_code == 200
    assert editor_client.get("/ops/listed/2").json() == row | {"id": 2}


def test_a_read_only_table_is_locked_for_writers(projects: Store, editor_client: APIClient) -> None:
    row = created(editor_client)
    ManagedTable.objects.create(name="projects", read_only=True)
    answers = [
        post(editor_client, "projects", WIND_FARM),
        editor_client.post("/ops/projects", data="project_name\nx\n", content_type="text/csv"),
        editor_client.patch(f"/ops/projects/{row['project_id']}", data="{}", content_type="application/json"),
        editor_client.delete(f"/ops/projects/{row['project_id']}"),
    ]
    assert [a.status_code for a in answers] == [423] * 4
    with pytest.raises(TableReadOnly):
        undoing.drop(projects, "projects", confirm="projects", actor="test")
    assert editor_client.get("/ops/projects").json() == [row]


def test_a_viewer_reads_and_does_not_write(projects: Store, editor_client: APIClient, viewer_client: APIClient) -> None:
    row = created(editor_client)
    assert viewer_client.get("/ops/projects").json() == [row]
    assert post(viewer_client, "projects", WIND_FARM).status_code == 403
    assert viewer_client.delete(f"/ops/projects/{row['project_id']}").status_code == 403


def test_nobody_in_particular_gets_nothing(projects: Store, anonymous_client: APIClient) -> None:
    for path in ("/ops/projects", "/ops/projects/1", "/admin/tables", "/ops/query", "/openapi.json"):
        assert anonymous_client.get(path).status_code == 401
