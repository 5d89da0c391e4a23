"""Values that are dear to find: found in a thread of their own, kept for a while, so that who asks again and again costs little.

Nobody waits for one that hangs: it has at most one thread, however many ask.
"""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from django.db import connections

T = TypeVar("T")

FIRST = 0.5  # seconds that somebody waits for a value that nobody has found yet, while another has it looked for


class Kept(Generic[T]):
    """What `find` gives, at most `kept` seconds old where it answers in time; where it raises, the last value stands."""

    def __init__(self, name: str, find: Callable[[], T], *, kept: float) -> None:
        self._name, self._find, self._kept = name, find, kept
        self._lock = threading.Lock()
        self._found = threading.Event()
        self._running_since: float | None = None
        self._found_at = float("-inf")
        self.value: T | None = None  # the last one; None where there is none yet

    def begin(self) -> bool:
        """Has the value looked for where it is old and nobody does so; True where that was begun now."""
        with self._lock:
            now = time.monotonic()
            if self._running_since is not None or now - self._found_at <= self._kept:
                return False
            self._running_since = now
            self._found.clear()
            try:
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
            except RuntimeError:  # The machine has no thread left; the next who asks tries again.
                self._running_since = None
                raise
        return True

    def wait(self, seconds: float) -> None:
        """Waits for the look that is under way, if one is."""
        if self._running_since is not None:
            self._found.wait(max(seconds, 0))

    def ask(self, patience: float) -> T | None:
        """The value. Who has it looked for waits so many seconds, who comes meanwhile takes the last one."""
        began = self.begin()
        self.wait(patience if began else FIRST if self.value is None else 0)
        return self.value

    @property
    def silent_for(self) -> float:
        """How long (seconds) the look under way has given nothing; 0 where none is."""
        since = self._running_since
        return 0.0 if since is None else time.monotonic() - since

    def _run(self) -> None:
        try:
            self.value = self._find()
            self._found_at = time.monotonic()
        finally:
            connections.close_all()  # This thread's own, made for this look.
            self._running_since = None
            self._found.set()
