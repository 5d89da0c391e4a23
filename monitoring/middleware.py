"""Gives each request an id, and writes one line about it when it is answered."""

import re
import time
import uuid
from collections.abc import Callable
from typing import Any

import structlog
from django.http import HttpRequest
from django.http.response import HttpResponseBase

HEADER = "X-Request-ID"
_SOUND_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

log = structlog.get_logger("duckspawn.access")


def request_id(request: HttpRequest) -> str:
    """The id that the caller sent, where it is a sound one, else a fresh one."""
    given = request.headers.get(HEADER, "")
    return given if _SOUND_ID.fullmatch(given) else uuid.uuid4().hex


def _known_user(request: HttpRequest) -> str | None:
    """The user's name where answering the request has found it out; this asks no database."""
    attributes: dict[str, Any] = request.__dict__
    user = attributes.get("_cached_user") or attributes.get("user")
    return user.get_username() if user is not None and "_wrapped" not in user.__dict__ and user.is_authenticated else None


class RequestLine:
    """The outermost middleware: a request's id is in its answer, in its error and in every line that it logs."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        request.request_id = request_id(request)  # type: ignore[attr-defined]
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request.request_id)  # type: ignore[attr-defined]
        response = self.get_response(request)
        response.headers[HEADER] = request.request_id  # type: ignore[attr-defined]
        log.info(
            "request",
            method=request.method,
            path=request.path,
            status=response.status_code,
            ms=round((time.perf_counter() - started) * 1000, 1),
            user=_known_user(request),
        )
        return response
