"""One table, by name: brought to the ontology's present schema or to one that somebody sent; and Django's records after the file."""

from collections.abc import Callable, Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from projects import audit, plan_runs, plans, promises, sync
from projects.errors import BadRequest, DocumentNamesOther, TablePinned
from projects.evolution import drafts, handmade
from projects.evolution.policy import read_policy
from projects.models import Compatibility, ManagedTable, Plan
from projects.store.connection import Store
from schema_registry import snapshots
from schema_registry.models import Snapshot
from schema_registry.schema import TableSchema
from schema_registry.snapshots import Wanted
from schema_registry.sources.native import parse_document


def bring_up_to_date(store: Store, name: str, *, actor: str, dry_run: bool = False) -> Plan:
    """One live table to the ontology's present schema: the plan, applied as far as it needs nobody.

    Raises TableNotFound, TablePinned, as the registry does, and as `sync.change`.
    """
    live = store.table(name)
    if ManagedTable.objects.filter(name__iexact=live.name, pinned=True).exists():
        raise TablePinned(table=live.name)
    wanted = snapshots.wanted(live.name)
    plan = None if sync.is_older(wanted, live) else sync.change(store, live, wanted, actor=actor, dry_run=dry_run)
    return plan or plans.nothing(live, actor=actor, version=wanted.snapshot.number)


def bring_to_document(store: Store, name: str, document: Any, *, actor: str, dry_run: bool = False) -> Plan:
    """One live table to a schema that somebody sent; once that is applied the table is pinned to it.

    Raises TableNotFound, DocumentRefused, DocumentNamesOther, PatternRefused, and as `sync.change`.
    """
    live = store.table(name)
    schema = read_document(live.name, live.schema.document_id, document)
    if dry_run:
        draft = drafts.to_schema(store, live, schema)
        plan = plans.as_plan(draft, actor=actor, provenance=snapshots.REQUEST) if draft.steps else None
        return plan or plans.nothing(live, actor=actor, version=live.version)
    drafts.to_schema(store, live, schema)  # What cannot be drafted leaves no snapshot.
    snapshot = snapshots.record(schema, document, provenance=snapshots.REQUEST)
    plan = sync.change(store, live, Wanted(schema, snapshot, snapshots.REQUEST, 0.0), actor=actor)
    if plan is None:
        plan_runs.pin(live.name, actor=actor, version=snapshot.number)
    return plan or plans.nothing(live, actor=actor, version=snapshot.number)


def plan(store: Store, name: str, *, actor: str, inputs: Any = None, drift: Any = None) -> Plan:
    """A fresh plan for a table: to where the plan that waits leads if somebody sent that schema, else to the ontology's present one.

    With `drift`, repair or adopt, it is for what was altered by hand. Raises TableNotFound, TablePinned, InputsRefused, TableAltered,
    TableUnreadable, AdoptRefused, and as the registry does.
    """
    live = store.table(name)
    if drift is not None:
        made = handmade.draft(store, live, drift, inputs=inputs)
        return plans.propose(made, actor=actor) if made else plans.nothing(live, actor=actor, version=live.version)
    waiting = plans.open_plan(live.name)
    if waiting and waiting.kind == Plan.Kind.UNDO and waiting.undoes:
        draft = drafts.back(store, waiting.undoes, inputs=inputs)
        return plans.propose(draft, actor=actor, provenance=waiting.provenance, undoes=waiting.undoes)
    if waiting and waiting.kind == Plan.Kind.CHANGE and waiting.provenance == snapshots.REQUEST and waiting.snapshot:
        snapshot = waiting.snapshot
    else:
        if ManagedTable.objects.filter(name__iexact=live.name, pinned=True).exists():
            raise TablePinned(table=live.name)
        wanted = snapshots.wanted(live.name)
        if sync.is_older(wanted, live):
            return plans.nothing(live, actor=actor, version=live.version)
        snapshot = wanted.snapshot
    promises.check_kept(live, snapshot.as_schema())
    draft = drafts.to_schema(store, live, snapshot.as_schema(), inputs=inputs)
    if not draft.steps:
        return plans.nothing(live, actor=actor, version=snapshot.number)
    return plans.propose(draft, actor=actor, snapshot=snapshot)


def read_document(table: str, document_id: str, document: Any) -> TableSchema:
    """The schema that somebody sent for a table. Raises DocumentRefused, DocumentNamesOther."""
    schema = parse_document(document, document_id)
    if schema.name.casefold() != table.casefold():
        raise DocumentNamesOther(table=table, other=schema.name)
    return schema


def decide(store: Store, name: str, decided: Mapping[str, Any], *, actor: str) -> None:
    """What a person decides about a table: `pinned`, `read_only`, `enforce_references`, `policy`, `compatibility`.

    Raises TableNotFound, BadRequest.

    A plan that was approved under another policy or pin has to be approved again.
    """
    live = store.table(name)
    values = {key: _READERS[key](value) for key, value in decided.items()}
    record = ManagedTable.objects.get(name__iexact=live.name)
    changed = {key: value for key, value in values.items() if getattr(record, key) != value}
    for key, value in changed.items():
        setattr(record, key, value)
    if changed:
        with transaction.atomic():
            record.save(update_fields=list(changed))
            plans.void_approval(live.name)
            audit.record("table.decide", live.name, actor=actor, detail=changed)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise BadRequest(detail="pinned, read_only and enforce_references are true or false.")
    return value


def _mode(value: Any) -> str:
    if value not in Compatibility.values:
        raise BadRequest(detail=f"compatibility is one of {', '.join(Compatibility.values)}.")
    return str(value)


_READERS: dict[str, Callable[[Any], Any]] = {
    "pinned": _flag,
    "read_only": _flag,
    "enforce_references": _flag,
    "policy": read_policy,
    "compatibility": _mode,
}


def reconcile(store: Store) -> list[str]:
    """At start, makes Django's records agree with the file, which is right; gives the names of the tables that were mended."""
    live = {table.name.casefold(): table for table in store.tables()}
    known = {record.name.casefold(): record for record in ManagedTable.objects.all()}
    unknown = [table for name, table in live.items() if name not in known or known[name].dropped_at]
    for table in unknown:
        sync.remember(table.schema, Snapshot.objects.filter(table_key=table.name.casefold(), number=table.version).first())
    gone = [record for name, record in known.items() if name not in live and not record.dropped_at]
    for record in gone:
        record.dropped_at = timezone.now()
        record.save(update_fields=["dropped_at"])
    return sorted([table.name for table in unknown] + [record.name for record in gone])
