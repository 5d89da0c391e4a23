"""Tables and the ontology: make what is wanted and missing, bring what is there up to it, drop what a person names.

One function behind REST, console, job and command. Each table is done by itself; a table that fails leaves the others alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from projects import audit
from projects.errors import ChangesRefused, ConfirmationMissing, DocumentNamesOther, ProjectsError, TablePinned
from projects.evolution.plan import Step, check_applicable, steps
from projects.models import ManagedTable
from projects.rows import check_writable
from projects.store import tables
from projects.store.archive import Archive
from projects.store.books import LiveTable
from projects.store.connection import Store
from schema_registry import snapshots
from schema_registry.errors import DocumentRefused
from schema_registry.models import Snapshot
from schema_registry.schema import TableSchema
from schema_registry.snapshots import Refreshed, Wanted
from schema_registry.sources.native import parse_document


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one table: created, altered, unchanged, pinned, dropped (by hand, and left so), waits or refused.

    In a dry run, what would become of it. `version` is the snapshot's number.
    """

    table: str
    outcome: str
    version: int | None = None
    provenance: str = ""
    from_version: int | None = None
    base_fingerprint: str = ""
    steps: tuple[Step, ...] = ()
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "table": self.table,
            "outcome": self.outcome,
            "version": self.version,
            "provenance": self.provenance,
            "changes": [step.as_json() for step in self.steps],
            "detail": self.detail,
        }

    def plan(self, actor: str, *, dry_run: bool = False) -> dict[str, Any]:
        """The outcome in the shape of a plan; that of a dry run with steps is only proposed."""
        applied = self.outcome == "unchanged" or (self.outcome == "altered" and not dry_run)
        return {
            "id": None,
            "table": self.table,
            "state": "applied" if applied else "proposed",
            "base_fingerprint": self.base_fingerprint,
            "from_version": self.from_version,
            "to_version": self.version,
            "steps": [step.as_json() for step in self.steps],
            "created_by": actor,
            "approved_by": None,
            "reason": "",
        }


@dataclass(frozen=True, slots=True)
class Report:
    """What a sync did, and what it left to a person."""

    outcomes: tuple[Outcome, ...]
    orphaned: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    shrunk: bool = False
    unavailable: str = ""

    @property
    def waits(self) -> bool:
        return self.shrunk or any(o.outcome == "waits" for o in self.outcomes)

    @property
    def failed(self) -> bool:
        return bool(self.unavailable) or any(o.outcome == "refused" for o in self.outcomes)

    def as_json(self) -> dict[str, Any]:
        return {
            "tables": [o.as_json() for o in self.outcomes],
            "orphaned": list(self.orphaned),
            "missing": list(self.missing),
            "shrunk": self.shrunk,
            "unavailable": self.unavailable,
        }


def sync(store: Store, names: Sequence[str] | None = None, *, actor: str, dry_run: bool = False) -> Report:
    """Asks the ontology server, and brings every table, or the named ones, to what it says.

    Raises OntologyUnavailable where it gives no answer, and UnknownSchema for a name that it does not have.
    """
    report = _bring_all(store, snapshots.refresh(names), actor=actor, dry_run=dry_run)
    if not dry_run:
        audit.record("schemas.sync", ", ".join(names or ()) or "all", actor=actor, detail=_counts(report))
    return report


def spawn(store: Store, names: Sequence[str] | None = None, *, actor: str, revive: bool = False) -> Report:
    """As `sync`, but the last good schemas do where the server gives no answer; `revive` makes tables that were dropped by hand.

    Raises OntologyUnavailable where there is no answer and a schema that was never seen, and UnknownSchema.
    """
    report = _bring_all(store, snapshots.refresh_or_cached(names), actor=actor, revive=revive)
    audit.record("tables.initialize", ", ".join(names or ()) or "all", actor=actor, detail=_counts(report))
    return report


def _counts(report: Report) -> dict[str, Any]:
    kinds = [o.outcome for o in report.outcomes]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}


def _bring_all(store: Store, answer: Refreshed, *, actor: str, dry_run: bool = False, revive: bool = False) -> Report:
    outcomes = [bring(store, wanted, actor=actor, dry_run=dry_run, revive=revive) for wanted in answer.wanted]
    outcomes += [_refused(refusal) for refusal in answer.refused]
    return Report(
        outcomes=tuple(outcomes),
        orphaned=tuple(name for name in answer.orphaned if store.has(name)),
        missing=answer.missing if answer.shrunk else (),
        shrunk=answer.shrunk,
        unavailable=str(answer.unavailable or ""),
    )


def _refused(refusal: DocumentRefused) -> Outcome:
    reasons = " ".join(f"{p.pointer or '/'}: {p.detail}." for p in refusal.problems)
    return Outcome(table=refusal.document_id, outcome="refused", detail=f"{refusal} {reasons}")


def bring(store: Store, wanted: Wanted, *, actor: str, dry_run: bool = False, revive: bool = False) -> Outcome:
    """One table to its wanted schema, as far as that needs nobody's leave; never raises for what the table alone is to blame."""
    with store.locks.of(wanted.schema.name).alone():
        try:
            return _bring(store, wanted, actor=actor, dry_run=dry_run, revive=revive)
        except ChangesRefused as refusal:
            live = store.table(wanted.schema.name)
            return _outcome(wanted, "waits", live=live, planned=steps(live.schema, wanted.schema), detail=str(refusal))
        except ProjectsError as error:
            return _outcome(wanted, "refused", detail=str(error))


def _bring(store: Store, wanted: Wanted, *, actor: str, dry_run: bool, revive: bool) -> Outcome:
    name = wanted.schema.name
    record = ManagedTable.objects.filter(name__iexact=name).first()
    if not store.has(name):
        if record and record.dropped_at and not revive:
            return _outcome(wanted, "dropped", detail="It was dropped by hand; POST /admin/tables makes it again.")
        return _create(store, wanted, actor=actor, dry_run=dry_run)
    live = store.table(name)
    if record and record.pinned:
        return _outcome(wanted, "pinned", live=live, detail=f"It is pinned to version {live.version}.")
    if _is_older(wanted, live):
        return _left_newer(wanted, live)
    return _alter(store, live, wanted, actor=actor, dry_run=dry_run)


def _is_older(wanted: Wanted, live: LiveTable) -> bool:
    """Whether a cached schema came before the table's own, which it must not take back."""
    return wanted.provenance == snapshots.CACHED and wanted.snapshot.number < live.version


def _left_newer(wanted: Wanted, live: LiveTable) -> Outcome:
    return _outcome(wanted, "unchanged", live=live, detail="The cached schema is older than the table's.")


def _create(store: Store, wanted: Wanted, *, actor: str, dry_run: bool) -> Outcome:
    if not dry_run:
        tables.create(store, wanted.schema, version=wanted.snapshot.number, provenance=wanted.snapshot.provenance, actor=actor)
        _remember(wanted.schema, wanted.snapshot)
        audit.record("table.create", wanted.schema.name, actor=actor, detail=_of_version(wanted))
    return _outcome(wanted, "created")


def _alter(store: Store, live: LiveTable, wanted: Wanted, *, actor: str, dry_run: bool) -> Outcome:
    planned = steps(live.schema, wanted.schema)
    if not planned:
        return _outcome(wanted, "unchanged", live=live)
    check_applicable(live.name, planned)
    if not dry_run:
        statements = [statement for step in planned for statement in step.statements]
        number, provenance = wanted.snapshot.number, wanted.snapshot.provenance
        tables.alter(store, live, wanted.schema, statements, version=number, provenance=provenance, actor=actor)
        _remember(wanted.schema, wanted.snapshot)
        detail = _of_version(wanted) | {"from_version": live.version, "changes": [step.change.sentence for step in planned]}
        audit.record("table.alter", live.name, actor=actor, detail=detail)
    return _outcome(wanted, "altered", live=live, planned=planned)


def _of_version(wanted: Wanted) -> dict[str, Any]:
    return {"version": wanted.snapshot.number, "fingerprint": wanted.schema.fingerprint, "provenance": wanted.provenance}


def _outcome(wanted: Wanted, outcome: str, *, live: LiveTable | None = None, planned: Sequence[Step] = (), detail: str = "") -> Outcome:
    return Outcome(
        table=wanted.schema.name,
        outcome=outcome,
        version=wanted.snapshot.number,
        provenance=wanted.provenance,
        from_version=live.version if live else None,
        base_fingerprint=live.schema.fingerprint if live else "",
        steps=tuple(planned),
        detail=detail,
    )


def _remember(schema: TableSchema, snapshot: Snapshot | None) -> None:
    """What Django's database knows of a live table."""
    known = {"name": schema.name, "document_id": schema.document_id, "snapshot": snapshot, "dropped_at": None}
    ManagedTable.objects.update_or_create(name__iexact=schema.name, defaults=known)


# One table, by name.


def bring_up_to_date(store: Store, name: str, *, actor: str, dry_run: bool = False) -> Outcome:
    """One live table to the ontology's present schema. Raises TableNotFound, TablePinned, ChangesRefused, and as the registry does."""
    live = store.table(name)
    if ManagedTable.objects.filter(name__iexact=live.name, pinned=True).exists():
        raise TablePinned(table=live.name)
    return _bring_or_raise(store, snapshots.wanted(live.name), actor=actor, dry_run=dry_run)


def bring_to_document(store: Store, name: str, document: Any, *, actor: str, dry_run: bool = False) -> Outcome:
    """One live table to a schema that somebody sent; the table is pinned to it.

    Raises TableNotFound, DocumentRefused, DocumentNamesOther, PatternRefused, ChangesRefused.
    """
    live = store.table(name)
    schema = parse_document(document, live.schema.document_id)
    if schema.name.casefold() != live.name.casefold():
        raise DocumentNamesOther(table=live.name, other=schema.name)
    with store.read() as cursor:
        tables.check_patterns(cursor, schema)
    if dry_run:
        planned = steps(live.schema, schema)
        return Outcome(
            table=live.name,
            outcome="waits" if any(s.strategy == "wait" for s in planned) else "altered" if planned else "unchanged",
            provenance=snapshots.REQUEST,
            from_version=live.version,
            base_fingerprint=live.schema.fingerprint,
            steps=tuple(planned),
        )
    check_applicable(live.name, steps(live.schema, schema))
    snapshot = snapshots.record(schema, document, provenance=snapshots.REQUEST)
    outcome = _bring_or_raise(store, Wanted(schema, snapshot, snapshots.REQUEST, 0.0), actor=actor, dry_run=False)
    ManagedTable.objects.filter(name=live.name).update(pinned=True)
    audit.record("table.pin", live.name, actor=actor, detail={"version": snapshot.number})
    return outcome


def _bring_or_raise(store: Store, wanted: Wanted, *, actor: str, dry_run: bool) -> Outcome:
    with store.locks.of(wanted.schema.name).alone():
        live = store.table(wanted.schema.name)
        if _is_older(wanted, live):
            return _left_newer(wanted, live)
        if dry_run:
            planned = steps(live.schema, wanted.schema)
            waits = any(step.strategy == "wait" for step in planned)
            return _outcome(wanted, "waits" if waits else "altered" if planned else "unchanged", live=live, planned=planned)
        return _alter(store, live, wanted, actor=actor, dry_run=False)


def drop(store: Store, name: str, *, confirm: str | None, actor: str) -> Archive:
    """Archives and drops a table; it stays dropped until somebody makes it again.

    Raises TableNotFound, TableReadOnly, ConfirmationMissing.
    """
    live = store.table(name)
    check_writable(live.name)
    if confirm is None or confirm.casefold() != live.name.casefold():
        raise ConfirmationMissing(table=live.name)
    with store.locks.of(live.name).alone():
        archive = tables.drop(store, store.table(name), actor=actor, reason="table dropped by name")
        # The version that it was pinned to goes with it.
        ManagedTable.objects.update_or_create(name=live.name, defaults={"dropped_at": timezone.now(), "pinned": False})
    detail = {"version": live.version, "rows": archive.rows, "archive": archive.path.name, "sha256": archive.sha256}
    audit.record("table.drop", live.name, actor=actor, detail=detail)
    return archive


def reconcile(store: Store) -> list[str]:
    """At start, makes Django's records agree with the file, which is right; gives the names of the tables that were mended."""
    live = {table.name.casefold(): table for table in store.tables()}
    known = {record.name.casefold(): record for record in ManagedTable.objects.all()}
    unknown = [table for name, table in live.items() if name not in known or known[name].dropped_at]
    for table in unknown:
        _remember(table.schema, Snapshot.objects.filter(table_key=table.name.casefold(), number=table.version).first())
    gone = [record for name, record in known.items() if name not in live and not record.dropped_at]
    for record in gone:
        record.dropped_at = timezone.now()
        record.save(update_fields=["dropped_at"])
    return sorted([table.name for table in unknown] + [record.name for record in gone])
