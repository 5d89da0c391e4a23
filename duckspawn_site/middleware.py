"""What every answer carries, and what every path is spared."""

from collections.abc import Callable

from django.db import DatabaseError
from django.http import HttpRequest, UnreadablePostError
from django.http.response import HttpResponseBase

from duckspawn_site.errors import answer_error
from schema_registry.database import told
from schema_registry.errors import SpawnError

Answerer = Callable[[HttpRequest], HttpResponseBase]

# Alpine, which the console is made with, needs unsafe-eval; unfold and Swagger UI write styles inline.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# These have slashes of their own: Django's admin site ends each path with one, a static file never does.
SLASHED = ("/console/", "/static/")


class ContentSecurityPolicy:
    """Says to browsers that scripts, forms and pictures come from here alone."""

    def __init__(self, get_response: Answerer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response


class TrailingSlash:
    """Takes the slash from the end of a path, so that each REST path answers with and without it, POST too."""

    def __init__(self, get_response: Answerer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.endswith("/") and not request.path_info.startswith(SLASHED):
            request.path_info = request.path_info.rstrip("/") or "/"
        return self.get_response(request)


class Problems:
    """Answers an error of ours, or of Django's database, that a view of Django's own kind let go; REST framework's answer theirs."""

    def __init__(self, get_response: Answerer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        ours = told(exception) if isinstance(exception, DatabaseError) else exception
        return answer_error(request, ours) if isinstance(ours, SpawnError | UnreadablePostError) else None
