"""The threads that serve, shared out, so that what takes long never has all of them: somebody can always read a row, or write one.

Streams, downloads and uploads have at most half of the threads. Heavy requests (queries, groups and sorted pages of large tables, plans)
run on at most a quarter: more of them wait, as long as it goes on, and are refused where it does not. Writes wait for the writer as long
as an eighth of the threads is left; while none does, as in a long plan, the rest are refused.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from django.conf import settings

from projects.errors import TooManyHeavy, TooManyStreams

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE = 10.0  # seconds that a heavy request waits
STUCK = 0.5  # seconds without an end among the heavy, or of waiting for the writer, after which it is taken for stuck


class _Heavy:
    """How many run and wait, and when one last began or ended."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.running = self.waiting = 0
        self.moved = 0.0

    def enter(self) -> None:
        with self.changed:
            self.waiting += 1
            try:
                self._wait()
            finally:
                self.waiting -= 1
            self.running, self.moved = self.running + 1, time.monotonic()

    def _wait(self) -> None:
        """Raises TooManyHeavy after PATIENCE, or at once where nothing moves and an eighth of the threads wait already."""
        until = time.monotonic() + PATIENCE
        while self.running >= max(1, settings.THREADS // 4):
            now = time.monotonic()
            if now >= until or (now - self.moved >= STUCK and self.waiting > settings.THREADS // 8):
                raise TooManyHeavy()
            self.changed.wait(min(until - now, STUCK))

    def leave(self) -> None:
        with self.changed:
            self.running, self.moved = self.running - 1, time.monotonic()
            self.changed.notify()


_heavy = _Heavy()
_taken = 0  # by streams
_patient = 0  # threads that have waited for others' work longer than STUCK
_counting = threading.Lock()


def most() -> int:
    """How many slots there are."""
    return max(1, settings.THREADS // 2)


def taken() -> int:
    """How many slots are taken."""
    return _taken


# Streams.


def take() -> None:
    """Takes a slot, which `give_back` frees. Raises TooManyStreams."""
    global _taken  # noqa: PLW0603 - one process, one count
    with _counting:
        if _taken >= most():
            raise TooManyStreams()
        _taken += 1


def give_back() -> None:
    global _taken  # noqa: PLW0603
    with _counting:
        _taken -= 1


@contextmanager
def slot() -> Iterator[None]:
    """A slot for as long as the block runs. Raises TooManyStreams."""
    take()
    try:
        yield
    finally:
        give_back()


class Streaming(Iterator[T]):
    """The chunks of an answer, with a slot from now on until the answer is closed. Raises TooManyStreams.

    Django closes a streamed answer when it was sent and when its client left, also one of which nothing was sent.
    """

    def __init__(self, chunks: Iterator[T]) -> None:
        take()
        self._chunks, self._open = chunks, True

    def __next__(self) -> T:
        return next(self._chunks)

    def close(self) -> None:
        if self._open:
            self._open = False
            give_back()
            if close := getattr(self._chunks, "close", None):
                close()


# Heavy requests.


@contextmanager
def heavy() -> Iterator[None]:
    """A heavy request's turn, for as long as the block runs. Raises TooManyHeavy."""
    _heavy.enter()
    try:
        yield
    finally:
        _heavy.leave()


def heavily(serve: Callable[P, T]) -> Callable[P, T]:
    """Serves each call as a heavy request. Raises TooManyHeavy."""

    @wraps(serve)
    def served(*args: P.args, **kwargs: P.kwargs) -> T:
        with heavy():
            return serve(*args, **kwargs)

    return served


# Waiting for another request's work: writes for the writer, repeated requests for the first.


def is_crowded(more: int = 1) -> bool:
    """Whether, with so many `more` that wait, too many threads would be held by what takes long; never where none waits long."""
    held = _taken + _heavy.running + _heavy.waiting + _patient
    return _patient > 0 and held + more > settings.THREADS - max(1, settings.THREADS // 8)


def patiently(is_over: Callable[[float], bool], seconds: float) -> bool:
    """Goes on waiting for what has taken STUCK already; whether it was over in so many seconds, and before too many threads waited.

    `is_over` waits for so many seconds at most.
    """
    global _patient  # noqa: PLW0603
    with _counting:
        _patient += 1
    try:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not is_crowded(0):
            if is_over(min(left, STUCK)):
                return True
        return False
    finally:
        with _counting:
            _patient -= 1
