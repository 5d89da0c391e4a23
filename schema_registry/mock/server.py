"""A small real ontology server over a folder of documents, on this machine's own address only."""

import hashlib
import json
import sys
import threading
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from schema_registry.mock import folder

HANGING = 10  # seconds that a silent client is waited for


class MockOntology(ThreadingHTTPServer):
    """Serves `/schemas`, `/schemas/{id}` and `/health`; each file is read at each request, so that edits show at once.

    As a context manager it serves in a thread of its own. Port 0 takes a free one; `url` has it.
    """

    daemon_threads = True
    request_queue_size = 128
    block_on_close = False

    def __init__(self, documents: Path = folder.SAMPLE, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), partial(_Handler, documents=documents))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is none."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *args: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "DuckSpawnMock"
    sys_version = ""
    timeout = HANGING
    wbufsize = -1  # An answer leaves in one piece: head and body apart wait 40 ms for each other on a connection that stays open.

    def __init__(self, *args: Any, documents: Path) -> None:
        self.documents = documents
        super().__init__(*args)

    def do_GET(self) -> None:
        try:
            stems = folder.stems(self.documents)
        except OSError:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "The folder of documents cannot be read.")
            return
        match urlsplit(self.path).path.split("/")[1:]:
            case ["health"]:
                self._answer_json({"status": "healthy"})
            case ["schemas"]:
                self._answer_json(stems)
            case ["schemas", quoted]:
                self._answer_document(unquote(quoted))
            case _:
                self._refuse(HTTPStatus.NOT_FOUND, "There is nothing at this path.")

    do_HEAD = do_GET

    def _answer_document(self, stem: str) -> None:
        content = folder.content(self.documents, stem)
        if content is None:
            self._refuse(HTTPStatus.NOT_FOUND, "There is no such schema.")
        else:
            self._answer(HTTPStatus.OK, content)

    def _answer_json(self, value: object) -> None:
        self._answer(HTTPStatus.OK, json.dumps(value).encode())

    def _answer(self, status: HTTPStatus, body: bytes, content_type: str = "application/json") -> None:
        etag = f'"{hashlib.sha256(body).hexdigest()}"'
        if status == HTTPStatus.OK and self._has(etag):
            status, body = HTTPStatus.NOT_MODIFIED, b""
        self.send_response(status)
        if status in (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED):
            self.send_header("ETag", etag)
        if status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _has(self, etag: str) -> bool:
        """Whether the client names this ETag, by RFC 9110's weak comparison."""
        named = [tag.strip().removeprefix("W/") for tag in self.headers.get("If-None-Match", "").split(",")]
        return etag in named or "*" in named

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        problem = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
        self._answer(status, json.dumps(problem).encode(), "application/problem+json")

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """The library's own refusals (an unknown method, a bad request line) as problem objects too."""
        known = code != HTTPStatus.NOT_IMPLEMENTED
        self.close_connection = True
        self.command = getattr(self, "command", None) or "GET"
        self._refuse(HTTPStatus(code if known else HTTPStatus.METHOD_NOT_ALLOWED), "This is no GET or HEAD that the mock understands.")

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the service that asks writes its own log."""
