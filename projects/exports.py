"""Whole results as files: streamed as they are read."""

from django.http import HttpRequest, StreamingHttpResponse
from django.utils.http import content_disposition_header

from projects import streams
from projects.aliases import Names
from projects.filters import Listing
from projects.formats import Format
from projects.store import export
from projects.store.connection import Store


def sheet_of(names: Names, listing: Listing, version: int | None) -> export.Sheet:
    """What a list's file has, in the shape of the version where one is asked for."""
    return export.sheet(names.schema, listing, source=names.source, version=version or names.live.version)


def streamed(store: Store, names: Names, listing: Listing, form: Format, request: HttpRequest) -> StreamingHttpResponse:
    """The rows of a list as a file, sent while they are read. Raises BadRequest, SchemaMoved, OutOfMemory, TooManyStreams."""
    version = int(request.headers.get("Schema-Version", 0))
    chunks = export.rows(store, names.live.name, sheet_of(names, listing, version), form.name, streams.leaving(request))
    answer = streams.streamed(request, chunks, form.kind, packs=not form.is_packed)
    answer["Content-Disposition"] = attachment(names.live.name, form)
    return answer


def attachment(table: str, form: Format) -> str:
    """The header that has a browser keep the answer as a file of the table's name."""
    return content_disposition_header(True, f"{table}.{form.suffix}") or "attachment"
