"""A backup brought back: verified, opened, then copied to a folder of its own, from which a service can be started."""

import shutil
from pathlib import Path
from urllib.parse import quote

from projects import app_copy, manifests, shelves
from projects.errors import BackupDamaged, BackupNotFound, TargetNotEmpty
from projects.manifests import ARCHIVES, DATABASE, STORE, Manifest
from projects.store import backup

STAGED = ".restoring"  # where the files stand until all of them are there


def found(folder: Path) -> Path:
    """The folder itself where it is a backup, else the newest backup in it. Raises BackupNotFound."""
    if (folder / manifests.FILE).exists() or (folder / STORE).exists():
        return folder
    if kept := shelves.folders(folder):
        return kept[0]
    raise BackupNotFound(folder=folder)


def restore(folder: Path, target: Path) -> tuple[Path, Manifest]:
    """Restores a backup, or the newest of a folder of them, to a new or empty folder; gives which, and what it says.

    Raises BackupNotFound, BackupDamaged, BackupTooNew, TargetNotEmpty, DiskFull, FolderUnusable; then nothing was put there.
    """
    source = found(folder)
    with shelves.using(target):
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise TargetNotEmpty(folder=target)
    with shelves.using(source):
        manifest = verify(source)
    with shelves.using(target):
        _bring(source, target, manifest)
    return source, manifest


def verify(folder: Path) -> Manifest:
    """Reads all of a backup, and opens both of its databases. Raises BackupDamaged, BackupTooNew."""
    manifest = manifests.verify(folder)
    counts = backup.counted(folder / STORE)
    if counts != {table.name: table.rows for table in manifest.tables}:
        raise BackupDamaged(backup=folder.name, reason=f"the tables in {STORE} are not those of the manifest")
    if manifest.database["file"]:
        app_copy.verify(folder / DATABASE)
    return manifest


def _bring(source: Path, target: Path, manifest: Manifest) -> None:
    is_new, staged = not target.exists(), target / STAGED
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        shelves.copy(source, staged, manifest)
        (staged / ARCHIVES).mkdir(mode=0o700, exist_ok=True)
        for path in sorted(staged.iterdir()):
            path.rename(target / path.name)
        staged.rmdir()
        shelves.sync(target)
    except BaseException:
        for path in target.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if is_new:
            target.rmdir()
        raise


def settings_of(target: Path, manifest: Manifest) -> dict[str, str]:
    """The settings of a service that has the restored folder, as the environment has them."""
    target = target.resolve()
    places = {"DUCKDB_PATH": str(target / STORE), "ARCHIVE_DIR": str(target / ARCHIVES), "SPOOL_DIR": str(target / "spool")}
    return places | ({"DATABASE_URL": f"sqlite:///{quote(str(target / DATABASE))}"} if manifest.database["file"] else {})
