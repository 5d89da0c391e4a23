"""Tables and the ontology: make what is wanted and missing, bring what is there up to it.

One function behind REST, console, job and command. Each table is done by itself; a table that fails leaves the others alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from projects import approvals, audit, notices, plan_runs, plans, promises
from projects.errors import ConfirmationMissing, PlanNeedsOther, PlanStale, ProjectsError, RowsInTheWay
from projects.evolution import drafts
from projects.evolution.drafts import Draft
from projects.evolution.plan import Step
from projects.models import ManagedTable, Plan
from projects.store import tables
from projects.store.books import LiveTable
from projects.store.connection import Store
from schema_registry import snapshots
from schema_registry.diff import Change
from schema_registry.errors import DocumentRefused
from schema_registry.models import Snapshot
from schema_registry.schema import TableSchema
from schema_registry.snapshots import Refreshed, Wanted

TRIES = 3  # plans that others make stale before it is said


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one table: created, altered, unchanged, pinned, dropped (by hand, and left so), waits or refused.

    In a dry run, what would become of it. `version` is the snapshot's number; `plan` is what was, or would be, done to a table.
    """

    table: str
    outcome: str
    version: int | None = None
    provenance: str = ""
    plan: Plan | None = None
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "table": self.table,
            "outcome": self.outcome,
            "version": self.version,
            "provenance": self.provenance,
            "plan": plans.as_json(self.plan) if self.plan else None,
            "changes": self.plan.steps if self.plan else [],
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """What somebody allows who has a sync done: plans that wait are approved, those that take data away only with `allow_destructive`."""

    actor: str
    allow_destructive: bool
    reason: str


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


def sync(
    store: Store,
    names: Sequence[str] | None = None,
    *,
    actor: str,
    dry_run: bool = False,
    approve: bool = False,
    allow_destructive: bool = False,
    accept_shrunk: bool = False,
    reason: str = "",
) -> Report:
    """Asks the ontology server, and brings every table, or the named ones, to what it says.

    `approve` is the actor's yes, for a `reason`, to plans that wait; to those that take data away only with `allow_destructive`.
    `accept_shrunk` is their word that a much shorter list is right. Raises OntologyUnavailable where the server gives no answer, and
    UnknownSchema for a name that it does not have.
    """
    answer = snapshots.refresh(names, accept_shrunk=accept_shrunk, keep_list=not dry_run)
    report = _bring_all(store, answer, actor=actor, dry_run=dry_run)
    if approve:
        leave = Leave(actor=actor, allow_destructive=allow_destructive, reason=reason)
        report = replace(report, outcomes=tuple(_approved(store, one, leave, dry_run=dry_run) for one in report.outcomes))
    if not dry_run:
        accepted = {"accepted_without": list(answer.missing)} if accept_shrunk else {}
        audit.record("schemas.sync", ", ".join(names or ()) or "all", actor=actor, detail=_counts(report) | accepted)
    return report


def _approved(store: Store, one: Outcome, leave: Leave, *, dry_run: bool) -> Outcome:
    """What waits, approved and applied; where the leave is not enough for that it goes on waiting, and says what more it takes."""
    plan = one.plan
    if one.outcome != "waits" or plan is None:
        return one
    confirm = plan.table if leave.allow_destructive else None
    try:
        approvals.check(plan, actor=leave.actor, confirm=confirm)
        if dry_run:
            return replace(one, outcome="altered", detail="")
        approved = approvals.approve(plan, actor=leave.actor, confirm=confirm, reason=leave.reason)
        return replace(one, outcome="altered", plan=plan_runs.run(store, approved, actor=leave.actor)[0], detail="")
    except ProjectsError as error:
        after = plans.get(plan.pk) if plan.pk else plan
        if after.state not in plans.OPEN or not isinstance(error, tuple(_MORE)):
            return replace(one, outcome="refused", plan=after, detail=str(error))
        return replace(one, detail=_MORE[type(error)].format(actor=leave.actor) or one.detail)


# What more it takes than a leave that is not enough.
_MORE: dict[type[ProjectsError], str] = {
    RowsInTheWay: "",
    ConfirmationMissing: "It takes data away, which --allow-destructive allows.",
    PlanNeedsOther: "Another person than {actor} has to approve it.",
}


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
    renamed = _renamed(store, answer)
    outcomes = [
        bring(store, wanted, renamed.get(wanted.schema.name), actor=actor, dry_run=dry_run, revive=revive) for wanted in answer.wanted
    ]
    outcomes += [_refused(refusal) for refusal in answer.refused]
    return Report(
        outcomes=tuple(outcomes),
        orphaned=tuple(name for name in answer.orphaned if store.has(name)),
        missing=answer.missing if answer.shrunk else (),
        shrunk=answer.shrunk,
        unavailable=str(answer.unavailable or ""),
    )


def _refused(refusal: DocumentRefused) -> Outcome:
    return Outcome(table=refusal.document_id, outcome="refused", detail=refusal.told)


def _renamed(store: Store, answer: Refreshed) -> dict[str, LiveTable]:
    """Tables that the ontology calls otherwise now, by their new names: their old ones are gone from its list, and the table's id, or
    else the document's, is the same. The sample ontology renames only its own.
    """
    gone = [store.table(name) for name in answer.orphaned if store.has(name)]
    found: dict[str, LiveTable] = {}
    for wanted in answer.wanted:
        schema = wanted.schema
        same = [t for t in gone if (t.schema.id == schema.id if schema.id else t.schema.document_id == schema.document_id)]
        is_sample = wanted.provenance == snapshots.MOCK and any(t.provenance != snapshots.MOCK for t in same)
        if len(same) == 1 and not store.has(schema.name) and not is_sample:
            found[schema.name] = same[0]
    return found


def bring(
    store: Store, wanted: Wanted, live: LiveTable | None = None, *, actor: str, dry_run: bool = False, revive: bool = False
) -> Outcome:
    """One table to its wanted schema, as far as that needs nobody's leave; never raises for what the table alone is to blame.

    `live` is the table that has another name until now.
    """
    try:
        if live is None and not store.has(wanted.schema.name):
            return _make(store, wanted, actor=actor, dry_run=dry_run, revive=revive)
        return _change(store, live or store.table(wanted.schema.name), wanted, actor=actor, dry_run=dry_run)
    except ProjectsError as error:
        return _outcome(wanted, "refused", detail=str(error))


def _make(store: Store, wanted: Wanted, *, actor: str, dry_run: bool, revive: bool) -> Outcome:
    record = ManagedTable.objects.filter(name__iexact=wanted.schema.name).first()
    if record and record.dropped_at and not revive:
        return _outcome(wanted, "dropped", detail="It was dropped by hand; POST /admin/tables makes it again.")
    if dry_run:
        return _outcome(wanted, "created", plan=_creation(store, wanted, actor))
    with store.locks.of(wanted.schema.name).alone():
        is_new = not store.has(wanted.schema.name)
        if is_new:
            tables.create(store, wanted.schema, version=wanted.snapshot.number, provenance=wanted.snapshot.provenance, actor=actor)
    if not is_new:  # Somebody else was first.
        return _change(store, store.table(wanted.schema.name), wanted, actor=actor, dry_run=dry_run)
    remember(wanted.schema, wanted.snapshot)
    audit.record("table.create", wanted.schema.name, actor=actor, detail=_of_version(wanted))
    return _outcome(wanted, "created")


def _creation(store: Store, wanted: Wanted, actor: str) -> Plan:
    """How a table would be made: that is no plan of anybody's, and needs no leave."""
    with store.read() as cursor:
        tables.check_patterns(cursor, wanted.schema)
    change = Change("create_table", "additive", after=wanted.schema.name)
    step = Step(change=change, strategy="create", why=change.sentence, statements=tuple(tables.creation(wanted.schema)))
    draft = Draft(kind=Plan.Kind.CHANGE, table=wanted.schema.name, live=None, wanted=wanted.schema, way=None, steps=[step])
    made = plans.as_plan(draft, actor=actor, snapshot=wanted.snapshot)
    made.steps[0]["action"] = "apply"
    return made


def _change(store: Store, live: LiveTable, wanted: Wanted, *, actor: str, dry_run: bool) -> Outcome:
    record = ManagedTable.objects.filter(name__iexact=live.name).first()
    if record and record.pinned:
        return _outcome(wanted, "pinned", detail=f"It is pinned to version {live.version}.")
    if is_older(wanted, live):
        return _outcome(wanted, "unchanged", detail="The cached schema is older than the table's.")
    plan = change(store, live, wanted, actor=actor, dry_run=dry_run)
    if plan is None:
        return _outcome(wanted, "unchanged")
    if dry_run and not plan.inputs and plans.needs_nobody(plan):
        plan_runs.check_open(plan)
    elif plan.state != Plan.State.APPLIED:
        is_refused = any(step["action"] == "refuse" for step in plan.steps)
        return _outcome(wanted, "refused" if is_refused else "waits", plan=plan, detail=plans.waits_for(plan) or _GIVEN)
    return _outcome(wanted, "altered", plan=plan)


_GIVEN = "It waits for a person, who gave values for it."


def is_older(wanted: Wanted, live: LiveTable) -> bool:
    """Whether a cached schema came before the table's own, which it must not take back."""
    return wanted.provenance == snapshots.CACHED and wanted.snapshot.number < live.version


def change(store: Store, live: LiveTable, wanted: Wanted, *, actor: str, dry_run: bool = False) -> Plan | None:
    """A live table to a wanted schema: the plan, applied where nothing of it waits; None where there is nothing to do.

    A plan of the same change that waits stays, with fresh evidence; one that a person approved or gave values for is theirs to apply.
    Raises TablePinned, TableReadOnly, TableAltered, PatternRefused, SchemaIncompatible and as `plan_runs.run`.
    """
    for _ in range(TRIES):
        try:
            return _change_now(store, store.table(live.name), wanted, actor=actor, dry_run=dry_run)
        except PlanStale as stale:  # Somebody else was quicker; perhaps the table is there already.
            again = stale
    raise again


def _change_now(store: Store, live: LiveTable, wanted: Wanted, *, actor: str, dry_run: bool) -> Plan | None:
    promises.check_kept(live, wanted.schema)
    waiting = plans.open_plan(live.name)
    known = waiting if waiting and _is_for(waiting, live, wanted.schema) else None
    if known and (known.inputs or known.state == Plan.State.APPROVED):
        return known
    draft = drafts.to_schema(store, live, wanted.schema)
    if not draft.steps:
        if not dry_run:
            plans.make_stale(live.name)
            _confirm(store, live, wanted)
        return None
    made = plans.as_plan(draft, actor=actor, snapshot=wanted.snapshot)
    if known and not plans.needs_nobody(made):
        return plans.refreshed(known, made, keep=not dry_run)
    if dry_run:
        return made
    made = plans.propose(draft, actor=actor, snapshot=wanted.snapshot)
    if plans.needs_nobody(made):
        return plan_runs.run(store, made, actor=actor)[0]
    notices.tell(notices.PLAN_WAITS, live.name, {"plan": made.pk, "waits_for": plans.waits_for(made)})
    return made


def _is_for(plan: Plan, live: LiveTable, wanted: TableSchema) -> bool:
    ways = (plan.kind, plan.base_fingerprint, plan.target_fingerprint)
    return ways == (Plan.Kind.CHANGE, live.schema.fingerprint, wanted.fingerprint)


def _confirm(store: Store, live: LiveTable, wanted: Wanted) -> None:
    """A table that another source says the same of is known by that one, as the sample's tables are by the first real server."""
    if wanted.provenance != snapshots.CACHED and (live.version, live.provenance) != (wanted.snapshot.number, wanted.provenance):
        with store.locks.of(live.name).alone():
            tables.confirm(store, live, version=wanted.snapshot.number, provenance=wanted.provenance)
        remember(wanted.schema, wanted.snapshot)


def _of_version(wanted: Wanted) -> dict[str, Any]:
    return {"version": wanted.snapshot.number, "fingerprint": wanted.schema.fingerprint, "provenance": wanted.provenance}


def _outcome(wanted: Wanted, outcome: str, *, plan: Plan | None = None, detail: str = "") -> Outcome:
    name, number = wanted.schema.name, wanted.snapshot.number
    return Outcome(table=name, outcome=outcome, version=number, provenance=wanted.provenance, plan=plan, detail=detail)


def remember(schema: TableSchema, snapshot: Snapshot | None) -> None:
    """What Django's database knows of a live table."""
    known = {"name": schema.name, "document_id": schema.document_id, "snapshot": snapshot, "dropped_at": None}
    ManagedTable.objects.update_or_create(name__iexact=schema.name, defaults=known)
