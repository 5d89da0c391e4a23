"""Our work over HTTP beside the same work by DuckDB alone and a bare view: `python benchmarks/run.py > table.md`, in about ten minutes.

It prints Markdown, and on the error output how far it is. Each figure is the median of the rounds' own.
"""

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # As a script it stands in this folder, and the project above it.

from benchmarks import pages, report, singles, transfers
from benchmarks.sides import Sides, Size, running
from benchmarks.works import Done, Work, measure

FULL = {"rounds": 5, "seconds": 1.5, "rows": 1_000_000, "projects": 100_000}
QUICK = {"rounds": 1, "seconds": 0.1, "rows": 10_000, "projects": 1_000}
SECTIONS = {
    "Single rows": (singles.works, report.SINGLES),
    "Many rows": (transfers.works, report.TRANSFERS),
    "Pages and groups": (pages.works, report.PAGES),
}


def measured(sides: Sides, works: Iterable[Work]) -> Iterator[Done]:
    for work in works:
        started = time.perf_counter()
        done = measure(work, sides.size.rounds)
        print(f"{work.name}: {done.why_not or f'{time.perf_counter() - started:.0f} s'}", file=sys.stderr)
        yield done


def sections(sides: Sides, only: str) -> tuple[str, bool]:
    """Each kind of work with a table of its own, and whether none failed."""
    text, every = "", []
    for title, (works, columns) in SECTIONS.items():
        done = list(measured(sides, [work for work in works(sides) if only in work.name]))
        text += f"### {title}\n\n{report.of_works(columns, done)}\n" if done else ""
        every += done
    starts = [(name, *cells) for name, cells in sides.starts.items() if only in name]
    text += f"### Start\n\n{report.table(('work', 'ours', 'raw', 'what it is'), starts)}\n" if starts else ""
    return text, not any(done.why_not.startswith("failed") for done in every)


def options(about: str) -> argparse.Namespace:
    asked = argparse.ArgumentParser(description=about)
    asked.add_argument("--quick", action="store_true", help="small and short: to see that it runs, not to be quoted")
    asked.add_argument("--rounds", type=int, help="of which each figure is the median (5)")
    asked.add_argument("--seconds", type=float, help="for each measurement of small requests (1.5)")
    asked.add_argument("--rows", type=int, help="flights that are loaded, exported and read (1,000,000)")
    asked.add_argument("--only", default="", metavar="NAME", help="the works whose name has this in it, such as create")
    return asked.parse_args()


def size_of(asked: argparse.Namespace) -> Size:
    given = {name: value for name, value in vars(asked).items() if name in FULL and value is not None}
    return Size(**(QUICK if asked.quick else FULL) | given)


def main() -> None:
    asked = options(__doc__)
    size = size_of(asked)
    started = time.perf_counter()
    with running(size) as sides:
        sides.fill()
        text, is_whole = sections(sides, asked.only)
    print(f"{datetime.now(UTC):%-d %B %Y}; {report.machine()}.")
    print(f"{size.rows:,} flights, {size.projects:,} projects; {size.rounds} rounds of {size.seconds:g} s or one transfer;", end=" ")
    print(f"{(time.perf_counter() - started) / 60:.1f} minutes in all.\n\n{text}", end="")
    sys.exit(0 if is_whole else 1)


if __name__ == "__main__":
    main()
