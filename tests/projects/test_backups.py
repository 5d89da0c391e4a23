"""Backups: what is in one, who may read and make one, what a broken one leaves, and how one comes back."""

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import duckdb
import pytest
from django.core.management import call_command
from django.utils import timezone
from rest_framework.test import APIClient

from projects import backups, drift, jobs, manifests, owner, rows, shelves
from projects.errors import DiskFull
from projects.models import Job
from projects.schedule import BACKUP, Schedule
from projects.store import backup
from projects.store.connection import Store, get_store
from schema_registry.models import AuditEntry
from tests.conftest import client_of, user_with_role
from tests.projects.conftest import WIND_FARM
from tests.projects.ontology import send

pytestmark = pytest.mark.django_db(transaction=True)
TO_FOLDER, TO_SHELF = {"to": "folder"}, {"to": "shelf"}


def command(*words: Any) -> tuple[int, str]:
    """A command's exit code, and what it said, on stderr where it failed."""
    out, err = StringIO(), StringIO()
    try:
        call_command(*map(str, words), stdout=out, stderr=err)
    except SystemExit as end:
        return int(end.code or 0), err.getvalue()
    return 0, out.getvalue()


def done(store: Store, inputs: dict[str, str]) -> Job:
    """A job of a backup, run by the owner."""
    left = jobs.leave("backup", inputs)
    jobs.run(store, jobs.next_job("backups"))
    left.refresh_from_db()
    return left


@pytest.fixture
def shelf(kept: Store, tmp_path: Path) -> Path:
    """A folder with one backup of the sample tables, in which there is a row."""
    rows.create(kept, "projects", WIND_FARM, actor="ada")
    (kept.archive / "projects-plan1.parquet").write_bytes(b"what a plan took away")
    done_here = tmp_path / "backups"
    shelves.place(kept.spool / done(kept, TO_FOLDER).result["spool"], done_here)
    return done_here


def only(folder: Path) -> Path:
    (found,) = folder.iterdir()
    return found


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


# What is in one.


def test_the_command_makes_one_folder_that_only_its_owner_may_read(kept: Store, tmp_path: Path) -> None:
    rows.create(kept, "projects", WIND_FARM, actor="ada")
    code, said = command("backup", tmp_path / "backups")
    made = only(tmp_path / "backups")
    assert (code, said.startswith(f"{made}: 3 tables, 1 rows, "), shelves.NAME.fullmatch(made.name) is not None) == (0, True, True)
    assert sorted(path.name for path in made.iterdir()) == ["app.sqlite3", "archives", "manifest.json", "store.duckdb"]
    assert {mode(path) for path in made.iterdir() if path.is_file()} == {0o600}
    assert [mode(path) for path in (made.parent, made, made / "archives")] == [0o700] * 3
    assert list(get_store().spool.iterdir()) == []
    assert AuditEntry.objects.get(action="backup.make").object == made.name
    assert backups.last_finished() == AuditEntry.objects.get(action="backup.make").at


def test_the_manifest_tells_what_is_there_and_no_secret(shelf: Path, settings) -> None:
    text = (only(shelf) / "manifest.json").read_text()
    said = json.loads(text)
    assert {table["name"]: table["rows"] for table in said["tables"]} == {"projects": 1, "portfolios": 0, "portfolio_projects": 0}
    assert [file["path"] for file in said["files"]] == ["app.sqlite3", "archives/projects-plan1.parquet", "store.duckdb"]
    assert (said["seq"], said["duckdb"], said["migrations"]["people"] > "0001") == (get_store().seq, duckdb.__version__, True)
    assert settings.SECRET_KEY not in text
    assert manifests.verify(only(shelf)).name == only(shelf).name


def test_keys_rules_defaults_comments_and_the_format_go_over(kept: Store, tmp_path: Path) -> None:
    asked = (
        "SELECT table_name, column_name, data_type, column_default, comment FROM duckdb_columns() WHERE NOT internal ORDER BY ALL",
        "SELECT table_name, constraint_type, constraint_text FROM duckdb_constraints() ORDER BY ALL",
        "SELECT table_name, comment FROM duckdb_tables() ORDER BY ALL",
        "SELECT tags FROM duckdb_databases() WHERE NOT internal",
    )
    with kept.read() as cursor:
        before = [cursor.execute(one).fetchall() for one in asked]
    rows.create(kept, "projects", WIND_FARM, actor="ada")
    made = kept.spool / done(kept, TO_FOLDER).result["spool"]
    with duckdb.connect(str(made / "store.duckdb")) as copy:
        assert [copy.execute(one).fetchall() for one in asked] == before
        with pytest.raises(duckdb.ConstraintException):
            copy.execute("INSERT INTO projects FROM projects")
    assert not (made / "store.duckdb.wal").exists()


# While it is made.


def test_the_copy_is_out_of_reach_and_in_nobodys_way_while_it_is_attached(kept: Store, viewer_client: APIClient) -> None:
    rows.create(kept, "projects", WIND_FARM, actor="ada")
    gauge = kept.gauge("backups")
    with backup._attached(gauge, kept.spool / "copy.duckdb"):
        gauge.cursor.execute(f"COPY FROM DATABASE {backup._here(gauge.cursor)} TO {backup.quote(backup.NAME)}")
        for reached in ('"spawn backup".main.projects', '"spawn backup".projects', "duckdb_databases()"):
            assert send(viewer_client, "post", "/ops/query", {"sql": f"SELECT * FROM {reached}"}).status_code == 400
        assert len(send(viewer_client, "post", "/ops/query", {"sql": "SELECT * FROM projects"}).json()) == 1
        assert drift.foreign(kept) == {}
        rows.create(kept, "projects", WIND_FARM, actor="ada")
        assert len(viewer_client.get("/ops/projects").json()) == 2
        assert {table["name"]: table["rows"] for table in viewer_client.get("/admin/tables").json()}["projects"] in (1, 2)


def test_one_that_is_cancelled_leaves_nothing_and_the_next_one_is_made(kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    left, real = jobs.leave("backup", TO_FOLDER), backup.contents

    def cancel_then_look(cursor: Any) -> Any:
        jobs.cancel(left, actor="ada")
        while True:  # An interrupt counts while a statement runs.
            real(cursor)

    with monkeypatch.context() as patch:
        patch.setattr(backup, "contents", cancel_then_look)
        jobs.run(kept, jobs.next_job("backups"))
    left.refresh_from_db()
    assert (left.state, list(kept.spool.iterdir())) == ("cancelled", [])
    assert done(kept, TO_FOLDER).state == "done"


def test_a_backup_waits_behind_no_other_job_and_none_behind_it(kept: Store) -> None:
    sync, made = jobs.leave("sync", {}), jobs.leave("backup", TO_FOLDER)
    assert owner.place_in_queue(made) == 0
    assert jobs.next_job("backups") == made
    assert jobs.next_job("backups") is None
    assert jobs.next_job() == sync


def test_what_a_killed_owner_left_is_swept(kept: Store) -> None:
    partial = kept.spool / f"0123{shelves.PARTIAL}"
    partial.mkdir()
    (partial / "store.duckdb").write_bytes(b"half")
    whole = kept.spool / "job-1.backup"
    whole.mkdir()
    owner.take_over(kept)
    assert list(kept.spool.iterdir()) == [whole]  # Its command may still come for it.


def test_in_the_backup_its_own_job_is_done(kept: Store, shelf: Path) -> None:
    job = Job.objects.get(kind="backup")
    with duckdb.connect(str(only(shelf) / "store.duckdb")) as copy:
        assert copy.execute("SELECT id FROM _duckspawn.jobs").fetchall() == [(str(job.id),)]


# A disk that is full.


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 6 MiB, where this user may mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("this user may not mount a disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(store: Store, table: str = "big") -> None:
    with store.transaction() as transaction:
        transaction.execute(f"CREATE TABLE {table} AS SELECT uuid() AS id, hash(range) AS h FROM range(400000)")


def test_a_shelf_that_is_full_is_said_and_the_backup_is_gone(kept: Store, small_disk: Path, settings) -> None:
    settings.BACKUP_DIR = small_disk
    fill(kept)
    made = done(kept, TO_SHELF)
    assert (made.state, made.error) == ("failed", str(DiskFull()))
    assert (list(small_disk.iterdir()), list(kept.spool.iterdir())) == ([], [])
    rows.create(kept, "projects", WIND_FARM, actor="ada")
    assert command("backup", small_disk) == (1, f"{DiskFull()}\n")
    assert list(small_disk.iterdir()) == []


@pytest.mark.parametrize("is_seen_before", [True, False])
def test_a_spool_that_is_full_is_said_and_the_service_goes_on(
    kept: Store, small_disk: Path, monkeypatch: pytest.MonkeyPatch, settings, is_seen_before: bool
) -> None:
    settings.DISK_RESERVE = 0
    fill(kept)
    kept.close()
    store = Store(kept.path, small_disk / "spool", kept.archive)
    store.connection()
    if not is_seen_before:  # It fills up while the copy is written.
        monkeypatch.setattr(backups, "_check_room", lambda store: None)
    try:
        made = done(store, TO_FOLDER)
        assert (made.state, "reserve of 0 MiB" in made.error) == ("failed", is_seen_before)
        assert is_seen_before or made.error == str(DiskFull())
        assert list((small_disk / "spool").iterdir()) == []
        rows.create(store, "projects", WIND_FARM, actor="ada")
    finally:
        store.close()


# Which are kept.


def test_the_newest_stay_and_what_is_not_ours_stays_too(shelf: Path) -> None:
    for second in range(1, 4):
        shutil.copytree(only_ours(shelf)[0], shelf / f"2026010{second}T000000Z")
    other, plain = shelf / "20250101T000000Z", shelf / "notes"
    other.mkdir()
    plain.mkdir()
    newest = only_ours(shelf)[:2]
    assert len(shelves.prune(shelf, 2)) == 2
    assert sorted(shelf.iterdir()) == sorted([*newest, other, plain])
    assert shelves.prune(shelf, 0) == []


def only_ours(shelf: Path) -> list[Path]:
    return sorted((path for path in shelf.iterdir() if manifests.is_ours(path)), reverse=True)


def test_the_command_keeps_as_many_as_it_is_told(kept: Store, tmp_path: Path) -> None:
    made = [command("backup", tmp_path / "b", "--keep", 2)[1] for _ in range(3)]
    assert len(list((tmp_path / "b").iterdir())) == 2
    assert "Taken away, for 2 are kept: " in made[-1]
    assert AuditEntry.objects.filter(action="backup.remove").count() == 1


def test_a_partial_one_is_swept_once_nobody_writes_to_it(shelf: Path, kept: Store) -> None:
    dead, alive = shelf / f".dead{shelves.PARTIAL}", shelf / f".alive{shelves.PARTIAL}"
    for path in (dead, alive):
        path.mkdir()
    os.utime(dead, (0, time.time() - shelves.STALE - 1))
    shelves.place(kept.spool / done(kept, TO_FOLDER).result["spool"], shelf)
    assert (dead.exists(), alive.exists()) == (False, True)


def test_on_another_disk_it_is_copied_and_compared(kept: Store, small_disk: Path) -> None:
    made = kept.spool / done(kept, TO_FOLDER).result["spool"]
    placed = shelves.place(made, small_disk / "shelf")
    assert manifests.verify(placed.path) == placed.manifest
    assert (made.exists(), [path.name for path in (small_disk / "shelf").iterdir()]) == (False, [placed.path.name])
    assert {mode(path) for path in placed.path.rglob("*") if path.is_file()} == {0o600}


# Coming back.


def test_a_parent_gives_its_newest_and_the_settings_are_said(shelf: Path, tmp_path: Path) -> None:
    shutil.copytree(only(shelf), shelf / "20200101T000000Z")
    newest = only_ours(shelf)[0]
    code, said = command("restore", shelf, "--to", tmp_path / "back")
    assert (code, f"Restored {newest}: 3 tables, 1 rows" in said) == (0, True)
    for line in (f"DUCKDB_PATH={tmp_path}/back/store.duckdb", f"DATABASE_URL=sqlite:///{tmp_path}/back/app.sqlite3"):
        assert line in said.splitlines()
    back = tmp_path / "back"
    assert (mode(back), mode(back / "store.duckdb"), mode(back / "archives")) == (0o700, 0o600, 0o700)
    assert (back / "archives" / "projects-plan1.parquet").read_bytes() == b"what a plan took away"
    restored = Store(back / "store.duckdb", back / "spool", back / "archives")
    assert [table.name for table in restored.tables()] == ["portfolio_projects", "portfolios", "projects"]
    restored.close()


def say(folder: Path, **changed: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


HARMS = {
    "a bit of the store": (lambda kept: flip(kept / "store.duckdb"), "is damaged: store.duckdb is not as it was written."),
    "a bit of Django's database": (lambda kept: flip(kept / "app.sqlite3"), "is damaged: app.sqlite3 is not as it was written."),
    "an archive that is gone": (
        lambda kept: (kept / "archives/projects-plan1.parquet").unlink(),
        "is damaged: archives/projects-plan1.parquet is missing.",
    ),
    "no manifest": (lambda kept: (kept / "manifest.json").unlink(), "is damaged: manifest.json is missing."),
    "half a manifest": (
        lambda kept: (kept / "manifest.json").write_text('{"service": "duckdb-'),
        "is damaged: manifest.json cannot be read.",
    ),
    "a newer version": (
        lambda kept: say(kept, format=2),
        "was made by a newer DuckDB Spawn (format 2, this one knows 1); restore it with that",
    ),
    "a path that leads out": (
        lambda kept: say(kept, files=[{"path": "../../x", "bytes": 0, "sha256": ""}]),
        "is damaged: its manifest names ../../x, which is outside of it.",
    ),
    "other tables": (lambda kept: say(kept, tables=[]), "is damaged: the tables in store.duckdb are not those of the manifest."),
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_one_is_refused_in_a_sentence_and_nothing_is_put_there(shelf: Path, tmp_path: Path, harm: str) -> None:
    deed, sentence = HARMS[harm]
    one = only(shelf)
    deed(one)
    code, said = command("restore", one, "--to", tmp_path / "back")
    assert (code, said.startswith(f"The backup {one.name} {sentence}"), said.count("\n")) == (1, True, 1), said
    assert not (tmp_path / "back").exists()


def test_a_file_that_its_database_cannot_read_is_no_backup(shelf: Path, tmp_path: Path) -> None:
    one = only(shelf)
    for name, program in (("app.sqlite3", "SQLite"), ("store.duckdb", f"DuckDB {duckdb.__version__}")):
        was = (one / name).read_bytes()
        (one / name).write_bytes(b"a newer format, or none " * 1000)
        paths = (path for path in one.iterdir() if path.suffix in (".sqlite3", ".duckdb"))
        files = [{"path": path.name, "bytes": path.stat().st_size, "sha256": manifests.digest(path)} for path in paths]
        say(one, files=files)
        code, said = command("restore", one, "--to", tmp_path / "back")
        assert (code, f"{program} cannot read {name}" in said, said.count("\n")) == (1, True, 1), said
        (one / name).write_bytes(was)


def test_what_is_there_is_not_written_over(shelf: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").write_text("x")
    for target in (tmp_path / "full", tmp_path / "full" / "precious"):
        code, said = command("restore", shelf, "--to", target)
        assert (code, said) == (1, f"{target} is there and not an empty folder, so nothing was restored; name one that is new or empty.\n")
    assert command("restore", tmp_path / "full", "--to", tmp_path / "back") == (1, f"There is no backup in {tmp_path / 'full'}.\n")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["precious"]


# By itself, by REST, in the console.


def test_one_is_left_every_so_often_and_goes_to_its_folder(kept: Store, settings, tmp_path: Path) -> None:
    assert Schedule(BACKUP).keep() is None
    settings.BACKUP_EVERY, settings.BACKUP_DIR, settings.BACKUP_KEEP = 60, tmp_path / "shelf", 1
    left = Schedule(BACKUP).keep()
    assert left
    assert Schedule(BACKUP).keep() is None
    jobs.run(kept, jobs.next_job("backups"))
    left.refresh_from_db()
    assert (left.state, left.result["name"]) == ("done", only(tmp_path / "shelf").name)
    assert Schedule(BACKUP).keep() is None
    Job.objects.update(finished_at=timezone.now() - timedelta(seconds=61))
    assert Schedule(BACKUP).keep()


def test_who_operates_asks_for_one_by_rest_and_lists_them(kept: Store, settings, tmp_path: Path, operator_client: APIClient) -> None:
    settings.BACKUP_DIR = None
    refused = send(operator_client, "post", "/admin/backups")
    assert (refused.status_code, refused.json()["code"], "BACKUP_DIR" in refused.json()["detail"]) == (409, "no-backup-dir", True)
    assert operator_client.get("/admin/backups").json() == []
    settings.BACKUP_DIR = tmp_path / "shelf"
    answer = send(operator_client, "post", "/admin/backups")
    assert (answer.status_code, answer["Location"]) == (202, f"/ops/jobs/{answer.json()['id']}")
    assert send(operator_client, "post", "/admin/backups").json()["id"] == answer.json()["id"]
    jobs.run(kept, jobs.next_job("backups"))
    assert operator_client.get(answer["Location"]).json()["state"] == "done"
    (listed,) = operator_client.get("/admin/backups").json()
    assert (listed["name"], listed["tables"], listed["seq"]) == (only(tmp_path / "shelf").name, 3, kept.seq)
    assert send(operator_client, "post", "/admin/backups", {"to": "/etc"}).status_code == 400


def test_who_may_not_operate_neither_makes_nor_sees_backups(kept: Store, roles: None, anonymous_client: APIClient) -> None:
    operator = user_with_role("operator")
    refused = [client_of(user_with_role(role)) for role in ("viewer", "editor", "steward")]
    refused += [client_of(operator, role="viewer"), client_of(operator, scopes=["projects"])]
    for method in ("get", "post"):
        assert [send(client, method, "/admin/backups").status_code for client in refused] == [403] * 5
        assert send(anonymous_client, method, "/admin/backups").status_code == 401
    assert Job.objects.count() == 0


def test_the_page_of_jobs_has_a_button_for_who_operates(kept: Store, client, roles: None, settings, tmp_path: Path) -> None:
    settings.BACKUP_DIR = None
    client.force_login(user_with_role("operator"))
    assert "BACKUP_DIR is not set" in client.get("/console/jobs/").content.decode()
    assert "BACKUP_DIR is not set" in client.post("/console/jobs/", follow=True).content.decode()
    settings.BACKUP_DIR = tmp_path / "shelf"
    shown = client.post("/console/jobs/", follow=True)
    assert (shown.redirect_chain[-1][0], Job.objects.get().kind) == (f"/console/jobs/{Job.objects.get().id}/", "backup")
    client.force_login(user_with_role("viewer"))
    assert "Make a backup" not in client.get("/console/jobs/").content.decode().partition('<section id="jobs"')[0].rpartition("</form>")[2]


def test_a_backup_does_not_wait_for_ever_where_a_plan_waits_for_a_load(kept: Store, tmp_path: Path) -> None:
    """A load shares a table, a plan waits behind it, a backup behind the plan; as the load ends, each gets its turn."""
    order: list[str] = []
    lock = kept.locks.of("projects")
    with lock.shared():
        plan = threading.Thread(target=lambda: _alone(lock, order))
        plan.start()
        while not lock._waiting:
            time.sleep(0.01)
        made = threading.Thread(target=lambda: (_held(kept), order.append("backup")))
        made.start()
        while len(lock._waiting) < 2:
            time.sleep(0.01)
        with lock.raised():
            order.append("load")
    plan.join()
    made.join()
    assert order == ["load", "plan", "backup"]


def _alone(lock: Any, order: list[str]) -> None:
    with lock.alone():
        order.append("plan")


def _held(store: Store) -> None:
    with backup._tables_held(store):
        pass
