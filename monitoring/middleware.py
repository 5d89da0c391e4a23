"""Gives each request an id and a trace, counts it, and writes one line about it when it is answered."""

import re
import secrets
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import structlog
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase, StreamingHttpResponse

from monitoring import traffic
from monitoring.addresses import client_address
from monitoring.probes import PROBES

HEADER = "X-Request-ID"
TRACE_HEADER = "traceresponse"  # W3C Trace Context, level 2
_SOUND_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# W3C Trace Context 2.2: version, trace, parent, flags; a later version may add to it. Zeros alone are no trace and no parent.
_TRACE = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?")

Answerer = Callable[[HttpRequest], HttpResponseBase]
log = structlog.get_logger("duckspawn.access")


def trace_of(given: str) -> tuple[str, str] | None:
    """The trace's id and its flags, of a `traceparent` that is a sound one."""
    found = _TRACE.fullmatch(given)
    if found is None or (found[1] == "00" and found[4]):
        return None
    return found[2], found[3]


def route_of(request: HttpRequest) -> str:
    """The pattern of addresses that the request's is one of: there are few of them, whatever people ask for."""
    if request.resolver_match is not None:
        return f"/{request.resolver_match.route}"
    path = request.path_info
    return path if path in PROBES else settings.STATIC_URL if path.startswith(settings.STATIC_URL) else "none"


class RequestLine:
    """The outermost middleware: a request's id and trace are in its answer, in its error and in every line that it logs.

    A caller's own `X-Request-ID` and `traceparent` are taken where they are sound; in place of each that is not stands a fresh id.
    """

    def __init__(self, get_response: Answerer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started, meta, fresh = time.perf_counter(), request.META, uuid.uuid4().hex
        given = meta.get("HTTP_X_REQUEST_ID", "")
        request_id = given if _SOUND_ID.fullmatch(given) else fresh
        trace_id, flags = trace_of(meta.get("HTTP_TRACEPARENT", "")) or (fresh, "00")
        request.request_id = request_id  # type: ignore[attr-defined]
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id, trace_id=trace_id)
        traffic.begin()
        response = self.get_response(request)
        response.headers[HEADER] = request_id
        response.headers[TRACE_HEADER] = f"00-{trace_id}-{secrets.token_hex(8)}-{flags}"
        line = _Line(request, response, started, {"request_id": request_id, "trace_id": trace_id})
        traffic.count(request.method or "", line.route, response.status_code, time.perf_counter() - started)
        if isinstance(response, StreamingHttpResponse):
            line.follow(response)
        else:
            line.write(len(response.content))  # type: ignore[attr-defined]
        return response


def refused(status: int, *, address: str, reason: str, request_id: str) -> None:
    """Counts and logs what the server under us answered by itself, for it was no request; nothing of what it said is in the line."""
    traffic.refuse(status)
    log.info("request", status=status, address=address, refused=reason, request_id=request_id)


class _Line:
    """What is logged of one request: at once, or when the answer that is sent while it is made was sent or its client left."""

    __slots__ = ("ids", "request", "response", "route", "started")

    def __init__(self, request: HttpRequest, response: HttpResponseBase, started: float, ids: dict[str, str]) -> None:
        self.request, self.response, self.started, self.ids = request, response, started, ids
        self.route = route_of(request)

    def follow(self, response: StreamingHttpResponse) -> None:
        """Writes the line when the answer is closed, with what was sent of it until then."""
        closers: list[Callable[[], None]] = response._resource_closers  # type: ignore[attr-defined]
        if getattr(response, "file_to_stream", None) is not None:  # The server sends the file by itself.
            length = int(response.headers.get("Content-Length", 0))
            closers.append(lambda: self.write(length))
            return
        sent = _Sent(response.streaming_content)  # type: ignore[arg-type]
        response.streaming_content = sent
        closers.append(lambda: self.write(sent.bytes, whole=sent.is_whole))

    def write(self, size: int, **more: Any) -> None:
        traffic.end()
        request = self.request
        log.info(
            "request",
            method=request.method,
            path=request.path,
            route=self.route,
            status=self.response.status_code,
            ms=round((time.perf_counter() - self.started) * 1000, 1),
            bytes=0 if request.method == "HEAD" else size,
            address=client_address(request) or "",
            **_who(request),
            **self.ids,
            **more,
        )


class _Sent(Iterator[bytes]):
    """Chunks on their way out, counted; `is_whole` once the last one is."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self.bytes, self.is_whole = 0, False

    def __next__(self) -> bytes:
        try:
            chunk = next(self._chunks)
        except StopIteration:
            self.is_whole = True
            raise
        self.bytes += len(chunk)
        return chunk


def _who(request: HttpRequest) -> dict[str, Any]:
    """The user's name and the token's id where answering the request has found them out; this asks no database."""
    attributes: dict[str, Any] = request.__dict__
    user, token = attributes.get("_cached_user") or attributes.get("user"), attributes.get("auth")
    known = user is not None and "_wrapped" not in user.__dict__ and user.is_authenticated
    return {"user": user.get_username() if user and known else None, "token_id": str(token.pk) if token is not None else None}
