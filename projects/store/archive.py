"""Archives: what a step takes away or rewrites, as Parquet with its description beside it, durable before the step commits."""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from projects.errors import ArchiveDamaged
from projects.store import spool, sql
from projects.store.connection import Store, Transaction
from projects.store.errors import writing
from projects.store.opening import make_own_folder
from schema_registry.schema import ColumnSchema, TableSchema

NOT_WHOLE = ".part"  # ends the name of an archive that is still being moved there


@dataclass(frozen=True, slots=True)
class Archive:
    """One archive: the name of its Parquet file, its rows, and the SHA-256 of the file."""

    file: str
    rows: int
    sha256: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


# Parquet has no HUGEINT and would make it a DOUBLE, so an archive has its text.


def keepable(column: ColumnSchema, value: str) -> str:
    """A value as an archive keeps it: what `kept` undoes."""
    return f"{value}::VARCHAR{'[]' if column.multivalued else ''}" if column.type.base == "HUGEINT" else value


def kept(column: ColumnSchema, value: str) -> str:
    """A value out of an archive."""
    return f"{value}::{column.sql_type}" if column.type.base == "HUGEINT" else value


def whole_table(schema: TableSchema) -> str:
    """The query whose rows are an archive of a whole table."""
    columns = (f"{keepable(c, sql.quote(c.name))} AS {sql.quote(c.name)}" for c in schema.stored_columns)
    return f"SELECT {', '.join(columns)} FROM {sql.table(schema.name)}"


def refilling(schema: TableSchema, view: str) -> str:
    """The statement that fills a table from its archive."""
    values = ", ".join(kept(c, sql.quote(c.name)) for c in schema.stored_columns)
    return f"INSERT INTO {sql.table(schema.name)} ({sql.names(schema.stored_columns)}) SELECT {values} FROM {sql.quote(view)}"


@contextmanager
def archived(store: Store, transaction: Transaction, query: str, label: str, described: Mapping[str, Any]) -> Iterator[Archive]:
    """The rows of a query as an archive whose name begins with `label`; if what is done with it fails, it is removed again."""
    archive = write(store, transaction, query, label, described)
    try:
        yield archive
    except BaseException:
        if not transaction.committed:
            remove(store, [archive.file])
        raise


def remove(store: Store, files: Iterable[str]) -> None:
    """Takes archives away, with their descriptions."""
    for file in files:
        path = store.archive / Path(file).name
        for one in (path, path.with_suffix(".json")):
            one.unlink(missing_ok=True)
            one.with_name(f"{one.name}{NOT_WHOLE}").unlink(missing_ok=True)


def size(store: Store, file: str) -> int | None:
    """The bytes of an archive, or None where it is gone."""
    try:
        return (store.archive / Path(file).name).stat().st_size
    except FileNotFoundError:
        return None


def leftovers(store: Store, label: str) -> list[str]:
    """The archives whose names begin with a label."""
    found = {path.name.removesuffix(NOT_WHOLE) for path in store.archive.glob("*.parquet*") if path.name.startswith(f"{label}-")}
    return sorted(found)


def write(store: Store, through: Transaction | duckdb.DuckDBPyConnection, query: str, label: str, described: Mapping[str, Any]) -> Archive:
    """The rows of a query as a new archive, on the disk for good."""
    make_own_folder(store.archive, "ARCHIVE_DIR")
    made, described_at = spool.new_path(store, ".parquet"), spool.new_path(store, ".json")
    final = store.archive / f"{label}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}.parquet"
    try:
        rows = through.execute(f"COPY ({query}) TO {sql.literal(str(made))} (FORMAT parquet)").fetchall()[0][0]
        archive = Archive(final.name, rows, digest(made))
        whole = {**described, "rows": rows, "sha256": archive.sha256, "archived_at": datetime.now(UTC).isoformat()}
        with writing("ARCHIVE_DIR"):
            described_at.write_text(json.dumps(whole, ensure_ascii=False, indent=1))
            _settle(made, final)
            _settle(described_at, final.with_suffix(".json"))
    except BaseException:
        remove(store, [final.name])
        raise
    finally:
        made.unlink(missing_ok=True)
        described_at.unlink(missing_ok=True)
    return archive


@contextmanager
def opened(store: Store, cursor: duckdb.DuckDBPyConnection, archive: Archive, view: str) -> Iterator[None]:
    """The archive as a temporary view, which lives as long as the cursor does. Raises ArchiveDamaged where it is not what was written."""
    path = spool.new_path(store, ".parquet")
    try:
        _bring(store.archive / Path(archive.file).name, path)
        if not path.exists() or digest(path) != archive.sha256:
            raise ArchiveDamaged(archive=archive.file)
        cursor.execute(f"CREATE OR REPLACE TEMP VIEW {sql.quote(view)} AS SELECT * FROM read_parquet({sql.literal(str(path))})")
        yield
    finally:
        path.unlink(missing_ok=True)


def _bring(archive: Path, path: Path) -> None:
    """The archive's file in the spool, where DuckDB may read it: as a second name where the disk is the same, else as a copy."""
    try:
        os.link(archive, path)
    except FileNotFoundError:
        return
    except OSError:
        with writing("SPOOL_DIR"):
            shutil.copyfile(archive, path)


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_damaged(file: Path, sha256: str) -> bool:
    """Whether an archive with that SHA-256 is not the one that the description beside it is of; False where there is none."""
    try:
        return bool(json.loads(file.with_suffix(".json").read_text())["sha256"] != sha256) if file.suffix == ".parquet" else False
    except FileNotFoundError:
        return False
    except (ValueError, KeyError, TypeError):
        return True


def _settle(made: Path, final: Path) -> None:
    """Moves a file into the archive so that it survives a power loss: the file is synced, then its folder. It may be another disk's."""
    near = final.with_name(f"{final.name}{NOT_WHOLE}")
    shutil.move(made, near)
    near.chmod(0o600)
    for path, flags in ((near, os.O_RDONLY), (final.parent, os.O_RDONLY | os.O_DIRECTORY)):
        if path == final.parent:
            near.replace(final)
        handle = os.open(path, flags)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
