"""The front door, and what /admin is."""

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from duckspawn_site.errors import accepts_page

SPECTACULAR = settings.SPECTACULAR_SETTINGS
DOORS = {
    "console": "/console/",
    "docs": "/docs",
    "openapi": "/openapi.json",
    "health": "/monitoring/health",
    "tokens": "/auth/tokens",
    "tables": "/admin/tables",
    "rows": "/ops/{table}",
    "query": "/ops/query",
    "jobs": "/ops/jobs",
    "plans": "/admin/plans",
    "schemas": "/admin/schemas",
}
ADMIN = {name: f"/admin/{name}" for name in ("tables", "plans", "sync", "schemas", "drift", "audit", "logging/level")}


@extend_schema(exclude=True)
class _Doors(APIView):
    permission_classes = [AllowAny]

    def get(self, request: Request) -> Response:
        about = {"service": "DuckDB Spawn", "version": SPECTACULAR["VERSION"], "description": SPECTACULAR["DESCRIPTION"]}
        return Response(about | DOORS)


@extend_schema(exclude=True)
class _Admin(APIView):
    def get(self, request: Request) -> Response:
        return Response(ADMIN)


def landing(request: HttpRequest) -> HttpResponseBase:
    """What this is and where to go: a page for a browser, JSON for a client."""
    if not accepts_page(request):
        return _Doors.as_view()(request)
    return render(request, "landing.html", {"base": request.build_absolute_uri("/").rstrip("/"), "version": SPECTACULAR["VERSION"]})


def admin(request: HttpRequest) -> HttpResponseBase:
    """/admin is REST; a browser that comes here is looking for the console."""
    return redirect("/console/") if accepts_page(request) else _Admin.as_view()(request)
