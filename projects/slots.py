"""Threads for what takes long: streams, exports and uploads together have at most half of them, so that the others go on serving."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from django.conf import settings

from projects.errors import TooManyStreams

T = TypeVar("T")

_taken = 0
_counting = threading.Lock()


def most() -> int:
    """How many slots there are."""
    return max(1, settings.THREADS // 2)


def taken() -> int:
    """How many slots are taken."""
    return _taken


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
