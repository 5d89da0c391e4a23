"""Plans of several tables in one transaction, renames that a person confirms, and schemas that break a promise."""

import pytest
from rest_framework.test import APIClient

from projects.store.connection import Store
from tests.projects.ontology import TURBINES, Ontology, outcomes, send, table, with_column, without_column

pytestmark = pytest.mark.django_db

NARROWER = with_column(TURBINES, "price", type="DECIMAL(10,1)")
SITES = table("sites", {"name": "code", "type": "VARCHAR"})


def waiting(client: APIClient, name: str) -> int:
    """The plan of the table that waits, approved."""
    answer = send(client, "put", f"/admin/tables/{name}")
    assert answer.status_code == 202, answer.content
    number = answer.json()["plan"]["id"]
    assert send(client, "post", f"/admin/plans/{number}/approve", {}).status_code == 200
    return number


def states(client: APIClient, *numbers: int) -> list[str]:
    return [client.get(f"/admin/plans/{number}").json()["state"] for number in numbers]


@pytest.fixture
def both(turbines: Ontology, steward_client: APIClient) -> tuple[int, int]:
    """An approved plan for each of two tables, both of which take data away."""
    send(steward_client, "post", "/ops/sites", {"id": 1, "name": "north"})
    turbines.say(NARROWER)
    turbines.say(SITES)
    return waiting(steward_client, "turbines"), waiting(steward_client, "sites")


def test_plans_of_two_tables_are_applied_in_one_transaction(both: tuple[int, int], store: Store, steward_client: APIClient) -> None:
    answer = send(steward_client, "post", "/admin/plans/apply", {"plans": both, "confirm": ["turbines", "sites"]})
    assert answer.status_code == 200, answer.content
    assert [plan["state"] for plan in answer.json()] == ["applied", "applied"]
    assert steward_client.get("/ops/sites").json() == [{"id": 1, "code": None}]
    assert [row["price"] for row in steward_client.get("/ops/turbines").json()] == [12.5, 0.3]
    for number in reversed(both):
        assert send(steward_client, "post", f"/admin/plans/{number}/undo", {}).status_code == 200
    assert steward_client.get("/ops/sites").json() == [{"id": 1, "name": "north"}]
    assert [row["price"] for row in steward_client.get("/ops/turbines").json()] == [12.5, 0.25]


def test_where_one_of_them_cannot_be_neither_is(both: tuple[int, int], store: Store, steward_client: APIClient) -> None:
    store.connection().execute("ALTER TABLE sites ADD COLUMN by_hand INTEGER")
    answer = send(steward_client, "post", "/admin/plans/apply", {"plans": both, "confirm": ["turbines", "sites"]})
    assert answer.status_code == 409, answer.content
    assert states(steward_client, *both) == ["approved", "approved"]
    assert [row["price"] for row in steward_client.get("/ops/turbines").json()] == [12.5, 0.25]
    assert list(store.archive.iterdir()) == []


def test_each_table_that_loses_data_is_confirmed(both: tuple[int, int], steward_client: APIClient) -> None:
    assert send(steward_client, "post", "/admin/plans/apply", {"plans": both, "confirm": ["sites"]}).status_code == 428
    assert states(steward_client, *both) == ["approved", "approved"]


@pytest.mark.parametrize("body", [{}, {"plans": []}, {"plans": ["1"]}, {"plans": [True]}, {"plans": 1}])
def test_plans_that_are_no_numbers_are_a_bad_request(turbines: Ontology, steward_client: APIClient, body: dict) -> None:
    assert send(steward_client, "post", "/admin/plans/apply", body).status_code == 400


def test_one_plan_twice_is_a_bad_request(both: tuple[int, int], steward_client: APIClient) -> None:
    body = {"plans": [both[0], both[0]], "confirm": ["turbines"]}
    assert send(steward_client, "post", "/admin/plans/apply", body).status_code == 400


# Renames that a person confirms.


def test_a_name_that_looks_alike_is_suggested_and_a_person_says_so(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    turbines.say(with_column(without_column(TURBINES, "code"), "type_code", type="VARCHAR(5)"))
    plan = send(steward_client, "put", "/admin/tables/turbines").json()["plan"]
    assert [step["change"] for step in plan["steps"]] == ["drop_column", "add_column"]
    assert [(one["column"], one["renamed_from"]) for one in plan["suggestions"]] == [("type_code", "code")]

    body = {"table": "turbines", "inputs": {"type_code": {"renamed_from": "code"}}}
    plan = send(steward_client, "post", "/admin/plans", body).json()
    assert [(step["change"], step["before"], step["after"]) for step in plan["steps"]] == [("rename_column", "code", "type_code")]
    assert (plan["inputs"], plan["suggestions"]) == (body["inputs"], [])
    assert send(steward_client, "post", f"/admin/plans/{plan['id']}/apply", {}).status_code == 200
    assert [row["type_code"] for row in steward_client.get("/ops/turbines").json()] == ["abc", None]
    answer = steward_client.get("/ops/turbines?code=abc")
    assert (len(answer.json()), answer.headers["Deprecation"][0]) == (1, "@")
    assert send(steward_client, "put", "/admin/tables/turbines").json()["plan"]["steps"] == []
    assert send(steward_client, "post", f"/admin/plans/{plan['id']}/undo", {}).status_code == 200
    assert [row["code"] for row in steward_client.get("/ops/turbines").json()] == ["abc", None]


@pytest.mark.parametrize(
    "inputs",
    [{"type_code": {"renamed_from": "power"}}, {"type_code": {"renamed_from": "nothing"}}, {"power": {"renamed_from": "code"}}],
)
def test_what_is_another_column_already_was_not_renamed(turbines: Ontology, steward_client: APIClient, inputs: dict) -> None:
    turbines.say(with_column(without_column(TURBINES, "code"), "type_code", type="VARCHAR(5)"))
    answer = send(steward_client, "post", "/admin/plans", {"table": "turbines", "inputs": inputs})
    assert (answer.status_code, answer.json()["code"]) == (422, "inputs-refused")


# Promises.


def test_a_schema_that_breaks_the_tables_mode_is_kept_and_not_applied(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    assert send(steward_client, "patch", "/admin/tables/turbines", {"compatibility": "FULL"}).status_code == 200
    turbines.say(with_column(TURBINES, "power", type="BIGINT", maximum=None))
    answer = send(steward_client, "put", "/admin/tables/turbines")
    assert (answer.status_code, answer.json()["code"]) == (409, "schema-incompatible")
    assert "A reader of the old schema takes power within 0..1000" in answer.json()["detail"]
    report = send(steward_client, "post", "/ops/initialize").json()
    assert outcomes(report)["turbines"] == "refused"
    assert [version["number"] for version in steward_client.get("/admin/schemas/turbines/versions").json()] == [2, 1]
    assert store.table("turbines").version == 1
    send(steward_client, "patch", "/admin/tables/turbines", {"compatibility": "BACKWARD"})
    assert outcomes(send(steward_client, "post", "/ops/initialize").json())["turbines"] == "altered"


@pytest.mark.parametrize("body", [{"compatibility": "SOME"}, {"pinned": "yes"}, {"policy": {"additive": "never"}}, {"policy": 1}, {"x": 1}])
def test_a_decision_that_is_none_is_a_bad_request(turbines: Ontology, steward_client: APIClient, body: dict) -> None:
    assert send(steward_client, "patch", "/admin/tables/turbines", body).status_code == 400
