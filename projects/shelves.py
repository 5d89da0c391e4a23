"""Folders that hold backups, each in a folder of its own that is named by its moment: putting one in, listing, taking old ones away."""

import errno
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from projects import clock, manifests
from projects.errors import BackupDamaged, BackupFailed, BackupTooNew, DiskFull, FolderUnusable
from projects.manifests import Manifest

NAME = re.compile(r"\d{8}T\d{6}Z")
PARTIAL = ".partial"  # the ending of what is not whole, or is being taken away
STALE = 3600  # seconds since anything was written to it, after which a partial backup is a killed process's
FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class Shelved:
    """A backup in its folder."""

    path: Path
    manifest: Manifest


def listed(shelf: Path) -> list[Shelved]:
    """The backups of a folder that this version can read, the newest first. Nothing is verified but the manifest."""
    found = []
    for path in folders(shelf):
        try:
            found.append(Shelved(path, manifests.read(path)))
        except (BackupDamaged, BackupTooNew):
            continue
    return found


def folders(shelf: Path) -> list[Path]:
    """What is named as a backup and says that it is ours, the newest first. Raises FolderUnusable.

    One of a time to come was made by a clock that was set back since: it is older than all others.
    """
    soon = f"{datetime.now(UTC) + clock.LEAP:%Y%m%dT%H%M%SZ}"
    with using(shelf):
        found = [path for path in shelf.iterdir() if NAME.fullmatch(path.name) and manifests.is_ours(path)] if shelf.is_dir() else []
    return sorted(found, key=lambda path: (path.name <= soon, path.name), reverse=True)


def place(made: Path, shelf: Path) -> Shelved:
    """Moves a backup into a folder, where it appears whole or not at all; gives it.

    On another disk it is copied, and read again. Raises DiskFull, FolderUnusable, BackupFailed; then it is still where it was.
    """
    manifest = manifests.read(made)
    with using(shelf):
        shelf.mkdir(parents=True, exist_ok=True, mode=0o700)
        _sweep(shelf)
        try:
            path = _named(made, shelf, manifest)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            partial = shelf / f".{uuid.uuid4().hex}{PARTIAL}"
            try:
                copy(made, partial, manifest)
                path = _named(partial, shelf, manifest)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
            shutil.rmtree(made)
        sync(shelf)
    return Shelved(path, manifest)


def _named(made: Path, shelf: Path, manifest: Manifest) -> Path:
    """Gives the folder its name; where another of the same second has it, that of the next."""
    while True:
        path = shelf / manifest.name
        if not path.exists():
            try:
                return made.rename(path)
            except OSError as error:  # Another process's got there first.
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
        manifest = replace(manifest, started_at=manifest.started_at + timedelta(seconds=1))


def copy(source: Path, target: Path, manifest: Manifest) -> None:
    """Copies a backup to a new folder, durably, and compares each file with the manifest once it is there. Raises BackupFailed."""
    target.mkdir(mode=0o700)
    for file in manifest.files:
        path = target / file.path
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.touch(mode=0o600)
        shutil.copyfile(source / file.path, path)
        sync(path)
        if manifests.digest(path) != file.sha256:
            raise BackupFailed(reason=f"{file.path} was not copied as it is")
    shutil.copyfile(source / manifests.FILE, target / manifests.FILE)
    (target / manifests.FILE).chmod(0o600)
    sync_folder(target)


def sync_folder(folder: Path) -> None:
    """Makes a folder, and all that is in it, outlive a power loss."""
    for path in (*folder.rglob("*"), folder):
        sync(path)


def sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | (os.O_DIRECTORY if path.is_dir() else 0))
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def using(folder: Path) -> Iterator[None]:
    """What the disk or the folder refuses, as an error of ours. Raises DiskFull, FolderUnusable."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise DiskFull() from error
        raise FolderUnusable(folder=folder, reason=error.strerror) from error


def prune(shelf: Path, keep: int, made: Path | None = None) -> list[str]:
    """Takes away all but the newest `keep` backups, or none where that is 0, and never the one just made; gives their names.

    One that is not whole takes no place of those that are kept. Raises FolderUnusable.
    """
    gone, whole = [], 0
    for path in sorted(folders(shelf), key=lambda path: path != made):  # The one just made is the newest, whatever the clock says.
        if keep and whole >= keep:
            gone.append(path)
        whole += manifests.looks_whole(path)
    with using(shelf):
        for path in gone:
            leaving = path.rename(shelf / f".{path.name}{PARTIAL}")  # Half of a backup never has a backup's name.
            shutil.rmtree(leaving)
    return [path.name for path in gone]


def _sweep(shelf: Path) -> None:
    """Removes what a process that was killed while it copied left behind."""
    for path in shelf.glob(f".*{PARTIAL}"):
        with suppress(FileNotFoundError):  # Another one sweeps here too.
            if max(one.lstat().st_mtime for one in (path, *path.rglob("*"))) < time.time() - STALE:
                shutil.rmtree(path, ignore_errors=True)
