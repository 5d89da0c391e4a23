"""A cursor that tells how far it is: each lane of jobs has one, for the one job that runs there."""

import duckdb

# A lane is a queue of jobs of which one runs at a time.
JOBS = "jobs"
BACKUPS = "backups"  # A backup takes long, and people's jobs are not to wait for it.
LANES = (JOBS, BACKUPS)


class Gauge:
    """Made before the file is locked down: afterwards no cursor can be told to measure its progress."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.cursor = connection.cursor()
        self.cursor.execute("SET enable_progress_bar = true")
        self.cursor.execute("SET enable_progress_bar_print = false")
        self._stretch = (0.0, 100.0)
        self._is_stopped = False

    def begin(self) -> None:
        """Begins to measure another job."""
        self._stretch, self._is_stopped = (0.0, 100.0), False

    def stretch(self, low: float, high: float) -> None:
        """Says which part of the whole work, in percent, the cursor's next statements are."""
        self._stretch = (low, high)

    def progress(self) -> float:
        """How far the cursor's work is, in percent; the beginning of its stretch where its statement cannot tell."""
        low, high = self._stretch
        return low + (high - low) * max(self.cursor.query_progress(), 0.0) / 100

    def stop(self) -> None:
        """Interrupts the statement that runs. One that comes between two statements is lost, so it is repeated, and `check` knows of it."""
        self._is_stopped = True
        self.cursor.interrupt()

    def check(self) -> None:
        """For work without a statement: raises what an interrupted one raises."""
        if self._is_stopped:
            raise duckdb.InterruptException("The job was stopped.")
