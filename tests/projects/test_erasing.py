"""`erase`: nothing of the row is left in any file that we keep, and all else is as it was."""

import io
import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from urllib.parse import quote

import pytest
from django.core.management import call_command
from django.db import connection
from rest_framework.test import APIClient

from projects import erasing, jobs, owner, query_history
from projects.models import Job, Plan
from projects.store import spool
from projects.store.connection import Store, get_store, reset_store
from projects.store.rows import key_text
from schema_registry.models import AuditEntry
from tests.conftest import client_of, user_with_role
from tests.projects.conftest import make_table
from tests.projects.ontology import Ontology, send, without_column
from tests.projects.test_jobs import ended
from tests.projects.test_soundness import found

SEEN = "Quintana"  # what every spelling of the key has
MARK = f'Zoë "{SEEN}" O\'Neill \\ 7'
ADDRESS = f"/ops/people/{quote(MARK, safe='')}"
TOLD = "lives-at-Elm-Street-77"
PEOPLE = {
    "name": "people",
    "primary_key": ["email"],
    "columns": [
        {"name": "email", "type": "VARCHAR", "required": True},
        {"name": "note", "type": "VARCHAR"},
        {"name": "age", "type": "INTEGER", "maximum": 150},
    ],
}
VISITS = {
    "name": "visits",
    "columns": [
        {"name": "id", "type": "INTEGER", "required": True},
        {"name": "person", "type": "VARCHAR", "references": "people.email"},
    ],
}
whole = pytest.mark.django_db(transaction=True)


@pytest.fixture
def people(ontology: Ontology, store: Store, steward_client: APIClient) -> Iterator[Ontology]:
    """Two people, of whom one is told of in every place that there is."""
    ontology.forget("turbines_schema")
    ontology.forget("sites_schema")
    ontology.say(PEOPLE)
    ontology.say(VISITS)
    send(steward_client, "post", "/ops/initialize")
    for email, key in ((MARK, "first"), ("other", "second")):
        row = {"email": email, "note": f"{TOLD} of {email}", "age": 30}
        made = steward_client.post("/ops/people", row, format="json", HTTP_IDEMPOTENCY_KEY=key)
        assert made.status_code == 201
    assert send(steward_client, "patch", ADDRESS, {"age": 31}).status_code == 200
    in_csv = MARK.replace('"', '""')
    bad = f'email,age\nfine,7\n"{in_csv}",8\n'  # whose key is there
    loaded = steward_client.post("/ops/people?on_error=skip", bad, content_type="text/csv", HTTP_IDEMPOTENCY_KEY="load")
    assert loaded.json()["rejected"] == 1
    drop(ontology, steward_client)
    export = jobs.leave("export", {"table": "people", "format": "csv", "parameters": [], "version": None})
    jobs.run(store, Job.objects.get(id=export.id))
    viewer, in_sql = user_with_role("viewer"), MARK.replace("'", "''")
    query_history.note(viewer, f"SELECT * FROM people WHERE email = '{in_sql}'", seconds=0.1, rows=1)
    assert client_of(viewer).delete(ADDRESS).status_code == 403
    path = spool.new_path(store, ".csv")
    path.write_text(bad)
    failed = jobs.leave("load", {"table": "people", "spool": path.name, "on_conflict": "error"})
    jobs.run(store, Job.objects.get(id=failed.id))
    assert Job.objects.get(id=failed.id).state == "failed"
    yield ontology


def drop(ontology: Ontology, client: APIClient) -> int:
    """The plan that takes the notes away, which its archive keeps."""
    ontology.say(without_column(PEOPLE, "note"))
    number = send(client, "put", "/admin/tables/people").json()["plan"]["id"]
    assert SEEN in json.dumps(Plan.objects.get(pk=number).steps)
    send(client, "post", f"/admin/plans/{number}/approve", {})
    assert send(client, "post", f"/admin/plans/{number}/apply", {"confirm": "people"}).status_code == 200
    return number


def erased(*words: str, code: int = 0) -> str:
    said = StringIO()
    reset_store()
    with pytest.raises(SystemExit) as stopped:
        call_command("erase", *words, stdout=said, stderr=said)
    assert stopped.value.code == code, said.getvalue()
    return said.getvalue()


def places(folder: Path, *marks: str) -> list[str]:
    """The files that have one of the marks: of the store's folder and of Django's database."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    database = Path(connection.settings_dict["NAME"])
    files += [path for path in database.parent.glob(f"{database.name}*") if path.is_file()]
    return sorted({path.name for path in files for mark in marks if mark.encode() in path.read_bytes()})


@whole
def test_nothing_of_an_erased_row_is_left_in_any_file(people: Ontology, own_store: Path, steward_client: APIClient) -> None:
    told = f"{TOLD} of {MARK}"
    reset_store()
    before = places(own_store, SEEN)
    assert {Path(name).suffix.removesuffix("-wal") for name in before} >= {".db", ".parquet", ".csv", ".sqlite3"}
    report = json.loads(erased("people", MARK, "--yes", "--json"))
    assert places(own_store, SEEN, told) == []
    assert places(own_store, f"{TOLD} of other") != []
    counts = {name: report[name] for name in ("rows", "entries", "answers", "plans", "jobs", "queries", "files")}
    assert counts == {"rows": 1, "entries": 2, "answers": 2, "plans": 1, "jobs": 2, "queries": 1, "files": 3}
    assert (report["rewritten"], report["vacuumed"], len(report["archives"])) == (True, True, 1)
    entry = AuditEntry.objects.get(action="row.erase")
    assert (entry.object, entry.detail["row"], entry.detail["rows"]) == ("people", report["row"], 1)

    assert found() == []
    assert steward_client.get(ADDRESS).status_code == 404
    feed = steward_client.get("/ops/people/changes").json()
    assert [(one["op"], one["key"], one["before"], one["after"]) for one in feed if one["op"] == "erase"] == [
        ("erase", None, None, None)
    ] * 3
    assert {one["key"] for one in feed} == {None, "other"}
    again = steward_client.post("/ops/people", {"email": MARK, "note": told, "age": 30}, format="json", HTTP_IDEMPOTENCY_KEY="first")
    assert (again.status_code, again.json(), "Location" in again) == (201, {}, False)
    assert steward_client.get(ADDRESS).status_code == 404

    number = Plan.objects.get(kind="change").pk
    assert send(steward_client, "post", f"/admin/plans/{number}/undo", {}).status_code == 200
    rows = {row["email"]: row["note"] for row in steward_client.get("/ops/people").json()}
    assert rows == {"other": f"{TOLD} of other", "fine": None}
    assert found() == []
    assert "was erased before" in erased("people", MARK, "--yes", code=1)


@whole
def test_a_server_erases_at_once_and_the_rest_when_it_is_stopped(people: Ontology, own_store: Path, steward_client: APIClient) -> None:
    owner.start_owner()
    job = jobs.leave("erase", {"table": "people", "key": MARK})
    assert ended(job).state == "done", job.error
    assert (job.inputs, job.result["rows"]) == ({"table": "people"}, 1)
    assert steward_client.get(ADDRESS).status_code == 404
    owner.stop_owner()
    reset_store()
    assert set(places(own_store, SEEN)) <= {"data_product.db"}
    said = StringIO()
    call_command("rewrite_store", stdout=said)
    assert "The file is made anew" in said.getvalue()
    assert places(own_store, SEEN) == []
    assert found() == []


@whole
def test_a_row_that_was_deleted_and_one_of_a_dropped_table_are_erased_too(
    people: Ontology, own_store: Path, steward_client: APIClient
) -> None:
    assert steward_client.delete(ADDRESS).status_code == 204
    assert json.loads(erased("people", MARK, "--yes", "--json"))["rows"] == 0
    assert places(own_store, SEEN) == []
    assert steward_client.delete("/admin/tables/people?confirm=people").status_code == 200
    report = json.loads(erased("People", "other", "--yes", "--json"))
    assert (report["rows"], len(report["archives"])) == (0, 2)
    assert places(own_store, f"{TOLD} of other") == []
    number = Plan.objects.get(kind="drop").pk
    assert send(steward_client, "post", f"/admin/plans/{number}/undo", {"confirm": "people"}).status_code == 200
    assert [row["email"] for row in steward_client.get("/ops/people").json()] == ["fine"]
    assert found() == []


def test_what_a_killed_server_left_in_the_log_is_in_the_file_that_is_made_anew(store: Store, tmp_path: Path, settings) -> None:
    make_table("notes", [{"name": "id", "type": "INTEGER", "required": True}])
    with store.transaction() as writing:
        writing.execute("INSERT INTO notes SELECT unnest(range(1000))")
    left = tmp_path / "killed" / "data.db"
    left.parent.mkdir()
    for end in ("", ".wal"):
        Path(f"{left}{end}").write_bytes(Path(f"{store.path}{end}").read_bytes())
    settings.DUCKDB_PATH = left.with_name("none")
    with pytest.raises(SystemExit):
        call_command("rewrite_store", stderr=StringIO())
    settings.DUCKDB_PATH = left
    call_command("rewrite_store", stdout=StringIO())
    assert [path.name for path in left.parent.iterdir()] == ["data.db"]
    reset_store()
    with get_store().read() as cursor:
        assert cursor.execute("SELECT count(*), sum(id) FROM notes").fetchall() == [(1000, 499_500)]


@pytest.mark.django_db
def test_what_others_refer_to_what_is_not_there_and_what_nobody_confirmed_is_not_erased(
    people: Ontology, steward_client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert send(steward_client, "patch", "/admin/tables/visits", {"enforce_references": True}).status_code == 200
    assert send(steward_client, "post", "/ops/visits", {"id": 1, "person": MARK}).status_code == 201
    assert "Rows of visits refer by person to people.email" in erased("people", MARK, "--yes", code=1)
    assert "no row with the key nobody" in erased("people", "nobody", "--yes", code=1)
    assert "no table named ghosts" in erased("ghosts", "1", "--yes", code=1)
    assert "editor may not have this done" in erased("people", MARK, "--yes", "--as", user_with_role("editor").username, code=1)
    monkeypatch.setattr("sys.stdin", io.StringIO("pe\n"))
    assert "Nothing was erased." in erased("people", MARK, code=1)
    assert steward_client.get(ADDRESS).json()["age"] == 31
    assert not AuditEntry.objects.filter(action="row.erase").exists()
    get_store()


@whole
def test_an_erasure_that_was_killed_is_in_the_audit_log_and_the_same_command_ends_it(
    people: Ontology, own_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as killed, pytest.raises(Killed):
        killed.setattr(erasing, "_archives", die)
        erasing.erase(get_store(), "people", key_text((MARK,)), actor="ada")
    assert not AuditEntry.objects.filter(action="row.erase").exists()
    owner.take_over(get_store())
    entry = AuditEntry.objects.get(action="row.erase")
    assert (entry.actor, entry.detail["rows"], entry.detail["broken_off"]) == ("ada", 1, True)
    assert json.loads(erased("people", MARK, "--yes", "--json"))["row"] == entry.detail["row"]
    assert places(own_store, SEEN) == []
    assert "was erased before" in erased("people", MARK, "--yes", code=1)


DAYS = {
    "name": "days",
    "primary_key": ["day"],
    "columns": [{"name": "day", "type": "DATE", "required": True}, {"name": "note", "type": "VARCHAR"}, {"name": "n", "type": "INTEGER"}],
}


@whole
def test_what_was_told_of_a_row_while_its_key_was_of_another_type_is_erased_too(
    ontology: Ontology, own_store: Path, steward_client: APIClient
) -> None:
    ontology.forget("turbines_schema")
    ontology.forget("sites_schema")
    ontology.say(DAYS)
    send(steward_client, "post", "/ops/initialize")
    assert send(steward_client, "post", "/ops/days", {"day": "2020-01-02", "note": TOLD}).status_code == 201
    ontology.say(without_column(DAYS, "note"))
    number = send(steward_client, "put", "/admin/tables/days").json()["plan"]["id"]
    send(steward_client, "post", f"/admin/plans/{number}/approve", {})
    assert send(steward_client, "post", f"/admin/plans/{number}/apply", {"confirm": "days"}).status_code == 200
    ontology.say({**without_column(DAYS, "note"), "columns": [DAYS["columns"][0] | {"type": "TIMESTAMP"}, DAYS["columns"][2]]})
    assert send(steward_client, "put", "/admin/tables/days").json()["plan"]["state"] == "applied"
    report = json.loads(erased("days", "2020-01-02T00:00:00Z", "--yes", "--json"))
    assert (report["rows"], report["entries"], len(report["archives"])) == (1, 1, 1)
    assert places(own_store, TOLD) == []
