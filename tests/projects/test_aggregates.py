"""Groups of rows, counted and summed."""

import json
import random
from decimal import Decimal

import pytest
from rest_framework.test import APIClient

from projects.store.connection import Store
from tests.projects import drawn
from tests.projects.conftest import make_table
from tests.projects.test_cursors import next_of
from tests.projects.test_lists import people, text_of

__all__ = ["people"]
pytestmark = pytest.mark.django_db


def test_groups_are_counted_summed_and_sorted_as_asked(people: APIClient) -> None:
    cases: list[tuple[str, list[dict]]] = [
        ("", [{"count": 4}]),
        ("name=nobody", [{"count": 0}]),
        ("agg=count,sum(amount)", [{"count": 4, "sum_amount": 27.5}]),
        ("group_by=name", [{"name": "Bert, jr", "count": 1}, {"name": "anna", "count": 2}, {"name": None, "count": 1}]),
        ("group_by=name&sort=-count,name&limit=1", [{"name": "anna", "count": 2}]),
        ('group_by=name&having={"count__gt":1}', [{"name": "anna", "count": 2}]),
        (
            'group_by=name&agg=min(day)&having={"_not":{"name__isnull":true}}&sort=-min_day&limit=1',
            [{"name": "Bert, jr", "min_day": "2026-02-01"}],
        ),
        (
            "group_by=day__year,day__month&agg=count&day__isnull=false&sort=day__year,-day__month&limit=2",
            [{"day__year": 1969, "day__month": 12, "count": 1}, {"day__year": 2026, "day__month": 2, "count": 1}],
        ),
        (
            "agg=count(name),count_distinct(name),avg(amount),median(amount),max(name)&flag=true",
            [{"count_name": 2, "count_distinct_name": 1, "avg_amount": 3.75, "median_amount": 3.75, "max_name": "anna"}],
        ),
        ("group_by=flag&agg=count&q=ann", [{"flag": True, "count": 2}]),
    ]
    for query, groups in cases:
        answer = people.get(f"/ops/people/aggregate?{query}")
        assert (answer.status_code, answer.json()) == (200, groups), query


def test_what_cannot_be_aggregated_is_refused_by_name(people: APIClient) -> None:
    cases = [
        ("group_by=colour", "colour"),
        ("group_by=", "group_by"),
        ("group_by=name__year", "no part year"),
        ("group_by=day__hour", "no part hour"),
        ("group_by=name,name", "two columns named name"),
        ("agg=sum", "without a column"),
        ("agg=sum(name)", "VARCHAR"),
        ("agg=median(day)", "DATE"),
        ("agg=min(tags)", "VARCHAR[]"),
        ("agg=sum(colour)", "colour"),
        ("agg=mode(name)", "mode"),
        ("agg=count,", "agg"),
        ("agg=count(name);drop", "agg"),
        ("agg=count,count", "two columns named count"),
        ('having={"amount__gt":1}', "amount"),
        ("having=1", "having"),
        ("sort=amount", "amount"),
        ("fields=name", "fields"),
        ("limit=0", "limit"),
        ("colour=1", "colour"),
        ("GROUP_BY=name", "GROUP_BY"),
        ("group_by=name&group_by=day", "twice"),
    ]
    for query, said in cases:
        answer = people.get(f"/ops/people/aggregate?{query}")
        assert (answer.status_code, said in answer.json()["detail"]) == (400, True), (query, answer.content)


def test_sums_keep_every_digit_and_one_without_end_is_refused(store: Store, editor_client: APIClient) -> None:
    make_table("big", [{"name": "id", "type": "HUGEINT", "required": True}, {"name": "amount", "type": "DECIMAL(38,2)"}])
    rows = f'[{{"id":{2**126},"amount":123456789012345678901234567890123456.78}},{{"id":{2**126 - 1},"amount":0.01}}]'
    assert editor_client.post("/ops/big", data=rows, content_type="application/json").status_code == 200
    answer = editor_client.get("/ops/big/aggregate?agg=sum(id),sum(amount)")
    assert answer.content.decode() == f'[{{"sum_id":{2**127 - 1},"sum_amount":123456789012345678901234567890123456.79}}]'
    editor_client.post("/ops/big", data=json.dumps({"id": 5}), content_type="application/json")
    answer = editor_client.get("/ops/big/aggregate?agg=sum(id)")
    assert (answer.status_code, "avg" in answer.json()["detail"]) == (400, True)


def test_groups_are_paged_and_exported_as_rows_are(people: APIClient) -> None:
    first = people.get("/ops/people/aggregate?group_by=name&limit=2", HTTP_PREFER="count=exact")
    assert first["X-Total-Count"] == "3"
    assert people.get(next_of(first)).json() == [{"name": None, "count": 1}]
    assert (
        people.get("/ops/people/aggregate?group_by=name&limit=2", HTTP_IF_NONE_MATCH=first["ETag"], HTTP_PREFER="count=exact").status_code
        == 304
    )
    lines = text_of(people.get("/ops/people/aggregate?group_by=name&format=csv")).splitlines()
    assert lines == ["name,count", '"Bert, jr",1', '"anna",2', ",1"]


def test_every_aggregate_of_every_type_is_what_duckdb_says(store: Store, editor_client: APIClient) -> None:
    rng = random.Random(8)
    columns = [{"name": f"c{n}", "type": kind} for n, kind in enumerate(drawn.TYPES) if not kind.endswith("]")]
    schema = make_table("kinds", [{"name": "id", "type": "INTEGER", "required": True}, *columns])
    rows = drawn.rows(rng, schema, 40)
    assert editor_client.post("/ops/kinds", data=f"[{','.join(rows)}]", content_type="application/json").status_code == 200
    for column in schema.columns:
        functions = ["count", "count_distinct", "min", "max", *(["avg", "median"] if column.type.is_number else [])]
        asked = ",".join(f"{function}({column.name})" for function in functions)
        answer = editor_client.get(f"/ops/kinds/aggregate?agg={asked}")
        assert answer.status_code == 200, (str(column.type), answer.content)
        found = json.loads(answer.content, parse_float=Decimal)[0]
        stored = [row[column.name] for row in json.loads(editor_client.get("/ops/kinds").content, parse_float=Decimal)]
        stored = [value for value in stored if value is not None]
        assert found[f"count_{column.name}"] == len(stored)
        if column.type.base != "JSON":
            assert found[f"count_distinct_{column.name}"] == len(set(stored))
        if column.type.is_number:
            assert (found[f"min_{column.name}"], found[f"max_{column.name}"]) == (min(stored), max(stored))
            assert float(found[f"avg_{column.name}"]) == pytest.approx(float(sum(stored) / len(stored)))
