"""Who may touch a table's structure: loads hold a table's lock shared, a change of schema holds it alone, in the order they came."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class FairLock:
    """A lock held by many at once or by one alone; nobody overtakes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()
        self._sharing = 0
        self._alone = False

    @contextmanager
    def shared(self) -> Iterator[None]:
        self._enter(alone=False)
        try:
            yield
        finally:
            self._leave(alone=False)

    @contextmanager
    def alone(self) -> Iterator[None]:
        self._enter(alone=True)
        try:
            yield
        finally:
            self._leave(alone=True)

    @contextmanager
    def raised(self) -> Iterator[None]:
        """For one who shares it: holds it alone meanwhile, before all who wait, and shares it again. No one alone comes between."""
        self._enter(alone=True, shares=True)
        try:
            yield
        finally:
            self._leave(alone=True, shares=True)

    @property
    def is_shared(self) -> bool:
        """Whether somebody who shares it, such as a load, keeps the one who wants it alone waiting."""
        return self._sharing > 0

    def _enter(self, *, alone: bool, shares: bool = False) -> None:
        ticket = object()
        with self._changed:
            if shares:
                self._sharing -= 1
                self._waiting.appendleft(ticket)
                self._changed.notify_all()
            else:
                self._waiting.append(ticket)
            self._changed.wait_for(lambda: self._waiting[0] is ticket and not self._alone and not (alone and self._sharing))
            self._waiting.popleft()
            self._alone = alone
            self._sharing += not alone
            self._changed.notify_all()

    def _leave(self, *, alone: bool, shares: bool = False) -> None:
        with self._changed:
            if alone:
                self._alone = False
                self._sharing += shares
            else:
                self._sharing -= 1
            self._changed.notify_all()


class TableLocks:
    """One fair lock for each table name, without case."""

    def __init__(self) -> None:
        self._making = threading.Lock()
        self._locks: dict[str, FairLock] = {}

    def of(self, table: str) -> FairLock:
        with self._making:
            return self._locks.setdefault(table.casefold(), FairLock())
