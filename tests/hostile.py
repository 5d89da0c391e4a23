"""A hostile ontology server: a raw socket that answers each request with whatever bytes a function sends."""

import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Send = Callable[[socket.socket, str], None]
MIB = 2**20


def answer(body: bytes, *, status: str = "200 OK", **headers: str) -> bytes:
    """The bytes of a whole answer."""
    given = {"Content-Length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    return f"HTTP/1.1 {status}\r\n".encode() + "".join(f"{n}: {v}\r\n" for n, v in given.items()).encode("latin-1") + b"\r\n" + body


@contextmanager
def hostile(send: Send, *, tls: ssl.SSLContext | None = None, waits: bool = True) -> Iterator[str]:
    """A server whose every answer is what `send` puts on the connection for a path, or at once where it never `waits` for one; gives its
    address.
    """
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    open_ones: set[socket.socket] = set()

    def serve(connection: socket.socket) -> None:
        open_ones.add(connection)
        try:
            with connection:
                connection.settimeout(30)
                if tls:
                    connection = tls.wrap_socket(connection, server_side=True)
                while path := _path(connection) if waits else "nothing":
                    send(connection, path)
        except (OSError, ValueError):
            pass  # The client left, as it should.
        finally:
            open_ones.discard(connection)

    def listen() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=listen, daemon=True).start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for one in list(open_ones):
            one.close()


def _path(connection: socket.socket) -> str:
    """The path of the next request, or an empty text where there is none."""
    head = b""
    while b"\r\n\r\n" not in head:
        more = connection.recv(65_536)
        if not more:
            return ""
        head += more
    return head.split(b" ", 2)[1].decode()


def again(piece: bytes, *, first: bytes = b"HTTP/1.1 200 OK\r\n", pause: float = 0.0, times: int = 10**9) -> Send:
    """The first bytes, then the same piece for as long as the client takes it."""

    def send(connection: socket.socket, path: str) -> None:
        connection.sendall(first)
        for _ in range(times):
            connection.sendall(piece)
            if pause:
                time.sleep(pause)

    return send


def reset(connection: socket.socket, path: str) -> None:
    """The connection ends in the middle of the answer, and not politely."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def always(whole: bytes) -> Send:
    return lambda connection, path: connection.sendall(whole)


def documents(body: bytes, *, ids: object = ("a",)) -> Send:
    """A list of ids, and the same body for each of their documents."""
    listed = answer(json.dumps(ids).encode())
    return lambda connection, path: connection.sendall(listed if path == "/schemas" else answer(body))


def wide(columns: int, **more: object) -> bytes:
    """A document with so many columns."""
    return json.dumps({"name": "wide", "columns": [{"name": f"c{n}", "type": "INTEGER"} for n in range(columns)], **more}).encode()
