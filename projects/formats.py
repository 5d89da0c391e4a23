"""The formats that rows are had in: their names, their media types, and which of them a request wants."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.http import HttpRequest
from rest_framework.exceptions import NotAcceptable

from projects.bodies import ARROW, CSV, JSON, NDJSON, PARQUET
from projects.errors import BadRequest

JSON_SCHEMA, JSON_LD = "application/schema+json", "application/ld+json"  # of a table's schema


@dataclass(frozen=True, slots=True)
class Format:
    """A format by its name in `?format=`, its media type, and the end of a file's name."""

    name: str
    kind: str
    suffix: str
    is_packed: bool = False  # is compressed as it is


FORMATS = {
    f.name: f
    for f in (
        Format("json", JSON, "json"),
        Format("ndjson", NDJSON, "ndjson"),
        Format("csv", CSV, "csv"),
        Format("parquet", PARQUET, "parquet", is_packed=True),
        Format("arrow", ARROW, "arrows"),
    )
}


def wanted(request: HttpRequest) -> Format:
    """The format of the answer, by `?format=` or else by Accept. Raises BadRequest, NotAcceptable, which name those that there are."""
    asked = request.GET.get("format")
    if asked is None:
        kind = best(request.headers.get("Accept", ""), [f.kind for f in FORMATS.values()])
        return next(f for f in FORMATS.values() if f.kind == kind)
    if asked not in FORMATS:
        raise BadRequest(detail=f"format is one of {', '.join(FORMATS)}, not {asked!r}.")
    return FORMATS[asked]


def best(accept: str, kinds: list[str]) -> str:
    """The media type that an Accept header likes best (RFC 9110, 12.5.1); of equals the one that it names first. Raises NotAcceptable."""
    ranges = list(weighed(accept or "*/*"))
    found = [(-weight, place, kind) for kind in kinds for weight, place in [_weight(ranges, kind)] if weight > 0]
    if not found:
        raise NotAcceptable(f"The answer can be had as {', '.join(kinds)}.")
    return min(found, key=lambda one: one[:2])[2]


def _weight(ranges: list[tuple[str, float]], kind: str) -> tuple[float, int]:
    """How much a type is wanted, by the range that fits it most closely, and the place of that range."""
    for fitting in (kind, f"{kind.partition('/')[0]}/*", "*/*"):
        for place, (name, weight) in enumerate(ranges):
            if name == fitting:
                return weight, place
    return 0.0, 0


def weighed(header: str) -> Iterator[tuple[str, float]]:
    """What a header of preferences names, each with its q-value; one that is no number from 0 to 1 counts as 0."""
    for part in header.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        given = next((p.removeprefix("q=") for p in parameters if p.startswith("q=")), "1")
        try:
            weight = float(given)
        except ValueError:
            weight = 0.0
        if name:
            yield name, weight if 0 <= weight <= 1 else 0.0
