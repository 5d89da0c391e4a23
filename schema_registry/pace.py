"""How fast an ontology is read: a large or hostile one must not hold requests up, for one thread at a time has Python.

What reads calls `breathe` often. A reading of many tables takes FREE seconds of the processor as they come; from then on each of its
moments is followed by a rest REST times as long.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

FREE = 0.1  # seconds of the processor for one reading: about a hundred tables
REST = 5
MOMENT = 1e-6  # seconds


@dataclass(slots=True)
class _Reading:
    mark: float  # the thread's seconds of the processor, when it last went on
    used: float = 0.0


_here = threading.local()


@contextmanager
def reading() -> Iterator[None]:
    """What this thread does in the block is one reading."""
    _here.reading = _Reading(time.thread_time())
    try:
        yield
    finally:
        _here.reading = None


def breathe() -> None:
    """Lets requests have Python for a moment, and longer once this reading has had its share.

    A thread that only computes keeps Python for five milliseconds whenever others want it.
    """
    mine: _Reading | None = getattr(_here, "reading", None)
    if mine is None:
        time.sleep(MOMENT)
        return
    took = time.thread_time() - mine.mark
    mine.used += took
    time.sleep(REST * took if mine.used > FREE else MOMENT)
    mine.mark = time.thread_time()
