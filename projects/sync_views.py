"""A sync that is asked for, and the job that it becomes: parse, call one function, answer."""

from typing import Any

from django.http import FileResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from projects import export_jobs, job_rights, jobs, rejects
from projects.bodies import CSV
from projects.errors import BadRequest
from projects.exchange import AnyFormat
from projects.formats import FORMATS
from projects.models import Job
from projects.row_views import check_scope
from projects.serializers import JobSerializer, SyncRequest
from projects.store.connection import get_store
from projects.table_views import check_unscoped, json_object
from schema_registry import rights
from schema_registry.rights import HasRight


class Sync(APIView):
    """The sync, as a job."""

    permission_classes = [HasRight]
    rights = {"POST": rights.MANAGE_TABLES}

    @extend_schema(
        request=SyncRequest,
        responses={202: JobSerializer},
        parameters=[OpenApiParameter("Location", str, OpenApiParameter.HEADER, response=[202], description="The job's own address.")],
        operation_id="sync",
        tags=["tables"],
    )
    def post(self, request: Request) -> Response:
        """Ask the ontology server, and bring every table, or the named ones, to what it says.

        That is a job; where a sync of the same names is queued already, that one is answered. `accept_shrunk` is your word that a list
        which is shorter by more than half is right.
        """
        check_unscoped(request)
        body = json_object(request, {"names", "accept_shrunk"})
        names = _names(body.get("names"))
        accepted = {"accept_shrunk": True} if _accepts_shrunk(body.get("accept_shrunk", False), names) else {}
        job = jobs.leave_once("sync", {"names": names, "dry_run": False, **accepted}, request.user)
        return Response(JobSerializer(job).data, status=202, headers={"Location": f"/ops/jobs/{job.id}"})


class JobFile(APIView):
    """What an export's job made."""

    permission_classes = [HasRight]
    content_negotiation_class = AnyFormat
    rights = {"GET": rights.READ_ROWS}

    @extend_schema(
        responses={(200, form.kind): OpenApiTypes.BINARY for form in FORMATS.values() if form.name != "json"},
        operation_id="get_job_file",
        tags=["jobs"],
    )
    def get(self, request: Request, job: str) -> HttpResponseBase:
        """The file that an export's job made. It is kept for seven days."""
        found = _found(request, job)
        check_scope(request, str(found.inputs.get("table", "")))
        return export_jobs.fetched(get_store(), found, request._request)


class OneJob(APIView):
    """One job."""

    permission_classes = [HasRight]
    rights = {"GET": rights.READ_ROWS, "DELETE": rights.READ_ROWS}

    @extend_schema(responses=JobSerializer, operation_id="get_job", tags=["jobs"])
    def get(self, request: Request, job: str) -> Response:
        """One job: its state, how far it is, its result or its error."""
        return Response(JobSerializer(_found(request, job)).data)

    @extend_schema(
        responses={
            200: OpenApiResponse(JobSerializer, description="It had not begun, and is withdrawn."),
            202: OpenApiResponse(JobSerializer, description="It is being interrupted, and ends cancelled, unless it was done before."),
        },
        operation_id="cancel_job",
        tags=["jobs"],
    )
    def delete(self, request: Request, job: str) -> Response:
        """Cancel a job of your own, or anybody's with the right to: one that waits is withdrawn, one that runs is interrupted."""
        cancelled = job_rights.cancel(_found(request, job), request.user, request.auth)
        return Response(JobSerializer(cancelled).data, status=200 if cancelled.finished_at else 202)


class Rejects(APIView):
    """The rows that a load refused."""

    permission_classes = [HasRight]
    content_negotiation_class = AnyFormat
    rights = {"GET": rights.READ_ROWS}

    @extend_schema(responses={(200, CSV): str}, operation_id="get_job_rejects", tags=["jobs"])
    def get(self, request: Request, job: str) -> FileResponse:
        """Every row that a load refused, as CSV: row, column, value, code, reason. It is kept for seven days."""
        found = _found(request, job)
        check_scope(request, str(found.inputs.get("table", "")))
        return FileResponse(rejects.opened(get_store(), found), as_attachment=True, filename=f"{job}.rejects.csv", content_type=CSV)


def _found(request: Request, job: str) -> Job:
    """Raises JobNotFound."""
    return job_rights.found(job, request.user, request.auth)


def _names(given: Any) -> list[str]:
    """The names, each once, in order; none where all are meant. Raises BadRequest."""
    if given is None:
        return []
    if not isinstance(given, list) or not given or not all(isinstance(name, str) and name for name in given):
        raise BadRequest(detail="names is a list of one name or more, of tables or documents; leave it out for all.")
    return sorted(set(given))


def _accepts_shrunk(given: Any, names: list[str]) -> bool:
    """Raises BadRequest."""
    if not isinstance(given, bool) or (given and names):
        raise BadRequest(detail="accept_shrunk is true or false, and goes without names: it is about the list of all schemas.")
    return given
