"""Documents and small real HTTP servers that several of the registry's tests use."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from schema_registry.ontology import OntologyClient
from schema_registry.schema import TableSchema
from schema_registry.sources.native import parse_document


def column(name: str = "x", kind: str = "VARCHAR", **more: object) -> dict:
    return {"name": name, "type": kind, **more}


def table(*columns: dict, name: str = "things", **more: object) -> dict:
    return {"name": name, "columns": [column("id", "INTEGER", required=True), *columns], **more}


def parsed(*columns: dict, **more: object) -> TableSchema:
    return parse_document(table(*columns, **more), more.get("document_id", "doc"))


def save(folder: Path, document_id: str, document: object) -> None:
    (folder / f"{document_id}.json").write_text(json.dumps(document))


def client_of(url: str, **more: object) -> OntologyClient:
    return OntologyClient(url, **{"timeout": 2.0, **more})


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A real server on this machine that answers every GET with the function; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 5

        def do_GET(self) -> None:
            try:
                answer(self)
            except OSError:
                self.close_connection = True

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def reply(handler: BaseHTTPRequestHandler, body: bytes = b"[]", status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content_Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def drip(handler: BaseHTTPRequestHandler, text: bytes) -> None:
    """Sends the text so slowly that no read waits long, and the whole for ever."""
    for place in range(len(text)):
        handler.wfile.write(text[place : place + 1])
        handler.wfile.flush()
        time.sleep(0.1)
