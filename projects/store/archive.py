"""Archives: what a destructive step takes away, as Parquet with its schema beside it, durable before the step commits."""

import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from projects.store import spool, sql
from projects.store.connection import Store, Transaction
from schema_registry.schema import TableSchema


@dataclass(frozen=True, slots=True)
class Archive:
    """One archived table: its Parquet file, its rows, and the SHA-256 of the file."""

    path: Path
    rows: int
    sha256: str


def export_table(schema: TableSchema, path: Path) -> str:
    """The statement that writes a whole table to a Parquet file of the spool."""
    columns = sql.names(schema.stored_columns)
    return f"COPY (SELECT {columns} FROM {sql.table(schema.name)}) TO {sql.literal(str(path))} (FORMAT parquet)"


@contextmanager
def archived(store: Store, transaction: Transaction, schema: TableSchema, reason: str) -> Iterator[Archive]:
    """The table as an archive; if what is done with it fails, the archive is removed again."""
    archive = _write(store, transaction, schema, reason)
    try:
        yield archive
    except BaseException:
        archive.path.unlink(missing_ok=True)
        archive.path.with_suffix(".json").unlink(missing_ok=True)
        raise


def _write(store: Store, transaction: Transaction, schema: TableSchema, reason: str) -> Archive:
    made = spool.new_path(store, ".parquet")
    try:
        rows = transaction.execute(export_table(schema, made)).fetchall()[0][0]
        now = datetime.now(UTC)
        final = store.archive / f"{schema.name}-{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}.parquet"
        archive = Archive(final, rows, _digest(made))
        described = {"table": schema.as_json(), "rows": rows, "sha256": archive.sha256, "reason": reason, "archived_at": now.isoformat()}
        _settle(made, final)
    finally:
        made.unlink(missing_ok=True)
    described_at = spool.new_path(store, ".json")
    described_at.write_text(json.dumps(described, ensure_ascii=False, indent=1))
    _settle(described_at, final.with_suffix(".json"))
    return archive


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _settle(made: Path, final: Path) -> None:
    """Moves a file into the archive so that it survives a power loss: the file is synced, then its folder."""
    made.chmod(0o600)
    for path, flags in ((made, os.O_RDONLY), (final.parent, os.O_RDONLY | os.O_DIRECTORY)):
        if path == final.parent:
            made.replace(final)
        handle = os.open(path, flags)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
