"""Tables that many tests begin with: made once in a process by the service's own doors, then copied for each test."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import connection

from projects.models import Job, ManagedTable, Plan
from projects.store.connection import Store
from schema_registry.models import AuditEntry, Listing, Snapshot

RECORDS = [
    model._meta.db_table for model in (Snapshot, Listing, AuditEntry, ManagedTable, Plan, Job)
]  # Those that others refer to come first.


@dataclass(frozen=True)
class Copy:
    """DuckDB's whole file, the archives, and every row that Django's database has about it."""

    file: bytes
    archives: dict[str, bytes]
    records: dict[str, list[tuple[Any, ...]]]


_copies: dict[str, Copy] = {}


def begin_with(store: Store, name: str, make: Callable[[], None], *, recorded: bool = True) -> None:
    """Opens the store, and does to it, and to Django's database where that is `recorded`, what `make` does.

    `name` says all that `make` goes by, for what has the same name is copied.
    """
    if name not in _copies:
        make()
        store.connection().execute("CHECKPOINT")  # Nothing is left in the log beside the file.
        _copies[name] = Copy(store.path.read_bytes(), _archives(store), _records() if recorded else {})
        return
    assert not store.is_open  # Another file under an open one corrupts it.
    store.path.write_bytes(_copies[name].file)
    for file, content in _copies[name].archives.items():
        store.archive.mkdir(exist_ok=True)
        (store.archive / file).write_bytes(content)
    for table, rows in _copies[name].records.items():
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(rows[0]))})", rows)
    store.connection()


def _archives(store: Store) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.archive.iterdir()}


def _records() -> dict[str, list[tuple[Any, ...]]]:
    """The rows of each table that has some, as the database keeps them."""
    with connection.cursor() as cursor:
        found = {table: cursor.execute(f"SELECT * FROM {table}").fetchall() for table in RECORDS}
    return {table: rows for table, rows in found.items() if rows}
