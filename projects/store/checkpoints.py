"""Checkpoints: the write-ahead log is folded into the file by a thread that nobody waits for.

DuckDB would do it by itself within the commit that makes the log too long, and everybody who reads would wait for that commit: 1.5 s
after a load of five million rows, where a checkpoint of its own lets them read on (measured, DuckDB 2.0, two cores).
"""

import time
from pathlib import Path

import duckdb

from projects.errors import DiskFull, StoreReopening
from projects.store.connection import Store
from projects.store.room import free
from projects.store.stats import Stats

FROM = 16 * 2**20  # bytes of the log from which it is folded in
TRIES, PAUSE = 100, 0.01  # a checkpoint needs a moment in which nobody writes; seconds between looks for one

_too_little = 0  # the free bytes with which the last one that failed began


def fold(store: Store) -> bool:
    """Folds the log in where it is long; False where it is not, where there is no room for it, or no moment was found: later, then.

    A checkpoint that meets a full disk loses nothing, but DuckDB refuses everything until the file is opened anew. So it is begun
    where it has room, and once it failed, not before there is more.
    """
    global _too_little  # noqa: PLW0603 - one process, one file
    path = Path(f"{store.path}.wal")
    size = path.stat().st_size if path.exists() else 0
    room = free(store.path.parent)
    if size < FROM or room < size or room <= _too_little:
        return False
    try:
        done = _checkpoint(store)
    except (DiskFull, StoreReopening):
        _too_little = room
        raise
    _too_little = 0
    return done


def _checkpoint(store: Store) -> bool:
    for _ in range(TRIES):
        if folded(store):
            return True
        time.sleep(PAUSE)
    return False


def folded(store: Store) -> bool:
    """Folds the log in now; False where somebody writes just then."""
    started = time.perf_counter()
    try:
        with store.read() as cursor:
            cursor.execute("CHECKPOINT")
        _count(store.stats, time.perf_counter() - started)
        return True
    except duckdb.TransactionException:
        return False


def _count(stats: Stats, seconds: float) -> None:
    stats.checkpoints += 1
    stats.checkpoint_seconds += seconds
    stats.checkpointed_at = time.time()
