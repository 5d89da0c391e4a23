"""A copy of Django's SQLite database, as it was at the moment that the copy of the store is of."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from projects.errors import BackupDamaged, BackupFailed, DiskFull

PAGES = 1_000  # are copied at once, 4 MB
PG_DUMP = "Django's database is not in this backup: dump it with its own tool, such as pg_dump, right after it, and restore both."


def is_sqlite() -> bool:
    return connection.vendor == "sqlite"


def described() -> dict[str, Any]:
    """What the manifest says of Django's database where it is not SQLite."""
    return {"engine": connection.vendor, "file": None, "note": PG_DUMP}


def migrations() -> dict[str, str]:
    """The last migration of each app."""
    return dict(sorted(MigrationRecorder(connection).applied_migrations()))  # The last one of an app wins.


class AppCopy:
    """Holds the database as it is when `begin` is called, and then writes that to a file; others go on writing meanwhile."""

    def __init__(self) -> None:
        self._source: sqlite3.Connection | None = None

    def begin(self) -> None:
        with _told():
            address = f"{Path(connection.settings_dict['NAME']).resolve().as_uri()}?mode=ro"
            self._source = sqlite3.connect(address, uri=True, isolation_level=None, timeout=10)
            self._source.execute("BEGIN")
            self._source.execute("SELECT count(*) FROM sqlite_schema").fetchall()  # Only a read takes hold of the moment.

    def write(self, path: Path, check: Callable[[], None]) -> None:
        """Raises DiskFull, BackupFailed, and what `check` raises, which is called now and again."""
        if self._source is None:
            raise RuntimeError("begin comes first")
        path.touch(mode=0o600)
        with _told(), closing(sqlite3.connect(path, isolation_level=None)) as target:
            self._source.backup(target, pages=PAGES, progress=lambda *_: check())
            target.execute("PRAGMA journal_mode=DELETE")  # One file, without a log beside it.

    def close(self) -> None:
        if self._source is not None:
            self._source.close()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if "disk is full" in str(error):
            raise DiskFull() from error
        raise BackupFailed(reason=f"Django's database cannot be copied: {error}") from error


def verify(path: Path) -> None:
    """Has SQLite look through a copy. Raises BackupDamaged."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as copy:
            said = copy.execute("PRAGMA quick_check(1)").fetchall()[0][0]
            copy.execute("SELECT count(*) FROM django_migrations").fetchall()
    except sqlite3.Error as error:
        said = str(error)
    else:
        if said == "ok":
            return
    raise BackupDamaged(backup=path.parent.name, reason=f"SQLite cannot read {path.name}: {said}")
