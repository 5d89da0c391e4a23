"""A plan as a person reads it: what it would do, what holds it, what it did, in words."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from projects import plan_runs, plans, undoing
from projects.console.plan_inputs import Inputs, asked
from projects.evolution.policy import ACTIONS, CLASSES
from projects.models import Job, Plan
from projects.store.connection import Store
from schema_registry.errors import Problem, SpawnError
from schema_registry.models import AuditEntry

State, Kind = Plan.State, Plan.Kind
Step = Mapping[str, Any]

KINDS = {
    Kind.CHANGE: "to a new schema",
    Kind.DROP: "the table goes",
    Kind.UNDO: "an undo",
    Kind.REPAIR: "what was altered by hand is put back",
    Kind.ADOPT: "what was altered by hand becomes the schema",
}
GRAVE = ("destructive", "meaning", "strengthening")  # classes, the gravest first, that people look for
LONG_SECONDS, LONG_ROWS = 2, 1_000_000  # from here on an apply is a job, and nobody waits for the answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What can be done with a plan now. `against` and `closed` say why it cannot be approved, or applied; `stale` why it would be refused.

    `needs_other` where four eyes ask for another person than the reader; `needs_yes` where somebody has to approve it.
    """

    is_open: bool
    against: str = ""
    closed: str = ""
    stale: str = ""
    needs_other: bool = False
    needs_yes: bool = False
    takes_data: bool = False
    undo_refused: str = ""

    @property
    def may_decide(self) -> bool:
        """Whether the reader may say yes."""
        return self.is_open and not (self.against or self.stale or self.needs_other)


def standing(store: Store, plan: Plan, *, actor: str) -> Standing:
    """What stands against a plan for this person, by the same checks that deciding on it makes."""
    if plan.state == State.APPLIED:
        return Standing(is_open=False, undo_refused=_refusal(lambda: undoing.check_undoable(store, plan)))
    if plan.state not in plans.OPEN:
        return Standing(is_open=False)
    needs_yes = plan.state == State.PROPOSED and (settings.PLAN_FOUR_EYES or plans.waits(plan))
    return Standing(
        is_open=True,
        against=_refusal(lambda: plans.check_allowed(plan)),
        closed=_refusal(lambda: plan_runs.check_open(plan)),
        stale=_stale(store, plan),
        needs_other=needs_yes and bool(_refusal(lambda: plans.check_approver(plan, actor))),
        needs_yes=needs_yes,
        takes_data=plan_runs.takes_data(plan),
    )


def _refusal(check: Any) -> str:
    try:
        check()
    except SpawnError as refused:
        return str(refused)
    return ""


def _stale(store: Store, plan: Plan) -> str:
    try:
        return plan_runs.why_stale(store, plan)
    except SpawnError as failure:  # The file cannot be asked: held by another process, or damaged.
        return str(failure)


def is_long(store: Store, plan: Plan) -> bool:
    """Whether to apply the plan as a job: it rebuilds or archives much, or a load has to end first."""
    rows = max((step["rows_total"] for step in plan.steps), default=0)
    return plan.estimate.get("seconds", 0) >= LONG_SECONDS or rows >= LONG_ROWS or store.locks.of(plan.table).is_shared


def running(plan: Plan) -> Job | None:
    """The job that applies the plan, queued or at work."""
    under_way = Job.objects.filter(kind="apply", state__in=(Job.State.QUEUED, Job.State.RUNNING), inputs__plan=plan.pk)
    return under_way.order_by("created_at").first()


# Steps.


def told(plan: Plan, given: Inputs | None = None, problems: Sequence[Problem] = ()) -> list[dict[str, Any]]:
    """The steps, each with its number, what holds it, and what may be given for its column (once a column)."""
    columns = asked(plan, plan.inputs if given is None else given, problems)
    places = {_place(plan, name): one for name, one in columns.items()}
    own = plans.own_policy(plan.table)
    return [step | {"number": n, "held": held(step, own), "asked": places.get(n)} for n, step in enumerate(plan.steps, 1)]


def _place(plan: Plan, column: str) -> int:
    """The number of the step beside which a column's values are asked: the first with rows in its way, else a new unit, else the first."""
    of_column = [
        (not step["rows_in_the_way"], step["class"] != "meaning", n)
        for n, step in enumerate(plan.steps, 1)
        if step["column"] == column and step["change"] != "drop_column"
    ]
    return min(of_column, default=(True, True, 0))[-1]


def ran(plan: Plan) -> list[dict[str, Any]]:
    """The steps of a plan that is over, where nothing is held and nothing asked any more."""
    return [step | {"number": number} for number, step in enumerate(plan.steps, 1)]


def held(step: Step, own: Mapping[str, str]) -> str:
    """Which policy lets a step wait, in a sentence; nothing where none does."""
    kind, where = step["class"], "The table's own policy" if step["class"] in own else "The policy"
    policy = (settings.EVOLUTION_POLICY | dict(own))[kind]
    action = max(step["action"], policy, key=ACTIONS.index)
    if action == "apply":
        return ""
    if policy == "refuse":
        return f"{where} refuses every change of the class {kind}."
    if policy == "wait":
        return f"{where} lets a change of the class {kind} wait for a person."
    if step["rows_broken"]:
        return "It waits because rows cannot be kept as they are."
    if step["rows_in_the_way"]:
        return "A strengthening waits while rows are in its way."
    return "It waits for a person: it was taken back before, or the table is gone from the file."


def classes(plan: Plan) -> list[tuple[str, int]]:
    """How many steps there are of each class, the gravest first."""
    counted = Counter(step["class"] for step in plan.steps)
    return [(name, counted[name]) for name in (*GRAVE, *(c for c in CLASSES if c not in GRAVE)) if counted[name]]


def rows_in_the_way(plan: Plan) -> int:
    return sum(step["rows_in_the_way"] for step in plan.steps)


# The way back.


def kept(plan: Plan) -> list[str]:
    """What an undo would bring back and take away, before the plan is applied, in sentences."""
    said = []
    for step in plan.steps:
        if step["change"] == "drop_table":
            said.append(f"The table and its {step['rows_total']:,} rows are archived; an undo brings them back.")
        elif step["archive"]:
            said.append(f"The values of {step['column']} are archived first; an undo brings them back by primary key.")
        elif step["change"] == "add_column":
            said.append(f"An undo takes the column {step['column']} away again; values written into it by then are archived.")
    return said


def entries(plan: Plan) -> list[AuditEntry]:
    """What the audit log has of the plan, oldest first."""
    return list(AuditEntry.objects.filter(object=plan.table, detail__plan=plan.pk).order_by("seq")[:50])


def newer(plan: Plan) -> Plan | None:
    """The plan that took the place of one that is stale."""
    later = Plan.objects.filter(table__iexact=plan.table, pk__gt=plan.pk, state__in=plans.OPEN)
    return later.first()


def now(plan: Plan) -> str:
    """The plan's state in a sentence, for somebody who came too late."""
    match plan.state:
        case State.APPLIED:
            return f"{plan.applied_by or 'Somebody'} applied it."
        case State.APPROVED:
            return f"{plan.approved_by or 'Somebody'} approved it."
        case State.APPLYING:
            return f"{plan.applied_by or 'Somebody'} is applying it."
        case State.REJECTED:
            return "It was rejected."
        case State.UNDONE:
            return "It was undone."
        case State.STALE:
            return "It is stale: the table, or the schema that it leads to, has moved on."
        case State.FAILED:
            return "Applying it failed; nothing was changed."
    return "It waits."
