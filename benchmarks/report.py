"""What was measured, as Markdown."""

import os
import platform
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata

import psutil

from benchmarks.works import Done

Cell = Callable[[Done], str]
Columns = dict[str, Cell]  # a column's head, and its cell of a work


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose columns stand below each other in plain text too."""
    lines = [tuple(heads), *map(tuple, rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(heads))]
    padded = [" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    return "".join(f"| {line} |\n" for line in [padded[0], " | ".join("-" * width for width in widths), *padded[1:]])


def of_works(columns: Columns, works: Iterable[Done]) -> str:
    return table(["work", *columns], [_row(columns, done) for done in works])


def _row(columns: Columns, done: Done) -> list[str]:
    if done.why_not:
        return [done.work.name, done.why_not, *[""] * (len(columns) - 1)]
    return [done.work.name, *(cell(done) for cell in columns.values())]


def _rate(side: str) -> Cell:
    return lambda done: f"{done.median(side, lambda o: o.rate):,.0f}"


def _milliseconds(side: str) -> Cell:
    return lambda done: ", ".join(f"{done.median(side, lambda o, p=p: o.milliseconds(p)):.1f}" for p in (50, 99))


def _ratio(other: str) -> Cell:
    return lambda done: f"{done.ratio(other):.2f}"


def _aim(done: Done) -> str:
    aim = done.work.aim
    return f"{aim}: {'met' if aim.is_met(done) else 'missed'}" if aim else ""


def _over(done: Done) -> str:
    return f"{done.over_raw():+.1f}"


def _peak(done: Done) -> str:
    return f"{max(outcome.peak for outcome in done.sides['ours']):.0f}"


def _client(done: Done) -> str:
    return f"{done.median('ours', lambda o: o.caller_cpu):.0%}"


_LAST: Columns = {"aim": _aim, "peak, MiB": _peak}
SINGLES: Columns = {
    "ours, calls/s": _rate("ours"),
    "p50, p99 ms": _milliseconds("ours"),
    "raw, calls/s": _rate("raw"),
    "raw p50, p99": _milliseconds("raw"),
    "bare, calls/s": _rate("bare"),
    "bare p50, p99": _milliseconds("bare"),
    "ours : raw": _ratio("raw"),
    "ours : bare": _ratio("bare"),
    **_LAST,
}
TRANSFERS: Columns = {
    "ours, rows/s": _rate("ours"),
    "raw, rows/s": _rate("raw"),
    "ours : raw": _ratio("raw"),
    **_LAST,
    "client's CPU": _client,
}
PAGES: Columns = {"ours p50, p99 ms": _milliseconds("ours"), "raw p50, p99": _milliseconds("raw"), "over raw, ms": _over, **_LAST}


def machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    named = ("duckdb", "pyarrow", "Django", "djangorestframework", "gunicorn")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in named)
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}, {versions}"
