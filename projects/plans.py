"""Plans as people see them: proposed with evidence, then approved or rejected. `plan_runs` applies them.

A plan is bound to the live schema that it was made for, and a table has one that waits at the most.
"""

from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from projects import audit
from projects.errors import PlanNeedsOther, PlanNotFound, PlanOver, PlanRefused, PlanStale, RowsInTheWay
from projects.evolution.drafts import Draft
from projects.evolution.policy import ACTIONS, Known, decide, known
from projects.models import ManagedTable, Plan
from projects.store.books import LiveTable
from projects.store.connection import get_store
from schema_registry.models import Snapshot
from schema_registry.schema import TableSchema
from schema_registry.similarity import Suggestion, suggestions

State = Plan.State
OPEN = (State.PROPOSED, State.APPROVED)
SYSTEM = "system"  # the account of commands, which is never the second pair of eyes


def get(number: int) -> Plan:
    """One plan. Raises PlanNotFound."""
    try:
        return Plan.objects.select_related("undoes", "snapshot").get(pk=number)
    except Plan.DoesNotExist:
        raise PlanNotFound(plan=number) from None


def open_plan(table: str) -> Plan | None:
    """The plan of a table that waits, if there is one."""
    return Plan.objects.select_related("undoes", "snapshot").filter(table__iexact=table, state__in=OPEN).first()


# Proposing.


def propose(draft: Draft, *, actor: str, snapshot: Snapshot | None = None, provenance: str = "", undoes: Plan | None = None) -> Plan:
    """A draft as a plan with the policy's word on each step; older plans of the table that wait become stale."""
    plan = as_plan(draft, actor=actor, snapshot=snapshot, provenance=provenance, undoes=undoes)
    with transaction.atomic():
        make_stale(plan.table)
        plan.save()
        audit.record("plan.propose", plan.table, actor=actor, detail={"plan": plan.pk, "kind": plan.kind, **counted(plan)})
    return plan


def as_plan(draft: Draft, *, actor: str, snapshot: Snapshot | None = None, provenance: str = "", undoes: Plan | None = None) -> Plan:
    """As `propose`, kept nowhere: what a dry run shows."""
    base = draft.way.live if draft.way else draft.live.schema if draft.live else None
    decided = decide(draft.steps, own_policy(draft.table), _held(draft))
    return Plan(
        table=draft.table,
        kind=draft.kind,
        base=base.as_json() if base else None,
        target=draft.wanted.as_json() if draft.wanted else None,
        base_fingerprint=base.fingerprint if base else "",
        target_fingerprint=draft.wanted.fingerprint if draft.wanted else "",
        from_version=draft.live.version if draft.live else None,
        to_version=snapshot.number if snapshot else undoes.from_version if undoes else draft.live.version if draft.live else None,
        snapshot=snapshot,
        provenance=provenance or (snapshot.provenance if snapshot else draft.live.provenance if draft.live else ""),
        inputs=_inputs(draft),
        pairs=[[pair.live.name, pair.wanted.name] for pair in draft.way.pairs] if draft.way else [],
        steps=[step.as_json() for step in decided],
        estimate=dict(draft.estimate),
        undoes=undoes,
        created_by=actor,
    )


def _inputs(draft: Draft) -> dict[str, Any]:
    """What a person gave, as `backfill.read_inputs` takes it again."""
    values = {name: given.as_json() for name, given in draft.inputs.items()}
    return values | {name: {"renamed_from": old, **values.get(name, {})} for name, old in draft.renames.items()}


def nothing(live: LiveTable, *, actor: str, version: int) -> Plan:
    """The answer where a table is in step: a plan without steps, kept nowhere."""
    same = live.schema.fingerprint
    numbers = {"from_version": live.version, "to_version": version}
    return Plan(table=live.name, state=State.APPLIED, base_fingerprint=same, target_fingerprint=same, created_by=actor, **numbers)


def refreshed(plan: Plan, drawn: Plan, *, keep: bool) -> Plan:
    """A plan that waits, with the evidence of now."""
    plan.steps, plan.estimate = drawn.steps, drawn.estimate
    if keep:
        Plan.objects.filter(pk=plan.pk, state=State.PROPOSED).update(steps=drawn.steps, estimate=drawn.estimate)
    return plan


def needs_nobody(plan: Plan) -> bool:
    """Whether policy alone applies the plan."""
    return all(step["action"] == "apply" for step in plan.steps)


def waits_for(plan: Plan) -> str:
    """What a plan waits for, in sentences."""
    if plan.state == State.APPLYING and get_store().locks.of(plan.table).is_shared:
        return "A load of the table, or a backup, has to end first."
    if plan.state not in OPEN:
        return ""
    said = []
    for step in plan.steps:
        if step["action"] != "apply":
            way = f"{step['rows_in_the_way']} of {step['rows_total']} rows are in the way. " if step["rows_in_the_way"] else ""
            needs = f"They need {step['needs']}." if step["needs"] else _VERDICTS[step["action"]]
            said.append(f"{step['why']} {way}{needs}")
    return " ".join(said)


_VERDICTS = {"wait": "It waits for a person.", "refuse": "The policy refuses it."}


def own_policy(table: str) -> dict[str, str]:
    """What people decided for the table alone: the action for some of the classes."""
    record = ManagedTable.objects.filter(name__iexact=table).first()
    return dict(record.policy) if record else {}


def _held(draft: Draft) -> Collection[Known]:
    """The changes that no policy applies by itself: those that people took back, and what becomes of a table that is gone from the file."""
    if draft.kind == Plan.Kind.CHANGE:
        return _undone(draft.table)
    return [known(step) for step in draft.steps] if draft.kind in (Plan.Kind.REPAIR, Plan.Kind.ADOPT) and draft.way is None else ()


def _undone(table: str) -> set[Known]:
    """The changes that people took back, and that nobody has approved again since."""
    undone: set[Known] = set()
    for plan in Plan.objects.filter(table__iexact=table, kind=Plan.Kind.CHANGE, state__in=(State.UNDONE, State.APPLIED)).order_by("pk"):
        known = {(s["change"], s["column"], s["before"], s["after"]) for s in plan.steps}
        undone = undone | known if plan.state == State.UNDONE else undone - known
    return undone


def make_stale(table: str, *, but: int = 0) -> None:
    """No plan of the table waits any longer, but perhaps one."""
    Plan.objects.filter(table__iexact=table, state__in=OPEN).exclude(pk=but).update(state=State.STALE, finished_at=timezone.now())


def counted(plan: Plan) -> dict[str, Any]:
    return {"steps": [s["change"] for s in plan.steps], "rows_in_the_way": sum(s["rows_in_the_way"] for s in plan.steps)}


def as_json(plan: Plan) -> dict[str, Any]:
    """The plan as REST, commands and notices show it."""
    return {
        "id": plan.pk,
        "table": plan.table,
        "kind": plan.kind,
        "state": plan.state,
        "base_fingerprint": plan.base_fingerprint,
        "target_fingerprint": plan.target_fingerprint,
        "from_version": plan.from_version,
        "to_version": plan.to_version,
        "steps": plan.steps,
        "inputs": plan.inputs,
        "estimate": plan.estimate,
        "suggestions": [asdict(one) for one in suggested(plan)],
        "waits_for": waits_for(plan),
        "undoes": plan.undoes_id,
        "created_by": plan.created_by,
        "created_at": plan.created_at,
        "approved_by": plan.approved_by or None,
        "applied_by": plan.applied_by or None,
        "reason": plan.reason,
        "finished_at": plan.finished_at,
        "error": plan.error,
        "outcome": {name: plan.outcome[name] for name in ("rows", "seconds", "archive") if name in plan.outcome},
    }


def suggested(plan: Plan) -> list[Suggestion]:
    """Columns that may only be called otherwise, for a person to say so."""
    if plan.state not in OPEN or plan.kind != Plan.Kind.CHANGE or not plan.base or not plan.target:
        return []
    taken = {name for pair in plan.pairs for name in pair}
    found = suggestions(TableSchema.from_json(plan.base), TableSchema.from_json(plan.target))
    return [one for one in found if not {one.column, one.renamed_from} & taken]


# What stands against it.


def waits(plan: Plan) -> bool:
    """Whether a person has to say yes."""
    return any(action == "wait" for _, action in _present(plan))


def _present(plan: Plan) -> list[tuple[dict[str, Any], str]]:
    """Each step with what the policy says of it: when the plan was made, or now where that is stricter."""
    policy = settings.EVOLUTION_POLICY | own_policy(plan.table)
    return [(step, max(step["action"], policy[step["class"]], key=ACTIONS.index)) for step in plan.steps]


def check_allowed(plan: Plan) -> None:
    """Raises PlanRefused where the policy takes no such change, RowsInTheWay where rows cannot be kept as they are."""
    refused = [step for step, action in _present(plan) if action == "refuse"]
    if refused:
        raise PlanRefused(table=plan.table, reason=f"{refused[0]['why']} It is {refused[0]['class']}.")
    broken = [step for step in plan.steps if step["rows_broken"]]
    if broken:
        reasons = "; ".join(f"{step['rows_broken']} rows need {step['needs'] or 'other values'}" for step in broken)
        raise RowsInTheWay(table=plan.table, reason=f"{reasons}.", changes=plan.steps)


# Deciding.


def approve(number: int, *, actor: str, reason: str = "") -> Plan:
    """A person's yes; nothing is applied yet. Raises PlanNotFound, PlanOver, PlanNeedsOther, PlanRefused, RowsInTheWay."""
    plan = get(number)
    if plan.state != State.PROPOSED:
        raise PlanOver(plan=number, state=plan.state)
    check_approver(plan, actor)
    check_allowed(plan)
    known = {"approved_by": actor, "approved_at": timezone.now(), "reason": reason}
    with transaction.atomic():
        if not Plan.objects.filter(pk=number, state=State.PROPOSED).update(state=State.APPROVED, **known):
            raise PlanStale(plan=number, reason="somebody decided on it at the same moment")
        audit.record("plan.approve", plan.table, actor=actor, detail={"plan": number, "reason": reason})
    return get(number)


def check_approver(plan: Plan, actor: str) -> None:
    """Raises PlanNeedsOther: under four eyes neither the plan's maker approves it nor the system."""
    if settings.PLAN_FOUR_EYES and actor in (plan.created_by, SYSTEM):
        raise PlanNeedsOther(plan=plan.pk, actor=actor)


def reject(number: int, *, actor: str, reason: str = "") -> Plan:
    """A person's no. Raises PlanNotFound, PlanOver."""
    plan = get(number)
    with transaction.atomic():
        known = {"reason": reason, "finished_at": timezone.now()}
        if not Plan.objects.filter(pk=number, state__in=OPEN).update(state=State.REJECTED, **known):
            raise PlanOver(plan=number, state=plan.state)
        audit.record("plan.reject", plan.table, actor=actor, detail={"plan": number, "reason": reason})
    return get(number)


def void_approval(table: str) -> None:
    """What a table's plans were approved under has changed: they have to be approved again."""
    plans = Plan.objects.filter(table__iexact=table, state=State.APPROVED)
    plans.update(state=State.PROPOSED, approved_by="", approved_at=None, reason="")
