"""The spool: the one folder that DuckDB may touch, where uploads, rejects and half-made archives stand."""

import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from projects.store.connection import Store
from projects.store.errors import writing

PIECE = 1 << 20  # bytes
JOB_FILES_KEPT = 7 * 86_400  # seconds


def folder(store: Store) -> Path:
    """The spool's folder, which is there. Raises FolderUnusable."""
    with writing("SPOOL_DIR"):
        store.spool.mkdir(parents=True, exist_ok=True, mode=0o700)
    return store.spool


def new_path(store: Store, suffix: str) -> Path:
    """A path in the spool that nobody has."""
    return folder(store) / f"{uuid.uuid4().hex}{suffix}"


@contextmanager
def spooled(store: Store, pieces: Iterable[bytes], suffix: str) -> Iterator[Path]:
    """The pieces as a file of the spool, which is gone at the end. Raises DiskFull."""
    path = new_path(store, suffix)
    try:
        write(store, path, pieces)
        yield path
    finally:
        path.unlink(missing_ok=True)


def write(store: Store, path: Path, pieces: Iterable[bytes], *, lasting: bool = False) -> None:
    """Writes the pieces to the file, which is there whole or not at all; a `lasting` one outlives a power loss.

    Raises DiskFull, FolderUnusable, and what the pieces raise.
    """
    try:
        with writing("SPOOL_DIR"):
            file = path.open("xb", buffering=0)
        with file:
            path.chmod(0o600)
            for piece in pieces:
                store.room.check()
                _put(file, piece)
            if lasting:
                _settle(file, path.parent)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _put(file: FileIO, piece: bytes) -> None:
    """An OSError of the pieces' own, such as a client's that left, is no full disk."""
    with writing("SPOOL_DIR"):
        rest = memoryview(piece)
        while rest:
            rest = rest[file.write(rest) :]


def _settle(file: FileIO, folder: Path) -> None:
    with writing("SPOOL_DIR"):
        os.fsync(file.fileno())
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sweep(store: Store) -> int:
    """Removes what a process that was killed left behind; gives their number. Jobs' own files stay for seven days."""
    leftovers = [path for path in store.spool.glob("*") if not path.name.startswith("job-")]
    for path in leftovers:
        remove(path)
    return len(leftovers) + expire(store)


def expire(store: Store) -> int:
    """Removes the files that jobs made more than seven days ago; gives their number."""
    old = time.time() - JOB_FILES_KEPT
    expired = [path for path in store.spool.glob("job-*") if path.stat().st_mtime < old]
    for path in expired:
        remove(path)
    return len(expired)


def forgotten(store: Store) -> Iterator[Path]:
    """The files that nobody needs: a job's after seven days, others after one, which is longer than any upload."""
    now = time.time()
    for path in _files(store):
        kept = JOB_FILES_KEPT if path.name.startswith("job-") else 86_400
        with suppress(FileNotFoundError):  # Gone meanwhile.
            if path.stat().st_mtime < now - kept - 3_600:
                yield path


def _files(store: Store) -> list[Path]:
    return [path for path in store.spool.glob("*") if path.is_file()]


def remove(path: Path) -> None:
    """Removes a file, or the folder of a backup."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
