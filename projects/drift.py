"""Drift: where the ontology, our books and DuckDB's own catalogue say three different things of a table.

The catalogue is read now; the ontology's word is the one of when it was last asked, unless somebody asks it (`ask`).
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from projects import audit, notices
from projects.errors import TableNotFound
from projects.models import Plan
from projects.plans import OPEN, SYSTEM
from projects.store import catalogue
from projects.store.books import LiveTable
from projects.store.connection import Store
from schema_registry import snapshots
from schema_registry.diff import diff
from schema_registry.errors import OntologyUnavailable
from schema_registry.models import AuditEntry, Listing, Snapshot
from schema_registry.ontology import OntologyClient

log = logging.getLogger(__name__)

TRIES = 5  # looks at a table that changes while it is looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One table. `state` is the worst that there is: missing, altered, orphaned, behind, in step; unknown where nobody ever said.

    `ontology` and `catalogue` are sentences; `checked_at` is when the ontology last spoke of the table; `plan` is the one that waits.
    """

    table: str
    state: str
    checked_at: datetime | None = None
    ontology: tuple[str, ...] = ()
    catalogue: tuple[str, ...] = ()
    plan: int | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def summary(self) -> dict[str, Any]:
        """As the page of the table has it."""
        return {"state": self.state, "checked_at": self.checked_at, "changes": [*self.catalogue, *self.ontology]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the ontology answered beside its schemas: a sentence on each document that it has none of, or why it gave no answer."""

    documents: Mapping[str, str] = field(default_factory=dict)
    unavailable: str = ""


def report(store: Store, reaches: Callable[[str], bool], *, start: int, end: int, refresh: bool = False) -> list[Drift]:
    """The tables that are managed or unknown, by name, of those that `reaches` lets through: one page. `refresh` asks the ontology."""
    said = ask() if refresh else Said()
    live = {table.name: table for table in store.tables()}
    strangers = foreign(store)
    names = sorted((name for name in (*live, *strangers) if reaches(name)), key=str.casefold)[start:end]
    seen = look(store, [live[name] for name in names if name in live], said)
    found = (seen.get(name.casefold()) or strangers.get(name) for name in names)
    return [one for one in found if one]


def look(store: Store, live: Sequence[LiveTable], said: Said | None = None) -> dict[str, Drift]:
    """The drift of each live table by its name without case; one that was dropped meanwhile is left out."""
    compared = _compared(store, live)
    latest = last_said([one.table for one in compared.values()])
    orphaned = _orphaned(latest)
    waiting = {table.casefold(): pk for table, pk in Plan.objects.filter(state__in=OPEN).values_list("table", "pk")}
    found = {}
    for asked, one in compared.items():
        key = one.table.name.casefold()
        ontology = _ontology(one.table, latest.get(key), orphaned.get(key, ""), said or Said())
        found[asked] = _drift(one, latest.get(key), orphaned=key in orphaned, ontology=ontology, plan=waiting.get(key))
    return found


# The ontology.


def ask() -> Said:
    """Asks the ontology for everything, and keeps what it says; that it gives no answer is one too."""
    try:
        answer = snapshots.refresh()
    except OntologyUnavailable as failure:
        return Said(unavailable=str(failure))
    shrunk = "The ontology lists {} no longer, nor more than half of what it did: that waits for a person."
    gone = {one: shrunk.format(one) for one in answer.missing if answer.shrunk}
    return Said(documents=gone | {refusal.document_id: refusal.told for refusal in answer.refused})


def last_said(live: Sequence[LiveTable]) -> dict[str, Snapshot]:
    """What each table's source said when it was last asked, by the table's key; a schema that a person sent is not its source's."""
    of_sources = Snapshot.objects.filter(table_key__in=[table.name.casefold() for table in live]).exclude(provenance=snapshots.REQUEST)
    last = dict(of_sources.order_by("last_seen_at", "number").values_list("table_key", "id"))
    return {snapshot.table_key: snapshot for snapshot in Snapshot.objects.filter(id__in=last.values())}


def _orphaned(latest: Mapping[str, Snapshot]) -> dict[str, str]:
    """The tables that no document made any longer when the ontology was last asked for all of them, each with the reason."""
    try:
        client = OntologyClient.from_settings()
    except OntologyUnavailable:
        return {}
    listing = Listing.objects.filter(url=client.url).first()
    source = snapshots.MOCK if client.use_mock else snapshots.LIVE
    older = {key: one for key, one in latest.items() if listing and one.provenance == source and one.last_seen_at <= listing.seen_at}
    listed = set(listing.document_ids) if listing else set()
    of_documents = Snapshot.objects.filter(provenance=source, document_id__in=[one.document_id for one in older.values()])
    makes = dict(of_documents.order_by("last_seen_at", "number").values_list("document_id", "table_name"))
    reasons = {key: _why_orphaned(key, one.document_id, listed, makes[one.document_id]) for key, one in older.items()}
    return {key: reason for key, reason in reasons.items() if reason}


def _why_orphaned(key: str, document: str, listed: set[str], makes: str) -> str:
    if document not in listed:
        return f"The ontology lists {document} no longer."
    return f"The document {document} makes the table {makes} now." if makes.casefold() != key else ""


def _ontology(table: LiveTable, latest: Snapshot | None, orphaned: str, said: Said) -> list[str]:
    told = [said.unavailable, said.documents.get(table.schema.document_id, ""), orphaned]
    return [*filter(None, told), *_behind(table, latest)]


def _behind(table: LiveTable, latest: Snapshot | None) -> list[str]:
    """What has to change for the live schema to be what its source said last, in sentences."""
    if latest is None or latest.fingerprint == table.schema.fingerprint:
        return []
    return [change.sentence for change in diff(table.schema, latest.as_schema())]


# The catalogue.


@dataclass(frozen=True, slots=True)
class Compared:
    """A live table beside the file: whether that has it, and where they differ."""

    table: LiveTable
    is_there: bool
    differs: tuple[str, ...]


def foreign(store: Store) -> dict[str, Drift]:
    """The tables of the file that are not ours, by name."""
    ours = {table.name.casefold() for table in store.tables()}
    with store.read() as cursor:
        entries = catalogue.read(cursor)
    ours |= {table.name.casefold() for table in store.settled_tables()}  # One that is made or dropped just now is no stranger.
    said = ("The DuckDB file has this table, and DuckDB Spawn did not make it.",)
    strangers = (entry for key, entry in entries.items() if key not in ours and entry.is_table)
    return {entry.name: Drift(table=entry.name, state="unknown", catalogue=said) for entry in strangers}


def _compared(store: Store, live: Sequence[LiveTable]) -> dict[str, Compared]:
    with store.read() as cursor:
        entries = catalogue.read(cursor)
        found = []
        for table in live:
            entry = entries.get(table.name.casefold())
            found.append(Compared(table, entry is not None, tuple(catalogue.differences(cursor, entry, table))))
    settled = {one.table.name.casefold(): one if _stands(store, one) else _again(store, one.table.name) for one in found}
    return {name: one for name, one in settled.items() if one}


def _stands(store: Store, compared: Compared) -> bool:
    """Whether what differs is not only a change of ours that came in between."""
    return not compared.differs or store.is_live(compared.table)


def _again(store: Store, name: str) -> Compared | None:
    """Compares a table that was changed while it was looked at; None where it was dropped."""
    found = None
    for _ in range(TRIES):
        try:
            table = store.table(name)
        except TableNotFound:
            return None
        with store.read() as cursor:
            entry = catalogue.read(cursor, table.name).get(table.name.casefold())
            found = Compared(table, entry is not None, tuple(catalogue.differences(cursor, entry, table)))
        if _stands(store, found):
            break
    return found


def _drift(one: Compared, latest: Snapshot | None, *, orphaned: bool, ontology: Sequence[str], plan: int | None) -> Drift:
    if one.differs:
        state = "altered" if one.is_there else "missing"
    elif orphaned:
        state = "orphaned"
    elif latest is None:
        state = "unknown"
    else:
        state = "behind" if _behind(one.table, latest) else "in step"
    return Drift(
        table=one.table.name,
        state=state,
        checked_at=latest.last_seen_at if latest else None,
        ontology=tuple(ontology),
        catalogue=one.differs,
        plan=plan,
    )


# At start.

FOUND, GONE = "drift.found", "drift.gone"
_TOLD = (FOUND, GONE, "table.repair", "table.adopt")  # after the last three a finding is a new one, even if it is the same


def tell_new(store: Store) -> list[Drift]:
    """Says which tables were altered by hand since somebody was last told, and which are no longer; gives the altered ones."""
    new = []
    for one in look(store, store.tables()).values():
        last = AuditEntry.objects.filter(object=one.table, action__in=_TOLD).first()
        known = last.detail.get("catalogue", []) if last and last.action == FOUND else []
        if known != list(one.catalogue):
            _tell(one)
            new += [one] if one.catalogue else []
    return new


def _tell(one: Drift) -> None:
    detail = {"state": one.state, "catalogue": list(one.catalogue)}
    with transaction.atomic():
        audit.record(FOUND if one.catalogue else GONE, one.table, actor=SYSTEM, detail=detail)
        if one.catalogue:
            notices.tell(notices.DRIFT_FOUND, one.table, detail)
    if one.catalogue:
        log.warning("the table %s was altered by hand: %s", one.table, " ".join(one.catalogue))
