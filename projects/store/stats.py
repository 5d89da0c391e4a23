"""What the store counts as it works."""

from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import accumulate

BRIEF = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)  # writes; the last is the writer's most


class Distribution:
    """How many values were up to each bound, and their sum; it is added to by one thread at a time."""

    __slots__ = ("_counts", "bounds", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds, self.total = bounds, 0.0
        self._counts = [0] * (len(bounds) + 1)

    def add(self, value: float) -> None:
        self._counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def count(self) -> int:
        return sum(self._counts)

    def reached(self) -> list[int]:
        """For each bound how many values were up to it, and last how many there were."""
        return list(accumulate(self._counts))


@dataclass(slots=True)
class Stats:
    """What this process did since it opened the store: plain counters that the metrics read."""

    rows_written: int = 0
    rows_read: int = 0
    failed_groups: int = 0
    loads: int = 0
    load_rows: int = 0
    queries: int = 0
    checkpoints: int = 0
    checkpoint_seconds: float = 0.0
    checkpointed_at: float | None = None  # seconds since 1970, UTC
    group_sizes: Distribution = field(default_factory=lambda: Distribution(SIZES))
    group_seconds: Distribution = field(default_factory=lambda: Distribution(BRIEF))  # a group's statements and its commit
    commit_seconds: Distribution = field(default_factory=lambda: Distribution(BRIEF))  # every commit: groups, loads, plans
    wait_seconds: Distribution = field(default_factory=lambda: Distribution(BRIEF))  # a write's, until its group begins
