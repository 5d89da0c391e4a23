"""Loads as people ask for them: a CSV file or a JSON array, all of it or nothing."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from projects import audit
from projects.errors import BadRequest, DuplicateKeys, RowsRefused
from projects.rows import check_writable, row_cells
from projects.store import bulk, spool
from projects.store.bulk import Loaded
from projects.store.connection import Store


def load_upload(store: Store, table: str, pieces: Iterable[bytes], *, nulls: tuple[str, ...], actor: str, dry_run: bool = False) -> Loaded:
    """A CSV upload, by way of the spool. Raises RowsRefused, DuplicateKeys, TableNotFound, TableReadOnly, DiskFull."""
    store.table(table)  # An upload for no table is refused before it is read.
    with spool.spooled(store, pieces, ".csv") as path:
        return load_file(store, table, path, nulls=nulls, actor=actor, dry_run=dry_run)


def tried(load: Callable[[], Loaded]) -> Loaded:
    """A dry run's outcome: the rows that a load would refuse are told, not raised."""
    try:
        return load()
    except (RowsRefused, DuplicateKeys) as refusal:
        return Loaded(inserted=0, rejected=refusal.rejected, rejects=tuple(refusal.rejects))


def load_file(
    store: Store, table: str, path: Path, *, nulls: tuple[str, ...], actor: str, job: str | None = None, dry_run: bool = False
) -> Loaded:
    """A CSV file that stands in the spool. Raises as `load_upload`."""
    with store.locks.of(table).shared():
        live = store.table(table)
        check_writable(live.name)
        loaded = bulk.load(store, live, bulk.read_head(live.schema, path, nulls), actor=actor, job=job, dry_run=dry_run)
    if loaded.inserted and not dry_run:
        audit.record("rows.load", live.name, actor=actor, detail={"rows": loaded.inserted, "job": job or ""})
    return loaded


def load_array(store: Store, table: str, rows: Any, *, actor: str, dry_run: bool = False) -> Loaded:
    """A JSON array of rows. Raises as `load_upload`, and BadRequest for what is no array."""
    if not isinstance(rows, list):
        raise BadRequest(detail="The body is neither a JSON object nor a JSON array.")
    live = store.table(table)
    cells, rejects = [], []
    for number, row in enumerate(rows, 1):
        read, problems = row_cells(live.schema, row, checked=False)
        cells.append(read)
        rejects += [
            {"row": number, "column": p.pointer.removeprefix("/"), "value": None, "code": p.code, "reason": p.detail} for p in problems
        ]
    if rejects:
        raise bulk.refused(live.name, rejects)
    return load_upload(store, table, bulk.csv_pieces(live.schema, cells), nulls=(), actor=actor, dry_run=dry_run)
