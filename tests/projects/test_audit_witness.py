"""The DuckDB file remembers the audit log's end, so that who tampers with the log is found out."""

import json
import os
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from rest_framework.test import APIClient

from projects import audit
from projects.store import books
from projects.store.connection import Store, get_store, reset_store
from schema_registry import audit as chain
from schema_registry.models import AuditEntry
from tests.projects.ontology import Ontology, send

pytestmark = pytest.mark.django_db(transaction=True)


def remembered() -> str | None:
    """The head that the file has, once everything that was accepted is written."""
    store = get_store()
    store.writer.alone(lambda _: None)
    with store.read() as cursor:
        return books.get(cursor, "audit_head")


def tamper(sql: str) -> None:
    """As somebody with the database's file in hand would."""
    with connection.cursor() as cursor:
        cursor.execute(sql)


def verdict(client: APIClient) -> dict:
    return client.get("/admin/audit/verify").json()


def test_the_file_remembers_the_last_thing_that_was_done(ontology: Ontology, store: Store, steward_client: APIClient) -> None:
    send(steward_client, "post", "/ops/initialize")
    head = chain.head()
    assert (head.seq, remembered()) == (3, f"3 {head.hash}")
    steward_client.delete("/admin/tables/sites?confirm=sites")
    head = chain.head()
    assert (head.seq, remembered()) == (6, f"6 {head.hash}")  # The drop is proposed, approved, done.
    assert verdict(steward_client) == {
        "ok": True,
        "entries": 6,
        "broken_at": None,
        "detail": "6 entries, each linked to the one before it",
    }


def test_what_was_rolled_back_is_not_remembered(store: Store) -> None:
    store.connection()
    audit.record("kept", "x", actor="ada")
    with pytest.raises(RuntimeError), transaction.atomic():
        audit.record("lost", "x", actor="ada")
        raise RuntimeError
    assert remembered() == f"1 {chain.head().hash}"


def test_a_cut_tail_is_found_and_stays_found_when_the_log_grows_over_it(
    ontology: Ontology, store: Store, steward_client: APIClient
) -> None:
    send(steward_client, "post", "/ops/initialize")
    assert remembered()
    tamper("DELETE FROM schema_registry_auditentry WHERE seq > 1")
    found = verdict(steward_client)
    assert (found["ok"], found["broken_at"]) == (False, 2)
    assert "DuckDB's file remembers entry 3" in found["detail"]
    for number in range(5):
        audit.record("forged", str(number), actor="eve")
    audit.witness(chain.head())  # As the owner's heartbeat does.
    remembered()
    found = verdict(steward_client)
    assert (found["ok"], found["broken_at"]) == (False, 3)


def test_a_log_that_was_emptied_is_found(ontology: Ontology, store: Store, steward_client: APIClient) -> None:
    send(steward_client, "post", "/ops/initialize")
    remembered()
    tamper("DELETE FROM schema_registry_auditentry")
    found = verdict(steward_client)
    assert (found["ok"], found["entries"], found["broken_at"]) == (False, 0, 1)


def test_an_entry_that_was_changed_is_named(ontology: Ontology, store: Store, steward_client: APIClient) -> None:
    send(steward_client, "post", "/ops/initialize")
    tamper("UPDATE schema_registry_auditentry SET detail = '{\"version\": 9}' WHERE seq = 2")
    found = verdict(steward_client)
    assert (found["ok"], found["broken_at"], found["detail"]) == (False, 2, "entry 2 was changed")


def test_what_another_process_recorded_is_remembered_by_the_heartbeat(store: Store) -> None:
    audit.record("while.closed", "x", actor="ada")  # The store is not open, as in a command beside the server.
    assert not store.is_open
    assert remembered() is None
    audit.witness(chain.head())
    assert remembered() == f"1 {chain.head().hash}"


def test_a_refused_attempt_is_in_the_log_with_its_person(projects: Store, viewer_client: APIClient) -> None:
    assert viewer_client.delete("/admin/tables/projects?confirm=projects").status_code == 403
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.object) == ("right.refuse", "viewer", "/admin/tables/projects")
    assert entry.detail == {"method": "DELETE"}
    assert remembered() == f"1 {entry.hash}"


def test_the_key_of_a_row_is_not_in_the_log_which_no_erasure_changes(projects: Store, viewer_client: APIClient) -> None:
    assert viewer_client.delete("/ops/projects/ops").status_code == 403
    assert AuditEntry.objects.get().object == "/ops/projects/*"


def test_only_who_may_read_the_log_may_verify_it(store: Store, viewer_client: APIClient, operator_client: APIClient) -> None:
    assert viewer_client.get("/admin/audit/verify").status_code == 403
    assert operator_client.get("/admin/audit/verify").status_code == 200


def verified() -> tuple[int, str]:
    """The command's exit code and what it says."""
    said = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("verify_audit", stdout=said, stderr=said)
    return ended.value.code, said.getvalue()


@pytest.mark.parametrize(
    ("sql", "code", "says"),
    [
        ("SELECT 1", 0, "2 entries"),
        ("DELETE FROM schema_registry_auditentry WHERE seq = 2", 1, "the log ends at entry 1"),
        ("UPDATE schema_registry_auditentry SET actor = 'eve' WHERE seq = 1", 1, "entry 1 was changed"),
    ],
)
def test_the_command_says_by_its_exit_code_whether_the_log_is_whole(store: Store, sql: str, code: int, says: str) -> None:
    store.connection()
    for name in ("first", "second"):
        audit.record(name, "x", actor="ada")
    remembered()
    reset_store()
    tamper(sql)
    assert (verified()[0], says in verified()[1]) == (code, True)


def test_the_command_says_in_a_sentence_that_the_file_cannot_be_read(own_store, settings) -> None:
    settings.DUCKDB_PATH.write_bytes(os.urandom(10_000))
    code, says = verified()
    assert (code, "cannot be opened" in says) == (1, True)


def test_no_value_of_a_row_is_in_the_log(ontology: Ontology, store: Store, steward_client: APIClient) -> None:
    send(steward_client, "post", "/ops/initialize")
    send(steward_client, "post", "/ops/sites", [{"id": 1, "name": "Secret"}])
    steward_client.delete("/admin/tables/sites?confirm=sites")
    entries = steward_client.get("/admin/audit").json()
    plan = {"plan.propose", "plan.approve", "table.drop"}
    assert {e["action"] for e in entries} == {"table.create", "tables.initialize", "rows.load"} | plan
    assert "Secret" not in json.dumps(entries)
