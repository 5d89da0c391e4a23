"""Gunicorn's worker of threads, which get whole requests; what is no request gets our error."""

from http import HTTPStatus
from typing import Any
from uuid import uuid4

import orjson
from gunicorn.http import errors
from gunicorn.util import write_nonblock

from duckspawn_site.gathering import Gathering

# What gunicorn answers each with (gunicorn/workers/base.py); everything else that it cannot read is 400.
REFUSALS: dict[type[Exception], int] = {
    errors.ForbiddenProxyRequest: 403,
    errors.LimitRequestLine: 414,
    errors.ExpectationFailed: 417,
    errors.LimitRequestHeaders: 431,
    errors.UnsupportedTransferCoding: 501,
}
OURS = (errors.ConfigurationProblem, errors.InvalidResponseHeader, errors.InvalidResponseHeaderName)  # not the client's fault


class Worker(Gathering):
    """What gunicorn.conf.py names."""

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answers what is no request as every other error is; the log has a line, without what it said, which may be a secret."""
        if not isinstance(exc, errors.ParseException) or isinstance(exc, OURS):
            super().handle_error(req, client, addr, exc)
            return
        from monitoring.middleware import refused  # noqa: PLC0415 - Django is set up by now, and not before.

        status, request_id = HTTPStatus(REFUSALS.get(type(exc), 400)), uuid4().hex
        refused(status, address=addr[0] if addr else "", reason=type(exc).__name__, request_id=request_id)
        try:
            write_nonblock(client, _problem(status, request_id))
        except OSError:
            self.log.debug("who sent what is no request has left")


def _problem(status: HTTPStatus, request_id: str) -> bytes:
    """A whole HTTP answer, after which the connection is closed."""
    detail = "This is no HTTP request that the server can read; nothing of it was done."
    said = {"type": "/errors/not-a-request", "title": status.phrase, "status": status, "detail": detail, "code": "not-a-request"}
    body = orjson.dumps(said | {"instance": "", "request_id": request_id, "errors": []})
    head = (
        f"HTTP/1.1 {status:d} {status.phrase}\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\nX-Request-ID: {request_id}\r\n\r\n"
    )
    return head.encode() + body
