"""What the store counts as it works."""

from dataclasses import dataclass


@dataclass(slots=True)
class Stats:
    """What this process did since it opened the store: plain counters that the metrics read."""

    rows_written: int = 0
    rows_read: int = 0
    groups: int = 0
    group_rows: int = 0
    failed_groups: int = 0
    commit_seconds: float = 0.0
    queue_length: int = 0
    loads: int = 0
    load_rows: int = 0
    queries: int = 0
