"""Real input, end to end: five schema documents from a real ontology server, five real files, 336,776 flights."""

import zipfile
from collections.abc import Iterator

import pytest
from rest_framework.test import APIClient

from projects import jobs, sync
from projects.store.connection import get_store
from schema_registry.mock.server import MockOntology
from tests.flights import DATA, EXAMPLES
from tests.projects.conftest import make_table

ROWS = {"airlines": 16, "airports": 1_458, "planes": 3_322, "weather": 26_115, "flights": 336_776}


def csv_of(table: str) -> bytes:
    if table == "flights":
        with zipfile.ZipFile(DATA / "flights.csv.zip") as archive:
            return archive.read(archive.namelist()[0])
    return (DATA / f"{table}.csv").read_bytes()


@pytest.fixture
def ontology(settings, db) -> Iterator[MockOntology]:
    with MockOntology(EXAMPLES) as server:
        settings.ONTO_SERVER_URL = server.url
        yield server


def ask(client: APIClient, sql: str) -> list[dict]:
    answer = client.post("/ops/query", data={"sql": sql}, format="json")
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_a_year_of_flights_goes_in_and_can_be_asked(ontology: MockOntology, editor_client: APIClient) -> None:
    report = sync.sync(get_store(), actor=jobs.SYSTEM)
    assert {o.table: (o.outcome, o.provenance) for o in report.outcomes} == dict.fromkeys(ROWS, ("created", "live"))

    for table, rows in ROWS.items():
        answer = editor_client.post(f"/ops/{table}?null=NA", data=csv_of(table), content_type="text/csv")
        assert (answer.status_code, answer.json()["inserted"]) == (200, rows), answer.content

    count = editor_client.get("/ops/flights?carrier=UA&limit=1", HTTP_PREFER="count=exact")
    assert count["X-Total-Count"] == "58665"
    count = editor_client.get("/ops/flights?tailnum__isnull=true&limit=1", HTTP_PREFER="count=exact")
    assert count["X-Total-Count"] == "2512"
    assert ask(editor_client, "SELECT sum(distance) AS miles FROM flights") == [{"miles": 350_217_607}]
    assert editor_client.get("/ops/airlines/DL").json()["name"] == "Delta Air Lines Inc."
    first = editor_client.get("/ops/flights/2013-01-01T10:00:00Z,UA,1545,EWR").json()
    assert (first["tailnum"], first["dep_delay"], first["time_hour"]) == ("N14228", 2, "2013-01-01T10:00:00Z")

    table = editor_client.get("/admin/tables/flights").json()
    assert {r["column"]: r["rows_without"] for r in table["references"]} == {"carrier": 0, "tailnum": 50_094, "origin": 0, "dest": 7_602}
    assert {t["name"]: t["rows"] for t in editor_client.get("/admin/tables").json()} == ROWS


def test_weather_by_the_local_hour_repeats_keys_and_loads_nothing(ontology: MockOntology, editor_client: APIClient) -> None:
    sync.sync(get_store(), ["weather"], actor=jobs.SYSTEM)
    schema = get_store().table("weather").schema
    document = {
        "name": "local_weather",
        "columns": [{"name": c.name, "type": str(c.type)} for c in schema.columns],
        "primary_key": ["origin", "year", "month", "day", "hour"],
    }
    make_table(document.pop("name"), document.pop("columns"), **document)
    answer = editor_client.post("/ops/local_weather?null=NA", data=csv_of("weather"), content_type="text/csv")
    assert answer.status_code == 409
    keys = [reject["value"] for reject in answer.json()["rejects"]]
    assert keys == ["EWR,2013,11,3,1", "JFK,2013,11,3,1", "LGA,2013,11,3,1"]
    assert editor_client.get("/ops/local_weather").json() == []
