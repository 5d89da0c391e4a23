"""Plans that wait, approved by somebody who has them applied in the same breath: what a sync and the command `apply_plan` do."""

from projects import plan_runs, plans
from projects.models import Plan


def check(plan: Plan, *, actor: str, confirm: str | None = None) -> None:
    """Raises what stands against approving the plan and applying it now, before either is done.

    That is TableReadOnly, TablePinned, PlanRefused, RowsInTheWay, ConfirmationMissing, and PlanNeedsOther.
    """
    plan_runs.check_open(plan)
    plans.check_allowed(plan)
    plan_runs.check_confirmed(plan, confirm)
    if plan.state == Plan.State.PROPOSED:
        plans.check_approver(plan, actor)


def approve(plan: Plan, *, actor: str, confirm: str | None = None, reason: str = "") -> Plan:
    """A person's yes to a plan that is applied next; one that is approved, or over, stays so. Raises as `check`, and PlanStale."""
    if plan.state not in plans.OPEN:
        return plan
    check(plan, actor=actor, confirm=confirm)
    return plans.approve(plan.pk, actor=actor, reason=reason) if plan.state == Plan.State.PROPOSED else plan
