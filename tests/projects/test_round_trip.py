"""A table goes out as a file, is emptied, and comes back from that file as it was: every value, in every format."""

import json
import random

import pytest
from rest_framework.test import APIClient

from projects.formats import FORMATS
from projects.store.connection import Store
from schema_registry.schema import TableSchema
from tests.projects import drawn
from tests.projects.conftest import make_table

pytestmark = pytest.mark.django_db

TEXTS = (
    "",
    " ",
    "NA",
    "null",
    "NULL",
    '"',
    '""',
    "a,b",
    "a\nb",
    "a\r\nb",
    "\ttab",
    "it's",
    "🦆 ü é",
    "\\",
    "\\N",
    "x" * 5000,
    "\u2028",
    "#",
    "-",
)
EXTREMES = {
    "DECIMAL(38,10)": ["-9999999999999999999999999999.9999999999", "0.0000000001", "1234567890123456789012345678.1234567891"],
    "HUGEINT": [str(-(2**127)), str(2**127 - 1)],
    "DATE": ['"0001-01-01"', '"1969-07-20"', '"9999-12-31"'],
    "TIMESTAMP": ['"0001-01-01T00:00:00Z"', '"1969-12-31T23:59:59.999999Z"', '"9999-12-31T23:59:59Z"'],
    "TIMESTAMPTZ": ['"1969-12-31T23:59:59.5Z"', '"2026-06-01T12:00:00+02:00"'],
    "TIME": ['"00:00:00"', '"23:59:59.999999"'],
    "DOUBLE": ["-0.0", "1.7976931348623157e308", "5e-324", "0.1"],
    "FLOAT": ["0.1", "3.4028234663852886e38"],
    "BLOB": ['""', '"AAECAw=="', '"/////w=="'],
    # A number within a JSON value comes out as DuckDB's to_json prints it, by way of a double: 2.50 would be 2.5.
    "JSON": ['{"a":[1,2.5,null],"b":"x\\ny"}', "null", '"text"', "[]", "12", "true", '{"é":"🦆"}'],
    "VARCHAR[]": ["[]", '[""]', '["a,b","\\"","[x]","🦆","a\\nb"]'],
    "INTEGER[]": ["[]", "[-2147483648,0]"],
}


def made(rng: random.Random) -> tuple[TableSchema, list[str]]:
    """A table with a column of every type, and rows of texts, extremes, nulls and drawn values."""
    columns = [{"name": "id", "type": "INTEGER", "required": True}]
    columns += [{"name": f"c{n}", "type": kind} for n, kind in enumerate(drawn.TYPES)]
    schema = make_table("kinds", columns)
    rows = []
    for number in range(60):
        values = {"id": str(number)}
        for column, kind in zip(schema.columns[1:], drawn.TYPES, strict=True):
            extremes = [json.dumps(text) for text in TEXTS] if kind == "VARCHAR" else EXTREMES.get(kind, [])
            value = extremes[number % len(extremes)] if kind == "JSON" or number < len(extremes) else drawn.value_json(rng, column)
            values[column.name] = "null" if number > 20 and rng.random() < 0.3 else value
        rows.append("{" + ",".join(f'"{name}":{value}' for name, value in values.items()) + "}")
    return schema, rows


def table_hash(store: Store, schema: TableSchema) -> dict[str, int]:
    """The whole table, a number for each column, blind to the order of the rows and to nothing else."""
    hashes = ", ".join(f'sum(hash(id, "{c.name}")::HUGEINT)' for c in schema.columns)
    with store.read() as cursor:
        return dict(zip((c.name for c in schema.columns), cursor.execute(f"SELECT {hashes} FROM main.kinds").fetchall()[0], strict=True))


def test_every_format_brings_back_the_whole_table(store: Store, editor_client: APIClient) -> None:
    schema, rows = made(random.Random(38))
    body = f"[{','.join(rows)}]"
    assert editor_client.post("/ops/kinds", data=body.encode(), content_type="application/json").json()["inserted"] == len(rows)
    before = table_hash(store, schema)
    for name, form in FORMATS.items():
        answer = editor_client.get(f"/ops/kinds?format={name}")
        file = b"".join(answer.streaming_content) if answer.streaming else answer.content
        assert editor_client.delete("/ops/kinds?id__isnull=false").json() == {"deleted": len(rows)}
        assert editor_client.get("/ops/kinds").json() == []
        loaded = editor_client.post("/ops/kinds", data=file, content_type=form.kind)
        assert loaded.json().get("inserted") == len(rows), (name, loaded.content[:1000])
        assert table_hash(store, schema) == before, name
