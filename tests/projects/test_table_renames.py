"""A table that the ontology calls otherwise: its rows, its history and its old name go with it."""

import pytest
from rest_framework.test import APIClient

from projects.models import ManagedTable
from projects.store.connection import Store
from tests.projects.ontology import TURBINES, Ontology, outcomes, send, table

pytestmark = pytest.mark.django_db


def sync(client: APIClient) -> dict[str, str]:
    return outcomes(send(client, "post", "/ops/initialize").json())


def test_a_table_whose_document_names_it_otherwise_is_renamed_with_its_rows(
    turbines: Ontology, store: Store, steward_client: APIClient
) -> None:
    before = steward_client.get("/ops/turbines").json()
    turbines.say(TURBINES | {"name": "mills"}, "turbines_schema")
    assert sync(steward_client) == {"mills": "altered", "sites": "unchanged"}
    assert steward_client.get("/ops/mills").json() == before
    assert [t.name for t in store.tables()] == ["mills", "sites"]
    old = steward_client.get("/ops/turbines/1")
    assert old.status_code == 200
    assert old.headers["Deprecation"].startswith("@")
    assert list(ManagedTable.objects.order_by("name").values_list("name", flat=True)) == ["mills", "sites"]
    assert sync(steward_client) == {"mills": "unchanged", "sites": "unchanged"}


def test_a_table_with_an_id_is_renamed_by_it(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    turbines.say(TURBINES | {"id": "https://example.org/Turbine"})
    sync(steward_client)
    turbines.forget("turbines_schema")
    turbines.say(TURBINES | {"name": "mills", "id": "https://example.org/Turbine"})
    assert sync(steward_client)["mills"] == "altered"
    assert len(steward_client.get("/ops/mills").json()) == 2
    assert not store.has("turbines")


def test_a_table_of_another_document_without_an_id_is_a_new_one(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    turbines.forget("turbines_schema")
    turbines.say(TURBINES | {"name": "mills"})
    assert sync(steward_client) == {"mills": "created", "sites": "unchanged"}
    assert store.has("turbines")
    assert len(steward_client.get("/ops/turbines").json()) == 2


def test_a_name_that_is_still_listed_is_kept(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    turbines.say(TURBINES | {"name": "mills"}, "turbines_schema")
    turbines.say(TURBINES, "other_schema")
    assert sync(steward_client) == {"turbines": "altered", "mills": "created", "sites": "unchanged"}
    assert len(steward_client.get("/ops/turbines").json()) == 2


def test_a_rename_is_undone_and_its_old_name_with_it(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    before = steward_client.get("/ops/turbines").json()
    turbines.say(TURBINES | {"name": "mills"}, "turbines_schema")
    report = send(steward_client, "post", "/ops/initialize").json()
    number = next(one["plan"] for one in report["tables"] if one["table"] == "mills")
    number = number["id"] if isinstance(number, dict) else number
    assert send(steward_client, "post", f"/admin/plans/{number}/undo", {}).status_code == 200
    assert [t.name for t in store.tables()] == ["sites", "turbines"]
    assert steward_client.get("/ops/turbines").json() == before
    assert "Deprecation" not in steward_client.get("/ops/turbines").headers
    assert steward_client.get("/ops/mills").status_code == 404
    assert sync(steward_client)["mills"] == "waits"


def test_a_table_is_renamed_and_changed_at_once(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    columns = [c for c in TURBINES["columns"] if c["name"] != "code"]
    wider = [c | {"type": "BIGINT"} if c["name"] == "id" else c for c in columns]
    turbines.say(TURBINES | {"name": "mills", "columns": [*wider, {"name": "code", "type": "VARCHAR(9)"}]}, "turbines_schema")
    assert sync(steward_client)["mills"] == "altered"
    assert [row["code"] for row in steward_client.get("/ops/mills").json()] == ["abc", None]
    assert [t.name for t in store.tables()] == ["mills", "sites"]


def test_a_table_in_other_letters_is_the_same_table(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    turbines.say(table("Sites", {"name": "name", "type": "VARCHAR"}), "sites_schema")
    assert sync(steward_client)["Sites"] == "altered"
    assert [t.name for t in store.tables()] == ["Sites", "turbines"]
    answer = steward_client.get("/ops/sites")
    assert (answer.status_code, "Deprecation" in answer.headers) == (200, False)
