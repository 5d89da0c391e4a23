"""Bodies: what a request sent and in which format, read in pieces."""

from collections.abc import Iterator

from django.conf import settings
from django.http import HttpRequest
from rest_framework.exceptions import UnsupportedMediaType

from projects.errors import BodyTooLarge
from projects.store.spool import PIECE

JSON, CSV = "application/json", "text/csv"


def pieces(request: HttpRequest) -> Iterator[bytes]:
    """The body in pieces of at most a MiB; also one that is sent in chunks without a length, which Django does not see."""
    chunked = "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower()
    source = request.META["wsgi.input"] if chunked else request
    return iter(lambda: source.read(PIECE), b"")


def whole(request: HttpRequest) -> bytes:
    """The whole body. Raises BodyTooLarge beyond DATA_UPLOAD_MAX_MEMORY_SIZE bytes."""
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    parts, size = [], 0
    for piece in pieces(request):
        parts.append(piece)
        size += len(piece)
        if size > limit:
            raise BodyTooLarge(limit=limit)
    return b"".join(parts)


def body_format(request: HttpRequest) -> str:
    """`json` or `csv`, by the Content-Type. Raises UnsupportedMediaType that names what can be sent."""
    sent = (request.content_type or JSON).lower()
    for name, kind in (("json", JSON), ("csv", CSV)):
        if sent == kind:
            return name
    raise UnsupportedMediaType(sent, detail=f"Send {JSON} or {CSV}, not {sent}.")
