"""What a person does with a plan in the console: each deed calls the function that REST calls, says what came of it, and goes to a page."""

import hashlib
import json
from collections.abc import Callable, Sequence

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse

from projects import approvals, jobs, one_table, plan_runs, plans
from projects.console import plan_inputs, plan_story
from projects.errors import BadRequest, EvidenceMoved
from projects.evolution import handmade
from projects.models import Plan
from projects.slots import heavily
from projects.store.connection import get_store
from schema_registry.errors import SpawnError

State = Plan.State
Deed = Callable[[HttpRequest, Plan], HttpResponse]


def actor_of(request: HttpRequest) -> str:
    """The name of who asks."""
    return request.user.get_username()


@heavily
def carry_out(request: HttpRequest, plan: Plan) -> HttpResponse:
    """What the form's button says, done. Raises BadRequest for a deed that there is not, and what the deed raises."""
    deed = DEEDS.get(request.POST.get("deed", ""))
    if deed is None:
        raise BadRequest(detail="There is no such button on the page of a plan.")
    return deed(request, plan)


def _approve(request: HttpRequest, plan: Plan) -> HttpResponse:
    _check_seen(request, plan)
    plans.approve(plan.pk, actor=actor_of(request), reason=_reason(request))
    messages.success(request, f"Plan {plan.pk} is approved. Nothing is changed until somebody applies it.")
    return redirect("console:plan", plan.pk)


def _approve_and_apply(request: HttpRequest, plan: Plan) -> HttpResponse:
    _check_seen(request, plan)
    approvals.approve(plan, actor=actor_of(request), confirm=_confirm(request), reason=_reason(request))
    return _apply(request, plans.get(plan.pk))


def _apply(request: HttpRequest, plan: Plan) -> HttpResponse:
    """At once, or as a job where it takes long; a job that is under way already is not left a second time."""
    _check_seen(request, plan)
    store, actor, confirm = get_store(), actor_of(request), _confirm(request)
    if plan_story.is_long(store, plan):
        plan_runs.check_ready(plan, confirm)
        job = plan_story.running(plan) or jobs.leave_once("apply", {"plan": plan.pk, "confirm": confirm}, request.user)
        return redirect(f"{reverse('console:plan', args=[plan.pk])}?job={job.pk}")
    applied = plan_runs.apply(store, plan.pk, actor=actor, confirm=confirm)
    messages.success(request, f"Plan {plan.pk} is applied to {applied.table}. It can be undone below.")
    return redirect("console:plan", plan.pk)


def _reject(request: HttpRequest, plan: Plan) -> HttpResponse:
    plans.reject(plan.pk, actor=actor_of(request), reason=_reason(request))
    messages.success(request, f"Plan {plan.pk} is rejected. The table stays as it is.")
    return redirect("console:plan", plan.pk)


def _propose(request: HttpRequest, plan: Plan) -> HttpResponse:
    """A fresh plan with what was typed for the rows in the way."""
    given = plan_inputs.read(request.POST, plan_inputs.asked(plan, plan.inputs))
    plan_inputs.check_filled(plan.table, given)
    return _renewed(request, plan, given)


def _renew(request: HttpRequest, plan: Plan) -> HttpResponse:
    """A fresh plan with what was given for the old one."""
    return _renewed(request, plan, plan.inputs)


def _renewed(request: HttpRequest, plan: Plan, given: plan_inputs.Inputs) -> HttpResponse:
    drift = plan.kind if plan.kind in handmade.KINDS else None
    made = one_table.plan(get_store(), plan.table, actor=actor_of(request), inputs=dict(given) or None, drift=drift)
    return show_made(request, made)


DEEDS: dict[str, Deed] = {
    "approve": _approve,
    "approve_and_apply": _approve_and_apply,
    "apply": _apply,
    "reject": _reject,
    "propose": _propose,
    "renew": _renew,
}


def show_made(request: HttpRequest, made: Plan) -> HttpResponseRedirect:
    """To the page of a plan that was asked for, or to the list where there is nothing to do."""
    if not made.pk:
        messages.info(request, f"There is nothing to do: {made.table} is as it should be.")
        return redirect("console:plans")
    messages.success(request, f"Plan {made.pk} was made, with the evidence of now.")
    return redirect("console:plan", made.pk)


@heavily
def apply_together(request: HttpRequest, found: Sequence[Plan], confirm: Sequence[str]) -> list[Plan]:
    """Approves those that wait, then applies all or none. Raises what stands against any of them before one is approved."""
    actor, names = actor_of(request), {name.casefold() for name in confirm}
    confirmed = {plan.pk: plan.table if plan.table.casefold() in names else None for plan in found}
    for plan in found:
        approvals.check(plan, actor=actor, confirm=confirmed[plan.pk])
    for plan in found:
        if plan.state == State.PROPOSED:
            approvals.approve(plan, actor=actor, confirm=confirmed[plan.pk], reason=_reason(request))
    return plan_runs.apply_together(get_store(), [plan.pk for plan in found], actor=actor, confirm=confirm)


# Two at once.


def say_now(request: HttpRequest, plan: Plan, late: SpawnError) -> None:
    """To somebody who came second: a double click is told what was done, another person what the plan is now."""
    wanted = {"approve": State.APPROVED, "approve_and_apply": State.APPLIED, "apply": State.APPLIED}
    if wanted.get(request.POST["deed"]) == plan.state and actor_of(request) in (plan.approved_by, plan.applied_by):
        messages.info(request, f"Plan {plan.pk} is {plan.state} already, by you.")
    else:
        messages.warning(request, str(late) if isinstance(late, EvidenceMoved) else f"{late} {plan_story.now(plan)}")


def seen(plan: Plan) -> str:
    """What a decision is bound to: the evidence that its reader saw."""
    return hashlib.sha256(json.dumps(plan.steps, sort_keys=True).encode()).hexdigest()[:16]


def _check_seen(request: HttpRequest, plan: Plan) -> None:
    """Raises EvidenceMoved where the evidence was gathered anew since the reader had the page."""
    if plan.state in plans.OPEN and request.POST.get("seen", "") != seen(plan):
        raise EvidenceMoved(plan=plan.pk)


def _reason(request: HttpRequest) -> str:
    return request.POST.get("reason", "").strip()


def _confirm(request: HttpRequest) -> str | None:
    return request.POST["confirm"].strip() if "confirm" in request.POST else None
