"""The audit log with its witness: the chain's head is kept in the DuckDB file too, so that a cut tail shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

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
    return _remembered(audit.verify(kept if kept.seq else None), timezone.now())


# What a page shows: it must not read a long log each time.

LOOK = 1_000  # entries that one look verifies at the most
RECENT = 200  # entries, the newest of those that were verified, that each look reads anew


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of the chain: the last verdict, when the chain was last read from its beginning, and the number of its last entry."""

    verdict: Verdict
    whole_at: datetime | None
    last: int

    @property
    def is_whole(self) -> bool:
        """Whether every entry there is was verified at some time."""
        return self.verdict.ok and self.verdict.entries >= self.last


_standing: tuple[Verdict, datetime | None] | None = None  # this process's own; a restart begins anew


def standing() -> Standing:
    """The chain as it was verified last, and what came since: it costs the same however long the log is.

    A look reads the newest entries anew, and `LOOK` others at the most; what was found broken stays so until `verify`.
    """
    known, at = _standing or (Verdict(True, 0, None, "", Head(0, audit.GENESIS)), None)
    if known.ok and known.head:
        known = _remembered(_looked(known.head), at)
    return Standing(known, at, audit.head().seq)


def _looked(verified: Head) -> Verdict:
    kept = _kept(get_store())
    if not _stands(kept):
        return Verdict(False, verified.seq, kept.seq, f"entry {kept.seq} is not the one that DuckDB's file remembers")
    newest = audit.verify(since=audit.before(verified.seq + 1 - RECENT), most=min(RECENT, verified.seq))
    return audit.verify(kept if kept.seq else None, since=verified, most=LOOK) if newest.ok else newest


def _remembered(verdict: Verdict, whole_at: datetime | None) -> Verdict:
    global _standing  # noqa: PLW0603 - one process, one standing
    _standing = (verdict, whole_at)
    return verdict


def forget_standing() -> None:
    """Begins anew next time."""
    global _standing  # noqa: PLW0603
    _standing = None
