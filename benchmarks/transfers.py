"""Many rows a request: loads and exports in each format."""

from benchmarks.callers import Outcome
from benchmarks.files import KINDS
from benchmarks.sides import LOADED, Sides
from benchmarks.works import Aim, Work

LOADS = {"Parquet": 0.8, "CSV": 0.8, "Arrow": 0.8, "NDJSON": 0.7, "JSON": 0.0}  # the aims, as shares of raw
EXPORTS = {"Parquet": 0.8, "Arrow": 0.8, "CSV": 0.7, "NDJSON": 0.7}


def works(sides: Sides) -> list[Work]:
    return [*(_load(sides, kind) for kind in LOADS), *(_export(sides, kind) for kind in EXPORTS)]


def _load(sides: Sides, kind: str) -> Work:
    """Into a table that was dropped and made again before; that is not measured."""

    def ready() -> int:
        sides.flights.file(kind)
        return sides.refuses("POST", f"/ops/{LOADED}", Content_Type=KINDS[kind])

    def ours() -> Outcome:
        sides.renew(LOADED)
        return _whole(sides.load(LOADED, sides.flights.file(kind), kind), sides.flights.rows_of(kind))

    def raw() -> Outcome:
        sides.raw.renew(LOADED)
        return _whole(sides.raw.load(LOADED, sides.flights.file(kind), kind), sides.flights.rows_of(kind))

    return Work(f"load {kind}{' array' * (kind == 'JSON')}", ours, raw, aim=_aim(LOADS[kind]), ready=ready)


def _export(sides: Sides, kind: str) -> Work:
    """The rows of one export are counted before; those that are measured are thrown away."""
    rows, file = sides.size.rows, sides.folder / "export"

    def ready() -> int:
        refused = sides.refuses("GET", "/ops/flights?limit=1", Accept=KINDS[kind])
        if not refused:
            _whole(Outcome(sides.raw.count(sides.fetched("flights", kind), kind), 1.0), rows)
        return refused

    return Work(
        f"export {kind}",
        lambda: sides.export("flights", kind, rows),
        lambda: _whole(sides.raw.export("flights", file, kind), rows),
        aim=_aim(EXPORTS[kind]),
        ready=ready,
    )


def _aim(share: float) -> Aim | None:
    return Aim("raw", share) if share else None


def _whole(outcome: Outcome, rows: int) -> Outcome:
    """The outcome, if it is of all rows."""
    if outcome.rows != rows:
        raise RuntimeError(f"{outcome.rows:,} rows instead of {rows:,}")
    return outcome
