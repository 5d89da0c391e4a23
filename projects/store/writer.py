"""The writer thread: takes what waits, commits it as one group, answers each caller after the commit.

A group costs one fsync, so sixteen callers are nearly as quick as one. A group that fails is halved until the write
that is to blame stands alone. DDL runs here too, each in a transaction of its own, so that no row is written beside it.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, wait
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

import duckdb
from django.conf import settings

from projects import slots
from projects.errors import DiskFull, DuplicateKey, SchemaMoved, StoreBusy, StoreClosed, StoreReopening
from projects.store.books import Entry
from projects.store.errors import MISFITS, DuplicateSeen
from projects.store.prepared import Prepared
from schema_registry.schema import TableSchema

if TYPE_CHECKING:  # The store owns its writer.
    from projects.store.connection import Store, Transaction

log = logging.getLogger(__name__)

MOST = 256  # writes in one group: beyond that a group's latency grows and its rate does not
PATIENCE = 30.0  # seconds a write waits for its turn before it is taken out and answered StoreBusy


class RowWrite(Protocol):
    """One row to write. Those that share a `batch` and follow each other run as one statement."""

    schema: TableSchema

    @property
    def batch(self) -> object: ...

    def run(self, transaction: "Transaction", writes: Sequence[Any]) -> list[Any]:
        """Runs this write and those that share its batch; gives an outcome (an Entry or an error) for each."""
        ...


@dataclass(slots=True, eq=False)
class _Queued:
    work: RowWrite | Callable[["Transaction"], Any]
    cursor: duckdb.DuckDBPyConnection | None = None
    future: Future[Any] = field(default_factory=Future)
    since: float = field(default_factory=time.perf_counter)


class Writer:
    """One thread, one cursor, one queue."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._queue: queue.SimpleQueue[_Queued | None] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._prepared: Prepared | None = None  # the thread's own; after a failure, another one

    def write(self, row: RowWrite) -> Entry:
        """Waits until the row is durable and gives its feed entry, unnumbered. Raises what the row deserves.

        Raises StoreBusy at once where WRITE_QUEUE rows wait already, or too many threads; what is done `alone` has no such bound.
        """
        if slots.is_crowded():
            raise StoreBusy()
        return self._outcome(self._put(row), lambda future: slots.patiently(lambda seconds: bool(wait([future], seconds).done), PATIENCE))

    def alone(self, work: Callable[["Transaction"], Any], cursor: duckdb.DuckDBPyConnection | None = None) -> Any:
        """Runs `work` in a transaction of its own with no other writer of this thread beside it.

        On the caller's `cursor`, where one is given, it sees the temporary tables that the caller made there.
        """
        return self._outcome(self._put(work, cursor))

    def later(self, work: Callable[["Transaction"], Any]) -> None:
        """As `alone`, without waiting; a failure is logged."""
        self._put(work).add_done_callback(_log_failure)

    def let_go(self) -> None:
        """Has the thread close the cursor that it keeps: while one is open, a file that failed cannot be opened anew."""
        if self._thread is not None and not self._stopping:
            self.later(lambda _: None)

    @property
    def waiting(self) -> int:
        """How many writes wait for their group to begin."""
        return self._queue.qsize()

    def stop(self) -> None:
        """Writes what was accepted, then ends the thread, which may meanwhile come by `let_go` itself."""
        with self._starting:
            self._stopping = True
            thread = self._thread
            if thread is not None:
                self._queue.put(None)
        if thread is not None:
            thread.join()
            self._thread = None

    def _put(self, work: RowWrite | Callable[["Transaction"], Any], cursor: duckdb.DuckDBPyConnection | None = None) -> Future[Any]:
        with self._starting:
            if self._stopping:
                raise StoreClosed()
            if self._queue.qsize() >= settings.WRITE_QUEUE and not callable(work):
                raise StoreBusy()
            if self._thread is None:
                self._store.connection()
                self._thread = threading.Thread(target=self._serve, name="duckspawn-writer", daemon=True)
                self._thread.start()
            queued = _Queued(work, cursor)
            self._queue.put(queued)
        return queued.future

    @staticmethod
    def _outcome(future: Future[Any], goes_on: Callable[[Future[Any]], bool] = lambda future: bool(wait([future], PATIENCE).done)) -> Any:
        """A write whose group has begun is awaited whatever it takes; one that still waits, once it `goes_on` no longer, is taken out."""
        try:
            return future.result(timeout=slots.STUCK)
        except FutureTimeout:
            if not goes_on(future) and future.cancel():
                raise StoreBusy() from None
            return future.result()
        except CancelledError:
            raise StoreClosed() from None

    # On the writer's own thread.

    def _serve(self) -> None:
        while True:
            batch, more = self._take()
            for group in _groups(batch):
                self._commit(group)
            if not more:
                self._close_kept()
                return

    def _take(self) -> tuple[list[_Queued], bool]:
        """What waits, at least one; False with it when the thread is to end."""
        taken: list[_Queued] = []
        item = self._queue.get()
        while item is not None:
            if item.future.set_running_or_notify_cancel():
                taken.append(item)
            if len(taken) >= MOST:
                break
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                break
        now, waits = time.perf_counter(), self._store.stats.wait_seconds
        for queued in taken:
            waits.add(now - queued.since)
        return taken, item is not None

    def _commit(self, group: list[_Queued]) -> None:
        """Runs the group in one transaction and answers its callers; halves it when it fails."""
        started = time.perf_counter()
        if not self._store.is_open:
            self._close_kept()
        try:
            outcomes = self._run(group)
        except Exception as error:  # noqa: BLE001 - the writer loop survives anything and tells the callers
            self._close_kept()
            self._store.stats.failed_groups += 1
            self._failed(group, error)
            return
        stats = self._store.stats
        stats.group_sizes.add(len(group))
        stats.group_seconds.add(time.perf_counter() - started)
        for queued, outcome in zip(group, outcomes, strict=True):
            _answer(queued.future, outcome)

    def _failed(self, group: list[_Queued], error: Exception) -> None:
        if len(group) > 1 and not isinstance(error, DiskFull | StoreReopening):  # Which no one write is to blame for.
            middle = len(group) // 2
            self._commit(group[:middle])
            self._commit(group[middle:])
            return
        for queued in group:
            told = error if callable(queued.work) else as_told(queued.work.schema.name, error)
            _answer(queued.future, told)

    def _run(self, group: list[_Queued]) -> list[Any]:
        first = group[0].work
        if callable(first):
            with self._store.transaction(group[0].cursor) as transaction:
                return [first(transaction)]
        with self._store.transaction(prepared=self._kept()) as transaction:
            outcomes = self._run_rows(transaction, [queued.work for queued in group])
            transaction.entries = [o for o in outcomes if isinstance(o, Entry) and o.before != o.after]
        self._store.stats.rows_written += len(transaction.entries)
        return outcomes

    def _kept(self) -> Prepared:
        if self._prepared is None:
            self._prepared = Prepared(self._store.connection().cursor())
        return self._prepared

    def _close_kept(self) -> None:
        if self._prepared is not None:
            self._prepared.cursor.close()
            self._prepared = None

    def _run_rows(self, transaction: "Transaction", rows: list[Any]) -> list[Any]:
        """Table by table, and within a table in the order they came; the outcomes are in the order of `rows`."""
        order = sorted(range(len(rows)), key=lambda place: rows[place].schema.name)
        outcomes: list[Any] = [None] * len(rows)
        for _, run in groupby(order, key=lambda place: rows[place].batch):
            places = list(run)
            for place, outcome in zip(places, self._run_batch(transaction, [rows[place] for place in places]), strict=True):
                outcomes[place] = outcome
        return outcomes

    def _run_batch(self, transaction: "Transaction", writes: list[Any]) -> list[Any]:
        schema = writes[0].schema
        if self._store.has(schema.name) and self._store.table(schema.name).schema is schema:
            return writes[0].run(transaction, writes)
        return [SchemaMoved(table=schema.name) for _ in writes]


def _groups(batch: list[_Queued]) -> Iterator[list[_Queued]]:
    """Rows that follow each other together, everything else alone."""
    for is_alone, run in groupby(batch, key=lambda queued: callable(queued.work)):
        if is_alone:
            yield from ([queued] for queued in run)
        else:
            yield list(run)


def _answer(future: Future[Any], outcome: Any) -> None:
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def as_told(table: str, error: Exception) -> Exception:
    """What writing rows met, a duplicate key or a table that is not as its schema says, as the caller should read it; else as it is."""
    if isinstance(error, DuplicateSeen):
        columns, _, values = error.pairs.partition(": ")
        return DuplicateKey(table=table, columns=columns or "key", values=values or "the one given")
    if isinstance(error, MISFITS):
        moved = SchemaMoved(table=table)
        moved.__cause__ = error
        return moved
    return error


def _log_failure(future: Future[Any]) -> None:
    if error := future.exception():
        log.warning("a write in the background failed", exc_info=error)
