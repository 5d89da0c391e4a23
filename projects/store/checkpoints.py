"""Checkpoints: the write-ahead log is folded into the file by a thread that nobody waits for.

DuckDB would do it by itself within the commit that makes the log too long, and everybody who reads would wait for that commit: 1.5 s
after a load of five million rows, where a checkpoint of its own lets them read on (measured, DuckDB 2.0, two cores).
"""

import time
from pathlib import Path

import duckdb

from projects.store.connection import Store

FROM = 16 * 2**20  # bytes of the log from which it is folded in
TRIES, PAUSE = 100, 0.01  # a checkpoint needs a moment in which nobody writes; seconds between looks for one


def fold(store: Store) -> bool:
    """Folds the log in where it is long; False where it is not, or where no moment was found, and then the next time will do."""
    log = Path(f"{store.path}.wal")
    if not log.exists() or log.stat().st_size < FROM:
        return False
    for _ in range(TRIES):
        if folded(store):
            return True
        time.sleep(PAUSE)
    return False


def folded(store: Store) -> bool:
    """Folds the log in now; False where somebody writes just then."""
    try:
        with store.read() as cursor:
            cursor.execute("CHECKPOINT")
            return True
    except duckdb.TransactionException:
        return False
