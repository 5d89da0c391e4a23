"""Room on the disks: what would write is refused while there is little left, before anything breaks; reading goes on."""

import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from django.conf import settings

from projects.errors import DiskNearlyFull

LOOK = 1.0  # seconds for which what was seen holds: a look costs a system call for each folder
MIB = 2**20
FREEING = 4  # what takes rows away goes on until this part of the reserve is left


class Room:
    """The free bytes on the disks of some folders, each by what it holds for a reader; none below `reserve` (0 asks nothing)."""

    def __init__(self, folders: Mapping[str, Path], reserve: int) -> None:
        self._folders, self._reserve = dict(folders), reserve
        self._looking = threading.Lock()
        self._due = 0.0
        self._least: tuple[int, str] | None = None

    @classmethod
    def from_settings(cls) -> Self:
        """The folders that what we write goes to, Django's SQLite file included."""
        folders = {"the tables": settings.DUCKDB_PATH.parent, "the work files": settings.SPOOL_DIR, "the archives": settings.ARCHIVE_DIR}
        database = settings.DATABASES["default"]
        if database["ENGINE"].endswith("sqlite3"):
            folders["Django's database"] = Path(database["NAME"]).parent
        return cls(folders, settings.DISK_RESERVE)

    def check(self, *, frees: bool = False) -> None:
        """Raises DiskNearlyFull where less than the reserve is free; for what `frees` room in the end, less than a quarter of it."""
        if time.monotonic() >= self._due:
            self._look()
        if self._least is None:
            return
        left, holds = self._least
        if left < (self._reserve // FREEING if frees else self._reserve):
            raise DiskNearlyFull(holds=holds, free=left // MIB, reserve=self._reserve // MIB)

    def forget(self) -> None:
        """Looks again the next time it is asked."""
        self._due = 0.0

    def _look(self) -> None:
        with self._looking:
            if time.monotonic() >= self._due:
                self._least = min((free(folder), holds) for holds, folder in self._folders.items()) if self._reserve else None
                self._due = time.monotonic() + LOOK


def free(folder: Path) -> int:
    """The bytes that this user may still write on the disk of a folder, or of the nearest one above it that can be seen."""
    while True:
        try:
            found = os.statvfs(folder)
            return found.f_bavail * found.f_frsize
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            folder = folder.parent
