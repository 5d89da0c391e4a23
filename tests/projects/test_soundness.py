"""`check_store`: a store at work is sound, and each kind of damage is found, done by hand in the closed files."""

import json
import struct
import time
from collections.abc import Callable
from functools import reduce
from io import StringIO
from operator import xor
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from rest_framework.test import APIClient

from projects import audit, jobs, owner, soundness
from projects.models import Job, Plan
from projects.store import spool
from projects.store.connection import Store, get_store, reset_store
from projects.store.rows import Create
from schema_registry import audit as chain
from tests.conftest import user_with_role
from tests.projects.altered import Hand
from tests.projects.conftest import make_table
from tests.projects.ontology import TURBINES, Ontology, put, send, table, with_column, without_column
from tests.projects.prepared import begin_with

pytestmark = pytest.mark.django_db

PARTS = table(
    "parts",
    {"name": "turbine", "type": "INTEGER", "references": "turbines.id"},
    {"name": "grade", "type": "VARCHAR(2)", "pattern": "^[A-C]", "required": True},
)


def made_busy(ontology: Ontology, store: Store, client: APIClient) -> None:
    """Every kind of write: single rows, promises, sets of rows, loads, a job, a plan that archives, its undo."""
    ontology.say(PARTS)
    send(client, "post", "/ops/initialize")
    for n in range(1, 7):
        row = {"id": n, "power": 100 + n, "price": n / 4, "code": f"c{n}", "serial": n}
        assert client.post("/ops/turbines", row, format="json", HTTP_IDEMPOTENCY_KEY=f"turbine-{n}").status_code == 201
    send(client, "patch", "/ops/turbines/1", {"power": 7})
    assert client.delete("/ops/turbines/2").status_code == 204
    assert send(client, "patch", "/ops/turbines?id__lte=3", {"status": "OLD"}).status_code == 200
    assert client.post("/ops/turbines", "id,price\n2,9\n20,1.5\n", content_type="text/csv").status_code == 200
    update = client.post("/ops/turbines?on_conflict=update", "id,price\n20,2.5\n21,7\n", content_type="text/csv")
    assert (update.status_code, update.json()["updated"]) == (200, 1)
    ontology.say(without_column(TURBINES, "code"))
    number = send(client, "put", "/admin/tables/turbines").json()["plan"]["id"]
    send(client, "post", f"/admin/plans/{number}/approve", {})
    assert send(client, "post", f"/admin/plans/{number}/apply", {"confirm": "turbines"}).status_code == 200
    assert send(client, "post", "/ops/turbines", {"id": 30, "price": 3}).status_code == 201
    assert client.delete("/ops/turbines/21").status_code == 204
    path = spool.new_path(store, ".csv")
    path.write_text("id,turbine,grade\n1,1,A1\n2,30,B\n3,,C\n")
    job = jobs.leave("load", {"table": "parts", "spool": path.name, "on_conflict": "error"})
    jobs.run(store, Job.objects.get(id=job.id))
    job.refresh_from_db()
    assert job.state == "done", job.error
    head = chain.head()  # The file would know it, had the test's transaction been committed.
    store.writer.alone(lambda writing: audit._keep(writing, head))


@pytest.fixture
def busy(ontology: Ontology, store: Store, steward_client: APIClient) -> Store:
    begin_with(store, "busy", lambda: made_busy(ontology, store, steward_client))
    return store


def checked(*words: str) -> tuple[int, str]:
    """The command's exit code and what it says."""
    said = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("check_store", *words, stdout=said, stderr=said)
    return ended.value.code, said.getvalue()


def found() -> list[tuple[str, str, str]]:
    """The damage: each finding's check, object and sentence."""
    reset_store()
    code, said = checked("--json")
    report = json.loads(said)
    damage = [(one["check"], one["object"], one["detail"]) for one in report["findings"] if one["damage"]]
    assert (code, report["sound"]) == ((1, False) if damage else (0, True))
    return damage


def test_a_store_that_was_at_work_is_sound_and_is_left_as_it_was(busy: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert found() == []
    reset_store()
    before = busy.path.read_bytes()
    assert checked() == (0, "")
    said = capsys.readouterr().out
    assert "The store is sound." in said
    assert [name for name in ("archives", "audit", "catalogue", "feed", "index", "keys", "records", "values") if name not in said] == []
    reset_store()
    assert busy.path.read_bytes() == before


def test_a_restored_schema_and_its_undo_are_sound_too(busy: Store, ontology: Ontology, steward_client: APIClient) -> None:
    number = Plan.objects.get(state="applied").pk
    assert send(steward_client, "post", f"/admin/plans/{number}/undo", {}).status_code == 200
    ontology.say(with_column(TURBINES, "id", type="BIGINT", renamed_from=None))
    assert put(steward_client)["state"] == "applied"
    assert steward_client.delete("/ops/turbines/30").status_code == 204
    assert found() == []


ENTRIES = "_duckspawn.changes"
# What somebody did to the DuckDB file, and what is said of it.
DAMAGE: dict[str, tuple[list[str], list[tuple[str, str, str]]]] = {
    "a row deleted behind the feed": (
        ["DELETE FROM turbines WHERE id = 30"],
        [
            ("feed", "turbines", "Rows are gone, and the change feed does not say so."),
            ("feed", "turbines", "It has 7 rows; by the change feed it should have 8."),
            ("references", "parts", "note"),
        ],
    ),
    "a loaded row deleted behind the feed": (
        ["DELETE FROM parts WHERE id = 3"],
        [("feed", "parts", "It has 2 rows; by the change feed it should have 3.")],
    ),
    "a row changed behind the feed": (
        ["UPDATE turbines SET price = 4 WHERE id = 30"],
        [("feed", "turbines", "Rows are other than the change feed says.")],
    ),
    "a deleted row that is back": (
        ["INSERT INTO turbines (id, price, status) VALUES (21, 1, 'NEW')", "DELETE FROM turbines WHERE id = 20"],
        [("feed", "turbines", "Rows are there of which the change feed says that they were deleted.")],
    ),
    "a key twice in a table without a key": (
        ["CREATE TABLE other AS SELECT * FROM parts UNION ALL FROM parts", "DROP TABLE parts", "ALTER TABLE other RENAME TO parts"],
        [
            ("catalogue", "parts", "In the file id may be empty."),
            ("catalogue", "parts", "In the file grade may be empty."),
            ("catalogue", "parts", "In the file the key is nothing, not id."),
        ],
    ),
    "a column altered": (
        ["ALTER TABLE parts ALTER COLUMN turbine TYPE BIGINT"],
        [("catalogue", "parts", "In the file turbine is BIGINT, not INTEGER.")],
    ),
    "a value outside its enum, and one that does not match its pattern": (
        ["UPDATE turbines SET status = 'GONE' WHERE id = 5", "UPDATE parts SET grade = 'XXX' WHERE id = 1"],
        [
            ("values", "parts", "grade is longer than 2 characters."),
            ("values", "parts", "grade does not match the pattern ^[A-C]."),
            ("values", "turbines", "status is not one of NEW, OLD."),
        ],
    ),
    "an entry of the feed missing": (
        [f"DELETE FROM {ENTRIES} WHERE seq = 5"],
        [("feed", "the change feed", "Of the entries 1 to {last} some are missing.")],
    ),
    "the beginning of the feed missing": (
        [f"DELETE FROM {ENTRIES} WHERE seq < 4"],
        [("feed", "the change feed", "Of the entries 1 to {last} some are missing.")],
    ),
    "a number twice in the feed": (
        [f"UPDATE {ENTRIES} SET seq = 5 WHERE seq = 6"],
        [
            ("feed", "the change feed", "Of its {last} entries 1 have a number that another has too."),
            ("feed", "the change feed", "Of the entries 1 to {last} some are missing."),
        ],
    ),
    "an answer that cannot be given": (
        ["UPDATE _duckspawn.answers SET headers = '[' WHERE id = (SELECT min(id) FROM _duckspawn.answers)"],
        [("answers", "Idempotency-Key", "Kept answers are none that could be given.")],
    ),
    "a plan forgotten": (
        ["DELETE FROM _duckspawn.plans"],
        [("plans", "turbines", "The plan {plan} is applied by Django's database; the file does not have it.")],
    ),
    "a job forgotten": (
        ["DELETE FROM _duckspawn.jobs"],
        [("jobs", "load {job}", "It is done by Django's database; the file does not have its rows.")],
    ),
    "a live table forgotten": (
        ["DELETE FROM _duckspawn.tables WHERE name = 'parts'"],
        [("tables", "parts", "Django's database has it as a live table, and the file does not.")],
    ),
    "a schema altered in our books": (
        ['UPDATE _duckspawn.tables SET document = replace(document, \'"pattern": "^[A-C]"\', \'"pattern": "^[A-D]"\')'],
        [
            ("tables", "parts", "Its schema in our books was changed: the fingerprint beside it is another one's."),
            ("versions", "parts", "Its schema is not the one of its version 1."),
        ],
    ),
}


def test_each_kind_of_damage_to_the_file_is_found(busy: Store, by_hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soundness, "PATIENCE", 1)  # Nobody else is at work.
    known = {"last": busy.seq, "plan": Plan.objects.get().pk, "job": Job.objects.get().pk}
    reset_store()
    sound = busy.path.read_bytes()
    for kind, (statements, findings) in DAMAGE.items():
        by_hand(*statements)
        wanted = [(c, o.format(**known), detail.format(**known)) for c, o, detail in findings if detail != "note"]
        assert sorted(found()) == sorted(wanted), kind
        reset_store()
        busy.path.write_bytes(sound)
    assert found() == []


def rewrite(path: Path, found: bytes, put: bytes) -> None:
    """Puts bytes in the place of others in a DuckDB file, and their checksum at the head of their block, which is a sum of its words."""
    head, block = 3 * 4096, 256 * 1024  # as DuckDB's storage has them
    content = bytearray(path.read_bytes())
    assert content.count(found) == 1
    begins = head + (content.index(found) - head) // block * block

    def sum_of_words() -> int:
        words = (word for (word,) in struct.iter_unpack("<Q", content[begins + 8 : begins + block]))
        return reduce(xor, (word * 0xBF58476D1CE4E5B9 % 2**64 for word in words), 5381)

    assert sum_of_words() == struct.unpack_from("<Q", content, begins)[0]
    content[:] = content.replace(found, put)
    struct.pack_into("<Q", content, begins, sum_of_words())
    path.write_bytes(content)


@pytest.mark.parametrize(("damage", "rows"), [(b"\x03\x11\x22\x44", 1), (b"\x03\x22\x11\x33", 2)], ids=["no row", "another row"])
def test_an_index_that_does_not_lead_to_its_rows_is_found(store: Store, damage: bytes, rows: int) -> None:
    make_table("marks", [{"name": "id", "type": "INTEGER", "required": True}])
    schema = store.table("marks").schema
    for number in (0x11, 0x22, 0x33):
        store.writer.write(Create(schema, {"id": str(number)}, "test", 1))
    reset_store()
    rewrite(store.path, b"\x03\x11\x22\x33", damage)  # A node of the key's index: three children, and the bytes that lead to them.
    report = soundness.Report()
    soundness._table(get_store(), "marks", report)
    detail = "Rows are there that the index of id does not lead to, so a request for one finds nothing."
    assert [(one.check, one.detail, one.rows) for one in report.findings] == [("index", detail, rows)]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def test_damage_beside_the_file_is_found(busy: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soundness, "PATIENCE", 1)
    (archive,) = busy.archive.glob("*.parquet")
    plan, kept = Plan.objects.get().pk, archive.read_bytes()
    flip(archive)
    damaged = f"It is not as it was written, so the plan {plan} of turbines cannot be undone."
    assert found() == [("archives", archive.name, damaged)]
    archive.unlink()
    assert found() == [("archives", archive.name, f"It is gone, so the plan {plan} of turbines cannot be undone.")]
    archive.write_bytes(kept)
    archive.with_suffix(".json").unlink()
    beside = "The description beside the archive is gone or of another one."
    assert found() == [("archives", archive.with_suffix(".json").name, beside)]


ROWS = {
    "an audit entry changed": ("UPDATE schema_registry_auditentry SET actor = 'eve' WHERE seq = 1", ["audit"]),
    "the end of the audit log cut off": ("DELETE FROM schema_registry_auditentry WHERE seq > 2", ["audit"]),
    "a plan unsaid": ("UPDATE projects_plan SET state = 'failed'", ["plans"]),
    "a job unsaid": ("UPDATE projects_job SET state = 'failed'", ["jobs"]),
    "a table unsaid": ("DELETE FROM projects_managedtable WHERE name = 'parts'", ["tables"]),
    "a snapshot changed": ("UPDATE schema_registry_snapshot SET fingerprint = 'other' WHERE table_key = 'parts'", ["versions"]),
}


@pytest.mark.parametrize("kind", ROWS)
def test_damage_to_djangos_database_is_found(busy: Store, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soundness, "PATIENCE", 1)
    statement, checks = ROWS[kind]
    with connection.cursor() as cursor:
        cursor.execute(statement)
    assert [check for check, _, _ in found()] == checks


def test_a_reference_that_does_not_hold_is_told_and_is_wrong_where_they_are_enforced(
    busy: Store, steward_client: APIClient, capsys: pytest.CaptureFixture[str]
) -> None:
    assert steward_client.delete("/ops/turbines/30").status_code == 204
    reset_store()
    assert checked() == (0, "")
    assert "note: parts: Rows refer by turbine to a value of turbines.id that is not there. (1 rows)" in capsys.readouterr().out
    assert send(steward_client, "patch", "/admin/tables/parts", {"enforce_references": True}).status_code == 200
    assert [check for check, _, _ in found()] == ["references"]


def test_a_file_that_cannot_be_opened_is_exit_code_2(busy: Store) -> None:
    reset_store()
    busy.path.write_bytes(b"no database at all")
    code, said = checked()
    assert code == 2
    assert "cannot be opened" in said


def test_only_an_operator_may_have_the_store_checked(busy: Store, roles: None) -> None:
    for role, code in (("operator", 0), ("editor", 2)):
        user_with_role(role)
        assert checked("--as", role)[0] == code


@pytest.mark.django_db(transaction=True)
def test_the_server_checks_its_store_while_it_is_at_work(ontology: Ontology, store: Store, steward_client: APIClient) -> None:
    made_busy(ontology, store, steward_client)
    owner.start_owner()
    try:
        job = jobs.leave("check_store", {})
        for n in range(100, 160):
            assert send(steward_client, "post", "/ops/turbines", {"id": n, "price": 1}).status_code == 201
        wait_for(lambda: Job.objects.get(id=job.id).finished_at)
    finally:
        owner.stop_owner()
    ended = Job.objects.get(id=job.id)
    assert (ended.state, ended.result["findings"]) == ("done", [])
    get_store()


def wait_for(look: Callable[[], Any]) -> None:
    until = time.monotonic() + 60
    while not look() and time.monotonic() < until:
        time.sleep(0.05)
