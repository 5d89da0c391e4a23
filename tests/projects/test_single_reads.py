"""One row by its key: the text that it comes as, and many who read at once."""

import json
import random

from rest_framework.test import APIClient

from projects import rows
from projects.store.connection import Store
from tests.projects import drawn
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
    bodies = [rows.read_json(text.encode()) | {"kind_id": n} for n, text in enumerate(drawn.rows(rng, schema, 40))]
    bodies += [edge | {"kind_id": -n} for n, edge in enumerate(EDGES, 1)]
    written = {body["kind_id"]: rows.create(store, "kinds", body, actor="test").row for body in bodies}
    lines = editor_client.get("/ops/kinds?format=ndjson").getvalue().decode().strip("\n").split("\n")
    assert len(lines) == len(bodies)
    for line in lines:
        key = json.loads(line)["kind_id"]
        assert editor_client.get(f"/ops/kinds/{key}").content.decode() == line == written[key]
