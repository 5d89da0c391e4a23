"""Steady small requests from a process of their own: so many a second, however long the server takes for those before.

A request's time counts from when it was due, not from when it was sent: what waits behind a stall has waited too.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from multiprocessing import get_context
from multiprocessing.connection import Connection

from benchmarks.callers import Refused, connect, receive

RATE = 20  # requests a second
CLIENTS = 64  # that a stall of three seconds keeps waiting
Request = tuple[str, bytes]  # its kind and its bytes


@dataclass
class Seen:
    """The requests of a while: the kind of each and how many seconds it took, and why some were refused."""

    times: list[tuple[float, str]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def milliseconds(self, percentile: float, *, without: str = "") -> float:
        """The percentile of all times, or of all but one kind's."""
        ordered = sorted(seconds for seconds, kind in self.times if kind != without)
        return ordered[min(int(len(ordered) * percentile / 100), len(ordered) - 1)] * 1000

    def longest(self) -> str:
        seconds, kind = max(self.times)
        return f"{seconds * 1000:,.0f} ({kind})"


@contextmanager
def steady(port: int, requests: Sequence[Request]) -> Iterator[Seen]:
    """Sends the requests in turn, again and again, while the block runs; what is given is filled at its end."""
    seen, here, there = Seen(), *get_context("spawn").Pipe()
    sender = get_context("spawn").Process(target=_send, args=(port, requests, there))
    sender.start()
    there.close()
    try:
        here.recv()  # It sends.
        yield seen
        here.send("enough")
        seen.times, seen.refused = here.recv()
    finally:
        here.close()
        sender.join()


def _send(port: int, requests: Sequence[Request], told: Connection) -> None:
    seen, numbers, over = Seen(), count(), threading.Event()
    began = time.perf_counter()

    def send() -> None:
        with connect(port) as connection:
            while True:
                number = next(numbers)
                due = began + number / RATE
                if over.wait(max(0.0, due - time.perf_counter())):
                    return
                kind, request = requests[number % len(requests)]
                connection.sendall(request)
                try:
                    receive(connection)
                except Refused as refused:
                    seen.refused.append(f"{kind}: {refused}")
                seen.times.append((time.perf_counter() - due, kind))

    threads = [threading.Thread(target=send) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    told.send("begun")
    try:
        told.recv()
    except EOFError:  # The one who asked is gone.
        pass
    over.set()
    for thread in threads:
        thread.join()
    told.send((seen.times, seen.refused))
