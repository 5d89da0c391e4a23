"""PATCH and DELETE by a filter: every row that is meant and no other, each with its entry in the feed, or none."""

import json
from urllib.parse import urlencode

import pytest
from rest_framework.test import APIClient

from projects.models import ManagedTable, forget_decided
from projects.store.connection import Store
from schema_registry.models import AuditEntry
from tests.projects.conftest import make_table
from tests.projects.ontology import TURBINES, Ontology, put, send, with_column

pytestmark = pytest.mark.django_db

ROWS = [
    {"id": number, "part": part, "name": name, "amount": number * 1.5, "code": number}
    for number, (part, name) in enumerate([("a", "anna"), ("a,b", "Bert"), ("schema", None), ("", "anna"), ("~/", "Zoë")], 1)
]


@pytest.fixture
def people(store: Store, editor_client: APIClient) -> APIClient:
    make_table(
        "people",
        [
            {"name": "id", "type": "INTEGER", "required": True},
            {"name": "part", "type": "VARCHAR", "required": True},
            {"name": "name", "type": "VARCHAR", "max_length": 10},
            {"name": "amount", "type": "DECIMAL(10,2)"},
            {"name": "code", "type": "INTEGER"},
            {"name": "seen", "type": "TIMESTAMP", "generated": "updated", "required": True},
        ],
        primary_key=["id", "part"],
        unique=[["code"]],
    )
    assert send(editor_client, "post", "/ops/people", ROWS).json()["inserted"] == 5
    return editor_client


def entries(store: Store, *ops: str) -> list[tuple]:
    with store.read() as cursor:
        found = cursor.execute("SELECT seq, op, actor, key, before, after, schema_version FROM _duckspawn.changes ORDER BY seq").fetchall()
    return [entry for entry in found if entry[1] in ops]


def rows(client: APIClient) -> dict[int, dict]:
    return {row["id"]: row for row in client.get("/ops/people").json()}


def test_every_row_that_is_meant_changes_with_an_entry_each(people: APIClient, store: Store) -> None:
    before, listed = rows(people), people.get("/ops/people")["ETag"]
    query = urlencode({"filter": json.dumps({"_or": [{"name": "anna"}, {"name__isnull": True}, {"part__contains": ","}]})})
    assert send(people, "patch", f"/ops/people?{query}&dry_run=true", {"amount": 4.5, "name": "x"}).json() == {"updated": 4}
    answer = send(people, "patch", f"/ops/people?{query}", {"amount": 1.5})
    assert (answer.status_code, answer.json()) == (200, {"updated": 3})  # The row 1 has it already.
    after = rows(people)
    assert [after[n]["amount"] for n in (1, 2, 3, 4, 5)] == [1.5, 1.5, 1.5, 1.5, 7.5]
    assert [n for n in after if after[n]["seen"] != before[n]["seen"]] == [2, 3, 4]
    assert people.get("/ops/people", headers={"If-None-Match": listed}).status_code == 200
    told = entries(store, "patch")
    assert sorted((actor, key, json.loads(b), json.loads(a), version) for _, _, actor, key, b, a, version in told) == [
        ("editor", key, before[n], after[n], 1) for key, n in (("2,a~2Cb", 2), ("3,schema", 3), ("4,~", 4))
    ]
    assert [seq for seq, *_ in told] == list(range(told[0][0], told[0][0] + 3))
    assert send(people, "patch", f"/ops/people?{query}", {"amount": 1.5}).json() == {"updated": 0}
    assert send(people, "patch", "/ops/people?id=5", {"name": None, "seen": "2020-01-01"}).json() == {"updated": 1}
    assert rows(people)[5] == after[5] | {"name": None, "seen": "2020-01-01T00:00:00Z"}
    assert send(people, "patch", "/ops/people?id=5", {}).json() == {"updated": 0}
    assert send(people, "patch", "/ops/people?id=5", {"seen": None}).json() == {"updated": 0}
    audited = AuditEntry.objects.filter(action="rows.change").order_by("seq").values_list("actor", "object", "detail")
    assert [*audited] == [("editor", "people", {"rows": 3}), ("editor", "people", {"rows": 1})]


def test_every_row_that_is_meant_is_deleted_with_an_entry_each(people: APIClient, store: Store) -> None:
    before = rows(people)
    assert send(people, "delete", "/ops/people?q=ANN&dry_run=true").json() == {"deleted": 2}
    assert rows(people) == before
    answer = send(people, "delete", "/ops/people?q=ANN")
    assert (answer.status_code, answer.json()) == (200, {"deleted": 2})
    assert sorted(rows(people)) == [2, 3, 5]
    told = {key: (op, json.loads(b), a) for _, op, _, key, b, a, _ in entries(store, "delete")}
    assert told == {"1,a": ("delete", before[1], None), "4,~": ("delete", before[4], None)}
    assert send(people, "delete", "/ops/people?id__isnull=false").json() == {"deleted": 3}
    assert people.get("/ops/people").json() == []


def test_more_rows_than_were_meant_stay_as_they_are(people: APIClient, store: Store) -> None:
    before = rows(people)
    for method, body in (("patch", {"amount": 9}), ("delete", None)):
        answer = send(people, method, "/ops/people?id__gte=2&max_affected=3", body)
        assert (answer.status_code, answer.json()["code"]) == (409, "too-many-affected")
        assert answer.json()["detail"].startswith("4 rows of people are meant, more than max_affected=3 allows")
    assert (rows(people), entries(store, "patch", "delete")) == (before, [])
    assert send(people, "patch", "/ops/people?id__gte=2&max_affected=4", {"amount": 9}).json() == {"updated": 4}


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("", 400, "id__isnull=false means every row"),
        ("?filter={}", 400, "id__isnull=false means every row"),
        ('?filter={"_not":{}}&max_affected=5', 400, "id__isnull=false means every row"),
        ("?colour=red", 400, "colour is no column of people"),
        ("?limit=2&id=1", 400, "limit is no column of people"),
        ("?id=1&max_affected=0", 400, "max_affected is a whole number from 1 to 100000"),
        ("?id=1&max_affected=100001", 400, "max_affected is a whole number from 1 to 100000"),
        ("?id=1&dry_run=perhaps", 400, "dry_run is true or false"),
        ("?name__regex=(", 400, "regular expression"),
    ],
)
def test_what_is_not_understood_touches_nothing(people: APIClient, store: Store, query: str, status: int, said: str) -> None:
    before = rows(people)
    for method, body in (("patch", {"amount": 9}), ("delete", None)):
        answer = send(people, method, f"/ops/people{query}", body)
        assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.content
    assert rows(people) == before


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"id": 7}, 422, "row-refused"),
        ({"part": None}, 422, "row-refused"),
        ({"name": "x" * 11}, 422, "row-refused"),
        ({"colour": "red"}, 422, "row-refused"),
        ([{"amount": 1}], 422, "row-refused"),
        ("{", 400, "bad-request"),
        ({"code": 99}, 409, "duplicate-key"),
        ({"code": 2}, 409, "duplicate-key"),
    ],
)
def test_a_bad_value_touches_nothing(people: APIClient, store: Store, body: object, status: int, code: str) -> None:
    before = rows(people)
    answer = send(people, "patch", "/ops/people?id__lte=3", body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.content
    assert (rows(people), entries(store, "patch")) == (before, [])


def test_who_may_not_write_touches_nothing(people: APIClient, viewer_client: APIClient) -> None:
    for method in ("patch", "delete"):
        assert send(viewer_client, method, "/ops/people?id=1", {"amount": 9}).status_code == 403
    ManagedTable.objects.update_or_create(name="people", defaults={"read_only": True})
    forget_decided()
    for method in ("patch", "delete"):
        assert send(people, method, "/ops/people?id=1", {"amount": 9}).status_code == 423


def test_versions_and_old_names_choose_rows_too(turbines: Ontology, steward_client: APIClient) -> None:
    turbines.say(with_column(TURBINES, "power", name="output", renamed_from="power"))
    put(steward_client)
    old = send(steward_client, "patch", "/ops/turbines?power=100", {"power": 150})
    assert (old.json(), old.has_header("Deprecation")) == ({"updated": 1}, True)
    path, version = "/ops/turbines?power=150&price=12.5", {"HTTP_SCHEMA_VERSION": "1"}
    answer = steward_client.patch(path, data='{"power": 160, "code": "new"}', content_type="application/json", **version)
    assert (answer.json(), answer["Schema-Version"]) == ({"updated": 1}, "1")
    assert steward_client.patch(path, data='{"output": 1}', content_type="application/json", **version).status_code == 422
    assert [row["output"] for row in steward_client.get("/ops/turbines").json()] == [160, 200]
    assert steward_client.delete('/ops/turbines?filter={"_not":{"power__lt":200}}', **version).json() == {"deleted": 1}
    assert [row["id"] for row in steward_client.get("/ops/turbines").json()] == [1]


def test_null_leaves_a_generated_column_of_one_row_as_it_is(people: APIClient) -> None:
    row = rows(people)[1]
    answer = send(people, "patch", "/ops/people/1,a", {"seen": None, "id": 1})
    assert (answer.status_code, answer.json()) == (200, row)
    assert send(people, "patch", "/ops/people/1,a", {"id": None}).status_code == 422
