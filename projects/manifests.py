"""The manifest of a backup: what is in its folder, of which moment, made by what; and whether the folder is still as it was made."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from projects.errors import BackupDamaged, BackupTooNew

FILE = "manifest.json"
SERVICE, FORMAT = "duckdb-spawn", 1  # Another format is another way to restore.
STORE, DATABASE, ARCHIVES = "store.duckdb", "app.sqlite3", "archives"
PIECE = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of a backup: its path below the folder, its bytes, its SHA-256."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Counted:
    """A live table in a backup; `fingerprint` is of its schema."""

    name: str
    rows: int
    version: int
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup says of itself. `seq` is the last number of the change feed in it: every row is as it was then.

    `database` has the engine of Django's database and its file, or none and what to do instead; `damaged` the archives that were not as
    they had been written when the backup was made.
    """

    started_at: datetime
    finished_at: datetime
    version: str
    duckdb: str
    seq: int
    tables: list[Counted]
    files: list[Kept]
    database: dict[str, Any]
    migrations: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name of its folder: when it was begun, in UTC."""
        return f"{self.started_at:%Y%m%dT%H%M%SZ}"

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    def as_json(self) -> dict[str, Any]:
        moments = {name: getattr(self, name).isoformat() for name in ("started_at", "finished_at")}
        return {"service": SERVICE, "format": FORMAT} | asdict(self) | moments


def write(manifest: Manifest, folder: Path) -> None:
    path = folder / FILE
    path.touch(mode=0o600)
    path.write_text(json.dumps(manifest.as_json(), ensure_ascii=False, indent=1, default=str))


def is_ours(folder: Path) -> bool:
    """Whether a folder is a backup of this service, of whatever format."""
    try:
        said = json.loads((folder / FILE).read_text())
    except (OSError, ValueError):
        return False
    return isinstance(said, dict) and said.get("service") == SERVICE


def read(folder: Path) -> Manifest:
    """The manifest of a backup. Raises BackupDamaged, BackupTooNew."""
    try:
        said = json.loads((folder / FILE).read_text())
        if said["service"] != SERVICE:
            raise BackupDamaged(backup=folder.name, reason="its manifest is another program's")
        if said["format"] > FORMAT:
            raise BackupTooNew(backup=folder.name, found=said["format"], known=FORMAT)
        return _read({name: value for name, value in said.items() if name not in ("service", "format")})
    except FileNotFoundError:
        raise BackupDamaged(backup=folder.name, reason=f"{FILE} is missing") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackupDamaged(backup=folder.name, reason=f"{FILE} cannot be read") from error


def _read(said: dict[str, Any]) -> Manifest:
    """What is computed with is of its type, whoever wrote it. Raises ValueError, KeyError, TypeError."""
    moments = {name: datetime.fromisoformat(said[name]) for name in ("started_at", "finished_at")}
    parts = {
        "seq": int(said["seq"]),
        "tables": [Counted(**(one | {"rows": int(one["rows"])})) for one in said["tables"]],
        "files": [Kept(**(one | {"path": str(one["path"]), "bytes": int(one["bytes"])})) for one in said["files"]],
    }
    if said["database"]["file"] not in (None, DATABASE):
        raise ValueError("Django's database is another file")
    return Manifest(**(said | moments | parts))


def kept(folder: Path, check: Callable[[], None]) -> list[Kept]:
    """Every file of a folder; `check` is called between pieces and may end it by what it raises."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [Kept(path.relative_to(folder).as_posix(), path.stat().st_size, digest(path, check)) for path in paths]


def digest(path: Path, check: Callable[[], None] = lambda: None) -> str:
    """The SHA-256 of a file."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            found.update(piece)
            check()
    return found.hexdigest()


def verify(folder: Path) -> Manifest:
    """Reads every file of a backup and compares it with the manifest. Raises BackupDamaged, BackupTooNew."""
    manifest = read(folder)
    for file in manifest.files:
        path = folder / file.path
        if ".." in path.parts or not path.resolve().is_relative_to(folder.resolve()):
            raise BackupDamaged(backup=folder.name, reason=f"its manifest names {file.path}, which is outside of it")
        if not path.is_file():
            raise BackupDamaged(backup=folder.name, reason=f"{file.path} is missing")
        if path.stat().st_size != file.bytes or digest(path) != file.sha256:
            raise BackupDamaged(backup=folder.name, reason=f"{file.path} is not as it was written")
    _check_named(folder, manifest)
    return manifest


def _check_named(folder: Path, manifest: Manifest) -> None:
    """What is not named would not be compared, and not be brought back. Raises BackupDamaged."""
    needed = {STORE, *filter(None, [manifest.database["file"]])}
    if missing := sorted(needed - {file.path for file in manifest.files}):
        raise BackupDamaged(backup=folder.name, reason=f"its manifest does not name {missing[0]}")


def looks_whole(folder: Path) -> bool:
    """Whether a backup's files are there with their sizes; what stands in them is not read."""
    try:
        manifest = read(folder)
        _check_named(folder, manifest)
        return all((folder / file.path).stat().st_size == file.bytes for file in manifest.files)
    except (BackupDamaged, BackupTooNew, OSError):
        return False
