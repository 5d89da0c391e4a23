"""Spawning and syncing: what the ontology says becomes tables, and what it says no longer loses nobody a row."""

import time
from decimal import Decimal

import pytest
from rest_framework.test import APIClient

from projects import one_table, sync
from projects.models import ManagedTable
from projects.store.connection import Store
from schema_registry.errors import OntologyUnavailable, UnknownSchema
from schema_registry.models import AuditEntry, Snapshot
from tests.conftest import client_of, user_with_role
from tests.projects.ontology import FIRST, NOWHERE, TURBINES, Ontology, outcomes, send, table, with_column, without_column
from tests.schema_registry.documents import drip, reply, serving

pytestmark = pytest.mark.django_db


def synced(store: Store, names: list[str] | None = None, **more: bool) -> dict[str, str]:
    return outcomes(sync.sync(store, names, actor="test", **more).as_json())


def detail_of(report: sync.Report, name: str) -> str:
    return next(one.detail for one in report.outcomes if one.table == name)


# Spawning by REST.


def test_initialize_makes_every_table_and_a_second_time_changes_nothing(
    ontology: Ontology, store: Store, steward_client: APIClient
) -> None:
    first = send(steward_client, "post", "/ops/initialize")
    assert first.status_code == 200
    assert outcomes(first.json()) == {"turbines": "created", "sites": "created"}
    assert {(t["version"], t["provenance"]) for t in first.json()["tables"]} == {(1, "live")}
    made = {t["name"]: t["changed_at"] for t in steward_client.get("/admin/tables").json()}
    second = send(steward_client, "post", "/ops/initialize")
    assert outcomes(second.json()) == {"turbines": "unchanged", "sites": "unchanged"}
    assert {t["name"]: t["changed_at"] for t in steward_client.get("/admin/tables").json()} == made
    assert Snapshot.objects.count() == 2
    assert send(steward_client, "post", "/ops/turbines", FIRST).status_code == 201


def test_post_without_a_name_makes_every_table(ontology: Ontology, store: Store, steward_client: APIClient) -> None:
    for body, status, outcome in ((None, 201, "created"), ({}, 200, "unchanged")):
        answer = send(steward_client, "post", "/admin/tables", body)
        assert (answer.status_code, outcomes(answer.json())) == (status, {"turbines": outcome, "sites": outcome})


@pytest.mark.parametrize("name", ["turbines", "TURBINES", "turbines_schema"])
def test_one_table_is_made_by_its_name_or_its_documents_id(ontology: Ontology, store: Store, steward_client: APIClient, name: str) -> None:
    for status, outcome in ((201, "created"), (200, "unchanged")):
        answer = send(steward_client, "post", "/admin/tables", {"schema": name})
        assert (answer.status_code, outcomes(answer.json())) == (status, {"turbines": outcome})
    assert [t["name"] for t in steward_client.get("/admin/tables").json()] == ["turbines"]
    assert Snapshot.objects.count() == 1


def test_a_schema_that_the_ontology_does_not_have_is_not_found(ontology: Ontology, store: Store, steward_client: APIClient) -> None:
    answer = send(steward_client, "post", "/admin/tables", {"schema": "unicorns"})
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown-schema")
    assert "turbines" in answer.json()["detail"]


@pytest.mark.parametrize("body", ['{"schemas": "turbines"}', '{"schema": 7}', '{"schema": ""}', '{"schema": null}', "[]", "{", "7"])
def test_a_body_that_is_not_understood_is_a_bad_request(ontology: Ontology, store: Store, steward_client: APIClient, body: str) -> None:
    assert send(steward_client, "post", "/admin/tables", body).status_code == 400
    assert steward_client.get("/admin/tables").json() == []


def test_who_may_not_make_tables_makes_none(ontology: Ontology, store: Store, viewer_client: APIClient, editor_client: APIClient) -> None:
    steward = user_with_role("steward")
    scoped, as_viewer = client_of(steward, scopes=["turbines"]), client_of(steward, role="viewer")
    for client in (viewer_client, editor_client, scoped, as_viewer):
        for path, body in (("/ops/initialize", None), ("/admin/tables", {}), ("/admin/tables", {"schema": "turbines"})):
            assert send(client, "post", path, body).status_code == 403, path
    assert client_of(steward).get("/admin/tables").json() == []


def test_one_refused_document_is_said_with_every_reason(ontology: Ontology, store: Store, steward_client: APIClient) -> None:
    ontology.say({"name": "bad", "columns": [{"name": "x", "type": "SPAGHETTI"}, {"name": "y"}]})
    answer = send(steward_client, "post", "/admin/tables", {"schema": "bad"})
    assert answer.status_code == 422
    assert "/columns/0/type" in answer.json()["detail"]
    assert "/columns/1/type" in answer.json()["detail"]


def test_a_dropped_table_stays_dropped_until_it_is_asked_for(ontology: Ontology, store: Store, steward_client: APIClient) -> None:
    send(steward_client, "post", "/ops/initialize")
    send(steward_client, "post", "/ops/turbines", FIRST)
    assert steward_client.delete("/admin/tables/turbines?confirm=turbines").status_code == 200
    assert synced(store) == {"turbines": "dropped", "sites": "unchanged"}
    assert outcomes(send(steward_client, "post", "/ops/initialize").json()) == {"turbines": "dropped", "sites": "unchanged"}
    assert steward_client.get("/ops/turbines").status_code == 404
    answer = send(steward_client, "post", "/admin/tables", {"schema": "turbines"})
    assert (answer.status_code, outcomes(answer.json())) == (201, {"turbines": "created"})
    assert steward_client.get("/ops/turbines").json() == []
    assert synced(store) == {"turbines": "unchanged", "sites": "unchanged"}


def test_a_table_that_comes_back_is_no_longer_pinned(ontology: Ontology, store: Store, steward_client: APIClient) -> None:
    send(steward_client, "post", "/ops/initialize")
    ManagedTable.objects.filter(name="turbines").update(pinned=True)
    steward_client.delete("/admin/tables/turbines?confirm=turbines")
    send(steward_client, "post", "/admin/tables", {"schema": "turbines"})
    ontology.say(TURBINES | {"description": "Newer."})
    assert synced(store)["turbines"] == "altered"


# Syncing.


def test_a_sync_applies_what_it_may_and_leaves_the_rest_waiting(ontology: Ontology, store: Store, steward_client: APIClient) -> None:
    synced(store)
    send(steward_client, "post", "/ops/turbines", FIRST)
    ontology.say(without_column(TURBINES, "code"))
    ontology.say(table("sites", {"name": "name", "type": "VARCHAR"}, {"name": "height", "type": "DOUBLE"}))
    report = sync.sync(store, actor="test")
    assert outcomes(report.as_json()) == {"turbines": "waits", "sites": "altered"}
    assert (report.waits, report.failed) == (True, False)
    assert steward_client.get("/ops/turbines/1").json()["code"] == "abc"
    assert send(steward_client, "post", "/ops/sites", {"id": 1, "height": 2.5}).status_code == 201
    drift = {t["name"]: t["drift"] for t in steward_client.get("/admin/tables").json()}
    assert (drift["turbines"]["state"], drift["sites"]["state"]) == ("behind", "in step")
    assert "code" in drift["turbines"]["changes"][0]


def test_a_dry_run_of_a_sync_changes_nothing(ontology: Ontology, store: Store) -> None:
    assert synced(store, dry_run=True) == {"turbines": "created", "sites": "created"}
    assert store.tables() == []
    synced(store)
    ontology.say(TURBINES | {"description": "Newer."})
    before = AuditEntry.objects.count()
    assert synced(store, dry_run=True) == {"turbines": "altered", "sites": "unchanged"}
    assert store.table("turbines").schema.description == "Wind turbines."
    assert AuditEntry.objects.count() == before


def test_a_sync_of_one_table_leaves_the_others(ontology: Ontology, store: Store) -> None:
    assert synced(store, ["sites"]) == {"sites": "created"}
    assert [t.name for t in store.tables()] == ["sites"]
    with pytest.raises(UnknownSchema, match="sites, turbines"):
        synced(store, ["unicorns"])


def test_without_an_answer_a_sync_changes_nothing(ontology: Ontology, store: Store, settings) -> None:
    synced(store)
    before = (store.tables(), Snapshot.objects.count(), AuditEntry.objects.count())
    settings.ONTO_SERVER_URL = NOWHERE
    with pytest.raises(OntologyUnavailable, match=NOWHERE):
        synced(store)
    assert (store.tables(), Snapshot.objects.count(), AuditEntry.objects.count()) == before


def test_without_an_answer_the_last_good_schemas_do_for_spawning(
    ontology: Ontology, store: Store, steward_client: APIClient, settings
) -> None:
    synced(store, ["sites"])
    settings.ONTO_SERVER_URL = NOWHERE
    assert send(steward_client, "post", "/admin/tables", {"schema": "turbines"}).status_code == 503
    steward_client.delete("/admin/tables/sites?confirm=sites")
    answer = send(steward_client, "post", "/admin/tables", {})
    assert answer.status_code == 201
    report = answer.json()
    assert [(t["table"], t["outcome"], t["provenance"]) for t in report["tables"]] == [("sites", "created", "cached")]
    assert NOWHERE in report["unavailable"]


def test_without_an_answer_and_without_a_snapshot_nothing_is_spawned(
    ontology: Ontology, store: Store, steward_client: APIClient, settings
) -> None:
    settings.ONTO_SERVER_URL = NOWHERE
    answer = send(steward_client, "post", "/ops/initialize")
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "ontology-unavailable", "30")


@pytest.mark.parametrize("hangs", [lambda _: time.sleep(3), lambda handler: drip(handler, b"x" * 100)], ids=["silent", "dripping"])
def test_a_server_that_hangs_is_waited_for_no_longer_than_was_said(store: Store, settings, hangs) -> None:
    with serving(hangs) as url:
        settings.USE_MOCK_ONTO_SERVER, settings.ONTO_SERVER_URL, settings.ONTO_SERVER_TIMEOUT = False, url, 0.3
        started = time.monotonic()
        with pytest.raises(OntologyUnavailable, match="did not answer within"):
            synced(store)
        assert time.monotonic() - started < 6 * 0.3


def test_a_server_that_breaks_in_the_middle_changes_nothing(store: Store, settings) -> None:
    def answer(handler) -> None:
        whole = b'["a", "b"]' if handler.path == "/schemas" else b'{"name": "aa", "columns": [{"name": "id", "type": "INTEGER"}]}'
        reply(handler, whole, 200 if handler.path in ("/schemas", "/schemas/a") else 500)

    with serving(answer) as url:
        settings.USE_MOCK_ONTO_SERVER, settings.ONTO_SERVER_URL = False, url
        with pytest.raises(OntologyUnavailable, match="500"):
            synced(store)
    assert (store.tables(), Snapshot.objects.count()) == ([], 0)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"name": "bad", "columns": []}, "/columns"),
        (table("bad", {"name": "x", "type": "VARCHAR", "pattern": "(?<=a)b"}), "RE2"),
        (table("bad", {"name": "x", "type": "VARCHAR", "pattern": r"(a)\1"}), r"(a)\1 of bad.x"),
        (table("bad", {"name": "ID", "type": "INTEGER"}), "/columns/1/name"),
    ],
    ids=["no columns", "lookbehind", "backreference", "a name twice"],
)
def test_a_document_that_makes_no_table_is_refused_alone(ontology: Ontology, store: Store, document: dict, reason: str) -> None:
    ontology.say(document)
    report = sync.sync(store, actor="test")
    found = {o.outcome for o in report.outcomes if o.table in ("bad", "bad_schema")}
    assert (found, report.failed) == ({"refused"}, True)
    assert reason in " ".join(o.detail for o in report.outcomes)
    assert [t.name for t in store.tables()] == ["sites", "turbines"]


def test_a_live_table_keeps_its_schema_where_re2_refuses_the_new_pattern(ontology: Ontology, store: Store) -> None:
    synced(store)
    ontology.say(with_column(table("sites", {"name": "name", "type": "VARCHAR"}), "url", type="VARCHAR", pattern="(?!x)"))
    report = sync.sync(store, actor="test")
    assert outcomes(report.as_json()) == {"turbines": "unchanged", "sites": "refused"}
    assert "(?!x)" in detail_of(report, "sites")
    assert store.table("sites").schema.column("url") is None


def test_two_documents_of_one_name_are_both_refused_each_naming_the_other(ontology: Ontology, store: Store) -> None:
    synced(store)
    ontology.say(table("Turbines", {"name": "other", "type": "VARCHAR"}), "rival")
    report = sync.sync(store, actor="test")
    assert outcomes(report.as_json()) == {"sites": "unchanged", "rival": "refused", "turbines_schema": "refused"}
    assert "turbines_schema" in detail_of(report, "rival")
    assert "rival" in detail_of(report, "turbines_schema")
    assert store.table("turbines").schema.column("other") is None


def test_a_table_whose_schema_is_gone_is_reported_and_not_dropped(ontology: Ontology, store: Store, steward_client: APIClient) -> None:
    synced(store)
    send(steward_client, "post", "/ops/turbines", FIRST)
    ontology.forget("turbines_schema")
    report = sync.sync(store, actor="test")
    assert (outcomes(report.as_json()), report.orphaned) == ({"sites": "unchanged"}, ("turbines",))
    assert len(steward_client.get("/ops/turbines").json()) == 1
    steward_client.delete("/admin/tables/turbines?confirm=turbines")
    assert sync.sync(store, actor="test").orphaned == ()


def test_a_list_shorter_by_more_than_half_waits(ontology: Ontology, store: Store) -> None:
    ontology.say(table("masts"))
    synced(store)
    ontology.forget("turbines_schema")
    ontology.forget("masts_schema")
    ontology.say(table("sites", {"name": "name", "type": "VARCHAR"}, {"name": "more", "type": "VARCHAR"}))
    report = sync.sync(store, actor="test")
    assert (report.shrunk, report.waits, report.outcomes) == (True, True, ())
    assert report.missing == ("masts_schema", "turbines_schema")
    assert store.table("sites").schema.column("more") is None


def test_the_mock_never_changes_a_table_with_a_real_schema(store: Store, ontology: Ontology, settings) -> None:
    ontology.say(table("projects", {"name": "title", "type": "VARCHAR"}), "project_schema")
    synced(store)
    settings.USE_MOCK_ONTO_SERVER = True
    report = sync.sync(store, actor="test")
    assert outcomes(report.as_json()) == {"project_schema": "refused", "portfolios": "created", "portfolio_projects": "created"}
    assert "USE_MOCK_ONTO_SERVER=false" in detail_of(report, "project_schema")
    assert store.table("projects").schema.column("title")


def test_a_table_that_the_file_has_from_somebody_else_is_left_alone(ontology: Ontology, store: Store) -> None:
    store.connection().execute("CREATE TABLE Turbines (x INTEGER)")
    report = sync.sync(store, actor="test")
    assert outcomes(report.as_json()) == {"turbines": "refused", "sites": "created"}
    assert "did not make" in detail_of(report, "turbines")
    assert store.connection().execute("SELECT count(*) FROM Turbines").fetchall() == [(0,)]


def test_every_digit_of_a_default_reaches_the_table(ontology: Ontology, store: Store, steward_client: APIClient) -> None:
    text = '{"name": "sums", "columns": [{"name": "id", "type": "INTEGER"}, {"name": "s", "type": "DECIMAL(38,9)", "default": %s}]}'
    number = "12345678901234567890123456789.123456789"
    (ontology.folder / "sums.json").write_text(text % number)
    synced(store)
    send(steward_client, "post", "/ops/sums", {"id": 1})
    found = store.connection().execute("SELECT s FROM sums").fetchall()
    assert found == [(Decimal(number),)]


# Django's records.


def test_what_django_knows_is_mended_after_the_file(ontology: Ontology, store: Store) -> None:
    synced(store)
    assert one_table.reconcile(store) == []
    ManagedTable.objects.filter(name="turbines").delete()
    ManagedTable.objects.create(name="ghosts", document_id="ghosts")
    assert one_table.reconcile(store) == ["ghosts", "turbines"]
    mended = ManagedTable.objects.get(name="turbines")
    assert (mended.document_id, mended.snapshot.number, mended.dropped_at) == ("turbines_schema", 1, None)
    assert ManagedTable.objects.get(name="ghosts").dropped_at is not None
    assert one_table.reconcile(store) == []


def test_a_table_that_is_there_is_not_taken_for_dropped(ontology: Ontology, store: Store) -> None:
    synced(store)
    record = ManagedTable.objects.get(name="sites")
    record.dropped_at = record.created_at
    record.save()
    assert one_table.reconcile(store) == ["sites"]
    assert ManagedTable.objects.get(name="sites").dropped_at is None
