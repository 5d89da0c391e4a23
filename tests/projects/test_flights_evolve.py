"""The schema of 336,776 real flights changes and changes back, with evidence each time."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from rest_framework.test import APIClient

from projects.store.connection import Store, get_store
from schema_registry.mock.server import MockOntology
from tests.flights import EXAMPLES
from tests.projects.ontology import Ontology, send, with_column, without_column
from tests.projects.test_flights import csv_of

pytestmark = pytest.mark.django_db

ROWS = 336_776
WITHOUT_DELAY = 8_255
PATH = "/admin/tables/flights"
FLIGHTS = json.loads((EXAMPLES / "flights.json").read_text())


@pytest.fixture
def flights(settings, tmp_path: Path, store: Store, steward_client: APIClient) -> Iterator[Ontology]:
    """The five tables of the example, with a year of flights in theirs."""
    folder = shutil.copytree(EXAMPLES, tmp_path / "ontology")
    with MockOntology(folder) as server:
        settings.USE_MOCK_ONTO_SERVER, settings.ONTO_SERVER_URL = False, server.url
        send(steward_client, "post", "/ops/initialize")
        loaded = steward_client.post("/ops/flights?null=NA", data=csv_of("flights"), content_type="text/csv")
        assert loaded.json()["inserted"] == ROWS
        yield Ontology(folder, server.url)


def checksum(column: str) -> int:
    """Of the column's values together with their keys."""
    with get_store().read() as cursor:
        statement = f"SELECT sum(hash(time_hour, carrier, flight, origin, {column})::HUGEINT) FROM flights"
        return cursor.execute(statement).fetchall()[0][0]


def count(client: APIClient, condition: str) -> int:
    return int(client.get(f"/ops/flights?{condition}&limit=1", HTTP_PREFER="count=exact")["X-Total-Count"])


def step(plan: dict, column: str, kind: str) -> dict:
    return next(one for one in plan["steps"] if (one["column"], one["change"]) == (column, kind))


def test_a_year_of_flights_changes_its_schema_and_changes_back(flights: Ontology, steward_client: APIClient, request, capsys) -> None:
    seconds: dict[str, float] = {}

    def put(document: dict, status: int) -> dict:
        flights.say(document, "flights")
        answer = send(steward_client, "put", PATH)
        assert answer.status_code == status, answer.content
        return answer.json()["plan"]

    def done(plan: dict, verb: str, what: str, body: dict | None = None) -> dict:
        answer = send(steward_client, "post", f"/admin/plans/{plan['id']}/{verb}", body or {})
        assert answer.status_code == 200, answer.content
        plan = answer.json().get("plan", answer.json())
        if verb != "approve":
            assert plan["state"] == "applied"
            seconds[what] = plan["outcome"]["seconds"]
        return plan

    # A narrower integer that every row fits: applied.
    document = with_column(FLIGHTS, "distance", type="SMALLINT")
    plan = put(document, 200)
    narrower = step(plan, "distance", "change_type")
    assert (narrower["class"], narrower["rows_total"], narrower["rows_in_the_way"]) == ("strengthening", ROWS, 0)
    seconds["distance to SMALLINT"] = plan["outcome"]["seconds"]
    assert count(steward_client, "distance__gt=4000") == 707

    # A value that 8,255 rows lack: it waits, with the count and a sample, and a constant fills them.
    document = with_column(document, "dep_delay", required=True)
    plan = put(document, 202)
    required = step(plan, "dep_delay", "set_required")
    assert (required["rows_in_the_way"], required["rows_broken"], len(required["sample"])) == (WITHOUT_DELAY, WITHOUT_DELAY, 10)
    assert all(one["value"] is None and one["key"].count(",") == 3 for one in required["sample"])
    answer = send(steward_client, "post", f"/admin/plans/{plan['id']}/approve", {})
    assert (answer.status_code, answer.json()["code"]) == (409, "rows-in-the-way")
    before = checksum("dep_delay")
    plan = send(steward_client, "post", "/admin/plans", {"table": "flights", "inputs": {"dep_delay": {"constant": 0}}}).json()
    assert step(plan, "dep_delay", "set_required")["rows_in_the_way"] == 0
    plan = done(plan, "apply", "dep_delay required")
    assert (count(steward_client, "dep_delay__isnull=true"), plan["outcome"]["archive"]["rows"]) == (0, WITHOUT_DELAY)
    done(plan, "undo", "dep_delay required, undone")
    assert (count(steward_client, "dep_delay__isnull=true"), checksum("dep_delay")) == (WITHOUT_DELAY, before)

    # A column that goes and comes back, every value with its key.
    before = checksum("tailnum")
    document = without_column(with_column(FLIGHTS, "distance", type="SMALLINT"), "tailnum")
    plan = put(document, 202)
    gone = step(plan, "tailnum", "drop_column")
    assert (gone["class"], gone["rows_in_the_way"], gone["archive"]) == ("destructive", ROWS - 2_512, True)
    done(plan, "approve", "")
    assert send(steward_client, "post", f"/admin/plans/{plan['id']}/apply", {}).status_code == 428
    plan = done(plan, "apply", "drop of tailnum", {"confirm": "flights"})
    assert "tailnum" not in steward_client.get("/ops/flights?limit=1").json()[0]
    done(plan, "undo", "drop of tailnum, undone")
    assert (checksum("tailnum"), count(steward_client, "tailnum__isnull=true")) == (before, 2_512)

    # A rename by the same id: applied, and the old name still answers.
    document = with_column(with_column(FLIGHTS, "distance", type="SMALLINT"), "dest", id="https://example.org/destination")
    put(document, 200)
    document = with_column(document, "dest", name="destination")
    plan = put(document, 200)
    renamed = step(plan, "destination", "rename_column")
    assert (renamed["class"], renamed["before"], renamed["rows_in_the_way"]) == ("rename", "dest", 0)
    seconds["dest renamed"] = plan["outcome"]["seconds"]
    answer = steward_client.get("/ops/flights?dest=IAH&limit=1")
    assert (answer.status_code, answer.json()[0]["destination"]) == (200, "IAH")
    assert answer.headers["Deprecation"].startswith("@")

    # Minutes to hours: it waits for a factor; the rows that would round are counted.
    before = checksum("air_time")
    document = with_column(document, "air_time", unit="hour", type="DECIMAL(6,2)")
    plan = put(document, 202)
    unit = step(plan, "air_time", "change_unit")
    assert (unit["class"], unit["rows_in_the_way"]) == ("meaning", ROWS - 9_430)
    plan = send(steward_client, "post", "/admin/plans", {"table": "flights", "inputs": {"air_time": {"factor": "1/60"}}}).json()
    with get_store().read() as cursor:
        rounding = cursor.execute("SELECT count(*) FROM flights WHERE air_time % 3 <> 0").fetchall()[0][0]
    assert step(plan, "air_time", "change_unit")["rows_lost"] == rounding
    done(plan, "approve", "")
    plan = done(plan, "apply", "air_time in hours", {"confirm": "flights"})
    assert steward_client.get("/ops/flights/2013-01-01T10:00:00Z,UA,1545,EWR").json()["air_time"] == 3.78
    done(plan, "undo", "air_time in hours, undone")
    assert checksum("air_time") == before
    if request.config.getoption("--long"):
        with capsys.disabled():
            print(f"\n{json.dumps(seconds, indent=1)}")
