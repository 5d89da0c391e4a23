"""Bodies: what a request sent and in which format, read in pieces."""

import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from gunicorn.http.errors import ParseException
from rest_framework.exceptions import UnsupportedMediaType

from projects.errors import BadRequest, BodyTooLarge, BodyUnfinished
from projects.store.spool import PIECE

JSON, CSV, NDJSON = "application/json", "text/csv", "application/x-ndjson"
PARQUET, ARROW = "application/vnd.apache.parquet", "application/vnd.apache.arrow.stream"
KINDS = {"json": JSON, "ndjson": NDJSON, "csv": CSV, "parquet": PARQUET, "arrow": ARROW}


def pieces(request: HttpRequest) -> Iterator[bytes]:
    """The body in pieces of at most a MiB, unzipped; also one that is sent in chunks without a length, which Django does not see.

    Raises BodyUnfinished, BadRequest for bad gzip, UnsupportedMediaType for another encoding.
    """
    chunked = "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower()
    sent = _whole_of(request.META["wsgi.input"], 0) if chunked else _whole_of(request, int(request.META.get("CONTENT_LENGTH") or 0))
    match request.headers.get("Content-Encoding", "identity").strip().lower():
        case "identity" | "":
            return sent
        case "gzip" | "x-gzip":
            return unzipped(sent)
        case other:
            raise UnsupportedMediaType(other, detail=f"A body's Content-Encoding is gzip or none, not {other}.")


def _whole_of(source: Any, length: int) -> Iterator[bytes]:
    """A body in pieces, of at least `length` bytes: a client that leaves midway sent no whole file, though each of its lines may be one."""
    size = 0
    try:
        while piece := source.read(PIECE):
            size += len(piece)
            yield piece
    except (OSError, ParseException) as error:
        raise BodyUnfinished() from error
    if size < length:
        raise BodyUnfinished()


def unzipped(sent: Iterable[bytes]) -> Iterator[bytes]:
    """What gzip made small, in pieces of at most a MiB, of one member or many. Raises BadRequest where it is bad or cut off."""
    member, is_open = zlib.decompressobj(wbits=31), False
    try:
        for piece in sent:
            rest = piece
            while rest:
                if member.eof:
                    member = zlib.decompressobj(wbits=31)
                if found := member.decompress(rest, PIECE):
                    yield found
                is_open, rest = not member.eof, member.unused_data if member.eof else member.unconsumed_tail
    except zlib.error as error:
        raise BadRequest(detail="The body is not gzip, or it is damaged.") from error
    if is_open or not member.eof:
        raise BadRequest(detail="The body is gzip that is cut off.")


def whole(request: HttpRequest) -> bytes:
    """The whole body. Raises BodyTooLarge beyond DATA_UPLOAD_MAX_MEMORY_SIZE bytes, and as `pieces`."""
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    parts, size = [], 0
    for piece in pieces(request):
        parts.append(piece)
        size += len(piece)
        if size > limit:
            raise BodyTooLarge(limit=limit)
    return b"".join(parts)


def body_format(request: HttpRequest) -> str:
    """`json`, or the format of a file, by the Content-Type. Raises UnsupportedMediaType that names what can be sent."""
    sent = (request.content_type or JSON).lower()
    for name, kind in KINDS.items():
        if sent == kind:
            return name
    raise UnsupportedMediaType(sent, detail=f"Send {', '.join(KINDS.values())}, not {sent}.")
