"""Plans in the console: the list, one plan with its evidence, the decisions of a person, several applied together."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Case, IntegerField, QuerySet, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from projects import one_table, plans
from projects.console import plan_deeds, plan_inputs, plan_story
from projects.errors import ConfirmationMissing, InputsRefused, PlanOver, PlanStale
from projects.models import Job, ManagedTable, Plan
from projects.store.connection import get_store
from schema_registry import rights
from schema_registry.errors import Problem, SpawnError
from schema_registry.pages import Page

State = Plan.State
PER_PAGE = 25
MOST_TOGETHER = 50  # plans applied in one transaction from the console
WAITING = "waiting"  # the plans that are open, by one word
READS = {"GET": rights.READ_ROWS, "POST": rights.MANAGE_TABLES}
DRIFT = {"": None, "repair": "repair", "adopt": "adopt"}


class PlansPage(Page):
    """The plans, those that wait first. POST makes a fresh one: `table`, and `drift` where it was altered by hand."""

    title = "Plans"
    template_name = "console/plans.html"
    rights = READS

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        chosen = {name: self.request.GET.get(name, "") for name in ("state", "table")}
        page = Paginator(_listed(**chosen), PER_PAGE).get_page(self.request.GET.get("page"))
        return super().get_context_data(
            page=page,
            pages=page.paginator.get_elided_page_range(page.number, on_each_side=2, on_ends=1),
            rows=[_line(plan) for plan in page],
            chosen=chosen,
            query=urlencode({name: value for name, value in chosen.items() if value}),
            states=[WAITING, *State.values],
            tables=list(ManagedTable.objects.order_by("name").values_list("name", flat=True)),
            waiting=Plan.objects.filter(state__in=plans.OPEN).count(),
            **kwargs,
        )

    def post(self, request: HttpRequest) -> HttpResponse:
        table, drift = request.POST.get("table", ""), DRIFT.get(request.POST.get("drift", ""))
        try:
            made = one_table.plan(get_store(), table, actor=plan_deeds.actor_of(request), drift=drift)
        except SpawnError as refused:
            messages.error(request, str(refused))
            return redirect("console:plans")
        return plan_deeds.show_made(request, made)


def _listed(state: str, table: str) -> QuerySet[Plan]:
    open_first = Case(When(state__in=(*plans.OPEN, State.APPLYING), then=Value(0)), default=Value(1), output_field=IntegerField())
    found = Plan.objects.defer("base", "target", "outcome").order_by(open_first, "-pk")
    found = found.filter(table__iexact=table) if table else found
    if state == WAITING:
        return found.filter(state__in=plans.OPEN)
    return found.filter(state=state) if state in State.values else found


def _line(plan: Plan) -> dict[str, Any]:
    return {
        "plan": plan,
        "kind": plan_story.KINDS[Plan.Kind(plan.kind)],
        "classes": plan_story.classes(plan),
        "in_the_way": plan_story.rows_in_the_way(plan),
        "is_open": plan.state in plans.OPEN,
    }


# One plan.


class PlanPage(Page):
    """One plan: its steps with their evidence, and what a person decides about it."""

    template_name = "console/plan.html"
    rights = READS

    @property
    def crumbs(self) -> list[tuple[str, str]]:
        return [("Plans", reverse("console:plans"))]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._progress(request) if "HX-Request" in request.headers else super().get(request, *args, **kwargs)

    def _progress(self, request: HttpRequest) -> HttpResponse:
        """How far an apply is, as the part of the page that asks for it each second; the whole page anew once it is over."""
        found = plans.get(self.kwargs["plan"])
        job = _job_of(request, found)
        if found.state != State.APPLYING and (job is None or job.finished_at):
            return HttpResponse(headers={"HX-Refresh": "true"})
        context = {"plan": found, "job": job, "waits_for": _waits_for_load(found)}
        return render(request, "console/plan_progress.html", context)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        found, store = plans.get(self.kwargs["plan"]), get_store()
        self.title = f"Plan {found.pk}: {found.table}"
        given: plan_inputs.Inputs | None = kwargs.pop("given", None)
        problems: Sequence[Problem] = kwargs.pop("problems", ())
        steps = plan_story.told(found, given, problems) if found.state in plans.OPEN else plan_story.ran(found)
        job = _job_of(self.request, found)
        return super().get_context_data(
            kind=plan_story.KINDS[Plan.Kind(found.kind)],
            standing=plan_story.standing(store, found, actor=plan_deeds.actor_of(self.request)),
            steps=steps,
            problems=problems,
            classes=plan_story.classes(found),
            in_the_way=plan_story.rows_in_the_way(found),
            kept=plan_story.kept(found),
            newer=plan_story.newer(found) if found.state == State.STALE else None,
            undone_by=found.undone_by.exclude(state__in=(State.STALE, State.REJECTED, State.FAILED)).order_by("-pk").first(),
            entries=plan_story.entries(found) if self.allows(rights.READ_AUDIT) else [],
            job=job,
            is_under_way=found.state == State.APPLYING or bool(job and not job.finished_at),
            waits_for=_waits_for_load(found),
            seen=plan_deeds.seen(found),
            is_over=found.state in (State.APPLIED, State.UNDONE),
            broken=[step["number"] for step in steps if step["rows_broken"]],
            given_words=[(name, plan_inputs.words(one)) for name, one in found.inputs.items()],
            asks=any(step.get("asked") for step in steps),
            renewable=found.state not in (State.APPLIED, State.UNDONE, State.APPLYING) and found.kind != Plan.Kind.DROP,
            four_eyes=settings.PLAN_FOUR_EYES,
            **kwargs | {"plan": found},
        )

    def post(self, request: HttpRequest, plan: int) -> HttpResponse:
        found = plans.get(plan)
        try:
            return plan_deeds.carry_out(request, found)
        except ConfirmationMissing:
            return self._again(request, confirm_error=f"Type the table's name, {found.table}: this takes data away.")
        except InputsRefused as refused:
            given = plan_inputs.read(request.POST, plan_inputs.asked(found, found.inputs))
            return self._again(request, given=given, problems=refused.problems)
        except (PlanOver, PlanStale) as late:
            plan_deeds.say_now(request, plans.get(plan), late)
        except SpawnError as refused:
            messages.error(request, str(refused))
        return redirect("console:plan", plan)

    def _again(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """The page with what was typed, and what is wrong with it beside the field."""
        typed = {name: request.POST.get(name, "") for name in ("reason", "confirm")}
        return self.render_to_response(self.get_context_data(typed=typed, **kwargs))


def _waits_for_load(plan: Plan) -> str:
    """What an apply that has begun waits for."""
    return plans.waits_for(plan) if plan.state == State.APPLYING else ""


def _job_of(request: HttpRequest, plan: Plan) -> Job | None:
    """The job that applies the plan, or undoes it: the one at work, else the one that the reader's own click left."""
    if found := plan_story.running(plan) if plan.state in (*plans.OPEN, State.APPLYING) else None:
        return found
    try:
        asked = UUID(request.GET.get("job", ""))
    except ValueError:
        return None
    return Job.objects.filter(pk=asked, kind__in=("apply", "undo"), inputs__plan=plan.pk).first()


# Several together.


class TogetherPage(Page):
    """Several plans of several tables, approved where they wait and applied in one transaction: all or none."""

    title = "Apply plans together"
    template_name = "console/plans_together.html"
    rights = {"GET": rights.MANAGE_TABLES, "POST": rights.MANAGE_TABLES}

    @property
    def crumbs(self) -> list[tuple[str, str]]:
        return [("Plans", reverse("console:plans"))]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        store, actor = get_store(), plan_deeds.actor_of(self.request)
        found = _chosen(self.request.GET.getlist("plans") or self.request.POST.getlist("plans"))
        chosen = [_line(plan) | {"standing": plan_story.standing(store, plan, actor=actor)} for plan in found]
        return super().get_context_data(
            chosen=chosen,
            takes=[one["plan"].table for one in chosen if one["standing"].takes_data],
            ready=bool(chosen) and all(one["standing"].may_decide and not one["standing"].closed for one in chosen),
            **kwargs,
        )

    def post(self, request: HttpRequest) -> HttpResponse:
        found = _chosen(request.POST.getlist("plans"))
        confirm = [name.strip() for name in request.POST.get("confirm", "").split(",")]
        try:
            applied = plan_deeds.apply_together(request, found, confirm)
        except ConfirmationMissing as missing:
            error = f"Type the names of all tables that lose data, with commas between them; {missing.table} is not among them."
            return self.render_to_response(self.get_context_data(typed=request.POST, confirm_error=error))
        except SpawnError as refused:
            if {plan.state for plan in _chosen(request.POST.getlist("plans"))} == {State.APPLIED}:
                messages.info(request, "These plans are applied already.")
                return redirect("console:plans")
            messages.error(request, f"{refused} Nothing was applied.")
            return redirect(f"{reverse('console:plans_together')}?{urlencode([('plans', plan.pk) for plan in found])}")
        messages.success(request, f"{len(applied)} plans are applied: {', '.join(plan.table for plan in applied)}.")
        return redirect("console:plans")


def _chosen(numbers: Sequence[str]) -> list[Plan]:
    wanted = [int(number) for number in numbers if number.isdecimal() and len(number) < 16][:MOST_TOGETHER]
    return list(Plan.objects.select_related("snapshot").filter(pk__in=wanted).order_by("pk"))
