"""The query door: somebody's own SELECT, answered whole in the format that they want, or its first rows for the eye."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from projects import formats, slots
from projects.errors import BadRequest, TooManyStreams
from projects.exports import attachment
from projects.formats import Format
from projects.store import query
from projects.store.connection import get_store
from projects.store.query import First, Limits
from projects.streams import Pieces, leaving, packed
from schema_registry import rights

IN_MEMORY = 4 << 20  # bytes of an answer; a larger one waits in a file without a name
SHOWN_ROWS, SHOWN_BYTES = 500, 2 << 20  # of a result on a page


def answered(request: Request, statement: str, parameters: Sequence[Any]) -> HttpResponseBase:
    """The rows of one SELECT over the tables that the request reaches, in the format that it wants; never cut short.

    Raises BadRequest, NotAcceptable, and as `query.write`.
    """
    plain = request._request
    if unknown := sorted(set(plain.GET) - {"format"}):
        raise BadRequest(detail=f"There is no parameter {', '.join(unknown)} here; there is format.")
    form, reached = formats.wanted(plain), _tables(request.auth)
    answer = _whole(plain, statement, parameters, form, reached)
    if form.name != "json":
        answer["Content-Disposition"] = attachment("query", form)
    return answer


def as_file(request: HttpRequest, statement: str, parameters: Sequence[Any], form: Format) -> HttpResponseBase:
    """All rows of one SELECT as a file for who is signed in. Raises as `query.write`."""
    answer = _whole(request, statement, parameters, form, _tables())
    answer["Content-Disposition"] = attachment("query", form)
    return answer


def first_rows(request: HttpRequest, statement: str, parameters: Sequence[Any]) -> First:
    """The first rows of one SELECT for who is signed in. Raises as `query.first`."""
    store, limits = get_store(), replace(_limits(), rows=SHOWN_ROWS, bytes=SHOWN_BYTES)
    store.stats.queries += 1
    with slots.heavy(), store.read() as cursor:
        return query.first(cursor, statement, parameters, tables=_tables(), limits=limits, is_gone=leaving(request))


def as_written(names: Sequence[str]) -> list[tuple[str, str]]:
    """Each name, and how a query has it: in quotes where it needs them."""
    with get_store().read() as cursor:
        return query.as_written(cursor, names)


def _tables(token: Any = None) -> set[str]:
    return {table.name for table in get_store().tables() if rights.reaches(token, table.name)}


def _limits() -> Limits:
    return Limits(settings.QUERY_TIMEOUT, settings.QUERY_MAX_ROWS, settings.QUERY_MAX_BYTES)


def _whole(request: HttpRequest, statement: str, parameters: Sequence[Any], form: Format, tables: Collection[str]) -> HttpResponseBase:
    file, size = _written(request, statement, parameters, form, tables)
    if size > IN_MEMORY:
        return StreamingHttpResponse(_sending(file), content_type=form.kind, headers={"Content-Length": str(size)})
    with file:
        whole = HttpResponse(file.read(), content_type=form.kind)
    return whole if form.is_packed else packed(request, whole)


def _sending(file: IO[bytes]) -> Iterator[bytes]:
    """The file in pieces, for a client that may take them slowly. Raises TooManyStreams."""
    try:
        return slots.Streaming(Pieces(file))
    except TooManyStreams:
        file.close()
        raise


def _written(
    request: HttpRequest, statement: str, parameters: Sequence[Any], form: Format, tables: Collection[str]
) -> tuple[IO[bytes], int]:
    """The answer as a file, and its size in bytes."""
    store, limits, is_gone = get_store(), _limits(), leaving(request)
    store.stats.queries += 1
    with slots.heavy(), ExitStack() as unless_whole, store.read() as cursor:
        file = unless_whole.enter_context(SpooledTemporaryFile(IN_MEMORY, dir=str(store.spool)))
        size = query.write(file, cursor, statement, parameters, tables=tables, limits=limits, form=form.name, is_gone=is_gone)
        unless_whole.pop_all()
    file.seek(0)
    return file, size
