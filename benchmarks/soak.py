"""Ten minutes of mixed work by 32 clients: `python benchmarks/soak.py [--minutes 10] > table.md`.

It prints every answer by work and status, and what the process that serves held meanwhile. Right is: no answer beyond success, the
refusals that a work asks for, and deliberate 429 and 503; and after the first two minutes memory flat within a tenth, and no more threads
or handles. The tables stay as large as they are after the first minute, for clients delete as much as they create. Ends 1 where not.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))  # As a script it stands in this folder, and the project above it.

from benchmarks import clients, report
from benchmarks.clients import DELIBERATE, GOOD
from benchmarks.server import Server
from schema_registry.mock.folder import SAMPLE
from schema_registry.mock.server import MockOntology

EVERY = 3.0  # seconds between two looks
WARM = 120.0  # seconds that are not judged, or a third of a shorter run
FLAT = 1.10
MORE = 3  # threads or handles that come and go
REST = 6.0  # seconds after the work, for what ends by itself


@dataclass(frozen=True)
class Sample:
    """What the process that serves held, so many seconds after the beginning."""

    at: float
    rss: float  # MiB, as all below
    threads: int
    handles: int
    duckdb: float
    file: float
    wal: float


FIGURES: dict[str, Callable[[Sample], float]] = {
    "resident memory, MiB": lambda s: s.rss,
    "threads": lambda s: s.threads,
    "file handles": lambda s: s.handles,
    "DuckDB's memory, MiB": lambda s: s.duckdb,
    "DuckDB file, MiB": lambda s: s.file,
    "its log, MiB": lambda s: s.wal,
}


def looked(server: Server, token: str, began: float) -> Sample:
    assert server.serving
    told = json.loads(server.ask("GET", "/monitoring/metrics/system", Authorization=f"Bearer {token}")[1])["duckdb"]
    with server.serving.oneshot():
        held = server.serving.memory_info().rss / 2**20, server.serving.num_threads(), server.serving.num_fds()
    return Sample(time.monotonic() - began, *held, *(told[f"{name}_bytes"] / 2**20 for name in ("memory", "file", "wal")))


@contextmanager
def serving(folder: Path, number: int) -> Iterator[tuple[Server, str]]:
    """A service with the sample ontology and one small table for each client's plans."""
    documents = folder / "documents"
    documents.mkdir()
    for file in SAMPLE.glob("*.json"):
        (documents / file.name).write_bytes(file.read_bytes())
    columns = [{"name": "id", "type": "INTEGER", "required": True}, {"name": "note", "type": "VARCHAR"}]
    for client in range(number):
        (documents / f"soaked_{client}.json").write_text(json.dumps({"name": f"soaked_{client}", "columns": columns}))
    with MockOntology(documents) as ontology:
        server = Server(folder / "ours", ONTO_SERVER_URL=ontology.url, CHANGES_KEEP="20000", SAMPLE_EVERY="10")
        try:
            server.start()
            yield server, server.token()
        finally:
            server.stop()


def soaked(server: Server, token: str, number: int, seconds: float) -> tuple[list[Sample], Sample, Counter, list[str]]:
    """The samples of so many seconds' work, one after a rest, the answers, and those that are wrong."""
    here, there = get_context("spawn").Pipe()
    worker = get_context("spawn").Process(target=clients.run, args=(server.port, token, number, there))
    worker.start()
    there.close()
    began, samples = time.monotonic(), []
    try:
        while time.monotonic() - began < seconds:
            time.sleep(EVERY)
            samples.append(looked(server, token, began))
            print(samples[-1], file=sys.stderr)
        here.send("enough")
        seen, wrong = here.recv()
    finally:
        here.close()
        worker.join()
    time.sleep(REST)
    return samples, looked(server, token, began), seen, wrong


def judged(samples: Sequence[Sample], after: Sample, warm: float) -> tuple[list[list[str]], bool]:
    """Each figure at the beginning of what is judged, at its end and after the rest, and whether nothing grew."""
    counted = [sample for sample in samples if sample.at >= warm]
    part = max(1, len(counted) // 5)
    rows, is_flat = [], True
    for name, figure in FIGURES.items():
        first, last = (median(map(figure, some)) for some in (counted[:part], counted[-part:]))
        most, limit = max(map(figure, samples)), ""
        if name.startswith("resident"):
            limit = f"{FLAT:.2f} times: {_met(last <= first * FLAT)}"
            is_flat = is_flat and last <= first * FLAT
        elif name in ("threads", "file handles"):
            limit = f"{MORE} more: {_met(last <= first + MORE)}"
            is_flat = is_flat and last <= first + MORE
        rows.append([name, f"{figure(samples[0]):,.0f}", *(f"{value:,.0f}" for value in (first, last, most, figure(after))), limit])
    return rows, is_flat


def _met(is_met: bool) -> str:
    return "met" if is_met else "missed"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--minutes", type=float, default=10.0)
    asked.add_argument("--clients", type=int, default=32)
    given = asked.parse_args()
    seconds = given.minutes * 60
    with tempfile.TemporaryDirectory(prefix="duckspawn-soak-") as folder, serving(Path(folder), given.clients) as (server, token):
        samples, after, seen, wrong = soaked(server, token, given.clients, seconds)
        faults = server.log.read_text().count("Traceback")
    rows, is_flat = judged(samples, after, min(WARM, seconds / 3))
    answers = [[work, str(status), f"{n:,}", _kind(status)] for (work, status), n in sorted(seen.items())]
    total = sum(seen.values())
    print(f"{datetime.now(UTC):%-d %B %Y}; {report.machine()}.")
    print(f"{given.clients} clients, {given.minutes:g} minutes, {total:,} requests ({total / seconds:.0f} a second).\n")
    heads = ("held", "at first", f"after {min(WARM, seconds / 3):.0f} s", "at the end", "most", "at rest", "aim")
    print(report.table(heads, rows))
    print(report.table(("work", "status", "answers", "which is"), answers))
    print(f"{len(wrong)} answers were wrong, and the log has {faults} traces.")
    for line in wrong[:20]:
        print(f"- {line}")
    sys.exit(0 if is_flat and not wrong and not faults else 1)


def _kind(status: int) -> str:
    return "success" if status in GOOD else "deliberate" if status in DELIBERATE else "a refusal" if 400 <= status < 500 else "wrong"


if __name__ == "__main__":
    main()
