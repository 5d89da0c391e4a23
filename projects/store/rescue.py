"""A file that DuckDB will not open: folding in a log that it cannot replay, and saying why else."""

import re
from pathlib import Path

import duckdb

from projects.store.sql import literal


def replay_apart(path: Path) -> None:
    """Folds the log into a file that DuckDB will not open with it: attached to an empty instance, it replays.

    While it opens a file DuckDB does not know its own extensions yet, so a log that speaks of JSON, or calls a function, fails there.
    """
    with duckdb.connect(":memory:") as rescuer:
        rescuer.execute(f"ATTACH {literal(str(path))} AS rescued")
        rescuer.execute("CHECKPOINT rescued")
        rescuer.execute("DETACH rescued")


def why_unreadable(said: str) -> str:
    """The reason, as far as it can be told from what DuckDB `said`."""
    for sign, reason in _REASONS.items():
        if sign in said:
            return reason
    return f"DuckDB says: {_PATH.sub('the file', said.splitlines()[0])}"


_PATH = re.compile(r'(file )?"/[^"]*"')  # nobody's business who asks from outside
_DAMAGED = "is damaged; put it back from a backup, for DuckDB cannot read what was written"
_REASONS = {
    "WAL": f"its write-ahead log (the file that ends in .wal) {_DAMAGED}",
    "Permission denied": "this user may not write the file or its write-ahead log",
    "Is a directory": "it is a folder",
    "newer version": "a newer DuckDB wrote it; use the DuckDB Spawn that did, or newer",
    "version number": "a newer DuckDB wrote it; use the DuckDB Spawn that did, or newer",
    "not a valid DuckDB": "it is no DuckDB file; see that DUCKDB_PATH names the right one",
    "sqlite": "it is an SQLite file; see that DUCKDB_PATH names the right one",
    "Corrupt": f"it {_DAMAGED}",
    "Could not read enough": f"it was cut short, which means that it {_DAMAGED}",
}
