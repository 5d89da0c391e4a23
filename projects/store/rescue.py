"""A file that DuckDB will not open: folding in a log that it cannot replay, and saying why else."""

import os
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


def why_unreadable(path: Path) -> str:
    """The reason, as far as it can be told from outside."""
    if not os.access(path.parent, os.W_OK) or (path.exists() and not os.access(path, os.R_OK | os.W_OK)):
        return "the file or its folder may not be written by this user"
    return "it is no DuckDB file, it is damaged, or a newer DuckDB wrote it; restore a backup or use that version"
