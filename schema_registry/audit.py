"""The audit log: what was done and by whom, chained by hashes so that a change to its past shows."""

import hashlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import rfc8785
from django.db import IntegrityError, transaction
from django.utils import timezone

from schema_registry.models import AuditEntry

GENESIS = "0" * 64  # the previous hash of the first entry
_LARGEST = 2**53 - 1  # RFC 8785 writes no larger integer

_order = threading.Lock()


@dataclass(frozen=True, slots=True)
class Head:
    """The chain's last entry: its number (0 for an empty log) and its hash."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the log is whole, how many entries were read, the number at which it is broken, and a sentence."""

    ok: bool
    entries: int
    broken_at: int | None
    detail: str
    head: Head | None = None  # the last entry that was found to be right


def append(action: str, object: str, *, actor: str, detail: Mapping[str, Any] | None = None) -> AuditEntry:
    """Adds an entry, such as ("table.create", "projects"); `detail` is plain JSON and must hold no values of rows.

    Inside a transaction the entry stands or falls with it.
    """
    plain = _plain(dict(detail or {}))
    if transaction.get_connection().in_atomic_block:
        # Its caller may hold the database's write lock: to wait for ours here could stop both.
        return _added(action, object, actor, plain)
    with _order:
        return _added(action, object, actor, plain)


def head() -> Head:
    """The chain's last entry."""
    last = AuditEntry.objects.order_by("-seq").values_list("seq", "hash").first()
    return Head(*last) if last else Head(0, GENESIS)


def verify(witness: Head | None = None, *, since: Head | None = None, most: int | None = None) -> Verdict:
    """Reads the log and checks its numbers, its hashes and its links; `witness` is a head that was kept elsewhere.

    It reads on from `since`, an entry that was found to be right before, and `most` entries at the most; both are all where left out.
    """
    previous = since or Head(0, GENESIS)
    if previous.seq and not AuditEntry.objects.filter(seq=previous.seq, hash=previous.hash).exists():
        return Verdict(False, previous.seq, previous.seq, f"entry {previous.seq} is not the one that was verified before")
    found = AuditEntry.objects.filter(seq__gt=previous.seq).order_by("seq")
    entries = (found if most is None else found[:most]).iterator(chunk_size=2_000)
    left = most
    while True:
        try:
            entry = next(entries, None)
            reason = _fault(entry, previous) if entry else None
        except (ValueError, TypeError, AttributeError):
            return Verdict(False, previous.seq, previous.seq + 1, f"entry {previous.seq + 1} cannot be read", previous)
        if entry is None:
            return _partly(previous) if left == 0 else _witnessed(previous, witness)
        if reason:
            return Verdict(False, previous.seq, entry.seq, reason, previous)
        previous, left = Head(entry.seq, entry.hash), None if left is None else left - 1
        if witness and witness.seq == entry.seq and witness.hash != entry.hash:
            return Verdict(False, entry.seq, entry.seq, f"entry {entry.seq} is not the one that DuckDB's file remembers")


def before(seq: int) -> Head:
    """The last entry of a number below this one, taken on trust."""
    found = AuditEntry.objects.filter(seq__lt=seq).order_by("-seq").values_list("seq", "hash").first()
    return Head(*found) if found else Head(0, GENESIS)


def _partly(last: Head) -> Verdict:
    return Verdict(True, last.seq, None, f"{last.seq} entries so far, each linked to the one before it", last)


def _witnessed(last: Head, witness: Head | None) -> Verdict:
    if witness and witness.seq > last.seq:
        return Verdict(False, last.seq, last.seq + 1, f"the log ends at entry {last.seq}; DuckDB's file remembers entry {witness.seq}")
    return Verdict(True, last.seq, None, f"{last.seq} entries, each linked to the one before it", last)


def fault(entry: AuditEntry) -> str | None:
    """What is wrong with one entry, its link to the one before it included, or None."""
    try:
        return _fault(entry, before(entry.seq))
    except (ValueError, TypeError, AttributeError):
        return f"entry {entry.seq} cannot be read"


def _fault(entry: AuditEntry, previous: Head) -> str | None:
    if entry.seq != previous.seq + 1:
        return f"entry {previous.seq + 1} is missing"
    if entry.previous_hash != previous.hash:
        return f"entry {entry.seq} does not follow entry {previous.seq}"
    if entry.hash != _hash(entry):
        return f"entry {entry.seq} was changed"
    return None


def _added(action: str, object: str, actor: str, detail: dict[str, Any]) -> AuditEntry:
    while True:
        last = head()
        entry = AuditEntry(
            seq=last.seq + 1,
            at=timezone.now(),
            actor=_text(actor, 200),
            action=_text(action, 100),
            object=_text(object, 300),
            detail=detail,
            previous_hash=last.hash,
        )
        entry.hash = _hash(entry)
        try:
            with transaction.atomic():
                entry.save()
            return entry
        except IntegrityError:
            if not AuditEntry.objects.filter(seq=entry.seq).exists():
                raise  # Not another process that took the number.


def _hash(entry: AuditEntry) -> str:
    """SHA-256 of the entry's canonical JSON (RFC 8785), the previous hash included."""
    names = ("seq", "actor", "action", "object", "detail", "previous_hash")
    plain = {name: getattr(entry, name) for name in names} | {"at": entry.at.astimezone(UTC).isoformat(timespec="microseconds")}
    return hashlib.sha256(rfc8785.dumps(plain)).hexdigest()


def _text(value: str, longest: int) -> str:
    """The text as every database can keep it."""
    return value.encode(errors="replace").decode().replace("\0", "?")[:longest]


def _plain(value: object) -> Any:
    """The value as JSON that reads back the same: what JSON does not know, and what it would round, becomes text."""
    match value:
        case None | bool():
            return value
        case int() | float() if abs(value) <= _LARGEST:
            return value
        case str():
            return _text(value, 10_000)
        case Mapping():
            return {_text(str(key), 300): _plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in _items(value)]
        case datetime():
            return value.isoformat()
        case _:
            return _text(str(value), 10_000)


def _items(value: Any) -> Iterator[Any]:
    """A set has no order of its own."""
    return iter(sorted(value, key=str) if isinstance(value, set | frozenset) else value)
