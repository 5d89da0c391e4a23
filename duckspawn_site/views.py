"""The front door, and what /admin is."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from duckspawn_site.errors import accepts_page

DOORS = {
    "console": "/console/",
    "docs": "/docs",
    "openapi": "/openapi.json",
    "health": "/monitoring/health",
    "tokens": "/auth/tokens",
    "tables": "/admin/tables",
}
ADMIN = {name: f"/admin/{name}" for name in ("tables", "plans", "sync", "schemas", "drift", "audit", "logging/level")}


@extend_schema(exclude=True)
class _Doors(APIView):
    permission_classes = [AllowAny]

    def get(self, request: Request) -> Response:
        return Response({"service": "DuckDB Spawn", **DOORS})


@extend_schema(exclude=True)
class _Admin(APIView):
    def get(self, request: Request) -> Response:
        return Response(ADMIN)


def landing(request: HttpRequest) -> HttpResponseBase:
    """What this is and where to go: a page for a browser, JSON for a client."""
    return render(request, "landing.html") if accepts_page(request) else _Doors.as_view()(request)


def admin(request: HttpRequest) -> HttpResponseBase:
    """/admin is REST; a browser that comes here is looking for the console."""
    return redirect("/console/") if accepts_page(request) else _Admin.as_view()(request)
