"""Where the time of our works goes: `python benchmarks/where.py [--only "point read"] > where.md`; it takes run.py's options.

While one work is done again and again, the server looks at its own threads (sampling.py). More clients than one make threads wait for
their turn in Python, which shows wherever they happen to stand; so read the works of one client first.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # As a script it stands in this folder, and the project above it.

from benchmarks import report, run
from benchmarks.sides import Sides, running
from benchmarks.works import Work

SHOWN = 15  # places


def places(sides: Sides, work: Work) -> list[tuple[str, str, str, str]]:
    """The places where the work took longest, with the milliseconds that each took of a call."""
    sides.ask("POST", "/samples")
    outcome = work.ours()
    seen = json.loads(sides.ask("GET", "/samples")[0])
    calls = len(outcome.latencies)
    return [(f"{seconds * 1000 / calls:.2f}", *place) for place, seconds in seen[:SHOWN]]


def sections(sides: Sides, only: str) -> Iterator[str]:
    for works, _ in run.SECTIONS.values():
        for work in works(sides):
            if only in work.name and not (work.ready and work.ready()):
                print(work.name, file=sys.stderr)
                rows = places(sides, work)
                yield f"### {work.name}\n\n{report.table(('ms a call', 'thread', 'place', 'inside'), rows)}"


def main() -> None:
    asked = run.options(__doc__)
    size = replace(run.size_of(asked), rounds=1)
    with running(size) as sides:
        sides.fill()
        print(f"{report.machine()}.\n\n{chr(10).join(sections(sides, asked.only))}", end="")


if __name__ == "__main__":
    main()
