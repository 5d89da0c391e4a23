"""Plans by REST: parse, call one function, answer."""

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from projects import jobs, one_table, plan_runs, plans, undoing
from projects.errors import BadRequest
from projects.job_answers import accepted
from projects.models import Plan
from projects.preferences import ASYNC, prefers
from projects.row_views import actor_of, check_scope, flag
from projects.serializers import ApplyRequest, ApplyTogether, Decision, JobSerializer, PlanAnswer, PlanRequest, PlanSerializer, UndoRequest
from projects.slots import heavily
from projects.store.connection import get_store
from projects.table_views import PAGE, json_object, page_of, plan_answer
from schema_registry import rights
from schema_registry.rights import HasRight

PLAN_RIGHTS = {"GET": rights.READ_ROWS, "POST": rights.MANAGE_TABLES}
CONFIRM = OpenApiParameter("confirm", str, description="The table's name once more, where the plan takes data away.")


class Plans(APIView):
    """The plans."""

    permission_classes = [HasRight]
    rights = PLAN_RIGHTS

    @extend_schema(
        responses=PlanSerializer(many=True),
        parameters=[
            OpenApiParameter("table", str, description="Only plans of this table."),
            OpenApiParameter("state", str, enum=Plan.State.values, description="Only plans in this state."),
            *PAGE,
        ],
        operation_id="list_plans",
        tags=["plans"],
    )
    def get(self, request: Request) -> Response:
        """Plans, newest first."""
        start, end = page_of(request._request, "table", "state")
        found = Plan.objects.all()
        if "table" in request.query_params:
            found = found.filter(table__iexact=request.query_params["table"])
        if "state" in request.query_params:
            found = found.filter(state=_state(request.query_params["state"]))
        if rights.is_scoped(request.auth):
            found = found.filter(pk__in=[p.pk for p in found.only("pk", "table") if rights.reaches(request.auth, p.table)])
        return Response([plans.as_json(plan) for plan in found[start:end]])

    @extend_schema(
        request=PlanRequest,
        responses={
            201: OpenApiResponse(PlanSerializer, description="The plan."),
            200: OpenApiResponse(PlanSerializer, description="There is nothing to do, so none was made."),
        },
        operation_id="make_plan",
        tags=["plans"],
    )
    @heavily
    def post(self, request: Request) -> Response:
        """Make a fresh plan for a table, with evidence; an older one that waits becomes stale.

        It leads to the ontology's present schema, or to that of the plan that waits where somebody sent it. `inputs` has values for
        the rows in the way; `drift` is `repair` or `adopt`, for a table that was altered by hand.
        """
        body = json_object(request, {"table", "inputs", "drift"})
        table = body.get("table")
        if not isinstance(table, str):
            raise BadRequest(detail="table is the name of a table.")
        check_scope(request, table)
        plan = one_table.plan(get_store(), table, actor=actor_of(request), inputs=body.get("inputs"), drift=body.get("drift"))
        return Response(plans.as_json(plan), status=201 if plan.pk else 200)


def _state(text: str) -> str:
    if text not in Plan.State.values:
        raise BadRequest(detail=f"state is one of {', '.join(Plan.State.values)}, not {text!r}.")
    return text


class OnePlan(APIView):
    """One plan."""

    permission_classes = [HasRight]
    rights = PLAN_RIGHTS

    @extend_schema(responses=PlanSerializer, operation_id="get_plan", tags=["plans"])
    def get(self, request: Request, plan: int) -> Response:
        """One plan: its steps with SQL and evidence, who decided what, what it did."""
        return Response(plans.as_json(_found(request, plan)))


def _found(request: Request, number: int) -> Plan:
    plan = plans.get(number)
    check_scope(request, plan.table)
    return plan


class ApprovePlan(APIView):
    """A person's yes."""

    permission_classes = [HasRight]
    rights = PLAN_RIGHTS

    @extend_schema(request=Decision, responses=PlanSerializer, operation_id="approve_plan", tags=["plans"])
    def post(self, request: Request, plan: int) -> Response:
        """Approve a plan that waits; nothing is applied yet."""
        return _decided(request, plan, plans.approve)


class RejectPlan(APIView):
    """A person's no."""

    permission_classes = [HasRight]
    rights = PLAN_RIGHTS

    @extend_schema(request=Decision, responses=PlanSerializer, operation_id="reject_plan", tags=["plans"])
    def post(self, request: Request, plan: int) -> Response:
        """Reject a plan that waits."""
        return _decided(request, plan, plans.reject)


def _decided(request: Request, number: int, decide: Callable[..., Plan]) -> Response:
    reason = json_object(request, {"reason"}).get("reason", "")
    if not isinstance(reason, str):
        raise BadRequest(detail="reason is a text.")
    _found(request, number)
    return Response(plans.as_json(decide(number, actor=actor_of(request), reason=reason)))


class ApplyPlan(APIView):
    """What a plan says, done."""

    permission_classes = [HasRight]
    rights = PLAN_RIGHTS

    @extend_schema(
        request=ApplyRequest,
        responses={200: PlanSerializer, 202: JobSerializer},
        parameters=[CONFIRM, OpenApiParameter("Prefer", str, OpenApiParameter.HEADER, description="respond-async makes it a job.")],
        operation_id="apply_plan",
        tags=["plans"],
    )
    @heavily
    def post(self, request: Request, plan: int) -> HttpResponse:
        """Apply a plan that is approved, or of which nothing waits: all of it or nothing."""
        confirm = _confirm(request, json_object(request, {"confirm"}))
        _found(request, plan)
        if prefers(request._request, ASYNC):
            plan_runs.check_ready(plans.get(plan), confirm)
            return accepted(jobs.leave("apply", {"plan": plan, "confirm": confirm}, request.user))
        return Response(plans.as_json(plan_runs.apply(get_store(), plan, actor=actor_of(request), confirm=confirm)))


class ApplyPlans(APIView):
    """Plans of several tables, done together."""

    permission_classes = [HasRight]
    rights = {"POST": rights.MANAGE_TABLES}

    @extend_schema(request=ApplyTogether, responses=PlanSerializer(many=True), operation_id="apply_plans", tags=["plans"])
    @heavily
    def post(self, request: Request) -> Response:
        """Apply plans of several tables in one transaction: all of them or none."""
        body = json_object(request, {"plans", "confirm"})
        numbers, confirm = body.get("plans", []), body.get("confirm", [])
        if not _are(int, numbers) or not _are(str, confirm):
            raise BadRequest(detail='Send {"plans": [their numbers], "confirm": [the names of tables that lose data]}.')
        for number in numbers:
            _found(request, number)
        applied = plan_runs.apply_together(get_store(), numbers, actor=actor_of(request), confirm=confirm)
        return Response([plans.as_json(plan) for plan in applied])


def _are(kind: type, values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, kind) and not isinstance(value, bool) for value in values)


class UndoPlan(APIView):
    """What a plan did, taken back."""

    permission_classes = [HasRight]
    rights = PLAN_RIGHTS

    @extend_schema(
        request=UndoRequest,
        responses={200: PlanAnswer, 202: PlanAnswer},
        parameters=[CONFIRM, OpenApiParameter("dry_run", OpenApiTypes.BOOL, description="Show the plan and change nothing.")],
        operation_id="undo_plan",
        tags=["plans"],
    )
    @heavily
    def post(self, request: Request, plan: int) -> Response:
        """Undo an applied plan, the newest first, values included; 202 where the undo is a plan that waits for a person."""
        body, dry_run = json_object(request, {"confirm", "inputs"}), flag(request._request, "dry_run")
        _found(request, plan)
        inputs, confirm = body.get("inputs"), _confirm(request, body)
        made = undoing.undo(get_store(), plan, actor=actor_of(request), confirm=confirm, inputs=inputs, dry_run=dry_run)
        return plan_answer(made, dry_run=dry_run)


def _confirm(request: Request, body: dict[str, Any]) -> str | None:
    given = body.get("confirm", request.query_params.get("confirm"))
    if given is not None and not isinstance(given, str):
        raise BadRequest(detail="confirm is the table's name.")
    return given
