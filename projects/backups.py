"""Backups while the service serves: the store, Django's database and the archives, of one moment, in one folder that was read again.

A backup is made in the spool, by the owner or a command that has the file, and only then put where it is to be.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from projects import audit, manifests, shelves
from projects.app_copy import AppCopy, described, is_sqlite, migrations
from projects.app_copy import verify as verify_app
from projects.errors import BackupDirMissing, BackupFailed, FolderUnusable, NoRoomForBackup
from projects.manifests import ARCHIVES, DATABASE, STORE, Counted, Manifest
from projects.shelves import Shelved
from projects.store import archive, backup, spool
from projects.store.connection import Store
from projects.store.gauge import BACKUPS
from projects.store.room import MIB, free
from schema_registry.models import AuditEntry
from schema_registry.ontology import without_user

DEED = "backup.make"
SYSTEM = "system"  # who acts where no person does
TO_FOLDER = {"to": "folder"}  # the inputs of a job whose backup stays in the spool, for a command that moves it
TO_SHELF = {"to": "shelf"}  # and of one that puts it into BACKUP_DIR
# What a restored service has to be told again, besides where things are; none of it is a secret.
SETTINGS = (
    "ONTO_SCHEMA_IDS",
    "USE_MOCK_ONTO_SERVER",
    "EVOLUTION_POLICY",
    "PLAN_FOUR_EYES",
    "ARCHIVE_KEEP_DAYS",
    "CHANGES_KEEP",
    "SYNC_EVERY",
    "BACKUP_EVERY",
    "BACKUP_KEEP",
    "QUERY_TIMEOUT",
    "QUERY_MAX_ROWS",
    "QUERY_MAX_BYTES",
    "DUCKDB_MEMORY_LIMIT",
    "DUCKDB_THREADS",
    "ALLOWED_HOSTS",
    "CSRF_TRUSTED_ORIGINS",
    "BEHIND_TLS",
)


def run(store: Store, inputs: Mapping[str, Any], actor: str, job: str) -> dict[str, Any]:
    """A job's backup: left in the spool, or put into BACKUP_DIR, where old ones then go.

    Raises BackupDirMissing, DiskFull, FolderUnusable, OutOfMemory, BackupFailed.
    """
    shelf = None if inputs.get("to") == TO_FOLDER["to"] else shelf_of_setting()
    made = make(store, job)
    if shelf is None:
        return {"spool": made.name, **told(manifests.read(made))}
    try:
        return keep(made, shelf, most=settings.BACKUP_KEEP, actor=actor)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def fetched(store: Store, done: Mapping[str, Any], shelf: Path, *, most: int, user: Any) -> dict[str, Any]:
    """For a command: puts the backup that its job left in the spool into a folder. Raises as `keep`; the backup then is gone."""
    made = store.spool / Path(done["spool"]).name
    try:
        return keep(made, shelf, most=most, actor=user.get_username() if user else SYSTEM)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def keep(made: Path, shelf: Path, *, most: int, actor: str) -> dict[str, Any]:
    """Puts a backup into a folder, takes all but the newest `most` away, and says so in the audit log. Raises as `shelves.place`."""
    if shelf.resolve().is_relative_to(made.parent.resolve()):
        raise FolderUnusable(folder=shelf, reason="it is in SPOOL_DIR, which is emptied at each start")
    placed = shelves.place(made, shelf)
    said = told(placed.manifest) | {"name": placed.path.name}
    audit.record(DEED, said["name"], actor=actor, detail={name: said[name] for name in ("seq", "rows", "bytes")})
    gone = shelves.prune(shelf, most, placed.path)
    for name in gone:
        audit.record("backup.remove", name, actor=actor, detail={"keep": most})
    return said | {"removed": gone}


def told(manifest: Manifest) -> dict[str, Any]:
    """A backup as REST and jobs tell of it."""
    moments = {"started_at": manifest.started_at.isoformat(), "finished_at": manifest.finished_at.isoformat()}
    counts = {"seq": manifest.seq, "tables": len(manifest.tables), "rows": manifest.rows, "bytes": manifest.bytes}
    return {"name": manifest.name, **moments, **counts, "database": manifest.database, "damaged": manifest.damaged}


def shelf_of_setting() -> Path:
    """The folder BACKUP_DIR. Raises BackupDirMissing."""
    if settings.BACKUP_DIR is None:
        raise BackupDirMissing()
    return Path(settings.BACKUP_DIR)


def listed() -> list[dict[str, Any]]:
    """The backups in BACKUP_DIR, the newest first; none where it is not set."""
    kept: list[Shelved] = shelves.listed(Path(settings.BACKUP_DIR)) if settings.BACKUP_DIR else []
    return [told(one.manifest) | {"name": one.path.name} for one in kept]


def last_finished() -> datetime | None:
    """When the last backup was put where it is to be, by whichever way, or None."""
    return AuditEntry.objects.filter(action=DEED).order_by("-seq").values_list("at", flat=True).first()


# Making one.


def make(store: Store, job: str) -> Path:
    """Makes a backup in the spool, and reads it again; gives its folder. Raises as `run`; then there is none."""
    _check_room(store)
    partial = spool.new_path(store, shelves.PARTIAL)
    partial.mkdir(mode=0o700)
    try:
        with shelves.using(partial):
            _fill(store, partial, job)
            shelves.sync_folder(partial)
            made = spool.folder(store) / f"job-{job}.backup"
            spool.remove(made)  # What the same job made before it was killed.
            partial.rename(made)
            shelves.sync(made.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return made


def _check_room(store: Store) -> None:
    """Refuses what would take room that the service itself needs: below its reserve it refuses writes. Raises NoRoomForBackup."""
    files = [store.path, Path(f"{store.path}.wal"), *([Path(connection.settings_dict["NAME"])] if is_sqlite() else [])]
    needed, left = sum(path.stat().st_size for path in files if path.exists()), free(spool.folder(store))
    if left < needed + settings.DISK_RESERVE:
        raise NoRoomForBackup(needed=needed // MIB + 1, reserve=settings.DISK_RESERVE // MIB, free=left // MIB)


def _fill(store: Store, folder: Path, job: str) -> None:
    gauge, started, app = store.gauge(BACKUPS), datetime.now(UTC), AppCopy() if is_sqlite() else None
    archives: list[Path] = []

    def beside() -> None:
        if app:
            app.begin()
        archives.extend(path for path in store.archive.iterdir() if path.is_file())

    try:
        copied = backup.copy(store, folder / STORE, job, beside)
        gauge.stretch(75, 75)
        if app:
            app.write(folder / DATABASE, gauge.check)
    finally:
        if app:
            app.close()
    gauge.stretch(80, 80)
    _bring(archives, folder / ARCHIVES, gauge.check)
    gauge.stretch(85, 85)
    live = backup.verify(folder / STORE, copied)
    if app:
        verify_app(folder / DATABASE)
    gauge.stretch(90, 90)
    (folder / STORE).chmod(0o600)
    files = manifests.kept(folder, gauge.check)
    manifest = Manifest(
        started_at=started,
        finished_at=datetime.now(UTC),
        version=str(settings.SPECTACULAR_SETTINGS["VERSION"]),
        duckdb=backup.VERSION,
        seq=copied.seq,
        tables=[Counted(table.name, rows, table.version, table.schema.fingerprint) for table, rows in live],
        files=files,
        database={"engine": "sqlite", "file": DATABASE} if app else described(),
        migrations=migrations(),
        settings={name: getattr(settings, name) for name in SETTINGS} | {"ONTO_SERVER_URL": without_user(settings.ONTO_SERVER_URL)},
        damaged=[file.path for file in files if file.path.startswith(ARCHIVES) and archive.is_damaged(folder / file.path, file.sha256)],
    )
    manifests.write(manifest, folder)


def _bring(archives: list[Path], folder: Path, check: Callable[[], None]) -> None:
    """The archives that there were at the moment: as second names where the disk is the same, for none is ever written again."""
    folder.mkdir(mode=0o700)
    for path in archives:
        try:
            os.link(path, folder / path.name)
        except FileNotFoundError:
            raise BackupFailed(reason=f"the archive {path.name} was purged meanwhile; make another") from None
        except OSError:
            (folder / path.name).touch(mode=0o600)
            shutil.copyfile(path, folder / path.name)
            if manifests.digest(folder / path.name, check) != manifests.digest(path, check):
                raise BackupFailed(reason=f"the archive {path.name} was not copied as it is") from None
        check()
