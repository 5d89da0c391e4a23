"""Callers: threads that repeat one step each for some seconds, and the step that is an HTTP request.

The HTTP callers run in a process of their own and do next to nothing for a request (bytes made beforehand, a socket that
stays open, a status line and a length read), so that what is measured is the server.
"""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

Step = Callable[[], object]
PIECE = 1 << 18  # bytes
PATIENCE = 300  # seconds for an answer


class Refused(RuntimeError):
    """The server answered something else than was asked for: its status and what it said."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(status, body)
        self.status = status


@dataclass(frozen=True)
class Outcome:
    """What the callers did: rows in so many seconds, how long each call took in seconds, and the callers' own share of a core.

    `peak` is the most memory that the server had resident meanwhile, in MiB.
    """

    rows: int
    seconds: float
    latencies: list[float] = field(default_factory=list)
    caller_cpu: float = 0.0
    peak: float = 0.0

    @property
    def rate(self) -> float:
        return self.rows / self.seconds

    def milliseconds(self, percentile: float) -> float:
        """The latency that `percentile` in 100 calls stay below."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * percentile / 100), len(ordered) - 1)] * 1000


def repeat(steps: Sequence[Step], seconds: float) -> Outcome:
    """Each step again and again, in a thread of its own, for so many seconds after a first call that does not count."""
    barrier, latencies, errors = threading.Barrier(len(steps) + 1), [], []

    def call(step: Step) -> None:
        own = []
        try:
            step()
            barrier.wait()
            before = started = time.perf_counter()
            while not own or before - started < seconds:
                step()
                after = time.perf_counter()
                own.append(after - before)
                before = after
        except Exception as error:  # noqa: BLE001 - It is raised again where the threads are joined.
            errors.append(error)
            barrier.abort()
        latencies.extend(own)

    threads = [threading.Thread(target=call, args=(step,)) for step in steps]
    for thread in threads:
        thread.start()
    with suppress(threading.BrokenBarrierError):
        barrier.wait()
    started, cpu = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    took = time.perf_counter() - started
    return Outcome(len(latencies), took, latencies, (time.process_time() - cpu) / took)


def request(method: str, path: str, token: str, body: bytes = b"", **headers: str) -> bytes:
    """The bytes of a request."""
    return head(method, path, token, len(body), **({"content_type": "application/json"} if body else {}) | headers) + body


def head(method: str, path: str, token: str, length: int = 0, **headers: str) -> bytes:
    """The bytes of a request before its body."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {token}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {length}"] if length else []
    return "\r\n".join([*lines, "", ""]).encode()


def call_server(port: int, requests: Sequence[bytes], clients: int, seconds: float) -> Outcome:
    """So many clients, each with a connection that stays open, send the requests in turn. Raises Refused."""
    connections = [connect(port) for _ in range(clients)]
    try:
        steps = [_exchange(connection, requests[n::clients] or requests) for n, connection in enumerate(connections)]
        return repeat(steps, seconds)
    finally:
        for connection in connections:
            connection.close()


def upload(port: int, start: bytes, file: Path) -> tuple[Outcome, bytes]:
    """One request whose body is the file, handed to the socket by the kernel; gives the answer's body too. Raises Refused."""
    with connect(port) as connection, file.open("rb") as body:
        started, cpu = time.perf_counter(), time.process_time()
        connection.sendall(start)
        try:
            connection.sendfile(body)
        except OSError:
            pass  # A server that refuses a body answers before it has read it.
        answer = receive(connection)
        took = time.perf_counter() - started
        return Outcome(1, took, [took], (time.process_time() - cpu) / took), answer


def download(port: int, start: bytes) -> tuple[Outcome, int]:
    """One request, asked to end the connection, whose answer is thrown away; gives its bytes too. Raises Refused."""
    buffer, size = bytearray(PIECE), 0
    with connect(port) as connection:
        started, cpu = time.perf_counter(), time.process_time()
        connection.sendall(start)
        first = connection.recv(PIECE)
        if _status(first) != 200:
            raise Refused(_status(first), _to_the_end(connection, first))
        end = first[-5:]
        size = len(first)
        while count := connection.recv_into(buffer):
            size += count
            end = (end + buffer[max(0, count - 5) : count])[-5:]
        took = time.perf_counter() - started
    if b"transfer-encoding: chunked" in first.partition(b"\r\n\r\n")[0].lower() and end != b"0\r\n\r\n":
        raise Refused(200, f"the answer broke off after {size} bytes")
    return Outcome(1, took, [took], (time.process_time() - cpu) / took), size


def connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def receive(connection: socket.socket) -> bytes:
    """The body of an answer that says its length. Raises Refused for one that is no success."""
    answer = connection.recv(PIECE)
    while (end := answer.find(b"\r\n\r\n")) < 0:
        answer += _more(connection)
    headers = answer[:end].lower()
    length = int(headers.partition(b"content-length:")[2].partition(b"\r\n")[0])
    while len(answer) < end + 4 + length:
        answer += _more(connection)
    if headers[9:11] != b"20":
        raise Refused(_status(answer), answer[end + 4 :].decode(errors="replace"))
    return answer[end + 4 :]


def _exchange(connection: socket.socket, requests: Sequence[bytes]) -> Step:
    waiting = cycle(requests)

    def step() -> None:
        connection.sendall(next(waiting))
        receive(connection)

    return step


def _status(answer: bytes) -> int:
    return int(answer[9:12] or 0)


def _to_the_end(connection: socket.socket, answer: bytes) -> str:
    while piece := connection.recv(PIECE):
        answer += piece
    return answer.decode(errors="replace")


def _more(connection: socket.socket) -> bytes:
    piece = connection.recv(PIECE)
    if not piece:
        raise RuntimeError("the server closed the connection")
    return piece
