"""How the DuckDB file is opened: its folders, its settings, its lock-down, and what is said of a file that cannot be opened."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import duckdb

from projects.errors import FolderUnusable, StoreDamaged
from projects.store import books
from projects.store.rescue import replay_apart, why_unreadable
from projects.store.sql import literal


@dataclass(frozen=True, slots=True)
class Limits:
    """What DuckDB may use, in its own words, such as 4GB; empty and 0 leave it to DuckDB."""

    memory: str = ""
    temp: str = ""
    threads: int = 0

    def as_config(self) -> dict[str, Any]:
        given = {"memory_limit": self.memory, "max_temp_directory_size": self.temp, "threads": self.threads}
        return {name: value for name, value in given.items() if value}


class Guard(Protocol):
    """Says whether the file may be taken for the right one; what it raises leaves the file as it was found."""

    def check_there(self, path: Path) -> None: ...
    def check_same(self, identity: str, seq: int) -> None: ...


def make_folders(file: Path, spool: Path, archive: Path) -> None:
    """The folders of the file and of what belongs to it. Raises FolderUnusable, which names settings: a path is nobody else's business."""
    _make_folder(file.parent, "of DUCKDB_PATH")
    make_own_folder(spool, "SPOOL_DIR")
    make_own_folder(archive, "ARCHIVE_DIR")


def make_own_folder(folder: Path, setting: str) -> None:
    """A folder for this user's eyes alone. Raises FolderUnusable."""
    _make_folder(folder, setting, mode=0o700)


def _make_folder(folder: Path, setting: str, mode: int | None = None) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if mode is not None and folder.stat().st_mode & 0o777 != mode:
            folder.chmod(mode)
    except OSError as error:
        raise FolderUnusable(folder=setting, reason=(error.strerror or str(error)).lower()) from error
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        raise FolderUnusable(folder=setting, reason="this user may not write there")


def connect(path: Path, limits: Limits) -> duckdb.DuckDBPyConnection:
    """The file, opened and not yet locked down. Raises StoreDamaged, and DuckDB's own error where another process has the file."""
    config: dict[str, Any] = {
        "storage_compatibility_version": "v1.5.0",  # 1.5 can still read the file: a way back
        "checkpoint_threshold": "256MiB",  # checkpoints.py comes long before it
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        "python_enable_replacements": False,
        **limits.as_config(),
    }
    try:
        return duckdb.connect(str(path), config=config)
    except duckdb.Error as error:
        if "Could not set lock" in str(error):
            raise
        if not isinstance(error, duckdb.InternalException) and "replaying WAL" not in str(error):
            raise StoreDamaged(reason=why_unreadable(str(error))) from error
    try:
        replay_apart(path)
        return duckdb.connect(str(path), config=config)
    except duckdb.Error as error:
        raise StoreDamaged(reason=why_unreadable(str(error))) from error


def check_untouched(connection: duckdb.DuckDBPyConnection, guard: Guard) -> None:
    """Asks whether the file is the right one; where it is not, it is closed without its log being folded in, so that nothing is lost."""
    try:
        guard.check_same(*books.identity(connection))
    except BaseException:
        connection.execute("PRAGMA disable_checkpoint_on_shutdown")
        raise


def lock_down(connection: duckdb.DuckDBPyConnection, spool: Path) -> None:
    """No file outside the spool, no extension, no setting: in this order, for once locked nothing can be SET."""
    connection.execute(f"SET allowed_directories = [{literal(str(spool) + '/')}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    connection.execute("SET lock_configuration = true")
