"""Rows by REST: parse, call one function, answer."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.views import APIView

from projects import exchange, loads, rows
from projects.errors import BadRequest
from projects.filters import parse_listing
from projects.store import rows as stored
from projects.store.bulk import Loaded
from projects.store.connection import get_store
from schema_registry import rights
from schema_registry.rights import HasRight

ROW_RIGHTS = {
    "GET": rights.READ_ROWS,
    "POST": rights.WRITE_ROWS,
    "PUT": rights.WRITE_ROWS,
    "PATCH": rights.WRITE_ROWS,
    "DELETE": rights.WRITE_ROWS,
}


def actor_of(request: Request) -> str:
    """Who acts, as the feed and the audit log name them."""
    return request.user.get_username()


def check_scope(request: Request, table: str) -> None:
    """Raises PermissionDenied where the token does not reach the table."""
    if not rights.reaches(request.auth, table):
        raise PermissionDenied(f"This token does not reach the table {table}.")


class Reach(HasRight):
    """The right of the method, and a token that reaches the table of the address."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not super().has_permission(request, view):
            return False
        check_scope(request, view.kwargs.get("table", ""))
        return True


@extend_schema(exclude=True)  # openapi.py describes each live table's own paths.
class Rows(APIView):
    """The rows of a table: list them, create one, load many."""

    permission_classes = [Reach]
    content_negotiation_class = exchange.AnyFormat
    rights = ROW_RIGHTS

    def get(self, request: Request, table: str) -> HttpResponseBase:
        store, plain = get_store(), _plain(request)
        schema = store.table(table).schema
        form = exchange.answer_format(plain)
        answer: HttpResponseBase
        listing = parse_listing(schema, _pairs(plain))
        counted = _wants_count(plain)
        if form == "json":
            answer = exchange.json_answer(exchange.json_array(stored.page(store, schema, listing)))
        else:
            lines = exchange.line_format(form, listing.fields or schema.columns)
            answer = exchange.streamed(stored.stream(store, schema, listing, lines.expression), lines)
        if counted:
            answer["X-Total-Count"] = str(stored.count(store, schema, listing))
            answer["Preference-Applied"] = "count=exact"
        return answer

    def post(self, request: Request, table: str) -> HttpResponse:
        store, plain, actor = get_store(), _plain(request), actor_of(request)
        nulls, dry_run = _load_options(plain)
        if exchange.body_format(plain) == "csv":
            pieces = exchange.pieces(plain)
            return _loaded(lambda: loads.load_upload(store, table, pieces, nulls=nulls, actor=actor, dry_run=dry_run), dry_run)
        body = rows.read_json(exchange.whole(plain))
        if isinstance(body, list) or dry_run:
            many = body if isinstance(body, list) else [body]
            return _loaded(lambda: loads.load_array(store, table, many, actor=actor, dry_run=dry_run), dry_run)
        entry = rows.create(store, table, body, actor=actor)
        answer = exchange.json_answer(entry.after or "", status=201)
        answer["Location"] = f"/ops/{quote(entry.table)}/{quote(entry.key or '', safe=',~')}"
        return answer


@extend_schema(exclude=True)
class Row(APIView):
    """One row of a table, by its key."""

    permission_classes = [Reach]
    content_negotiation_class = exchange.AnyFormat
    rights = ROW_RIGHTS

    def get(self, request: Request, table: str, key: str) -> HttpResponse:
        store = get_store()
        schema = store.table(table).schema
        return exchange.json_answer(stored.get(store, schema, rows.read_key(schema, key)))

    def put(self, request: Request, table: str, key: str) -> HttpResponse:
        return exchange.json_answer(rows.replace(get_store(), table, key, _body(request), actor=actor_of(request)).after or "")

    def patch(self, request: Request, table: str, key: str) -> HttpResponse:
        return exchange.json_answer(rows.patch(get_store(), table, key, _body(request), actor=actor_of(request)).after or "")

    def delete(self, request: Request, table: str, key: str) -> HttpResponse:
        rows.delete(get_store(), table, key, actor=actor_of(request))
        return HttpResponse(status=204)


def _plain(request: Request) -> HttpRequest:
    """Django's own request: REST framework's would read the body into memory."""
    return request._request


def _pairs(request: HttpRequest) -> list[tuple[str, str]]:
    return [(name, value) for name, values in request.GET.lists() for value in values]


def _body(request: Request) -> Any:
    plain = _plain(request)
    if exchange.body_format(plain) != "json":
        raise BadRequest(detail="One row is sent as application/json.")
    return rows.read_json(exchange.whole(plain))


def _wants_count(request: HttpRequest) -> bool:
    return "count=exact" in request.headers.get("Prefer", "").replace(" ", "").lower()


def _loaded(load: Callable[[], Loaded], dry_run: bool) -> HttpResponse:
    done = loads.tried(load) if dry_run else load()
    return exchange.json_answer(exchange.dumped(done.as_json()))


def _load_options(request: HttpRequest) -> tuple[tuple[str, ...], bool]:
    """The texts that mean null, and whether it is a dry run. Raises BadRequest for a parameter that there is not."""
    unknown = sorted(set(request.GET) - {"null", "dry_run"})
    if unknown:
        raise BadRequest(detail=f"There is no parameter {', '.join(unknown)} here; there are null and dry_run.")
    return tuple(request.GET.getlist("null")), flag(request, "dry_run")


def flag(request: HttpRequest, name: str) -> bool:
    """A parameter that is true or false, false where it is left out. Raises BadRequest."""
    given = request.GET.get(name, "false").lower()
    if given not in ("true", "false"):
        raise BadRequest(detail=f"{name} is true or false, not {given!r}.")
    return given == "true"
