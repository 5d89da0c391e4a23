"""What is wrong with a file, a folder, a database or the clock is said in one sentence, at the start and while serving."""

import os
import shutil
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from pathlib import Path

import duckdb
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from rest_framework.test import APIClient

from manage import main
from monitoring import checks
from projects import audit, clock, identity, jobs, owner, plan_runs
from projects.errors import StoreBehind
from projects.models import Job, KnownStore, ManagedTable, Owner, Plan
from projects.schedule import SYNC, Schedule
from projects.store.connection import Store, get_store, reset_store
from projects.store.gauge import JOBS
from schema_registry.models import AuditEntry
from tests.conftest import client_of, user_with_role
from tests.projects.conftest import WIND_FARM
from tests.projects.ontology import TURBINES, Ontology, send, with_column

pytestmark = pytest.mark.django_db(transaction=True)  # The checks of health ask from threads of their own.

NOBODY = 65534
LONG = pytest.mark.long


@pytest.fixture(autouse=True)
def sample_ontology(settings) -> None:
    settings.USE_MOCK_ONTO_SERVER = True


def start() -> None:
    """What `manage.py up` does before it serves."""
    call_command("up", "--no-serve")


def refusal_of(act: Callable[[], object]) -> str:
    """The sentence on stderr with which a command ends, its exit code being 1."""
    with pytest.raises(CommandError) as refused:
        act()
    assert refused.value.returncode == 1
    return str(refused.value)


@pytest.fixture
def served(store: Store, roles: None, capsys) -> APIClient:
    """A started service that has three tables, one row, and was stopped as a power cut does: its log is not folded in."""
    start()
    client = client_of(user_with_role("steward"))
    assert send(client, "post", "/ops/projects", WIND_FARM).status_code == 201
    owner.take_over(get_store())
    cut_power()
    return client


def cut_power() -> None:
    """Leaves the file and its log as they are on disk at this moment."""
    path = get_store().path
    found = {file: file.read_bytes() for file in (path, log_of(path)) if file.exists()}
    reset_store()
    for file, data in found.items():
        file.write_bytes(data)
    checks.forget_all()


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")


def health(client: APIClient) -> tuple[str, str]:
    """The status of the service, and what its check of DuckDB found."""
    operator = client_of(user_with_role("operator"))
    answer = operator.get("/monitoring/health").json()
    return answer["status"], answer["checks"]["duckdb"]["detail"]


def refused_everywhere(client: APIClient, code: str) -> str:
    """The one sentence that REST, health, the start and another command give."""
    answer = client.get("/ops/projects")
    assert (answer.status_code, answer.json()["code"]) == (503, code)
    assert int(answer["Retry-After"]) > 0
    said = answer.json()["detail"]
    assert health(client) == ("unhealthy", said)
    assert client.get("/monitoring/ready").status_code == 503
    assert client.get("/monitoring/live").status_code == 200
    reset_store()
    assert refusal_of(start) == said
    reset_store()
    told = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("sync_schemas", stderr=told)
    assert (ended.value.code, told.getvalue().strip()) == (1, said)
    reset_store()
    return said


def test_a_file_whose_log_was_kept_whole_opens_and_has_every_row(served: APIClient) -> None:
    start()
    assert len(served.get("/ops/projects").json()) == 1


# The file.


def test_a_log_with_a_hole_is_refused_and_left_as_it_was(served: APIClient, settings) -> None:
    log = log_of(settings.DUCKDB_PATH)
    whole = log.read_bytes()
    middle = len(whole) // 2
    log.write_bytes(whole[:middle] + bytes(64) + whole[middle + 64 :])
    harmed = (settings.DUCKDB_PATH.read_bytes(), log.read_bytes())
    assert "its write-ahead log (the file that ends in .wal) is damaged; put it back from a backup" in refused_everywhere(
        served, "store-damaged"
    )
    assert (settings.DUCKDB_PATH.read_bytes(), log.read_bytes()) == harmed
    log.write_bytes(whole)
    assert len(served.get("/ops/projects").json()) == 1


@pytest.mark.parametrize("harm", ["cut", "overwritten", pytest.param("emptied", marks=LONG), pytest.param("gone", marks=LONG)])
def test_a_log_that_duckdb_takes_though_acknowledged_writes_are_missing_is_refused_by_us(served: APIClient, settings, harm: str) -> None:
    log = log_of(settings.DUCKDB_PATH)
    whole = log.read_bytes()
    log.unlink() if harm == "gone" else log.write_bytes({"cut": whole[:-200], "emptied": b"", "overwritten": b"hello " * 500}[harm])
    identity.guarded(get_store())
    before = settings.DUCKDB_PATH.read_bytes()
    assert refused_everywhere(served, "store-behind").startswith(
        "The DuckDB file has lost writes that were acknowledged: its change feed ends at "
    )
    assert settings.DUCKDB_PATH.read_bytes() == before
    log.write_bytes(whole)  # It was left as it was found: with its log put back it has everything.
    identity.guarded(get_store())
    assert len(served.get("/ops/projects").json()) == 1


def test_lost_writes_can_be_accepted_and_that_is_audited(served: APIClient, settings, capsys) -> None:
    log_of(settings.DUCKDB_PATH).write_bytes(b"")
    Owner.objects.all().delete()
    call_command("accept_store")
    assert "The next start takes the DuckDB file as it is." in capsys.readouterr().out
    start()
    assert AuditEntry.objects.filter(action="store.accept").count() == 1
    assert KnownStore.objects.get().seq == get_store().seq


def test_a_file_that_is_gone_is_never_made_anew_in_silence(served: APIClient, settings, capsys) -> None:
    for file in (settings.DUCKDB_PATH, log_of(settings.DUCKDB_PATH)):
        file.unlink(missing_ok=True)
    identity.guarded(get_store())
    said = refused_everywhere(served, "store-missing")
    assert said.startswith("The DuckDB file that DUCKDB_PATH names is gone, and Django's database knows 3 tables of it.")
    assert not settings.DUCKDB_PATH.exists()
    assert ManagedTable.objects.filter(dropped_at=None).count() == 3
    call_command("accept_store")
    assert "makes the tables anew, empty; 3 were known." in capsys.readouterr().out
    start()
    assert served.get("/ops/projects").json() == []


def test_another_ones_file_is_refused(served: APIClient, settings, tmp_path: Path) -> None:
    other = Store(tmp_path / "other.db", tmp_path / "a", tmp_path / "b")
    other.connection()
    other.close()
    log_of(settings.DUCKDB_PATH).unlink()
    shutil.copy(other.path, settings.DUCKDB_PATH)
    identity.guarded(get_store())
    assert "is not the one that Django's database belongs to" in refused_everywhere(served, "store-other")


def checksum(block: bytes) -> int:
    """DuckDB's own, of a block's bytes after the eight that have it."""
    result = 5381
    for (word,) in struct.iter_unpack("<Q", block):
        result ^= word * 0xBF58476D1CE4E5B9 % 2**64
    return result


def newer(path: Path) -> None:
    """Gives the file the storage version of a DuckDB that is to come."""
    data = bytearray(path.read_bytes())
    assert struct.unpack_from("<Q", data)[0] == checksum(bytes(data[8:4096]))
    struct.pack_into("<Q", data, 12, 9999)
    struct.pack_into("<Q", data, 0, checksum(bytes(data[8:4096])))
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (newer, "a newer DuckDB wrote it"),
        (lambda path: path.write_text("a,b\n1,2\n" * 3000), "it is no DuckDB file"),
        pytest.param(lambda path: path.write_bytes(b"SQLite format 3\0" * 1000), "it is an SQLite file", marks=LONG),
        pytest.param(lambda path: path.write_bytes(b""), "it is no DuckDB file", marks=LONG),
        pytest.param(lambda path: os.truncate(path, 6000), "it was cut short", marks=LONG),
        (lambda path: path.write_bytes(path.read_bytes()[:8192] + b"\xff" * 30_000), "it is damaged"),
    ],
    ids=["newer", "text", "sqlite", "empty", "cut", "scribbled"],
)
def test_a_file_that_duckdb_cannot_read_is_told_apart(served: APIClient, settings, harm: Callable[[Path], object], reason: str) -> None:
    start()
    reset_store()  # With its log folded in.
    harm(settings.DUCKDB_PATH)
    harmed = settings.DUCKDB_PATH.read_bytes()
    assert refused_everywhere(served, "store-damaged").startswith(f"The DuckDB file cannot be opened: {reason}")
    assert settings.DUCKDB_PATH.read_bytes() == harmed


def test_books_of_a_newer_duckdb_spawn_are_refused(served: APIClient, settings) -> None:
    start()
    reset_store()
    with duckdb.connect(str(settings.DUCKDB_PATH)) as plain:
        plain.execute("UPDATE _duckspawn.meta SET value = '99' WHERE key = 'format'")
    assert "was written by a newer DuckDB Spawn (format 99," in refused_everywhere(served, "store-too-new")


# Folders and rights.


@contextmanager
def plain_user() -> Iterator[None]:
    """What this process does meanwhile is done without root's rights."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def reachable(folder: Path) -> Iterator[None]:
    """The folders above let everybody through, as those of an operator do."""
    closed = [above for above in folder.parents if not above.stat().st_mode & 0o001]
    modes = {above: above.stat().st_mode & 0o777 for above in closed}
    for above in closed:
        above.chmod(0o755)
    try:
        yield
    finally:
        for above, mode in modes.items():
            above.chmod(mode)


def test_a_folder_that_may_not_be_written_is_named(served: APIClient, settings, own_store: Path) -> None:
    own_store.chmod(0o555)
    with reachable(own_store), plain_user():
        answer = served.get("/ops/projects")
        reset_store()
    own_store.chmod(0o755)
    assert (answer.status_code, answer.json()["code"]) == (503, "folder-unusable")
    assert answer.json()["detail"] == "The folder of DUCKDB_PATH cannot be used: this user may not write there."


def test_a_file_of_another_user_is_refused(served: APIClient, settings, own_store: Path) -> None:
    modes = [(own_store, 0o777), (settings.SPOOL_DIR, 0o777), (settings.ARCHIVE_DIR, 0o777), (settings.DUCKDB_PATH, 0o600)]
    for path, mode in modes:
        path.chmod(mode)
    for folder in (settings.SPOOL_DIR, settings.ARCHIVE_DIR):
        os.chown(folder, NOBODY, -1) if os.geteuid() == 0 else None
    if os.geteuid() != 0:
        settings.DUCKDB_PATH.chmod(0o000)
    with reachable(own_store), plain_user():
        answer = served.get("/ops/projects")
        reset_store()
    settings.DUCKDB_PATH.chmod(0o600)
    assert (answer.status_code, answer.json()["code"]) == (503, "store-damaged")
    assert answer.json()["detail"] == "The DuckDB file cannot be opened: this user may not write the file or its write-ahead log."


@pytest.mark.parametrize("which", ["SPOOL_DIR", "ARCHIVE_DIR"])
def test_a_file_where_a_folder_should_be_is_named(served: APIClient, settings, which: str) -> None:
    folder = getattr(settings, which)
    shutil.rmtree(folder)
    folder.write_text("not a folder")
    identity.guarded(get_store())
    assert refused_everywhere(served, "folder-unusable") == f"The folder {which} cannot be used: file exists."


def test_folders_that_are_gone_while_serving_are_made_again(served: APIClient, settings) -> None:
    start()
    assert served.get("/ops/projects").status_code == 200
    for folder in (settings.SPOOL_DIR, settings.ARCHIVE_DIR):
        shutil.rmtree(folder)
    csv = "project_name,total_amount,maturity_years,expected_tri,dscr\nb,1,1,1,1\n"
    assert served.generic("POST", "/ops/projects", csv, content_type="text/csv").status_code == 200
    answer = served.delete("/admin/tables/projects?confirm=projects")
    assert answer.status_code == 200, answer.content
    assert len(list(settings.ARCHIVE_DIR.iterdir())) == 2


# Django's database.


@contextmanager
def locked_database() -> Iterator[None]:
    """Another process writes Django's database, and does not end."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(connection.settings_dict["NAME"])
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.rollback()
        other.close()
        connection.close()  # The next one waits as long as the settings say.


def test_a_database_that_another_process_has_locked_is_a_busy_one(projects: Store, steward_client: APIClient, transactional_db) -> None:
    with locked_database():
        answer = send(steward_client, "post", "/admin/sync", {})
        assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "database-busy", "2")
        assert answer.json()["detail"] == "Django's database is locked by another process; try again in a moment."
        assert steward_client.get("/ops/projects").status_code == 200
        assert send(steward_client, "post", "/ops/projects", WIND_FARM).status_code == 201  # Rows need no other database.
    assert send(steward_client, "post", "/admin/sync", {}).status_code == 202
    assert Job.objects.count() == 1


@pytest.mark.parametrize(
    ("name", "becomes", "sentence"),
    [
        ("0001_initial", "9999_to_come", "a newer one migrated it (projects.9999_to_come is not known here); start that version."),
        ("0002_plans", None, "projects.0002_plans is missing; run manage.py migrate, as manage.py up does."),
    ],
    ids=["newer", "older"],
)
def test_a_database_of_another_version_is_told_and_not_ready(
    db, capsys, monkeypatch: pytest.MonkeyPatch, name: str, becomes: str | None, sentence: str
) -> None:
    step = MigrationRecorder.Migration.objects.get(app="projects", name=name)
    kept = step.applied
    step.delete() if becomes is None else MigrationRecorder.Migration.objects.filter(pk=step.pk).update(name=becomes)
    try:
        found = checks._find("database", checks.Database())
        assert (found.status, found.detail) == ("unhealthy", f"Django's database is not of this version of DuckDB Spawn: {sentence}")
        monkeypatch.setattr("sys.argv", ["manage.py", "sync_schemas"])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 1 and sentence in capsys.readouterr().err
        assert becomes is None or sentence in refusal_of(start)
    finally:
        MigrationRecorder.Migration.objects.filter(app="projects", name=becomes).delete()
        MigrationRecorder.Migration.objects.create(app="projects", name=name, applied=kept)


def test_a_command_on_a_database_without_tables_says_what_to_do(capsys, monkeypatch: pytest.MonkeyPatch, transactional_db) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE projects_job RENAME TO elsewhere")
    try:
        monkeypatch.setattr("sys.argv", ["manage.py", "shell", "-v0", "-c", "from projects.models import Job; Job.objects.count()"])
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO projects_job")
    assert "what this version needs is missing; run manage.py migrate" in str(ended.value.code)


# The clock.


def test_a_beat_that_is_to_come_keeps_nobody_waiting(db) -> None:
    now, day = timezone.now(), timedelta(days=1)
    for beat_at, counts in ((now, True), (now + 365 * day, False), (now - day, False)):
        Owner.objects.update_or_create(id=1, defaults={"pid": 1, "started_at": beat_at, "beat_at": beat_at})
        assert owner.is_beating() is counts


def test_after_the_clock_was_set_back_feed_audit_log_and_schedule_go_on(projects: Store, steward_client: APIClient, settings) -> None:
    settings.SYNC_EVERY = 60
    ahead = timezone.now() + timedelta(days=400)
    assert send(steward_client, "post", "/ops/projects", WIND_FARM).status_code == 201
    with projects.transaction() as transaction:  # As they stand where the clock was a year ahead until a moment ago.
        transaction.execute("UPDATE _duckspawn.changes SET changed_at = now() + INTERVAL 400 DAY")
    Job.objects.create(kind="sync", state=Job.State.DONE, finished_at=ahead, inputs={"scheduled": True})
    audit.record("test", "before", actor="test")
    assert send(steward_client, "post", "/ops/projects", WIND_FARM).status_code == 201
    numbers = [change["seq"] for change in steward_client.get("/ops/projects/changes").json()]
    assert numbers == sorted(numbers) and len(numbers) >= 2
    audit.record("test", "after", actor="test")
    assert audit.verify().ok
    assert Schedule(SYNC).keep() is not None
    assert Job.objects.filter(state=Job.State.QUEUED).count() == 1


def test_after_a_leap_of_the_clock_no_archive_is_purged_for_its_age_and_health_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    wall, steady = clock._began
    assert checks._find("clock", checks.Clock()).status == "healthy"
    monkeypatch.setattr(clock, "_began", (wall - 3 * 86_400, steady))
    found = checks._find("clock", checks.Clock())
    assert (found.status, found.detail.partition(" since")[0]) == ("degraded", "The clock was set forward by 3 days")
    assert not clock.is_trusted()


# What Django's database could not take down is taken down later.


def test_the_end_of_a_job_that_could_not_be_recorded_is_recorded_once_it_can_be(
    projects: Store, roles: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as stack:

        def work(*_: object) -> dict[str, object]:
            stack.enter_context(locked_database())  # From now on nothing of the job can be written.
            return {}

        monkeypatch.setitem(jobs.KINDS, "verify_audit", replace(jobs.KINDS["verify_audit"], run=work))
        job, duties = jobs.leave("verify_audit", {}), owner.Duties()
        assert duties._next(JOBS) is False
        assert Job.objects.get().state == Job.State.RUNNING
        assert duties._next(JOBS) is False
    duties._next(JOBS)
    job.refresh_from_db()
    assert (job.state, job.finished_at is not None) == (Job.State.FAILED, True)


def test_a_plan_whose_end_could_not_be_recorded_says_later_what_the_file_says_and_one_under_way_is_left_alone(
    turbines: Ontology, store: Store, steward_client: APIClient
) -> None:
    turbines.say(with_column(TURBINES, "colour", type="VARCHAR"))
    number = send(steward_client, "put", "/admin/tables/turbines").json()["plan"]["id"]
    Plan.objects.filter(pk=number).update(state=Plan.State.APPLYING, finished_at=None)  # As where its end was not recorded.
    with plan_runs._noted([Plan.objects.get(pk=number)]):
        assert plan_runs.recover(store) == []
    assert [plan.pk for plan in plan_runs.recover(store)] == [number]
    assert steward_client.get(f"/admin/plans/{number}").json()["state"] == "applied"


def test_the_guard_says_what_was_seen_and_what_is_there(db) -> None:
    KnownStore.objects.create(id=1, store="a", seq=7, seen_at=timezone.now())
    with pytest.raises(StoreBehind) as behind:
        identity.Known().check_same("a", 3)
    assert "ends at 3, and 7 was seen at" in str(behind.value)


# Another process.


@pytest.fixture
def holder(served: APIClient, settings) -> Iterator[subprocess.Popen[str]]:
    """A process that has the file open until its input ends."""
    holding = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", holding, str(settings.DUCKDB_PATH)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "held\n"
        yield process


def test_a_start_waits_a_moment_for_a_process_that_is_ending(served: APIClient, holder: subprocess.Popen[str]) -> None:
    class Reader(StringIO):
        """Has the other process end once it reads that it is waited for."""

        def write(self, text: str) -> int:
            if "Waiting for it to end." in text:
                holder.communicate()
            return super().write(text)

    said = Reader()
    call_command("up", "--no-serve", stderr=said)
    assert f"The DuckDB file is held by another process (pid {holder.pid}). Waiting for it to end." in said.getvalue()
    assert len(served.get("/ops/projects").json()) == 1


def test_a_file_that_another_process_keeps_is_refused(
    served: APIClient, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projects.management.commands.up.LETTING_GO", 0.0)
    answer = served.get("/ops/projects")
    assert (answer.status_code, answer.json()["code"]) == (503, "store-held")
    assert health(served) == ("unhealthy", f"The DuckDB file is held by another process (pid {holder.pid}).")
    assert (
        refusal_of(start) == f"The DuckDB file is held by another process (pid {holder.pid}). Stop it first; one process serves one file."
    )
