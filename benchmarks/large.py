"""Five million rows in and out while small requests go on: `python benchmarks/large.py > table.md`, in some minutes.

It prints, for each phase, the most memory that the serving process had resident and what the other requests waited: point reads, pages
and creates, twenty a second. The server is started again before each export, so that what was left in memory is not counted there.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # As a script it stands in this folder, and the project above it.

from benchmarks import report
from benchmarks.callers import Outcome, request
from benchmarks.files import CELLS, KINDS
from benchmarks.sides import LOADED, Sides, Size, running
from benchmarks.traffic import RATE, Seen, steady

LOADS = ("CSV", "Parquet")
EXPORTS = ("CSV", "Parquet", "Arrow")
HEADS = (
    "phase",
    "rows/s",
    "before, MiB",
    "peak, MiB",
    "aim, MiB",
    "others",
    "p50 ms",
    "p99 ms",
    "aim, ms",
    "reads' p99 ms",
    "longest ms",
    "refused",
)
MOST = {"load": 1200, "export": 256}  # MiB that are aimed at
WAIT = 250  # ms that 99 in 100 of the other requests should stay below


@dataclass(frozen=True)
class Phase:
    """A while with one transfer, or with none."""

    name: str
    before: float  # MiB
    outcome: Outcome | None
    peak: float  # MiB
    seen: Seen

    def cells(self) -> tuple[str, ...]:
        aim = next((most for kind, most in MOST.items() if self.name.startswith(kind)), 0)
        return (
            self.name,
            f"{self.outcome.rate:,.0f}" if self.outcome else "",
            f"{self.before:.0f}",
            f"{self.peak:.0f}",
            _met(aim, self.peak) if aim else "",
            str(len(self.seen.times)),
            f"{self.seen.milliseconds(50):.1f}",
            f"{self.seen.milliseconds(99):.1f}",
            _met(WAIT, self.seen.milliseconds(99)),
            f"{self.seen.milliseconds(99, without='create'):.1f}",
            self.seen.longest(),
            str(len(self.seen.refused)),
        )


def _met(aim: float, got: float) -> str:
    return f"{aim}: {'met' if got <= aim else 'missed'}"


def traffic(sides: Sides) -> list[tuple[str, bytes]]:
    """A point read, a page and a create in turn; each point read asks for another row."""
    page = request("GET", "/ops/projects", sides.token)
    create = request("POST", "/ops/projects", sides.token, json.dumps(CELLS).encode())
    keys = random.sample(sides.keys, min(len(sides.keys), 1000))
    reads = (request("GET", f"/ops/projects/{key}", sides.token) for key in keys)
    return [one for read in reads for one in (("point read", read), ("page", page), ("create", create))]


def measured(sides: Sides, name: str, transfer: Callable[[], Outcome | None]) -> Phase:
    print(name, file=sys.stderr)
    before = sides.server.memory()
    with steady(sides.server.port, traffic(sides)) as seen, sides.server.watched() as most:
        outcome = transfer()
    return Phase(name, before, outcome, most[0], seen)


def phases(sides: Sides) -> Iterator[tuple[str, ...]]:
    """Each phase's row of the table."""
    yield measured(sides, "nothing else", lambda: time.sleep(sides.size.seconds)).cells()
    for kind in LOADS:
        yield _load(sides, kind)
    for kind in EXPORTS:
        yield _export(sides, kind)


def _load(sides: Sides, kind: str) -> tuple[str, ...]:
    """Into a table that was dropped and made again before, while nobody watched."""
    if refused := sides.refuses("POST", f"/ops/{LOADED}", Content_Type=KINDS[kind]):
        return _not_offered(f"load {kind}", refused)
    file = sides.flights.file(kind)
    sides.renew(LOADED)
    return measured(sides, f"load {kind}", lambda: sides.load(LOADED, file, kind)).cells()


def _export(sides: Sides, kind: str) -> tuple[str, ...]:
    """From a server that has just started, and has done each of the small requests once."""
    sides.server.stop()
    sides.server.start()
    for path in ("projects", f"projects/{sides.keys[0]}"):
        sides.ask("GET", f"/ops/{path}")
    sides.ask("POST", "/ops/projects", json.dumps(CELLS).encode(), Content_Type="application/json")
    if refused := sides.refuses("GET", f"/ops/{LOADED}?limit=1", Accept=KINDS[kind]):
        return _not_offered(f"export {kind}", refused)
    return measured(sides, f"export {kind}", lambda: sides.export(LOADED, kind, sides.size.rows)).cells()


def _not_offered(name: str, status: int) -> tuple[str, ...]:
    return (name, f"not offered ({status})", *[""] * (len(HEADS) - 2))


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--rows", type=int, default=5_000_000)
    asked.add_argument("--quick", action="store_true", help="20,000 rows: to see that it runs, not to be quoted")
    given = asked.parse_args()
    size = Size(1, 1.0, 20_000, 1_000) if given.quick else Size(1, 15.0, given.rows, 100_000)
    with running(size) as sides:
        sides.fill(flights=False)
        rows = list(phases(sides))
    print(f"{datetime.now(UTC):%-d %B %Y}; {report.machine()}.")
    print(f"{size.rows:,} flights, and {RATE} other requests a second.\n\n{report.table(HEADS, rows)}", end="")


if __name__ == "__main__":
    main()
