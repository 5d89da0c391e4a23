"""A disk so small that a test can fill it: a mounted one where this user may mount, else this process's bound on the size of files."""

import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from projects.store.connection import reset_store
from projects.store.room import free


class Mounted:
    """A tmpfs of so many MiB at `folder`; every process meets its end, with ENOSPC."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder, self._ballast = folder, folder / "ballast"
        folder.mkdir()
        options = ["-t", "tmpfs", "-o", f"size={size}m,mode=0777", "tmpfs"]
        self.refusal = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True, check=False).stderr

    def fill(self, leave: int = 0) -> None:
        """Leaves so many bytes."""
        with self._ballast.open("ab", buffering=0) as file:
            while (room := free(self.folder) - leave) > 0:
                file.write(bytes(min(room, 1 << 20)))

    def clear(self) -> None:
        self._ballast.unlink(missing_ok=True)

    def end(self) -> None:
        subprocess.run(["umount", str(self.folder)], check=True)


class Bounded:
    """No file of this process may grow past what it has, with EFBIG: what a quota does, and any user can have it done."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.refusal = folder, ""
        folder.mkdir()
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self, leave: int = 0) -> None:
        largest = max((path.stat().st_size for path in self.folder.rglob("*.wal")), default=0)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest + leave, self._before[1]))

    def clear(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)

    def end(self) -> None:
        self.clear()


def small_disk(tmp_path: Path, size: int = 48) -> Iterator[Mounted]:
    """A mounted disk of so many MiB; skips, and says why, where this user may not mount."""
    made = Mounted(tmp_path / "disk", size)
    if made.refusal:
        pytest.skip(f"needs the right to mount a tmpfs (the bounded disk is tested all the same): {made.refusal}")
    yield made
    reset_store()
    made.end()


def put_store_on(settings, folder: Path) -> None:
    """The test's store stands on the disk, with no reserve, so that its end is met."""
    settings.DUCKDB_PATH = folder / "data_product.db"
    settings.SPOOL_DIR, settings.ARCHIVE_DIR, settings.DISK_RESERVE = folder / "spool", folder / "archive", 0
