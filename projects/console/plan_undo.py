"""The undo of an applied plan in the console: what it would bring back and take away, then done, or left to wait."""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from projects import jobs, plans, undoing
from projects.console import plan_deeds, plan_inputs, plan_story
from projects.errors import InputsRefused, PlanNotFound
from projects.models import Plan
from projects.slots import heavily
from projects.store.connection import get_store
from schema_registry import rights
from schema_registry.errors import SpawnError
from schema_registry.pages import Page


class UndoPage(Page):
    """GET shows the undo as the plan that it is, and changes nothing; POST does it, or leaves it to wait where it must."""

    template_name = "console/plan_undo.html"
    rights = {"GET": rights.MANAGE_TABLES, "POST": rights.MANAGE_TABLES}

    @property
    def crumbs(self) -> list[tuple[str, str]]:
        number = self.kwargs["plan"]
        return [("Plans", reverse("console:plans")), (f"Plan {number}", reverse("console:plan", args=[number]))]

    def get(self, request: HttpRequest, plan: int) -> HttpResponse:
        try:
            return self.render_to_response(self.get_context_data(made=self._drawn(plan, None)))
        except PlanNotFound:
            raise
        except SpawnError as refused:
            return self.render_to_response(self.get_context_data(refused=str(refused)))

    def post(self, request: HttpRequest, plan: int) -> HttpResponse:
        given: plan_inputs.Inputs = {}
        try:
            plain = self._drawn(plan, None)
            given = plan_inputs.read(request.POST, plan_inputs.asked(plain, {}))
            plan_inputs.check_filled(plain.table, given)
            made = self._drawn(plan, given) if given else plain
            if _takes_values(made) and not self._is_confirmed(made):
                error = f"Type the table's name, {made.table}: the undo takes values away."
                return self._again(made, given, confirm_error=error)
            return self._left(plan, given) if plan_story.is_long(get_store(), made) else self._undone(plan, given)
        except InputsRefused as refused:
            return self._again(plain, given, problems=refused.problems)
        except SpawnError as refused:
            messages.error(request, str(refused))
            return redirect("console:plan", plan)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        number, made = self.kwargs["plan"], kwargs.get("made")
        self.title = f"Undo plan {number}"
        return super().get_context_data(number=number, **(self._told(made, kwargs) if made else {}), **kwargs)

    def _told(self, made: Plan, kwargs: dict[str, Any]) -> dict[str, Any]:
        steps = plan_story.told(made, kwargs.get("given", {}), kwargs.get("problems", ()))
        return {
            "steps": [step | {"held": ""} for step in steps],  # Who undoes it approves it.
            "takes_values": _takes_values(made),
            "waits_for": undoing.waits_for(made, made.table),
        }

    @heavily
    def _drawn(self, plan: int, given: plan_inputs.Inputs | None) -> Plan:
        return undoing.undo(get_store(), plan, actor=plan_deeds.actor_of(self.request), inputs=given or None, dry_run=True)

    def _is_confirmed(self, made: Plan) -> bool:
        return self.request.POST.get("confirm", "").strip().casefold() == made.table.casefold()

    def _again(self, made: Plan, given: plan_inputs.Inputs, **kwargs: Any) -> HttpResponse:
        typed: Mapping[str, str] = {name: self.request.POST.get(name, "") for name in ("reason", "confirm")}
        return self.render_to_response(self.get_context_data(made=made, given=given, typed=typed, **kwargs))

    @heavily
    def _undone(self, plan: int, given: plan_inputs.Inputs) -> HttpResponse:
        asked = self._asked(given)
        made = undoing.undo(get_store(), plan, actor=plan_deeds.actor_of(self.request), **asked)
        if made.state in plans.OPEN:
            messages.warning(self.request, f"The undo waits as plan {made.pk}. {undoing.waits_for(made, asked['confirm'])}")
        else:
            messages.success(self.request, f"Plan {plan} is undone, by plan {made.pk}.")
        return redirect("console:plan", made.pk)

    def _left(self, plan: int, given: plan_inputs.Inputs) -> HttpResponse:
        """As a job, for it takes long; the plan's page shows how far it is."""
        job = jobs.leave_once("undo", {"plan": plan, **self._asked(given)}, self.request.user)
        return redirect(f"{reverse('console:plan', args=[plan])}?job={job.pk}")

    def _asked(self, given: plan_inputs.Inputs) -> dict[str, Any]:
        typed = {name: self.request.POST.get(name, "").strip() for name in ("confirm", "reason")}
        return {**typed, "inputs": dict(given) or None}


def _takes_values(made: Plan) -> bool:
    return any(step["rows_lost"] for step in made.steps)
