"""Plans applied: what stands against one, what the store has to do, and what the plan says afterwards, crash or no crash.

What the file says is right: a plan is applied exactly when the file has its number.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from projects import aliases, audit, notices
from projects.errors import (
    BadRequest,
    ConfirmationMissing,
    DiskFull,
    PlanNotApproved,
    PlanOver,
    PlanStale,
    SchemaMoved,
    StoreBusy,
    TableNotFound,
    TablePinned,
    TableReadOnly,
)
from projects.evolution import apply as applying
from projects.evolution import drafts, handmade
from projects.evolution.plan import steps
from projects.models import ManagedTable, Plan
from projects.plans import OPEN, SYSTEM, State, check_allowed, counted, get, make_stale, waits
from projects.store import archive, books
from projects.store.books import Alias
from projects.store.connection import Store
from projects.store.evolve import Evolution, evolve
from schema_registry import snapshots
from schema_registry.models import Snapshot

# What stands against it.


def check_open(plan: Plan) -> None:
    """Raises TableReadOnly, TablePinned: what a person decided about the table goes before any plan."""
    record = ManagedTable.objects.filter(name__iexact=plan.table).first()
    if record and record.read_only:
        raise TableReadOnly(table=record.name)
    if record and record.pinned and plan.kind == Plan.Kind.CHANGE and plan.provenance != snapshots.REQUEST:
        raise TablePinned(table=record.name)


def _check_newest(plan: Plan) -> None:
    """A plan never takes a table back behind what the live server said since, nor any real schema to the sample ontology's.

    A schema that a person sent is their own word.
    """
    if plan.kind != Plan.Kind.CHANGE or plan.snapshot is None or plan.snapshot.provenance == snapshots.REQUEST:
        return
    is_sample = plan.snapshot.provenance == snapshots.MOCK
    said = snapshots.latest_real(plan.snapshot.table_name) if is_sample else snapshots.latest_live(plan.snapshot.table_name)
    is_other = said is not None and said.fingerprint != plan.snapshot.fingerprint
    if said and is_other and (is_sample or said.number > plan.snapshot.number):
        raise PlanStale(plan=plan.pk, reason=f"version {said.number} came since")


def why_stale(store: Store, plan: Plan) -> str:
    """Why a plan that waits would be refused as stale if it were applied now, as far as that is known without trying; else nothing."""
    try:
        _check_newest(plan)
        is_of_live = plan.base is not None and plan.kind not in handmade.KINDS
        if is_of_live and store.table(plan.table).schema.fingerprint != plan.base_fingerprint:
            raise SchemaMoved(table=plan.table)
    except (PlanStale, SchemaMoved, TableNotFound) as reason:
        return str(reason)
    return ""


def check_confirmed(plan: Plan, confirm: str | None) -> None:
    """Raises ConfirmationMissing where the plan takes data away and nobody gave the table's name once more."""
    if takes_data(plan) and (confirm is None or confirm.casefold() != plan.table.casefold()):
        raise ConfirmationMissing(table=plan.table)


def takes_data(plan: Plan) -> bool:
    """Whether the plan takes values, columns or the table away; what is adopted was taken away already."""
    takes = any(step["class"] == "destructive" and (step["rows_lost"] or step["change"].startswith("drop_")) for step in plan.steps)
    return takes and plan.kind != Plan.Kind.ADOPT


# Applying.


def apply(store: Store, number: int, *, actor: str, confirm: str | None = None) -> Plan:
    """Does what an approved plan says, or one of which nothing waits.

    Raises PlanNotFound, PlanOver, PlanNotApproved, PlanRefused, PlanStale, RowsInTheWay, ConfirmationMissing, TablePinned, TableReadOnly,
    and what the store raises; then nothing was changed.
    """
    plan = get(number)
    check_ready(plan, confirm)
    return run(store, plan, actor=actor)[0]


def check_ready(plan: Plan, confirm: str | None) -> None:
    """Raises what `apply` would raise before it touches the table."""
    number = plan.pk
    if plan.state not in OPEN:
        stale = plan.state in (State.STALE, State.APPLYING)
        raise PlanStale(plan=number, reason=f"it is {plan.state}") if stale else PlanOver(plan=number, state=plan.state)
    check_allowed(plan)
    if plan.state == State.PROPOSED and (waits(plan) or settings.PLAN_FOUR_EYES):
        raise PlanNotApproved(plan=number)
    check_confirmed(plan, confirm)


def apply_together(store: Store, numbers: Sequence[int], *, actor: str, confirm: Collection[str] = ()) -> list[Plan]:
    """As `apply`, several plans in one transaction: all or none. Raises BadRequest where two of them are of one table."""
    found = [get(number) for number in numbers]
    if len({plan.table.casefold() for plan in found}) < len(found) or not found:
        raise BadRequest(detail="plans are the numbers of plans, each of another table.")
    confirmed = {name.casefold() for name in confirm}
    for plan in found:
        check_ready(plan, plan.table if plan.table.casefold() in confirmed else None)
    return run(store, *found, actor=actor)


def run(store: Store, *plans: Plan, actor: str) -> list[Plan]:
    """Applies plans that nothing stands against any more, in one transaction. Raises as `apply`; the plans say why."""
    store.room.check()
    for plan in plans:
        check_open(plan)
    with _noted(plans):
        return _run(store, plans, actor)


_under_way: set[int] = set()  # the plans that this process applies now


@contextmanager
def _noted(plans: Sequence[Plan]) -> Iterator[None]:
    numbers = {plan.pk for plan in plans}
    _under_way.update(numbers)
    try:
        yield
    finally:
        _under_way.difference_update(numbers)


def _run(store: Store, plans: Sequence[Plan], actor: str) -> list[Plan]:
    with transaction.atomic():
        for plan in plans:
            if not Plan.objects.filter(pk=plan.pk, state=plan.state).update(state=State.APPLYING, applied_by=actor):
                raise PlanStale(plan=plan.pk, reason="somebody else applies it")
    try:
        _evolve(store, plans, actor)
    except BaseException as error:
        applied = [_settle(store, plan, actor=actor, error=error, alone=len(plans) == 1) for plan in plans]
        if not all(applied):
            raise _as_stale(plans[0], error) from error
    else:
        for plan in plans:
            _settle(store, plan, actor=actor)
    return [get(plan.pk) for plan in plans]


def _evolve(store: Store, plans: Sequence[Plan], actor: str) -> None:
    names = {(schema or {}).get("name", plan.table).casefold() for plan in plans for schema in (plan.base, plan.target)}
    with ExitStack() as stack:
        for name in sorted(names):  # Always in one order, so that two who hold several never wait for each other.
            stack.enter_context(store.locks.of(name).alone())
        evolutions = []
        for plan in plans:
            _check_newest(plan)
            evolution = _evolution(store, plan, actor)
            Plan.objects.filter(pk=plan.pk).update(outcome=_before(plan, evolution))
            evolutions.append(evolution)
        evolve(store, *evolutions)


def _as_stale(plan: Plan, error: BaseException) -> BaseException:
    return PlanStale(plan=plan.pk, reason="the table is not as it was when the plan was made") if isinstance(error, SchemaMoved) else error


def _evolution(store: Store, plan: Plan, actor: str) -> Evolution:
    """What the store has to do. Raises PlanStale where this version of the software would do it otherwise than the plan shows."""
    version, provenance = plan.to_version or 0, plan.provenance
    if plan.kind == Plan.Kind.DROP:
        return _as_shown(plan, applying.dropping(plan.pk, store.table(plan.table), actor=actor))
    if plan.kind in handmade.KINDS:
        return _as_shown(plan, handmade.evolution(store, plan, actor=actor))
    if plan.base is None and plan.undoes:
        made = applying.reviving(
            plan.undoes.pk,
            drafts.schema_of(plan.target),
            drafts.archive_of(plan.undoes),
            actor=actor,
            version=version,
            provenance=provenance,
            aliases=_kept_aliases(plan.undoes),
        )
        return _as_shown(plan, replace(made, plan=plan.pk))
    live = store.table(plan.table)
    if live.schema.fingerprint != plan.base_fingerprint:
        raise SchemaMoved(table=plan.table)
    way = drafts.way_of(plan)
    planned = [replace(step, rows_lost=shown["rows_lost"]) for step, shown in zip(steps(way), plan.steps, strict=False)]
    made = applying.changing(plan.pk, live, way, planned, actor=actor, version=version, provenance=provenance)
    renamed = {pair.live.name: pair.wanted.name for pair in way.pairs}
    keeps = plan.kind != Plan.Kind.UNDO
    now = timezone.now()
    old = aliases.after(live.aliases, renamed=renamed, wanted=way.wanted, keeps=keeps, moment=now)
    if keeps and live.name.casefold() != way.wanted.name.casefold():
        old = (*old, Alias(live.name, None, now))
    kept = drafts.archive_of(plan.undoes) if plan.undoes else None
    restored = (applying.view_of(plan.undoes.pk), kept) if plan.undoes and kept else None
    return _as_shown(plan, replace(made, aliases=old, restored=restored))


def _as_shown(plan: Plan, evolution: Evolution) -> Evolution:
    if list(evolution.statements) != [statement for step in plan.steps for statement in step["sql"]]:
        raise PlanStale(plan=plan.pk, reason="this version of DuckDB Spawn would do it otherwise")
    return evolution


def _kept_aliases(dropped: Plan) -> tuple[Alias, ...]:
    found = dropped.outcome.get("aliases", ())
    return tuple(Alias(name, column, datetime.fromisoformat(since)) for name, column, since in found)


def _before(plan: Plan, evolution: Evolution) -> dict[str, Any]:
    """What an undo has to know and the file does not keep."""
    record = ManagedTable.objects.filter(name__iexact=plan.table).first()
    described = evolution.keeping.described if evolution.keeping else {}
    live = evolution.base
    return {
        "kept": {name: described[name] for name in ("dropped", "rewritten") if name in described},
        "provenance": live.provenance if live else "",
        "pinned": bool(record and record.pinned),
        "aliases": [[a.name, a.column, a.since.isoformat()] for a in live.aliases] if live else [],
    }


def _settle(store: Store, plan: Plan, *, actor: str, error: BaseException | None = None, alone: bool = True) -> bool:
    """Makes the plan, as it was before, say what the file says; whether it is applied."""
    with store.read() as cursor:
        found = books.plan_result(cursor, plan.pk)
    if found is None:
        _not_applied(plan, error, alone)
        return False
    with transaction.atomic():
        _applied(get(plan.pk), json.loads(found), actor)
    return True


def _applied(plan: Plan, result: dict[str, Any], actor: str) -> None:
    plan.state, plan.finished_at, plan.outcome, plan.error = State.APPLIED, timezone.now(), plan.outcome | result, ""
    plan.save(update_fields=["state", "finished_at", "outcome", "error"])
    if plan.undoes:
        Plan.objects.filter(pk=plan.undoes.pk).update(state=State.UNDONE)
    make_stale(plan.table, but=plan.pk)
    _remember(plan)
    detail = {"plan": plan.pk, "kind": plan.kind, "from_version": plan.from_version, "version": plan.to_version, **counted(plan), **result}
    audit.record(_DEEDS[Plan.Kind(plan.kind)], plan.table, actor=actor, detail=detail)


_DEEDS = {
    Plan.Kind.CHANGE: "table.alter",
    Plan.Kind.DROP: "table.drop",
    Plan.Kind.UNDO: "table.undo",
    Plan.Kind.REPAIR: "table.repair",
    Plan.Kind.ADOPT: "table.adopt",
}


def _remember(plan: Plan) -> None:
    """What Django's database knows of the table, after the plan."""
    record, _ = ManagedTable.objects.get_or_create(name__iexact=plan.table, defaults={"name": plan.table})
    if plan.target is None:  # The version that it was pinned to goes with it.
        record.dropped_at, record.pinned = timezone.now(), False
    else:
        schema = drafts.schema_of(plan.target)
        numbered = Snapshot.objects.filter(table_key=schema.name.casefold(), number=plan.to_version or 0).first()
        if record.name.casefold() != schema.name.casefold():  # What a table of that name was before it was dropped is in the audit log.
            ManagedTable.objects.filter(name__iexact=schema.name, dropped_at__isnull=False).delete()
        record.name, record.document_id, record.dropped_at = schema.name, schema.document_id, None
        record.snapshot = plan.snapshot or numbered
    if plan.kind == Plan.Kind.UNDO and plan.undoes:
        record.pinned = bool(plan.undoes.outcome.get("pinned"))
    record.save()
    if plan.kind == Plan.Kind.CHANGE and plan.provenance == snapshots.REQUEST:
        pin(record.name, actor=plan.applied_by, version=plan.to_version or 0)


def pin(table: str, *, actor: str, version: int) -> None:
    """Leaves the table at a version, whatever the ontology says."""
    ManagedTable.objects.filter(name__iexact=table).update(pinned=True)
    audit.record("table.pin", table, actor=actor, detail={"version": version})


def _not_applied(plan: Plan, error: BaseException | None, alone: bool) -> None:
    """Nothing was changed: to be tried again, stale, or failed, with the reason. Where others failed with it, it is as it was."""
    if isinstance(error, StoreBusy | DiskFull) or not alone:
        Plan.objects.filter(pk=plan.pk).update(state=plan.state)
        return
    said = str(_as_stale(plan, error)) if error else "It was interrupted when the server stopped; nothing of it was kept."
    state = State.STALE if isinstance(error, SchemaMoved | PlanStale) else State.FAILED
    with transaction.atomic():
        Plan.objects.filter(pk=plan.pk).update(state=state, error=said, finished_at=timezone.now())
        if state == State.FAILED:
            notices.tell(notices.PLAN_FAILED, plan.table, {"plan": plan.pk, "error": said})


def recover(store: Store) -> list[Plan]:
    """Brings to an end what was left applying: by a killed owner, or where Django's database failed midway.

    Archives of what did not come about are removed.
    """
    before = set(_under_way)  # One may end, or begin, while the database is asked.
    left = [plan for plan in Plan.objects.filter(state=State.APPLYING) if plan.pk not in before | _under_way]
    for plan in left:
        done = _settle(store, plan, actor=plan.applied_by or SYSTEM)
        if not done:
            archive.remove(store, archive.leftovers(store, f"{plan.table}-plan{plan.pk}"))
        audit.record("plan.recover", plan.table, actor=SYSTEM, detail={"plan": plan.pk, "applied": done})
    return left
