"""Lists: nothing in the address is ever ignored."""

import json

import pytest
from rest_framework.test import APIClient

from projects.store.connection import Store
from tests.projects.conftest import make_table

pytestmark = pytest.mark.django_db

ROWS = [
    {"id": 1, "name": "anna", "amount": 10.5, "day": "2026-01-01", "tags": ["x", "y"], "flag": True},
    {"id": 2, "name": "Bert, jr", "amount": 20, "day": "2026-02-01", "tags": [], "flag": False},
    {"id": 3, "name": None, "amount": None, "day": None, "tags": None, "flag": None},
    {"id": 4, "name": "anna", "amount": -3, "day": "1969-12-31", "tags": ["y"], "flag": True},
]


@pytest.fixture
def people(store: Store, editor_client: APIClient) -> APIClient:
    make_table(
        "people",
        [
            {"name": "id", "type": "INTEGER", "required": True},
            {"name": "name", "type": "VARCHAR"},
            {"name": "amount", "type": "DECIMAL(10,2)"},
            {"name": "day", "type": "DATE"},
            {"name": "tags", "type": "VARCHAR[]"},
            {"name": "flag", "type": "BOOLEAN"},
        ],
    )
    answer = editor_client.post("/ops/people", data=json.dumps(ROWS), content_type="application/json")
    assert answer.json()["inserted"] == 4, answer.content
    return editor_client


def test_a_list_is_what_its_address_says(people: APIClient) -> None:
    cases: list[tuple[str, list[int]]] = [
        ("", [1, 2, 3, 4]),
        ("name=anna", [1, 4]),
        ("NAME=anna", [1, 4]),
        ("name__eq=anna", [1, 4]),
        ("name__ne=anna", [2]),
        ('name__in=anna,"Bert, jr"', [1, 2, 4]),
        ("name__nin=anna", [2]),
        ("name__contains=nn", [1, 4]),
        ("name__icontains=BERT", [2]),
        ("name__startswith=Be", [2]),
        ("name__endswith=na", [1, 4]),
        ("name__regex=^a.*a$", [1, 4]),
        ("name__isnull=true", [3]),
        ("name__isnull=false", [1, 2, 4]),
        ("amount__gt=10.5", [2]),
        ("amount__gte=10.50", [1, 2]),
        ("amount__lt=0", [4]),
        ("amount__lte=10.5", [1, 4]),
        ("amount__between=-3,10.5", [1, 4]),
        ("day__gte=1970-01-01", [1, 2]),
        ("tags__contains=y", [1, 4]),
        ('tags=["x","y"]', [1]),
        ("tags=[]", [2]),
        ("flag=true", [1, 4]),
        ("name=anna&amount__gt=0", [1]),
        ("name=nobody", []),
        ("sort=-amount", [2, 1, 4, 3]),
        ("sort=amount", [4, 1, 2, 3]),
        ("sort=-name,amount", [4, 1, 2, 3]),
        ("sort=name,-id", [2, 4, 1, 3]),
        ("limit=2", [1, 2]),
        ("limit=2&offset=3", [4]),
        ("offset=100", []),
    ]
    for query, ids in cases:
        answer = people.get(f"/ops/people?{query}")
        assert answer.status_code == 200, answer.content
        assert [row["id"] for row in answer.json()] == ids, query


def test_what_cannot_be_understood_is_refused_by_name(people: APIClient) -> None:
    queries = [
        "colour=red",
        "name__like=x",
        "amount__contains=1",
        "amount=abc",
        "amount__gt=",
        "day=2026-02-30",
        "flag=perhaps",
        "name__isnull=maybe",
        "amount__between=1",
        "name__in=",
        'name__in="open',
        "tags__gt=[]",
        "tags=x",
        "name__regex=(",
        "sort=colour",
        "sort=",
        "fields=colour",
        "limit=0",
        "limit=10001",
        "limit=ten",
        "limit=1&limit=2",
        "offset=-1",
        "format=xml",
    ]
    for query in queries:
        answer = people.get(f"/ops/people?{query}")
        assert answer.status_code == 400, (query, answer.content)
        assert query.partition("=")[0].partition("__")[0] in answer.content.decode() or "regular expression" in answer.json()["detail"]


def test_the_fields_asked_for_come_in_the_order_asked_for(people: APIClient) -> None:
    assert people.get("/ops/people?fields=amount,id&limit=1").content == b'[{"amount":10.5,"id":1}]'


def test_the_exact_count_is_of_the_whole_list(people: APIClient) -> None:
    answer = people.get("/ops/people?name=anna&limit=1", HTTP_PREFER="count=exact")
    assert answer["X-Total-Count"] == "2"
    assert "X-Total-Count" not in people.get("/ops/people")


def text_of(answer) -> str:
    return b"".join(answer.streaming_content).decode()


def test_ndjson_is_the_whole_result_a_row_a_line(people: APIClient) -> None:
    lines = text_of(people.get("/ops/people?format=ndjson")).splitlines()
    assert [json.loads(line) for line in lines] == people.get("/ops/people").json()


def test_csv_tells_null_from_the_empty_string(people: APIClient) -> None:
    people.post("/ops/people", data=json.dumps({"id": 5, "name": ""}), content_type="application/json")
    answer = people.get("/ops/people?fields=id,name,amount&sort=id", HTTP_ACCEPT="text/csv")
    assert answer["Content-Type"] == "text/csv"
    assert text_of(answer).splitlines() == ["id,name,amount", '1,"anna",10.50', '2,"Bert, jr",20.00', "3,,", '4,"anna",-3.00', '5,"",']


def test_an_export_of_nothing_is_an_empty_file(people: APIClient) -> None:
    assert text_of(people.get("/ops/people?format=ndjson&name=nobody")) == ""
    assert text_of(people.get("/ops/people?format=csv&name=nobody&fields=id")) == "id\n"


def test_more_rows_than_a_page_are_all_in_an_export(store: Store, editor_client: APIClient) -> None:
    make_table("many", [{"name": "id", "type": "INTEGER", "required": True}])
    body = "id\n" + "\n".join(map(str, range(45_000))) + "\n"
    assert editor_client.post("/ops/many", data=body, content_type="text/csv").json()["inserted"] == 45_000
    assert text_of(editor_client.get("/ops/many?format=csv")) == body
    assert len(editor_client.get("/ops/many").json()) == 100


def test_a_format_that_there_is_not_is_said_with_those_that_there_are(people: APIClient) -> None:
    answer = people.get("/ops/people", HTTP_ACCEPT="application/xml")
    assert answer.status_code == 406
    assert "text/csv" in answer.json()["detail"]


def test_a_column_may_be_called_like_a_parameter(store: Store, editor_client: APIClient) -> None:
    make_table(
        "odd",
        [{"name": "id", "type": "INTEGER", "required": True}, {"name": "limit", "type": "INTEGER"}, {"name": "a__ne", "type": "INTEGER"}],
    )
    editor_client.post("/ops/odd", data=json.dumps([{"id": 1, "limit": 5, "a__ne": 6}, {"id": 2}]), content_type="application/json")
    assert [r["id"] for r in editor_client.get("/ops/odd?limit__eq=5").json()] == [1]
    assert [r["id"] for r in editor_client.get("/ops/odd?a__ne=6").json()] == [1]
