"""GET /admin/schemas and GET /admin/audit: what was fetched, and what was done."""

import re
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer, extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from schema_registry import rights, snapshots
from schema_registry.diff import diff
from schema_registry.errors import BadQuery
from schema_registry.models import AuditEntry
from schema_registry.serializers import AuditEntrySerializer, ChangeSerializer, SnapshotSerializer, WholeSnapshotSerializer

_RANGE = re.compile(r"(\d{1,9})\.\.(\d{1,9})", re.ASCII)
_WHOLE = re.compile(r"\d{1,15}", re.ASCII)
_FILTERS = ("action", "object", "actor")


class SchemasView(ViewSet):
    """The schemas as they were fetched, version by version."""

    permission_classes = [rights.HasRight]
    rights = {"GET": rights.READ_ROWS}

    @extend_schema(operation_id="list_schemas", summary="The latest schema of every table", responses=SnapshotSerializer(many=True))
    def list(self, request: Request) -> Response:
        _known(request, ())
        seen = [one for one in snapshots.latest_of_each() if rights.reaches(request.auth, one.table_name)]
        return Response(SnapshotSerializer(seen, many=True).data)

    @extend_schema(
        operation_id="list_schema_versions",
        summary="All versions of a table's schema, newest first; or, with diff, what changed between two",
        parameters=[
            OpenApiParameter(
                "diff",
                {"type": "string", "pattern": f"^{_RANGE.pattern}$"},
                description="Two versions, such as 1..3: the answer is the list of changes.",
            )
        ],
        responses=PolymorphicProxySerializer(
            component_name="SchemaVersions", serializers=[SnapshotSerializer, ChangeSerializer], resource_type_field_name=None, many=True
        ),
    )
    def versions(self, request: Request, name: str) -> Response:
        _known(request, ("diff",))
        _check_scope(request, name)
        if "diff" in request.query_params:
            first, last = _versions_to_compare(request.query_params["diff"])
            changes = diff(snapshots.version(name, first).as_schema(), snapshots.version(name, last).as_schema())
            return Response([ChangeSerializer(change).data for change in changes])
        return Response(SnapshotSerializer(snapshots.versions(name), many=True).data)

    @extend_schema(operation_id="get_schema_version", summary="One version of a table's schema", responses=WholeSnapshotSerializer)
    def version(self, request: Request, name: str, number: int) -> Response:
        _known(request, ())
        _check_scope(request, name)
        return Response(WholeSnapshotSerializer(snapshots.version(name, number)).data)


class AuditView(ViewSet):
    """The audit log, newest first."""

    permission_classes = [rights.HasRight]
    rights = {"GET": rights.READ_AUDIT}

    @extend_schema(
        operation_id="list_audit",
        summary="The audit log, newest first",
        parameters=[
            *(OpenApiParameter(name, str, description=f"Only entries with this {name}.") for name in _FILTERS),
            OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": 10_000}, description="How many entries (default 100)."),
            OpenApiParameter(
                "offset", {"type": "integer", "minimum": 0, "maximum": 10**15 - 1}, description="How many to leave out (default 0)."
            ),
            OpenApiParameter("Prefer", str, OpenApiParameter.HEADER, description="count=exact adds the header X-Total-Count."),
            OpenApiParameter("X-Total-Count", OpenApiTypes.INT, OpenApiParameter.HEADER, response=[200]),
        ],
        responses=AuditEntrySerializer(many=True),
    )
    def list(self, request: Request) -> Response:
        _known(request, (*_FILTERS, "limit", "offset"))
        limit = _number(request, "limit", 100, lowest=1, highest=10_000)
        offset = _number(request, "offset", 0, lowest=0, highest=10**15 - 1)
        filters: dict[str, Any] = {name: request.query_params[name] for name in _FILTERS if name in request.query_params}
        found = AuditEntry.objects.filter(**filters)
        headers = {"X-Total-Count": str(found.count())} if _wants_count(request) else None
        return Response(AuditEntrySerializer(found[offset : offset + limit], many=True).data, headers=headers)


def _known(request: Request, names: tuple[str, ...]) -> None:
    """A parameter that means nothing here is refused, never ignored; `format` is the renderers' own."""
    if unknown := [name for name in request.query_params if name not in (*names, "format")]:
        raise BadQuery(detail=f"There is no parameter {unknown[0]} here; there is {', '.join(names) or 'none'}.")


def _check_scope(request: Request, name: str) -> None:
    """Raises PermissionDenied where the token does not reach the table."""
    if not rights.reaches(request.auth, name):
        raise PermissionDenied(f"This token does not reach the table {name}.")


def _versions_to_compare(text: str) -> tuple[int, int]:
    match = _RANGE.fullmatch(text)
    if not match:
        raise BadQuery(detail="diff takes two versions, such as 1..3.")
    return int(match[1]), int(match[2])


def _number(request: Request, name: str, default: int, *, lowest: int, highest: int) -> int:
    text = request.query_params.get(name, str(default))
    if not _WHOLE.fullmatch(text) or not lowest <= int(text) <= highest:
        raise BadQuery(detail=f"{name} is a whole number from {lowest} to {highest}.")
    return int(text)


def _wants_count(request: Request) -> bool:
    wishes = request.headers.get("Prefer", "").lower().split(",")
    return "count=exact" in (wish.strip() for wish in wishes)
