"""A watch over a statement: it is interrupted once its time is over, or the client that asked for it is gone."""

import threading
from collections.abc import Callable

import duckdb

from projects.errors import ClientLeft, QueryTimedOut

INTERRUPT_EVERY = 0.05  # seconds between interrupts once there is a reason; one that comes between two statements is lost
LOOK_EVERY = 0.25  # seconds between looks for the client


def stays() -> bool:
    """A client of whom nothing is known."""
    return False


class Watch:
    """Interrupts a cursor after so many `seconds`, or once the client `is_gone`, and never after its block has been left.

    Raises QueryTimedOut or ClientLeft in place of the interrupt.
    """

    def __init__(
        self, cursor: duckdb.DuckDBPyConnection, seconds: float = threading.TIMEOUT_MAX, is_gone: Callable[[], bool] = stays
    ) -> None:
        self._cursor, self._seconds, self._is_gone = cursor, seconds, is_gone
        self._lock = threading.Lock()
        self._left = threading.Event()
        self._reason: QueryTimedOut | ClientLeft | None = None
        self._thread = threading.Thread(target=self._watch, name="query-deadline", daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        with self._lock:  # once it is held, no interrupt is under way
            self._left.set()
        if isinstance(error, duckdb.InterruptException) and self._reason:
            raise self._reason from error

    def check(self) -> None:
        """Raises where there is a reason to end: an interrupt counts only while a statement runs."""
        if self._reason:
            raise self._reason

    def _watch(self) -> None:
        remaining = self._seconds
        while not self._left.wait(pause := min(remaining, LOOK_EVERY) if not self._reason else INTERRUPT_EVERY):
            remaining -= pause
            with self._lock:
                if self._left.is_set():
                    return
                if not self._reason:
                    self._reason = self._found_reason(remaining)
                if self._reason:
                    self._cursor.interrupt()

    def _found_reason(self, remaining: float) -> QueryTimedOut | ClientLeft | None:
        if remaining <= 0:
            return QueryTimedOut(seconds=self._seconds)
        return ClientLeft() if self._is_gone() else None
