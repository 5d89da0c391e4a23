"""The audit log with its witness: the chain's head is kept in the DuckDB file too, so that a cut tail shows."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from projects.store import books
from projects.store.connection import Store, Transaction, get_store
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
    """Keeps the head in the file, in the background; the owner's heartbeat does it for what other processes recorded.

    A log that has lost or changed the entry that is kept is no longer followed, so that `verify` goes on saying so.
    """
    store = get_store()
    if store.is_open and _stands(_kept(store)):
        store.writer.later(lambda writing: _keep(writing, head))


def _kept(store: Store) -> Head:
    with store.read() as cursor:
        return _read(books.get(cursor, _KEY))


def _stands(kept: Head) -> bool:
    return kept.seq == 0 or AuditEntry.objects.filter(seq=kept.seq, hash=kept.hash).exists()


def _keep(writing: Transaction, head: Head) -> None:
    if head.seq > _read(books.get(writing.cursor, _KEY)).seq:
        books.put(writing.cursor, _KEY, f"{head.seq} {head.hash}")


def _read(kept: str | None) -> Head:
    seq, _, digest = (kept or "0 ").partition(" ")
    return Head(int(seq), digest)


def verify() -> Verdict:
    """Checks the whole chain, and that it still has the head that the DuckDB file knows."""
    kept = _kept(get_store())
    return audit.verify(kept if kept.seq else None)


RECENT = 200  # entries that a glance reads


def glance() -> Verdict:
    """As `verify`, of the newest entries only, so that it costs the same however long the log is."""
    kept = _kept(get_store())
    if not _stands(kept):
        return Verdict(False, 0, kept.seq, f"entry {kept.seq} is not the one that DuckDB's file remembers")
    return audit.verify(kept if kept.seq else None, last=RECENT)
