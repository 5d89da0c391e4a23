"""Backups where something is amiss: manifests that somebody wrote, clocks that were set, jobs that were killed, places that do not keep."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from projects import jobs, manifests, restoring, shelves
from projects.errors import BackupDamaged
from projects.store.connection import Store
from tests.projects.test_backups import TO_FOLDER, TO_SHELF, command, done, flip, only, say, shelf

__all__ = ["shelf"]
pytestmark = pytest.mark.django_db(transaction=True)


def without(one: Path, *names: str) -> list[dict[str, Any]]:
    files = json.loads((one / "manifest.json").read_text())["files"]
    return [file for file in files if file["path"] not in names]


def crooked(one: Path) -> None:
    """A link within the backup, by which a path that leads within it leads out of where it is brought to."""
    (one / "deep/er").mkdir(parents=True)
    (one / "deep/er/f").write_text("x")
    (one / "l").symlink_to("deep/er")
    (one / "f").write_text("x")
    sha256 = manifests.digest(one / "f")
    said = [{"path": path, "bytes": 1, "sha256": sha256} for path in ("l/f", "l/../../f")]
    say(one, files=[*without(one), *said])


WRITTEN = {
    "no store named": (lambda one: say(one, files=without(one, "store.duckdb")), "its manifest does not name store.duckdb"),
    "no database named": (lambda one: say(one, files=without(one, "app.sqlite3")), "its manifest does not name app.sqlite3"),
    "a path that is none": (lambda one: say(one, files=[{"path": 5, "bytes": 0, "sha256": ""}]), "5 is missing"),
    "bytes that are none": (lambda one: say(one, files=[{"path": "x", "bytes": "many", "sha256": ""}]), "manifest.json cannot be read"),
    "a database that is none": (lambda one: say(one, database="app.sqlite3"), "manifest.json cannot be read"),
    "another database": (lambda one: say(one, database={"file": "/etc/passwd"}), "manifest.json cannot be read"),
    "a path that leads out once it is copied": (crooked, "its manifest names l/../../f, which is outside of it"),
}


def test_a_manifest_that_somebody_wrote_is_refused_in_a_sentence(shelf: Path, tmp_path: Path, settings, operator_client: APIClient) -> None:
    one, back, settings.BACKUP_DIR = only(shelf), tmp_path / "back", shelf
    was = (one / "manifest.json").read_text()
    for kind, (deed, sentence) in WRITTEN.items():
        deed(one)
        with pytest.raises(BackupDamaged, match=sentence):
            restoring.restore(one, back)
        assert (back.exists(), operator_client.get("/admin/backups").status_code) == (False, 200), kind
        (one / "manifest.json").write_text(was)


def test_one_just_made_is_never_taken_away_though_the_clock_was_set_back(kept: Store, shelf: Path, tmp_path: Path, settings) -> None:
    settings.BACKUP_DIR, settings.BACKUP_KEEP = shelf, 1
    only(shelf).rename(shelf / "20990101T000000Z")
    made = done(kept, TO_SHELF)
    assert (made.state, made.result["removed"], only(shelf).name) == ("done", ["20990101T000000Z"], made.result["name"])


def test_of_a_parent_the_newest_is_none_of_a_time_to_come(shelf: Path, tmp_path: Path) -> None:
    one = only(shelf)
    shutil.copytree(one, shelf / "20990101T000000Z")
    assert [path.name for path in shelves.folders(shelf)] == [one.name, "20990101T000000Z"]


def test_what_is_not_whole_takes_no_place_of_one_that_is(shelf: Path) -> None:
    one = only(shelf).rename(shelf / "20260201T000000Z")
    for name in ("20260101T000000Z", "20260301T000000Z"):
        shutil.copytree(one, shelf / name)
    newest = shelf / "20260301T000000Z"
    (newest / "store.duckdb").unlink()
    assert shelves.prune(shelf, 1) == ["20260101T000000Z"]
    assert sorted(shelf.iterdir()) == [one, newest]


def test_a_job_that_was_killed_before_its_backup_was_put_away_makes_it_again(kept: Store, settings, tmp_path: Path) -> None:
    settings.BACKUP_DIR = tmp_path / "shelf"
    left = jobs.leave("backup", TO_SHELF)
    dead = kept.spool / f"job-{left.id}.backup" / "archives"
    dead.mkdir(parents=True)
    jobs.run(kept, jobs.next_job("backups"))
    left.refresh_from_db()
    assert (left.state, left.error, only(tmp_path / "shelf").name) == ("done", "", left.result["name"])
    assert list(kept.spool.iterdir()) == []


def test_a_place_that_each_start_empties_is_refused(kept: Store, settings) -> None:
    settings.BACKUP_DIR = kept.spool / "backups"
    made = done(kept, TO_SHELF)
    assert (made.state, "it is in SPOOL_DIR, which is emptied at each start" in made.error) == ("failed", True)
    assert command("backup", kept.spool)[0] == 1


def test_a_backup_that_would_take_the_services_reserve_is_not_begun(kept: Store, settings) -> None:
    settings.DISK_RESERVE = shutil.disk_usage(kept.spool).total  # What is free changes while others run.
    made = done(kept, TO_FOLDER)
    assert (made.state, "MiB beside the reserve of" in made.error) == ("failed", True), made.error


def test_an_archive_that_was_damaged_before_is_told(shelf: Path, kept: Store, tmp_path: Path) -> None:
    archive = kept.archive / "projects-plan1.parquet"
    archive.with_suffix(".json").write_text(json.dumps({"sha256": manifests.digest(archive)}))
    assert manifests.read(kept.spool / done(kept, TO_FOLDER).result["spool"]).damaged == []
    flip(archive)
    code, said = command("backup", tmp_path / "b")
    assert (code, "Not as they were written, and so in the backup too: archives/projects-plan1.parquet" in said) == (0, True)
