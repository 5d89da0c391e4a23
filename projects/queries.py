"""The query door: somebody's own SELECT, answered whole in the format that they want."""

from collections.abc import Sequence
from contextlib import ExitStack
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from projects import formats
from projects.errors import BadRequest
from projects.exports import attachment
from projects.formats import Format
from projects.store import query
from projects.store.connection import get_store
from projects.streams import Pieces, leaving, packed
from schema_registry import rights

IN_MEMORY = 4 << 20  # bytes of an answer; a larger one waits in a file without a name


def answered(request: Request, statement: str, parameters: Sequence[Any]) -> HttpResponseBase:
    """The rows of one SELECT over the tables that the request reaches, in the format that it wants; never cut short.

    Raises BadRequest, NotAcceptable, and as `query.write`.
    """
    plain = request._request
    if unknown := sorted(set(plain.GET) - {"format"}):
        raise BadRequest(detail=f"There is no parameter {', '.join(unknown)} here; there is format.")
    form = formats.wanted(plain)
    file, size = _written(request, statement, parameters, form)
    answer: HttpResponseBase
    if size <= IN_MEMORY:
        with file:
            whole = HttpResponse(file.read(), content_type=form.kind)
        answer = whole if form.is_packed else packed(plain, whole)
    else:
        answer = StreamingHttpResponse(Pieces(file), content_type=form.kind, headers={"Content-Length": str(size)})
    if form.name != "json":
        answer["Content-Disposition"] = attachment("query", form)
    return answer


def _written(request: Request, statement: str, parameters: Sequence[Any], form: Format) -> tuple[IO[bytes], int]:
    """The answer as a file, and its size in bytes."""
    store = get_store()
    tables = {t.name for t in store.tables() if rights.reaches(request.auth, t.name)}
    limits = query.Limits(settings.QUERY_TIMEOUT, settings.QUERY_MAX_ROWS, settings.QUERY_MAX_BYTES)
    store.stats.queries += 1
    with ExitStack() as unless_whole, store.read() as cursor:
        file = unless_whole.enter_context(SpooledTemporaryFile(IN_MEMORY, dir=str(store.spool)))
        is_gone = leaving(request._request)
        size = query.write(file, cursor, statement, parameters, tables=tables, limits=limits, form=form.name, is_gone=is_gone)
        unless_whole.pop_all()
    file.seek(0)
    return file, size
