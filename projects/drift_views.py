"""Drift by REST: parse, call one function, answer."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from projects import drift
from projects.row_views import flag
from projects.serializers import TableDrift
from projects.slots import heavily
from projects.store.connection import get_store
from projects.table_views import PAGE, page_of
from schema_registry import rights
from schema_registry.rights import HasRight


class Drift(APIView):
    """Where the ontology, the live schemas and the DuckDB file differ."""

    permission_classes = [HasRight]
    rights = {"GET": rights.READ_ROWS}

    @extend_schema(
        responses=TableDrift(many=True),
        parameters=[OpenApiParameter("refresh", OpenApiTypes.BOOL, description="Ask the ontology first."), *PAGE],
        operation_id="list_drift",
        tags=["plans"],
    )
    @heavily
    def get(self, request: Request) -> Response:
        """Every table by name, with where the ontology, the live schema and the DuckDB file differ; the file's unknown tables too.

        What was altered by hand is put back or taken as it is by `POST /admin/plans` with `drift`.
        """
        start, end = page_of(request._request, "refresh")
        refresh = flag(request._request, "refresh")
        found = drift.report(get_store(), lambda name: rights.reaches(request.auth, name), start=start, end=end, refresh=refresh)
        return Response([one.as_json() for one in found])
