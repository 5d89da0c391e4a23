"""The audit log with its witness: the chain's head is kept in the DuckDB file too, so that a cut tail shows."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from projects.store import books
from projects.store.connection import Transaction, get_store
from schema_registry import audit
from schema_registry.audit import Head, Verdict
from schema_registry.models import AuditEntry

_KEY = "audit_head"


def record(action: str, object: str, *, actor: str, detail: Mapping[str, Any] | None = None) -> AuditEntry:
    """Adds an entry to the audit log; where this process is the owner, the file keeps its number and hash as well."""
    entry = audit.append(action, object, actor=actor, detail=detail)
    # An entry that is rolled back must leave no witness behind.
    transaction.on_commit(lambda: witness(Head(entry.seq, entry.hash)))
    return entry


def witness(head: Head) -> None:
    """Keeps the head in the file, in the background; the owner's heartbeat does it for what other processes recorded."""
    store = get_store()
    if store.is_open:
        store.writer.later(lambda writing: _keep(writing, head))


def _keep(writing: Transaction, head: Head) -> None:
    if head.seq > _read(books.get(writing.cursor, _KEY)).seq:
        books.put(writing.cursor, _KEY, f"{head.seq} {head.hash}")


def _read(kept: str | None) -> Head:
    seq, _, digest = (kept or "0 ").partition(" ")
    return Head(int(seq), digest)


def verify() -> Verdict:
    """Checks the whole chain, and that it still has the head that the DuckDB file knows."""
    with get_store().read() as cursor:
        kept = _read(books.get(cursor, _KEY))
    return audit.verify(kept if kept.seq else None)
