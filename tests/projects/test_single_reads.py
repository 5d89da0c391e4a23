"""One row by its key: the text that it comes as, and many who read at once."""

import json
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import cycle

import pytest
from rest_framework.test import APIClient

from projects import rows
from projects.errors import RowNotFound
from projects.store import rows as stored
from projects.store.connection import Store
from projects.store.retries import steadily
from schema_registry.schema import TableSchema
from tests.projects import drawn
from tests.projects.altering import alter
from tests.projects.conftest import make_table

CONTROLS = "".join(chr(code) for code in range(1, 160)) + '\u2028\ufeff😀 "\\/'
EDGES = (
    {"the_varchar": CONTROLS, "the_decimal": "0.0000000001"},
    {"the_date": "9999-12-31", "the_timestamp": "0001-01-01T00:00:00.5Z", "the_decimal": "-0"},
    {"the_date": "0044-03-15", "the_timestamp": "9999-12-31T23:59:59.999999Z"},
    {"the_timestamp": "2026-01-31T12:00:00.120Z"},
)


def test_a_row_reads_by_its_key_as_it_does_in_a_list(store: Store, editor_client: APIClient) -> None:
    drawn_columns = [{"name": f"c{n}", "type": kind} for n, kind in enumerate((*drawn.TYPES, "DECIMAL(3,3)"))]
    edge_columns = [{"name": f"the_{kind.lower()}", "type": kind} for kind in ("VARCHAR", "DATE", "TIMESTAMP")]
    columns = [*drawn_columns, *edge_columns, {"name": "the_decimal", "type": "DECIMAL(20,10)"}]
    schema = make_table("kinds", [{"name": "kind_id", "type": "INTEGER", "required": True}, *columns])
    rng = random.Random(7)
    bodies = [rows.read_json(text.encode()) | {"kind_id": n} for n, text in enumerate(drawn.rows(rng, schema, 16))]
    bodies += [edge | {"kind_id": -n} for n, edge in enumerate(EDGES, 1)]
    written = {body["kind_id"]: rows.create(store, "kinds", body, actor="test").row for body in bodies}
    lines = editor_client.get("/ops/kinds?format=ndjson").getvalue().decode().strip("\n").split("\n")
    assert len(lines) == len(bodies)
    for line in lines:
        key = json.loads(line)["kind_id"]
        assert editor_client.get(f"/ops/kinds/{key}").content.decode() == line == written[key]


EXACT = '{"price":2.50,"digits":12345678901234567890.123456789012345678901,"text":"a\\nb","none":null}'


def test_a_json_value_keeps_its_digits_at_every_door(store: Store, editor_client: APIClient) -> None:
    make_table(
        "docs",
        [{"name": "doc_id", "type": "INTEGER", "required": True}, {"name": "doc", "type": "JSON"}, {"name": "docs", "type": "JSON[]"}],
    )
    row = f'{{"doc_id":1,"doc":{EXACT},"docs":[{EXACT},1.10]}}'
    made = editor_client.post("/ops/docs", row, content_type="application/json")
    doors = ("/ops/docs/1", "/ops/docs", "/ops/docs?format=ndjson", "/ops/docs/changes")
    answers = [made.content, *(getattr(answer, "content", None) or answer.getvalue() for answer in map(editor_client.get, doors))]
    asked = editor_client.post("/ops/query", {"sql": "SELECT doc FROM docs"}, format="json")
    csv = editor_client.get("/ops/docs?format=csv").getvalue().decode()
    assert made.status_code == 201
    assert [row in answer.decode() for answer in answers] == [True] * 5, answers
    assert f'"doc":{EXACT}' in asked.content.decode()
    assert EXACT.replace('"', '""') in csv
    written = '{\n "price": 2.50\n}'
    with store.transaction() as transaction:
        transaction.execute(f"UPDATE docs SET doc = '{written}', docs = ['{written}']")
    line = '{"doc_id":1,"doc":{  "price": 2.50 },"docs":[{  "price": 2.50 }]}'
    assert editor_client.get("/ops/docs/1").content.decode() == line
    assert editor_client.get("/ops/docs?format=ndjson").getvalue().decode() == f"{line}\n"


READERS, ROWS = 64, 40
KEYS: dict[str, Callable[[int], str]] = {
    "INTEGER": str,
    "VARCHAR": "it's {}".format,
    "UUID": "0000000000000000000000000000{:04X}".format,
}


def rename(store: Store, old: str, new: str) -> None:
    """Gives a column of `things` another name."""
    with store.locks.of("things").alone():
        live = store.table("things")
        wanted = replace(live.schema, columns=tuple(replace(c, name=new) if c.name == old else c for c in live.schema.columns))
        statement = f"ALTER TABLE main.things RENAME COLUMN {old} TO {new}"
        alter(store, live, wanted, [statement], version=live.version + 1, provenance="live", actor="test")


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["UUID", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("INTEGER", "VARCHAR"))])
def test_each_of_many_readers_at_once_gets_their_own_row_while_the_table_changes(store: Store, kind: str) -> None:
    key = KEYS[kind]
    make_table("things", [{"name": "thing_id", "type": kind, "required": True}, {"name": "size", "type": "INTEGER"}])
    for number in range(ROWS):
        rows.create(store, "things", {"thing_id": key(number), "size": number}, actor="test")
    start, over = threading.Barrier(READERS + 1), threading.Event()

    def get(schema: TableSchema, number: int) -> str:
        return stored.get(store, schema, (key(number),))

    def read(first: int) -> list[str]:
        """What is wrong with the answers of one reader, who asks for rows that are there and for others that are not."""
        wrong = []
        start.wait()
        for number in range(first, first + 4):
            try:
                row = json.loads(steadily(store, "things", lambda live, n=number: get(live.schema, n)))
                found = row.get("size", row.get("extent"))
            except RowNotFound as error:
                found = None
                assert error.key == stored.key_text((key(number),))
            if found != (number if number < ROWS else None):
                wrong.append(f"{number} gave {found}")
        return wrong

    def change() -> None:
        start.wait()
        for names in cycle((("size", "extent"), ("extent", "size"))):
            rename(store, *names)
            if over.is_set():
                break

    with ThreadPoolExecutor(READERS + 1) as pool:
        changer = pool.submit(change)
        readers = [pool.submit(partial(read, number)) for number in range(READERS)]
        wrong = [line for reader in readers for line in reader.result()]
        over.set()
        changer.result()
    assert wrong == []
    assert store.table("things").version > 1
