"""What one person does in one step: an applied plan undone, a table dropped. Both are plans, with evidence, and wait where they must."""

from typing import Any

from django.conf import settings
from django.utils import timezone

from projects import audit, notices, plan_runs, plans
from projects.errors import ConfirmationMissing, UndoRefused
from projects.evolution import drafts, handmade
from projects.models import Plan
from projects.rows import check_writable
from projects.store.connection import Store

State = Plan.State


def undo(
    store: Store, number: int, *, actor: str, confirm: str | None = None, inputs: Any = None, dry_run: bool = False, reason: str = ""
) -> Plan:
    """Takes an applied plan back, values included.

    It waits, proposed, where rows were written since that the old schema cannot hold, where values go and nobody confirmed it, and
    under four eyes. Raises PlanNotFound, TableReadOnly, UndoRefused, InputsRefused, ArchiveDamaged, and as `plan_runs.apply`.
    """
    plan = plans.get(number)
    check_writable(plan.table)
    check_undoable(store, plan)
    draft = drafts.back(store, plan, inputs=inputs)
    provenance = plan.outcome.get("provenance", "") or plan.provenance
    if dry_run:
        return plans.as_plan(draft, actor=actor, provenance=provenance, undoes=plan)
    made = plans.propose(draft, actor=actor, provenance=provenance, undoes=plan)
    if reason:
        made.reason = reason
        made.save(update_fields=["reason"])
    return _at_once(store, made, actor, reason or f"undo of plan {number}", waits=bool(waits_for(made, confirm)))


def waits_for(made: Plan, confirm: str | None) -> str:
    """Why an undo is left to wait, in sentences; nothing where its maker may have it done."""
    said = []
    if any(step["rows_broken"] for step in made.steps):
        said.append(plans.waits_for(made))
    if any(step["rows_lost"] for step in made.steps) and not _is_confirmed(made.table, confirm):
        said.append(f"Values that were written since go; confirm it with the name {made.table}.")
    if settings.PLAN_FOUR_EYES:
        said.append("Another person has to approve it.")
    return " ".join(said)


def check_undoable(store: Store, plan: Plan) -> None:
    """Raises UndoRefused: only the newest plan of a table can be undone, and only once."""
    if plan.state != State.APPLIED:
        raise UndoRefused(plan=plan.pk, reason=f"it is {plan.state}.")
    if "purged_at" in (plan.outcome.get("archive") or {}):
        raise UndoRefused(plan=plan.pk, reason=f"its archive was purged at {plan.outcome['archive']['purged_at']}.")
    if plan.kind in handmade.KINDS and (reason := handmade.why_not_back(plan)):
        raise UndoRefused(plan=plan.pk, reason=reason)
    name = drafts.schema_of(plan.target or plan.base).name
    if plan.kind == Plan.Kind.DROP:
        if store.has(name):
            raise UndoRefused(plan=plan.pk, reason=f"there is a table {name} again.")
        return
    if not store.has(name):
        raise UndoRefused(plan=plan.pk, reason=f"the table {name} is gone; undo the plan that dropped it first.")
    newer = _newer(plan)
    if newer:
        raise UndoRefused(plan=plan.pk, reason=f"plan {newer.pk} came after it; undo that first.")
    if store.table(name).schema.fingerprint != plan.target_fingerprint:
        raise UndoRefused(plan=plan.pk, reason=f"the table {name} is not as the plan left it.")


def _newer(plan: Plan) -> Plan | None:
    """An applied plan that came later and stands: neither undone, nor itself the undo of one that came later."""
    later = Plan.objects.filter(table__in={plan.table, drafts.schema_of(plan.target).name}, pk__gt=plan.pk, state=State.APPLIED)
    return next((one for one in later.select_related("undoes") if not (one.undoes and one.undoes.pk > plan.pk)), None)


def drop(store: Store, name: str, *, confirm: str | None, actor: str) -> Plan:
    """Archives and drops a table; it stays dropped until somebody makes it again, or undoes the plan.

    Raises TableNotFound, TableReadOnly, ConfirmationMissing, PlanRefused.
    """
    live = store.table(name)
    check_writable(live.name)
    if not _is_confirmed(live.name, confirm):
        raise ConfirmationMissing(table=live.name)
    drafts.check_unaltered(store, live)
    made = plans.propose(drafts.to_nothing(store, live), actor=actor)
    return _at_once(store, made, actor, "dropped by name")


def _is_confirmed(table: str, confirm: str | None) -> bool:
    return confirm is not None and confirm.casefold() == table.casefold()


def _at_once(store: Store, made: Plan, actor: str, reason: str, *, waits: bool = False) -> Plan:
    """Approves and applies what its maker may do alone; else leaves it to wait."""
    if settings.PLAN_FOUR_EYES or waits or any(step["rows_broken"] for step in made.steps):
        notices.tell(notices.PLAN_WAITS, made.table, {"plan": made.pk, "kind": made.kind, "created_by": actor})
        return made
    plans.check_allowed(made)
    Plan.objects.filter(pk=made.pk).update(state=State.APPROVED, approved_by=actor, approved_at=timezone.now(), reason=reason)
    audit.record("plan.approve", made.table, actor=actor, detail={"plan": made.pk, "reason": reason})
    return plan_runs.run(store, plans.get(made.pk), actor=actor)[0]
