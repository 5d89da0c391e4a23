"""Rows by REST: parse, call one function, answer."""

from functools import partial
from typing import Any
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.views import APIView

from projects import bodies, exchange, export_jobs, idempotency, preconditions, row_sets, rows, versions
from projects.errors import BadRequest
from projects.idempotency import Promise
from projects.list_answers import aggregated, listed, pairs_of
from projects.load_answers import read_options, sent_array, uploaded
from projects.slots import heavy
from projects.store import rows as stored
from projects.store.books import Kept, LiveTable
from projects.store.bulk import Options
from projects.store.connection import get_store
from projects.store.retries import steadily
from schema_registry import rights
from schema_registry.rights import HasRight

SCHEMA_VERSION = "HTTP_SCHEMA_VERSION"
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
    """Raises PermissionDenied where the token does not reach the table, by the name that is asked for and by its present one."""
    if rights.is_scoped(request.auth):
        for name in (table, get_store().present_name(table)):
            if not rights.reaches(request.auth, name):
                raise PermissionDenied(f"This token does not reach the table {table}.")


class Reach(HasRight):
    """The right of the method, and a token that reaches the table of the address."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not super().has_permission(request, view):
            return False
        check_scope(request, view.kwargs.get("table", ""))
        return True


class _Door(APIView):
    """A door of a table's rows, in the shape that the table has, or that it has in the version which Schema-Version names."""

    permission_classes = [Reach]
    content_negotiation_class = exchange.AnyFormat
    rights = ROW_RIGHTS

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)
        if version := request.META.get(SCHEMA_VERSION):
            patch_vary_headers(answer, ["Schema-Version"])
            if answer.status_code < 400:
                answer.headers["Schema-Version"] = version
        return answer


@extend_schema(exclude=True)  # openapi.py describes each live table's own paths.
class Rows(_Door):
    """The rows of a table: list them, create one, load many, change or delete those that meet a condition."""

    def get(self, request: Request, table: str) -> HttpResponseBase:
        store, plain, version = get_store(), _plain(request), _version(request)
        if export_jobs.is_asked(plain):
            return export_jobs.left(store, table, plain, version, request.user)
        return steadily(store, table, lambda live: listed(store, versions.names(live, table, version, reads=True), plain))

    def post(self, request: Request, table: str) -> HttpResponse:
        person = str(request.user.pk)
        return idempotency.once(get_store(), table, _plain(request), person, lambda promise: self._post(request, table, promise))

    def _post(self, request: Request, table: str, promise: Promise | None) -> HttpResponse:
        store, plain, actor, version = get_store(), _plain(request), actor_of(request), _version(request)
        options, form = read_options(plain), bodies.body_format(plain)
        if form != "json":
            return uploaded(store, table, plain, form, options, user=request.user, version=version, promise=promise)
        text = bodies.whole(plain)
        if promise:
            promise.note(text)
        if text.lstrip().startswith(b"[") or options != Options():
            return sent_array(store, table, plain, text, options, user=request.user, version=version, promise=promise)
        body = rows.read_json(text)
        if promise is None:
            return _row_answer(rows.create(store, table, body, actor=actor, version=version))
        promise.settle()
        keep = partial(_kept_row, promise)
        return _row_answer(rows.create(store, table, body, actor=actor, version=version, keep=keep))

    def patch(self, request: Request, table: str) -> HttpResponse:
        pairs, actor, version = pairs_of(_plain(request)), actor_of(request), _version(request)
        body = _body(request)
        with heavy():
            done = row_sets.change(get_store(), table, pairs, body, actor=actor, version=version)
        return exchange.telling(exchange.json_answer(exchange.dumped({"updated": done.rows})), done.used)

    def delete(self, request: Request, table: str) -> HttpResponse:
        with heavy():
            done = row_sets.delete(get_store(), table, pairs_of(_plain(request)), actor=actor_of(request), version=_version(request))
        return exchange.telling(exchange.json_answer(exchange.dumped({"deleted": done.rows})), done.used)


@extend_schema(exclude=True)
class Aggregate(_Door):
    """Groups of a table's rows."""

    def get(self, request: Request, table: str) -> HttpResponseBase:
        store, plain, version = get_store(), _plain(request), _version(request)
        return steadily(store, table, lambda live: aggregated(store, versions.names(live, table, version, reads=True), plain))


@extend_schema(exclude=True)
class Row(_Door):
    """One row of a table, by its key."""

    def get(self, request: Request, table: str, key: str) -> HttpResponse:
        store, version, wanted = get_store(), _version(request), preconditions.read(request.META)

        def found(live: LiveTable) -> HttpResponse:
            names = versions.names(live, table, version, reads=True)
            row = stored.get(store, names.schema, rows.read_key(names.schema, key), names.source)
            return exchange.telling(_shown(row, wanted, live.name, key), names.used)

        return steadily(store, table, found)

    def put(self, request: Request, table: str, key: str) -> HttpResponse:
        return _row_answer(rows.replace(get_store(), table, key, _body(request), **_terms(request)))

    def patch(self, request: Request, table: str, key: str) -> HttpResponse:
        return _row_answer(rows.patch(get_store(), table, key, _body(request), **_terms(request)))

    def delete(self, request: Request, table: str, key: str) -> HttpResponse:
        written = rows.delete(get_store(), table, key, **_terms(request))
        return exchange.telling(HttpResponse(status=204), written.used)


def _terms(request: Request) -> dict[str, Any]:
    """Who changes a row, in which version's shape, and what they want of it before."""
    return {"actor": actor_of(request), "version": _version(request), "wanted": preconditions.read(request.META)}


def _shown(row: str, wanted: preconditions.Preconditions | None, table: str, key: str) -> HttpResponse:
    """The row with its tag, or 304 to who has it. Raises PreconditionFailed."""
    if wanted and (refusal := wanted.refusal(table, key, row, reads=True)):
        raise refusal
    answer = HttpResponseNotModified() if wanted and wanted.is_known(row) else exchange.json_answer(row)
    answer["ETag"], answer["Cache-Control"] = preconditions.tag_of(row), "private, no-cache"
    return answer


def _row_answer(written: rows.Written) -> HttpResponse:
    """The row as it was written, with its tag; of one that is new, where it is."""
    is_new = written.entry.op == "create"
    answer = exchange.json_answer(written.row, status=201 if is_new else 200)
    answer["ETag"] = preconditions.tag_of(written.row)
    if is_new:
        answer["Location"] = f"/ops/{quote(written.entry.table)}/{quote(written.entry.key or '', safe=',~')}"
    return exchange.telling(answer, written.used)


def _kept_row(promise: Promise, written: rows.Written) -> Kept:
    return promise.keep(_row_answer(written))


def _plain(request: Request) -> HttpRequest:
    """Django's own request: REST framework's would read the body into memory."""
    return request._request


def _version(request: Request) -> int | None:
    """The version in whose shape the rows are wanted, if one is named. Raises BadRequest."""
    asked = request.META.get(SCHEMA_VERSION)
    if asked is None:
        return None
    if not (asked.isascii() and asked.isdigit() and len(asked) < 20):
        raise BadRequest(detail=f"Schema-Version is the number of a version of the table, a whole number, not {asked!r}.")
    return int(asked)


def _body(request: Request) -> Any:
    plain = _plain(request)
    if bodies.body_format(plain) != "json":
        raise BadRequest(detail="One row is sent as application/json.")
    return rows.read_json(bodies.whole(plain))


def flag(request: HttpRequest, name: str) -> bool:
    """A parameter that is true or false, false where it is left out. Raises BadRequest."""
    given = request.GET.get(name, "false").lower()
    if given not in ("true", "false"):
        raise BadRequest(detail=f"{name} is true or false, not {given!r}.")
    return given == "true"
