"""Conditions: every operator on every type of column means what DuckDB, asked directly with the value itself, says it means."""

import base64
import json
import random
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from rest_framework.test import APIClient

from projects.conditions import COMPARISONS, OPERATORS, TEXT_OPERATORS
from projects.store.connection import Store
from schema_registry.schema import ColumnSchema
from tests.projects import drawn
from tests.projects.conftest import make_table
from tests.projects.test_lists import people

__all__ = ["people"]
pytestmark = pytest.mark.django_db

# The condition as DuckDB is asked it: the column's own comparison, with the value bound as one of its type.
DIRECT = {
    "eq": "{c} = {0}",
    "ne": "{c} != {0}",
    "gt": "{c} > {0}",
    "gte": "{c} >= {0}",
    "lt": "{c} < {0}",
    "lte": "{c} <= {0}",
    "in": "{c} IN ({0}, {1})",
    "nin": "{c} NOT IN ({0}, {1})",
    "between": "{c} >= {0} AND {c} <= {1}",
    "isnull": "{c} IS NULL",
    "contains": "{c} LIKE '%' || replace(replace(replace({0}, '!', '!!'), '%', '!%'), '_', '!_') || '%' ESCAPE '!'",
    "icontains": "position(lower({0}) IN lower({c})) > 0",
    "startswith": "left({c}, length({0})) = {0}",
    "endswith": "right({c}, length({0})) = {0}",
    "regex": "regexp_matches({c}, {0})",
}


def value_of(column: ColumnSchema, cell: str) -> Any:
    """The value that a JSON text means for the column, as Python has it."""
    value = json.loads(cell, parse_float=Decimal)
    if column.multivalued:
        return [_scalar(column, one) for one in value]
    return cell if column.type.base == "JSON" else _scalar(column, value)


def _scalar(column: ColumnSchema, value: Any) -> Any:
    readers: dict[str, Callable[[Any], Any]] = {
        "DATE": date.fromisoformat,
        "TIME": time.fromisoformat,
        "TIMESTAMP": lambda text: datetime.fromisoformat(text).replace(tzinfo=None),
        "TIMESTAMPTZ": datetime.fromisoformat,
        "UUID": UUID,
        "BLOB": base64.b64decode,
        "FLOAT": float,
        "DOUBLE": float,
    }
    return readers.get(column.type.base, lambda same: same)(value)


def operators_of(column: ColumnSchema) -> tuple[str, ...]:
    if column.multivalued:
        return ("eq", "ne", "isnull")
    return (*COMPARISONS, "isnull", *(TEXT_OPERATORS if column.type.base == "VARCHAR" else ()))


def compare_rounds(client: APIClient, store: Store, rounds: int) -> int:
    """Asks every operator of every column with drawn values, as a parameter and as a tree; gives how many rows were met in all."""
    rng = random.Random(4)
    columns = [{"name": "id", "type": "INTEGER", "required": True}]
    columns += [{"name": f"c{n}", "type": kind} for n, kind in enumerate(drawn.TYPES)]
    schema = make_table("kinds", columns)
    rows = drawn.rows(rng, schema, 60)
    answer = client.post("/ops/kinds", data=f"[{','.join(rows)}]", content_type="application/json")
    assert answer.json()["inserted"] == len(rows), answer.content
    met = 0
    for column in [c for c in schema.columns if c.name != "id"] * rounds:
        stored = [json.loads(row, parse_float=str, parse_int=str)[column.name] for row in rows]
        assert any(value is not None for value in stored)
        for operator in operators_of(column):
            texts = [drawn.value_json(rng, column) for _ in range(2)]
            found = asked(client, column, operator, texts, as_tree=rng.random() < 0.5)
            assert found == direct(store, column, operator, texts), (str(column.sql_type), operator, texts)
            met += len(found)
    return met


def asked(client: APIClient, column: ColumnSchema, operator: str, texts: list[str], *, as_tree: bool) -> list[int]:
    """The rows that REST gives, asked by a parameter or by a tree."""
    cells = [cell_of(column, text) for text in texts]
    several = operator in ("in", "nin", "between")
    cell = ",".join('"' + c.replace('"', '""') + '"' for c in cells) if several else "true" if operator == "isnull" else cells[0]
    tree = f"[{','.join(texts)}]" if several else "true" if operator == "isnull" else texts[0]
    name = f"{column.name}__{operator}"
    answer = client.get("/ops/kinds", {"sort": "id", "fields": "id"} | ({"filter": f'{{"{name}": {tree}}}'} if as_tree else {name: cell}))
    assert answer.status_code == 200, answer.content
    return [row["id"] for row in answer.json()]


def cell_of(column: ColumnSchema, text: str) -> str:
    """A JSON value as it stands in an address."""
    if column.multivalued or column.type.base == "JSON":
        return text
    value = json.loads(text, parse_float=str, parse_int=str)
    return value if isinstance(value, str) else text


def direct(store: Store, column: ColumnSchema, operator: str, texts: list[str]) -> list[int]:
    values = [value_of(column, text) for text in texts]
    condition = DIRECT[operator].format(*(f"(${n}::{column.sql_type})" for n in (1, 2)), c=f'"{column.name}"')
    used = {str(n): value for n, value in enumerate(values, 1) if f"${n}" in condition}
    with store.read() as cursor:
        return [id_ for (id_,) in cursor.execute(f"SELECT id FROM main.kinds WHERE {condition} ORDER BY id", used or None).fetchall()]


def test_every_operator_on_every_type_agrees_with_duckdb(editor_client: APIClient, store: Store) -> None:
    assert set(DIRECT) == set(OPERATORS)
    assert compare_rounds(editor_client, store, rounds=1) > 1000


@pytest.mark.long
def test_every_operator_on_every_type_agrees_with_duckdb_over_many_values(editor_client: APIClient, store: Store) -> None:
    assert compare_rounds(editor_client, store, rounds=12) > 12_000


def test_a_tree_of_conditions_is_met_as_it_reads(people: APIClient) -> None:
    trees: list[tuple[str, list[int]]] = [
        ('{"_or": [{"id": 1}, {"amount__lt": 0}]}', [1, 4]),
        ('{"_and": [{"name": "anna"}, {"flag": true}], "amount__gt": 0}', [1]),
        ('{"_not": {"name": "anna"}}', [2]),
        ('{"_not": {"_or": [{"name": "anna"}, {"name__isnull": true}]}}', [2]),
        ('{"_or": [{"_not": {"id__in": [1, 2, 3]}}, {"day__between": ["2026-02-01", "2026-02-28"]}]}', [2, 4]),
        ('{"id__gt": 1, "id__lt": 4}', [2, 3]),
        ('{"id__gt": 1, "id__gt": 3}', [4]),
        ('{"tags": ["y"]}', [4]),
        ('{"tags__contains": "x"}', [1]),
        ('{"amount__in": [10.50, "20"]}', [1, 2]),
        ("{}", [1, 2, 3, 4]),
    ]
    for tree, ids in trees:
        answer = people.get("/ops/people", {"filter": tree, "sort": "id"})
        assert answer.status_code == 200, answer.content
        assert [row["id"] for row in answer.json()] == ids, tree


def test_a_tree_that_cannot_be_understood_is_refused_with_the_reason(people: APIClient) -> None:
    trees = [
        ("[]", "JSON object"),
        ("{", "JSON object"),
        ("12", "JSON object"),
        ('{"id": NaN}', "JSON object"),
        ('{"colour": 1}', "colour"),
        ('{"id__like": 1}', "like"),
        ('{"id": "one"}', "'one'"),
        ('{"id": true}', "true or false"),
        ('{"name": 5}', "not a string"),
        ('{"name": null}', "isnull"),
        ('{"name__isnull": "yes"}', "true or false"),
        ('{"name__in": "anna"}', "list"),
        ('{"name__in": []}', "list"),
        ('{"id__between": [1]}', "two values"),
        ('{"_or": []}', "_or"),
        ('{"_or": {"id": 1}}', "_or"),
        ('{"_xor": [{"id": 1}]}', "_xor"),
        ('{"_not": [{"id": 1}]}', "JSON object"),
        ('{"tags": [1]}', "tags"),
        ('{"_not":' * 21 + "{}" + "}" * 21, "inside each other"),
        ('{"_not":' * 5000 + "{}" + "}" * 5000, "filter"),
        ('{"name__contains": "a\\u0000"}', "NUL"),
    ]
    for tree, said in trees:
        answer = people.get("/ops/people", {"filter": tree})
        assert answer.status_code == 400, (tree, answer.content)
        assert said in answer.json()["detail"], tree
        assert answer.json()["errors"][0]["pointer"] == "?filter"


def test_a_search_looks_through_the_text_columns_without_case(people: APIClient) -> None:
    assert [row["id"] for row in people.get("/ops/people?q=ANN").json()] == [1, 4]
    assert [row["id"] for row in people.get("/ops/people?q=, J&amount__gt=1").json()] == [2]
    assert people.get("/ops/people?q=%25").json() == []
    assert people.get("/ops/people?q=").status_code == 400
    make_table("bare", [{"name": "id", "type": "INTEGER", "required": True}])
    assert "none" in people.get("/ops/bare?q=x").json()["detail"]
