"""Loads as people ask for them: a CSV file or a JSON array, all of it or nothing."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from projects import audit, versions
from projects.aliases import Names
from projects.errors import BadRequest, DuplicateKeys, RowsRefused
from projects.rows import check_writable, row_cells
from projects.store import bulk, spool
from projects.store.books import LiveTable
from projects.store.bulk import Loaded
from projects.store.connection import Store
from projects.store.retries import held, told_apart


def load_upload(
    store: Store,
    table: str,
    pieces: Iterable[bytes],
    *,
    nulls: tuple[str, ...],
    actor: str,
    dry_run: bool = False,
    version: int | None = None,
) -> Loaded:
    """A CSV upload, by way of the spool, in a version's shape where one is given.

    Raises RowsRefused, DuplicateKeys, TableNotFound, TableReadOnly, TableAltered, DiskFull, and as `versions.names`.
    """
    versions.names(store.table(table), table, version, writes=True)  # What can only fail is refused before it is read.
    with spool.spooled(store, pieces, ".csv") as path:
        return load_file(store, table, path, nulls=nulls, actor=actor, dry_run=dry_run, version=version)


def tried(load: Callable[[], Loaded]) -> Loaded:
    """A dry run's outcome: the rows that a load would refuse are told, not raised."""
    try:
        return load()
    except (RowsRefused, DuplicateKeys) as refusal:
        return Loaded(inserted=0, rejected=refusal.rejected, rejects=tuple(refusal.rejects))


def load_file(
    store: Store,
    table: str,
    path: Path,
    *,
    nulls: tuple[str, ...],
    actor: str,
    job: str | None = None,
    dry_run: bool = False,
    version: int | None = None,
) -> Loaded:
    """A CSV file that stands in the spool. Raises as `load_upload`."""
    with held(store, table) as live:
        names = versions.names(live, table, version, writes=True)
        loaded = _load(store, names, path, nulls=nulls, actor=actor, job=job, dry_run=dry_run)
    return _recorded(loaded, live, actor=actor, job=job, dry_run=dry_run)


def load_array(store: Store, table: str, rows: Any, *, actor: str, dry_run: bool = False, version: int | None = None) -> Loaded:
    """A JSON array of rows. Raises as `load_upload`, and BadRequest for what is no array."""
    if not isinstance(rows, list):
        raise BadRequest(detail="The body is neither a JSON object nor a JSON array.")
    with held(store, table) as live:
        names = versions.names(live, table, version, writes=True)
        with spool.spooled(store, bulk.csv_pieces(names.schema, _cells(names, rows)), ".csv") as path:
            loaded = _load(store, names, path, nulls=(), actor=actor, job=None, dry_run=dry_run)
    return _recorded(loaded, live, actor=actor, job=None, dry_run=dry_run)


def _cells(names: Names, rows: list[Any]) -> list[dict[str, str | None]]:
    """The rows of an array as cells. Raises RowsRefused that names those that are none."""
    cells, rejects = [], []
    for number, row in enumerate(rows, 1):
        read, problems = row_cells(names, row, checked=False)
        cells.append(read)
        rejects += [
            {"row": number, "column": p.pointer.removeprefix("/"), "value": None, "code": p.code, "reason": p.detail} for p in problems
        ]
    if rejects:
        raise bulk.refused(names.live.name, rejects)
    return cells


def _load(store: Store, names: Names, path: Path, *, nulls: tuple[str, ...], actor: str, job: str | None, dry_run: bool) -> Loaded:
    """The caller holds the table's lock."""
    live = names.live
    check_writable(live.name)
    with told_apart(store, live):
        loaded = bulk.load(store, live, bulk.read_head(names, path, nulls), actor=actor, job=job, dry_run=dry_run)
    return replace(loaded, used=names.used)


def _recorded(loaded: Loaded, live: LiveTable, *, actor: str, job: str | None, dry_run: bool) -> Loaded:
    if loaded.inserted and not dry_run:
        audit.record("rows.load", live.name, actor=actor, detail={"rows": loaded.inserted, "job": job or ""})
    return loaded
