"""Tables by REST: what they are, how they are described, and how one is dropped with everything kept."""

import hashlib
import json
from pathlib import Path

import duckdb
import pytest
from rest_framework.test import APIClient

from projects.models import ManagedTable
from projects.store.connection import Store
from schema_registry.models import AuditEntry
from tests.conftest import client_of, user_with_role
from tests.projects.conftest import WIND_FARM
from tests.projects.ontology import TURBINES, Ontology, send, table, with_column

pytestmark = pytest.mark.django_db


# Lists.


def test_a_list_says_what_each_table_is_and_where_it_came_from(turbines: Ontology, steward_client: APIClient) -> None:
    sites, found = steward_client.get("/admin/tables").json()
    assert (sites["name"], found["name"]) == ("sites", "turbines")
    assert (found["rows"], found["version"], found["columns"], found["primary_key"]) == (2, 1, 6, ["id"])
    assert found["source"] == {"document": "turbines_schema", "provenance": "live"}
    assert (found["drift"]["state"], found["drift"]["changes"]) == ("in step", [])
    assert found["drift"]["checked_at"]
    assert (found["pinned"], found["read_only"], sites["rows"]) == (False, False, 0)
    assert found["bytes"] >= 0


def test_bytes_grow_with_the_rows(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    store.connection().execute("INSERT INTO sites SELECT n, repeat(uuid()::VARCHAR, 20) FROM range(20000) r(n)")
    store.connection().execute("CHECKPOINT")
    sites = steward_client.get("/admin/tables").json()[0]
    assert (sites["rows"], sites["bytes"] > 1_000_000) == (20000, True)


def test_a_list_is_paged(turbines: Ontology, steward_client: APIClient) -> None:
    def names(query: str) -> list[str]:
        return [t["name"] for t in steward_client.get(f"/admin/tables?{query}").json()]

    assert names("limit=1") == ["sites"]
    assert names("limit=1&offset=1") == ["turbines"]
    assert names("offset=2") == []


@pytest.mark.parametrize("query", ["limit=0", "limit=10001", "limit=x", "offset=-1", "offset=", "limit=1&colour=red", "limit=²"])
def test_a_page_that_is_not_understood_is_a_bad_request(turbines: Ontology, steward_client: APIClient, query: str) -> None:
    assert steward_client.get(f"/admin/tables?{query}").status_code == 400


def test_a_table_that_the_ontology_has_left_behind_says_what_would_change(turbines: Ontology, steward_client: APIClient) -> None:
    turbines.say(with_column(TURBINES, "power", type="SMALLINT"))
    send(steward_client, "patch", "/admin/tables/turbines", {"policy": {"strengthening": "wait"}})
    assert send(steward_client, "put", "/admin/tables/turbines", {}).status_code == 202
    drift = steward_client.get("/admin/tables/turbines").json()["drift"]
    assert (drift["state"], drift["changes"]) == ("behind", ["Change the type of power from INTEGER to SMALLINT."])
    turbines.say(TURBINES)
    send(steward_client, "put", "/admin/tables/turbines", {})
    assert steward_client.get("/admin/tables/turbines").json()["drift"]["state"] == "in step"


def test_a_scoped_token_sees_its_own_tables(turbines: Ontology) -> None:
    client = client_of(user_with_role("viewer"), scopes=["Sites"])
    assert [t["name"] for t in client.get("/admin/tables").json()] == ["sites"]
    assert client.get("/admin/tables/SITES").status_code == 200
    assert client.get("/admin/tables/turbines").status_code == 403


# One table.


def test_a_tables_page_has_its_columns_in_the_schemas_order(ontology: Ontology, store: Store, steward_client: APIClient) -> None:
    columns = [
        {"name": "label", "type": "text", "description": "As people say."},
        {"name": "power", "type": "decimal(8,3)", "unit": "kW", "id": "http://example.org/power", "minimum": 0},
        {"name": "mast_id", "type": "UUID", "required": True, "id": "http://example.org/mast"},
        {"name": "tags", "type": "VARCHAR", "multivalued": True, "deprecated": True},
    ]
    ontology.say({"name": "masts", "id": "http://example.org/Mast", "columns": columns})
    send(steward_client, "post", "/ops/initialize")
    page = steward_client.get("/admin/tables/Masts").json()
    found = {c["name"]: c for c in page["columns"]}
    assert list(found) == ["label", "power", "mast_id", "tags"]
    assert [c["type"] for c in found.values()] == ["VARCHAR", "DECIMAL(8,3)", "UUID", "VARCHAR[]"]
    assert [c["id"] for c in found.values()] == [None, "http://example.org/power", "http://example.org/mast", None]
    assert [c["unit"] for c in found.values()] == [None, "kW", None, None]
    assert [c["key"] for c in found.values()] == [False, False, True, False]
    assert (found["power"]["minimum"], found["label"]["description"], found["tags"]["deprecated"]) == ("0.000", "As people say.", True)
    assert page["primary_key"] == ["mast_id"]
    assert "mast_id is taken for it" in " ".join(page["notes"])


def test_references_that_do_not_hold_are_counted_and_nulls_are_not(ontology: Ontology, store: Store, steward_client: APIClient) -> None:
    references = [{"name": n, "type": "INTEGER", "references": r} for n, r in (("site", "sites.id"), ("ghost", "ghosts.id"))]
    ontology.say(table("masts", *references))
    send(steward_client, "post", "/ops/initialize")
    send(steward_client, "post", "/ops/sites", {"id": 1})
    for number, site in enumerate((1, 2, 3, None)):
        send(steward_client, "post", "/ops/masts", {"id": number, "site": site, "ghost": number or None})
    assert steward_client.get("/admin/tables/masts").json()["references"] == [
        {"column": "site", "references": "sites.id", "rows_without": 2},
        {"column": "ghost", "references": "ghosts.id", "rows_without": 3},
    ]


def test_a_table_that_is_not_there_is_not_found(turbines: Ontology, steward_client: APIClient) -> None:
    for method, path in (("get", "ghosts"), ("put", "ghosts"), ("delete", "ghosts?confirm=ghosts"), ("get", "_duckspawn.meta")):
        assert send(steward_client, method, f"/admin/tables/{path}").status_code == 404


# Dropping.


def archives(store: Store) -> list[Path]:
    return sorted(store.archive.iterdir())


@pytest.mark.parametrize("query", ["", "?confirm=", "?confirm=sites", "?confirm=turbine"])
def test_a_table_is_dropped_only_by_its_name(turbines: Ontology, store: Store, steward_client: APIClient, query: str) -> None:
    answer = steward_client.delete(f"/admin/tables/turbines{query}")
    assert (answer.status_code, answer.json()["code"]) == (428, "confirmation-missing")
    assert "confirm=turbines" in answer.json()["detail"]
    assert len(steward_client.get("/ops/turbines").json()) == 2
    assert archives(store) == []


def test_a_dropped_table_is_in_an_archive_that_any_duckdb_reads(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    answer = steward_client.delete("/admin/tables/turbines?confirm=Turbines")
    plan = answer.json()["plan"]
    archive = plan["outcome"]["archive"]
    assert (answer.status_code, plan["table"], plan["state"], archive["rows"]) == (200, "turbines", "applied", 2)
    for path in ("/ops/turbines", "/ops/turbines/1", "/admin/tables/turbines"):
        assert steward_client.get(path).status_code == 404
    described, parquet = archives(store)
    assert (parquet.name, described.name) == (archive["file"], Path(archive["file"]).stem + ".json")
    assert [path.stat().st_mode & 0o777 for path in (parquet, described)] == [0o600, 0o600]
    with duckdb.connect() as plain:
        rows = plain.execute("SELECT id, power, price::VARCHAR, code, status, serial FROM read_parquet(?)", [str(parquet)]).fetchall()
    assert sorted(rows) == [(1, 100, "12.50", "abc", "NEW", 7), (2, 200, "0.25", None, "OLD", None)]
    beside = json.loads(described.read_text())
    assert beside["sha256"] == archive["sha256"] == hashlib.sha256(parquet.read_bytes()).hexdigest()
    assert (beside["rows"], beside["base"]["name"], beside["plan"]) == (2, "turbines", plan["id"])
    assert list(store.spool.iterdir()) == []


def test_a_drop_is_audited(turbines: Ontology, steward_client: APIClient) -> None:
    archive = steward_client.delete("/admin/tables/turbines?confirm=turbines").json()["plan"]["outcome"]["archive"]
    entry = AuditEntry.objects.get(action="table.drop")
    assert (entry.actor, entry.object, entry.detail["rows"], entry.detail["archive"]) == ("steward", "turbines", 2, archive)


def test_a_drop_that_fails_leaves_the_table_and_no_archive(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    store.connection().execute("BEGIN; ALTER TABLE turbines ADD COLUMN in_the_way INTEGER")  # Somebody else's change, not yet committed.
    answer = steward_client.delete("/admin/tables/turbines?confirm=turbines")
    store.connection().execute("ROLLBACK")
    assert (answer.status_code, answer.json()["code"]) == (503, "store-busy")
    assert archives(store) == []
    assert list(store.spool.iterdir()) == []
    assert len(steward_client.get("/ops/turbines").json()) == 2
    assert not AuditEntry.objects.filter(action="table.drop").exists()
    assert steward_client.delete("/admin/tables/turbines?confirm=turbines").status_code == 200


def test_who_may_not_drop_a_table_does_not(turbines: Ontology, editor_client: APIClient) -> None:
    scoped = client_of(user_with_role("viewer"), scopes=["turbines"])
    for client in (editor_client, scoped):
        assert client.delete("/admin/tables/turbines?confirm=turbines").status_code == 403
        assert send(client, "put", "/admin/tables/turbines", {}).status_code == 403
    assert len(editor_client.get("/ops/turbines").json()) == 2


def test_a_table_that_comes_back_in_other_letters_is_the_same_table(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    steward_client.delete("/admin/tables/sites?confirm=sites")
    turbines.say(table("Sites"), "sites_schema")
    assert send(steward_client, "post", "/admin/tables", {"schema": "sites"}).status_code == 201
    assert [(r.name, r.dropped_at) for r in ManagedTable.objects.filter(name__iexact="sites")] == [("Sites", None)]


def test_the_sample_tables_are_described_too(projects: Store, steward_client: APIClient) -> None:
    send(steward_client, "post", "/ops/projects", WIND_FARM)
    page = steward_client.get("/admin/tables/projects").json()
    assert (page["rows"], page["drift"]["state"], page["source"]["provenance"]) == (1, "unknown", "mock")
    assert [c["name"] for c in page["columns"]][:3] == ["project_id", "project_name", "description"]
