"""PUT /admin/tables/{name} with a document that somebody sends, and without an answer from the ontology server."""

import json
from decimal import Decimal

import pytest
from rest_framework.test import APIClient

from projects.models import ManagedTable
from projects.store.connection import Store
from schema_registry.models import AuditEntry, Snapshot
from tests.projects.ontology import NOWHERE, TURBINES, Ontology, everything, kinds, outcomes, put, send, with_column, without_column

pytestmark = pytest.mark.django_db

PATH = "/admin/tables/turbines"


def test_a_document_that_is_sent_is_applied_and_the_table_pinned_to_it(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    plan = put(steward_client, {"schema": with_column(TURBINES, "colour", type="VARCHAR")})
    assert (kinds(plan), plan["to_version"]) == ([("add_column", "additive", "alter")], 2)
    snapshot = Snapshot.objects.get(table_name="turbines", number=2)
    assert (snapshot.provenance, snapshot.document_id) == ("request", "turbines_schema")
    page = steward_client.get(PATH).json()
    assert (page["pinned"], page["source"]["provenance"], page["version"]) == (True, "request", 2)
    refused = send(steward_client, "put", PATH, {})
    assert (refused.status_code, refused.json()["code"]) == (423, "table-pinned")
    assert outcomes(send(steward_client, "post", "/ops/initialize").json())["turbines"] == "pinned"
    assert "colour" in steward_client.get("/ops/turbines/1").json()
    assert AuditEntry.objects.filter(action="table.pin", object="turbines", actor="steward").count() == 1


def test_a_table_that_was_unpinned_goes_back_to_the_ontology(turbines: Ontology, steward_client: APIClient) -> None:
    put(steward_client, {"schema": TURBINES | {"description": "Mine."}})
    assert steward_client.get(PATH).json()["drift"]["state"] == "behind"
    ManagedTable.objects.filter(name="turbines").update(pinned=False)
    assert [step["change"] for step in put(steward_client)["steps"]] == ["change_description"]
    page = steward_client.get(PATH).json()
    assert (page["description"], page["drift"]["state"], page["source"]["provenance"]) == ("Wind turbines.", "in step", "live")
    assert steward_client.get("/admin/tables").json()[1]["drift"]["state"] == "in step"


def test_a_document_that_is_sent_may_be_tried_dry(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    before = everything(steward_client, store)
    plan = put(steward_client, {"schema": with_column(TURBINES, "colour", type="VARCHAR")}, "?dry_run=true")
    assert (kinds(plan), plan["state"]) == ([("add_column", "additive", "alter")], "proposed")
    assert put(steward_client, {"schema": without_column(TURBINES, "code")}, "?dry_run=true")["state"] == "proposed"
    assert everything(steward_client, store) == before
    assert Snapshot.objects.filter(table_name="turbines").count() == 1


def test_a_document_that_needs_a_person_waits_and_pins_the_table_once_it_is_applied(
    turbines: Ontology, store: Store, steward_client: APIClient
) -> None:
    before = everything(steward_client, store)
    answer = send(steward_client, "put", PATH, {"schema": without_column(TURBINES, "code")})
    plan = answer.json()["plan"]
    assert (answer.status_code, plan["state"], kinds(plan)) == (202, "proposed", [("drop_column", "destructive", "rebuild")])
    assert everything(steward_client, store) == before
    fresh = send(steward_client, "post", "/admin/plans", {"table": "turbines"}).json()  # It leads where the one that waits does.
    assert (kinds(fresh), fresh["to_version"]) == (kinds(plan), 2)
    assert steward_client.get(f"/admin/plans/{plan['id']}").json()["state"] == "stale"
    assert send(steward_client, "post", f"/admin/plans/{fresh['id']}/approve", {}).status_code == 200
    assert send(steward_client, "post", f"/admin/plans/{fresh['id']}/apply", {"confirm": "turbines"}).status_code == 200
    page = steward_client.get(PATH).json()
    assert (page["pinned"], page["source"]["provenance"], page["version"]) == (True, "request", 2)
    assert send(steward_client, "post", f"/admin/plans/{fresh['id']}/undo", {}).status_code == 200
    assert everything(steward_client, store)[0] == before[0]
    assert steward_client.get(PATH).json()["pinned"] is False


def test_a_document_of_another_table_is_refused(turbines: Ontology, steward_client: APIClient) -> None:
    answer = send(steward_client, "put", PATH, {"schema": TURBINES | {"name": "sites"}})
    assert (answer.status_code, answer.json()["code"]) == (422, "document-names-other")


def test_a_document_that_makes_no_table_is_refused_with_every_reason(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    columns = [{"name": "id", "type": "SPAGHETTI"}, {"name": "", "type": "INTEGER"}, {"name": "n", "type": "INTEGER", "default": "x"}]
    before = everything(steward_client, store)
    answer = send(steward_client, "put", PATH, {"schema": {"name": "turbines", "columns": columns}})
    assert answer.status_code == 422
    assert {e["pointer"] for e in answer.json()["errors"]} == {"/columns/0/type", "/columns/1/name", "/columns/2/default"}
    for document in ([], "turbines", None, 7, {}):
        assert send(steward_client, "put", PATH, {"schema": document}).status_code == 422
    pattern = send(steward_client, "put", PATH, {"schema": with_column(TURBINES, "url", type="VARCHAR", pattern="(?=x)")})
    assert (pattern.status_code, pattern.json()["code"]) == (422, "pattern-refused")
    assert everything(steward_client, store) == before
    assert steward_client.get(PATH).json()["drift"]["state"] == "in step"


def test_a_default_in_a_document_that_is_sent_keeps_its_digits(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    digits = "12345678901234567890123456789.123456789"
    document = json.dumps(with_column(TURBINES, "budget", type="DECIMAL(38,9)", default=0)).replace('"default": 0', f'"default": {digits}')
    plan = put(steward_client, f'{{"schema": {document}}}')
    assert digits in plan["steps"][0]["sql"][0]
    assert store.connection().execute("SELECT DISTINCT budget FROM turbines").fetchall() == [(Decimal(digits),)]
    assert digits in Snapshot.objects.get(number=2).document


def test_without_an_answer_the_last_good_schema_does(turbines: Ontology, store: Store, steward_client: APIClient, settings) -> None:
    settings.ONTO_SERVER_URL = NOWHERE
    assert put(steward_client)["steps"] == []


def test_without_an_answer_a_newer_schema_is_not_taken_back(turbines: Ontology, store: Store, steward_client: APIClient, settings) -> None:
    put(steward_client, {"schema": TURBINES | {"description": "Mine."}})
    ManagedTable.objects.filter(name="turbines").update(pinned=False)
    settings.ONTO_SERVER_URL = NOWHERE
    assert put(steward_client)["steps"] == []
    assert outcomes(send(steward_client, "post", "/ops/initialize").json())["turbines"] == "unchanged"
    assert steward_client.get(PATH).json()["description"] == "Mine."


def test_a_table_that_is_not_in_the_ontology_is_not_found_there(turbines: Ontology, steward_client: APIClient) -> None:
    turbines.forget("turbines_schema")
    answer = send(steward_client, "put", PATH)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown-schema")
