"""The samples as charts: for each a title, a sentence that says the same in words, and the points of its lines."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from monitoring.checks import said
from monitoring.models import Sample
from monitoring.sampling import LEVELS, SUMMED
from schema_registry.rights import OPERATE, READ_ROWS

POINTS = 60  # of a chart, at most
SHORTEST = 6  # intervals between samples that a chart shows at least
SPANS = {
    "hour": ("1 hour", timedelta(hours=1)),
    "day": ("24 hours", timedelta(days=1)),
    "month": ("30 days", timedelta(days=30)),
}

Bucket = dict[str, float | None]  # the sums and the highest levels of the samples of one point
Value = float | None


# Numbers in words.


def in_bytes(value: float) -> str:
    """Bytes as people read them: 1,234,567 is 1.2 MB."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            return f"{value:.0f} {unit}" if value >= 100 or unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError


def short(value: float) -> str:
    """A count as people read it at a glance: 1,234,567 is 1.2 million."""
    for size, unit in ((1e9, "billion"), (1e6, "million")):
        if value >= size:
            return f"{value / size:.1f} {unit}"
    return f"{value:,.0f}"


def _in_milliseconds(value: float) -> str:
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.1f} ms"


IN_WORDS: dict[str, Callable[[float], str]] = {"bytes": in_bytes, "ms": _in_milliseconds, "count": "{:,.0f}".format, "number": short}


# What is drawn.


@dataclass(frozen=True, slots=True)
class Kind:
    """A chart: who may see it, the unit of its values (`count` adds up over time, the others do not), each line's name with what
    it makes of a bucket, and more words where needed."""

    title: str
    right: str
    unit: str
    lines: dict[str, Callable[[Bucket], Value]]
    more: Callable[[Sequence[Bucket | None]], str] = lambda _: ""


def _of(name: str) -> Callable[[Bucket], Value]:
    return lambda bucket: bucket[name]


def _mean(total: str, count: str) -> Callable[[Bucket], Value]:
    """Milliseconds of each; none where there was nothing."""

    def value(bucket: Bucket) -> Value:
        seconds, number = bucket[total], bucket[count]
        return 1000 * seconds / number if seconds and number else None

    return value


def _how_often(buckets: Sequence[Bucket | None]) -> str:
    """How many of the questions whether it is well the ontology server answered."""
    asked, answered = (sum(bucket[name] or 0 for bucket in buckets if bucket) for name in ("source_asked", "source_answered"))
    return f"It answered {answered:,.0f} of {asked:,.0f} times." if asked else ""


KINDS = (
    Kind("Requests", OPERATE, "count", {"requests": _of("requests"), "refused": _of("refused"), "errors": _of("errors")}),
    Kind("Write latency", OPERATE, "ms", {"a commit, on average": _mean("commit_seconds", "commits")}),
    Kind("Rows written", READ_ROWS, "count", {"one by one": _of("rows_written"), "by loads": _of("rows_loaded")}),
    Kind("Ontology server", READ_ROWS, "ms", {"its answer, on average": _mean("source_seconds", "source_answered")}, _how_often),
    Kind("Rows in all tables", READ_ROWS, "number", {"rows": _of("rows")}),
    Kind("File on disk", READ_ROWS, "bytes", {"file": _of("file_bytes")}),
    Kind("DuckDB's memory", OPERATE, "bytes", {"memory": _of("memory_bytes")}),
    Kind("Write-ahead log", OPERATE, "bytes", {"log": _of("wal_bytes")}),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One value: in words, and as the browser draws it; no sample, no value."""

    value: Value
    words: str


@dataclass(frozen=True, slots=True)
class Chart:
    """What the page shows: `points` are (moment, cells), a cell for each of `names`; `text` says what the lines show."""

    title: str
    unit: str
    names: Sequence[str]
    points: Sequence[tuple[datetime, Sequence[Cell]]]
    text: str


def drawn(may: dict[str, bool], span: str) -> dict[str, Any]:
    """The charts for a reader with these rights, over one of SPANS; none while there are no samples."""
    span = span if span in SPANS else next(iter(SPANS))
    now = timezone.now()
    first = _first(now - SPANS[span][1], now)
    width = max((now - first) / (POINTS - 1), timedelta(seconds=2 * settings.SAMPLE_EVERY))
    found = _buckets(first, now, width)
    is_empty = not any(found.values())
    kinds = [kind for kind in KINDS if may[kind.right]]
    return {
        "charts": [] if is_empty else [_chart(kind, found) for kind in kinds],
        "has_charts": bool(kinds),
        "spans": [(name, words, name == span) for name, (words, _) in SPANS.items()],
        "width": said(width),
        "is_sampling": bool(settings.SAMPLE_EVERY),
    }


def _chart(kind: Kind, buckets: dict[datetime, Bucket | None]) -> Chart:
    words = IN_WORDS[kind.unit]
    lines = {name: [value(bucket) if bucket else None for bucket in buckets.values()] for name, value in kind.lines.items()}
    cells = ([Cell(v, "" if v is None else words(v)) for v in values] for values in zip(*lines.values(), strict=True))
    words_of = (kind.more(list(buckets.values())), *(_said(name, values, kind) for name, values in lines.items()))
    text = " ".join(filter(None, words_of))
    return Chart(kind.title, kind.unit, list(lines), list(zip(buckets, cells, strict=True)), text)


def _said(name: str, values: Sequence[Value], kind: Kind) -> str:
    """A line in words: the sum of what is counted in each point, else the last and the highest."""
    words, there = IN_WORDS[kind.unit], [value for value in values if value is not None]
    if not there:
        return "There was nothing to measure."
    if kind.unit == "count":
        return f"{words(sum(there))} {name}."
    return f"Last {words(there[-1])}, at most {words(max(there))}."


# Points.


def _first(since: datetime, now: datetime) -> datetime:
    """Where the charts begin: with the first sample, for a service that is young has no empty hours before it."""
    first = Sample.objects.filter(at__gt=since).order_by("at").values_list("at", flat=True).first()
    return min(first, now - SHORTEST * timedelta(seconds=settings.SAMPLE_EVERY)) if first else since


def _buckets(first: datetime, now: datetime, width: timedelta) -> dict[datetime, Bucket | None]:
    """The samples since `first` in points of that width, by when each ends; None where there is no sample."""
    count, names = int((now - first) / width) + 1, (*SUMMED, *LEVELS)
    found: list[list[tuple[Value, ...]]] = [[] for _ in range(count)]
    for at, *values in Sample.objects.filter(at__gte=first, at__lte=now).order_by("at").values_list("at", *names):
        found[count - 1 - int((now - at) / width)].append(tuple(values))
    return {now - (count - 1 - n) * width: _together(names, samples) for n, samples in enumerate(found)}


def _together(names: Sequence[str], samples: Sequence[tuple[Value, ...]]) -> Bucket | None:
    if not samples:
        return None
    columns = dict(zip(names, zip(*samples, strict=True), strict=True))
    return {name: sum(filter(None, values)) if name in SUMMED else _highest(values) for name, values in columns.items()}


def _highest(values: Iterable[Value]) -> Value:
    return max((value for value in values if value is not None), default=None)
