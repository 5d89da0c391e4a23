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

Step = Callable[[], object]
PIECE = 1 << 18  # bytes


@dataclass(frozen=True)
class Outcome:
    """What the callers did: rows in so many seconds, how long each call took in seconds, and the callers' own share of a core."""

    rows: int
    seconds: float
    latencies: list[float] = field(default_factory=list)
    caller_cpu: float = 0.0

    @property
    def rate(self) -> float:
        return self.rows / self.seconds

    def milliseconds(self, percentile: float) -> float:
        """The latency that `percentile` in 100 calls stay below."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * percentile / 100), len(ordered) - 1)] * 1000


def repeat(steps: Sequence[Step], seconds: float, *, rows: int = 1) -> Outcome:
    """Each step again and again, in a thread of its own, for so many seconds after a first call that does not count.

    No seconds are one call, which counts. Each call does so many `rows`.
    """
    barrier, latencies, errors = threading.Barrier(len(steps) + 1), [], []

    def call(step: Step) -> None:
        own = []
        try:
            if seconds:
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
    return Outcome(len(latencies) * rows, took, latencies, (time.process_time() - cpu) / took)


def request(method: str, path: str, token: str, body: bytes = b"", kind: str = "application/json") -> bytes:
    """The bytes of a request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
    if body:
        head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def call_server(port: int, requests: Sequence[bytes], clients: int, seconds: float, *, rows: int = 1) -> Outcome:
    """So many clients, each with a connection that stays open, send the requests in turn. Raises RuntimeError for a refusal."""
    connections = [socket.create_connection(("127.0.0.1", port), timeout=300) for _ in range(clients)]
    for connection in connections:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        steps = [_exchange(connection, requests[n::clients] or requests) for n, connection in enumerate(connections)]
        return repeat(steps, seconds, rows=rows)
    finally:
        for connection in connections:
            connection.close()


def _exchange(connection: socket.socket, requests: Sequence[bytes]) -> Step:
    waiting = cycle(requests)

    def step() -> None:
        connection.sendall(next(waiting))
        answer = connection.recv(PIECE)
        while (end := answer.find(b"\r\n\r\n")) < 0:
            answer += _more(connection)
        head = answer[:end].lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        while len(answer) < end + 4 + length:
            answer += _more(connection)
        if head[9:11] != b"20":
            raise RuntimeError(answer.decode(errors="replace"))

    return step


def _more(connection: socket.socket) -> bytes:
    piece = connection.recv(PIECE)
    if not piece:
        raise RuntimeError("the server closed the connection")
    return piece
