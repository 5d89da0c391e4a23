"""Tables, spawning, the query door, jobs: parse, call one function, answer."""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from projects import aliases, audit, bodies, described, exchange, jobs, one_table, plans, queries, rows, serializers, sync, undoing
from projects.aliases import Names
from projects.errors import BadRequest, OutcomeRefused
from projects.formats import FORMATS
from projects.job_answers import accepted
from projects.job_rights import visible
from projects.models import Plan
from projects.preferences import ASYNC, prefers
from projects.row_views import Reach, actor_of, flag
from projects.slots import heavily
from projects.store.books import LiveTable
from projects.store.connection import get_store
from projects.store.retries import steadily
from projects.sync import Outcome
from schema_registry import rights
from schema_registry.rights import HasRight

TABLE_RIGHTS = {
    "GET": rights.READ_ROWS,
    "POST": rights.MANAGE_TABLES,
    "PUT": rights.MANAGE_TABLES,
    "PATCH": rights.MANAGE_TABLES,
    "DELETE": rights.MANAGE_TABLES,
}


ROWS = {"type": "array", "items": {"type": "object"}}
PAGE = [
    OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": 10_000}, description="How many; 100 where it is left out."),
    OpenApiParameter("offset", {"type": "integer", "minimum": 0, "maximum": 2**31}, description="How many to leave out first."),
]


class Initialize(APIView):
    """Spawns every table that the ontology has."""

    permission_classes = [HasRight]
    rights = {"POST": rights.MANAGE_TABLES}

    @extend_schema(
        request=None,
        responses={200: serializers.Report, 202: serializers.JobSerializer},
        parameters=[OpenApiParameter("Prefer", str, OpenApiParameter.HEADER, description="respond-async makes it a job.")],
        operation_id="initialize",
        tags=["tables"],
    )
    @heavily
    def post(self, request: Request) -> HttpResponse:
        """Spawn every table that the ontology has, with an outcome for each; tables that are there are brought up to date."""
        check_unscoped(request)
        if prefers(request._request, ASYNC):
            return accepted(jobs.leave_once("initialize", {}, request.user))
        return Response(sync.spawn(get_store(), actor=actor_of(request)).as_json())


class Tables(APIView):
    """The tables."""

    permission_classes = [HasRight]
    rights = TABLE_RIGHTS

    @extend_schema(responses=serializers.TableSummary(many=True), parameters=PAGE, operation_id="list_tables", tags=["tables"])
    def get(self, request: Request) -> Response:
        """Each live table with its rows, bytes, schema version, source and drift."""
        visible = [t for t in get_store().tables() if rights.reaches(request.auth, t.name)]
        start, end = page_of(request._request)
        return Response(described.summaries(get_store(), visible[start:end]))

    @extend_schema(request=serializers.TableRequest, responses=serializers.Report, operation_id="create_tables", tags=["tables"])
    @heavily
    def post(self, request: Request) -> Response:
        """Create the table of one schema (`{"schema": "projects"}`), or of all (`{}`); one that was dropped comes back empty."""
        body = json_object(request, {"schema"})
        check_unscoped(request)
        names = [_name(body["schema"])] if "schema" in body else None
        report = sync.spawn(get_store(), names, actor=actor_of(request), revive=True)
        if names:
            _raise_refusal(report.outcomes[0])
        made = any(o.outcome == "created" for o in report.outcomes)
        return Response(report.as_json(), status=201 if made else 202 if report.waits else 200)


class Table(APIView):
    """One table."""

    permission_classes = [Reach]
    rights = TABLE_RIGHTS

    @extend_schema(responses=serializers.TableDetail, operation_id="describe_table", tags=["tables"])
    def get(self, request: Request, table: str) -> Response:
        """The table's columns, its live schema, its drift, its old names, and the references that do not hold."""
        store = get_store()

        def seen(live: LiveTable) -> Response:
            shown = described.detail(store, live)
            for reference in shown["references"]:
                if not rights.reaches(request.auth, reference["references"].partition(".")[0]):
                    reference["rows_without"] = None  # It would tell which keys the other table has.
            return exchange.telling(Response(shown), Names(live, table).used)

        return steadily(store, table, seen)

    @extend_schema(
        request=serializers.BringRequest,
        responses={200: serializers.PlanAnswer, 202: serializers.PlanAnswer},
        parameters=[OpenApiParameter("dry_run", OpenApiTypes.BOOL, description="Show the plan and change nothing.")],
        operation_id="bring_table",
        tags=["tables"],
    )
    @heavily
    def put(self, request: Request, table: str) -> Response:
        """Bring the table to the ontology's present schema, or to the `schema` that is sent."""
        body, dry_run = json_object(request, {"schema"}), flag(request._request, "dry_run")
        store, actor = get_store(), actor_of(request)
        if "schema" in body:
            plan = one_table.bring_to_document(store, table, body["schema"], actor=actor, dry_run=dry_run)
        else:
            plan = one_table.bring_up_to_date(store, table, actor=actor, dry_run=dry_run)
        return plan_answer(plan, dry_run=dry_run)

    @extend_schema(request=serializers.TableDecisions, responses=serializers.TableDetail, operation_id="decide_on_table", tags=["tables"])
    def patch(self, request: Request, table: str) -> Response:
        """Pin the table, make its rows read-only, or set its own policy and compatibility mode; what is left out stays."""
        decided = json_object(request, set(serializers.TableDecisions().fields))
        one_table.decide(get_store(), table, decided, actor=actor_of(request))
        return self.get(request, table)

    @extend_schema(
        responses={200: serializers.PlanAnswer, 202: serializers.PlanAnswer},
        parameters=[OpenApiParameter("confirm", str, required=True, description="The table's name once more.")],
        operation_id="drop_table",
        tags=["tables"],
    )
    @heavily
    def delete(self, request: Request, table: str) -> Response:
        """Archive the table as Parquet, then drop it, by a plan that can be undone; under four eyes the plan waits."""
        return plan_answer(undoing.drop(get_store(), table, confirm=request.query_params.get("confirm"), actor=actor_of(request)))


def plan_answer(plan: Plan, *, dry_run: bool = False) -> Response:
    """A plan in its own envelope: 200 where it is applied, or only shown, and 202 where it waits."""
    is_over = dry_run or plan.state == Plan.State.APPLIED
    return Response({"plan": plans.as_json(plan)}, status=200 if is_over else 202)


class TableAlias(APIView):
    """An old name of a table or of one of its columns."""

    permission_classes = [Reach]
    rights = {"DELETE": rights.MANAGE_TABLES}

    @extend_schema(responses={204: None}, operation_id="retire_alias", tags=["tables"])
    def delete(self, request: Request, table: str, alias: str) -> HttpResponse:
        """Retire an old name: what still uses it is refused from now on."""
        aliases.retire(get_store(), table, alias, actor=actor_of(request))
        return HttpResponse(status=204)


class Query(APIView):
    """The query door."""

    permission_classes = [HasRight]
    content_negotiation_class = exchange.AnyFormat
    rights = {"POST": rights.READ_ROWS}

    @extend_schema(
        request=serializers.QueryRequest,
        responses={(200, form.kind): ROWS if form.kind == bodies.JSON else OpenApiTypes.BINARY for form in FORMATS.values()},
        parameters=[OpenApiParameter("format", str, enum=list(FORMATS), description="Goes before Accept.")],
        operation_id="query",
        tags=["rows"],
    )
    def post(self, request: Request) -> HttpResponseBase:
        """The rows of one SELECT over the tables, as an array of objects or in another format; never cut short."""
        body = json_object(request, {"sql", "params"})
        statement, parameters = body.get("sql"), body.get("params", [])
        if not isinstance(statement, str) or not isinstance(parameters, list):
            raise BadRequest(detail='A query is {"sql": "SELECT ...", "params": []}.')
        return queries.answered(request, statement, parameters)


class Jobs(APIView):
    """Jobs: a person's own, or everybody's with the right to."""

    permission_classes = [HasRight]
    rights = {"GET": rights.READ_ROWS}

    @extend_schema(responses=serializers.JobSerializer(many=True), parameters=PAGE, operation_id="list_jobs", tags=["jobs"])
    def get(self, request: Request) -> Response:
        """Jobs, newest first."""
        start, end = page_of(request._request)
        seen = visible(request.user, request.auth)[start:end]
        return Response(serializers.JobSerializer(seen, many=True).data)


class VerifyAudit(APIView):
    """The audit log's chain of hashes."""

    permission_classes = [HasRight]
    rights = {"GET": rights.READ_AUDIT}

    @extend_schema(responses=serializers.VerdictSerializer, operation_id="verify_audit", tags=["audit"])
    @heavily
    def get(self, request: Request) -> Response:
        """Whether each entry of the audit log stands as it was written, and the last one that the DuckDB file knows is there."""
        return Response(serializers.VerdictSerializer(audit.verify()).data)


def check_unscoped(request: Request) -> None:
    """A token that reaches some tables only may not do what concerns them all."""
    if rights.is_scoped(request.auth):
        raise PermissionDenied("This token reaches some tables only.")


def _raise_refusal(outcome: Outcome) -> None:
    """For one named table, what did not come about is an error, not a line in a report."""
    if outcome.outcome == "refused":
        raise OutcomeRefused(detail=outcome.detail)


def json_object(request: Request, known: set[str]) -> dict[str, Any]:
    """The body as a JSON object with known names only; no body is an empty one. Raises BadRequest."""
    sent = bodies.whole(request._request)
    body = rows.read_json(sent) if sent.strip() else {}
    if not isinstance(body, dict):
        raise BadRequest(detail="The body is a JSON object.")
    try:
        json.dumps(body, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        raise BadRequest(detail="The body has half of a surrogate pair, which is no text.") from None
    if unknown := sorted(set(body) - known):
        raise BadRequest(detail=f"The body has no place for {', '.join(unknown)}; it takes {', '.join(sorted(known))}.")
    return body


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise BadRequest(detail="schema is the name of a schema.")
    return value


def page_of(request: HttpRequest, *filters: str) -> tuple[int, int]:
    """Start and end of a page by `limit` (100, at most 10,000) and `offset`. Raises BadRequest."""
    given = {name: request.GET.get(name, default) for name, default in (("limit", "100"), ("offset", "0"))}
    unknown = sorted(set(request.GET) - {"limit", "offset", *filters})
    if unknown:
        known = ", ".join([*filters, "limit and offset"])
        raise BadRequest(detail=f"There is no parameter {', '.join(unknown)} here; there are {known}.")
    for name, lowest, highest in (("limit", 1, 10_000), ("offset", 0, 2**31)):
        text = given[name]
        if not (text.isascii() and text.isdigit() and len(text) < 12 and lowest <= int(text) <= highest):
            raise BadRequest(detail=f"{name} is a whole number from {lowest} to {highest}, not {given[name]!r}.")
    return int(given["offset"]), int(given["offset"]) + int(given["limit"])
