"""Requests as Prometheus counts them: by method, by route and by status.

A route is a pattern of addresses, never an address, so that there are few series whatever is asked for.
"""

import prometheus_client
from prometheus_client import Counter, Gauge, Histogram

prometheus_client.disable_created_metrics()  # A series more for each of ours, which nothing reads.

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_requests = Counter("duckspawn_http_requests", "Requests that were answered.", ["method", "route", "status"])
_seconds = Histogram(
    "duckspawn_http_request_duration_seconds",
    "Seconds until a request's answer was made; of one that is sent while it is made, until its beginning was.",
    ["method", "route"],
    buckets=SECONDS,
)
_in_flight = Gauge("duckspawn_http_requests_in_flight", "Requests under way, answers that are still being sent included.")

_known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}  # Labels cost more to look up than to count by.


def begin() -> None:
    _in_flight.inc()


def end() -> None:
    _in_flight.dec()


def count(method: str, route: str, status: int, seconds: float) -> None:
    """Counts one answer; a method that no route of ours has is `other`."""
    key = (method if method in METHODS else "other", route, status)
    if (found := _known.get(key)) is None:
        found = _known[key] = (_requests.labels(*map(str, key)), _seconds.labels(*key[:2]))
    found[0].inc()
    found[1].observe(seconds)


def refuse(status: int) -> None:
    """Counts an answer to what was no request, and so had no method and no route."""
    _requests.labels("other", "none", str(status)).inc()


def answers() -> dict[int, float]:
    """How many answers of each status this process has given."""
    given: dict[int, float] = {}
    for family in _requests.collect():
        for sample in family.samples:
            status = int(sample.labels["status"])
            given[status] = given.get(status, 0) + sample.value
    return given
