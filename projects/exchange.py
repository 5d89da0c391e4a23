"""Answers: which format a request wants, and how rows are handed out in it."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import orjson
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request

from projects.aliases import Used
from projects.bodies import CSV, JSON
from projects.errors import BadRequest
from projects.store import sql
from schema_registry.schema import ColumnSchema

AnAnswer = TypeVar("AnAnswer", bound=HttpResponseBase)

NDJSON = "application/x-ndjson"
FORMATS = {"json": JSON, "ndjson": NDJSON, "csv": CSV}


class AnyFormat(BaseContentNegotiation):
    """Leaves the choice of a format to `answer_format`: rows have more formats than REST framework has renderers."""

    def select_parser(self, request: Request, parsers: Iterable[Any]) -> Any:
        return next(iter(parsers))

    def select_renderer(self, request: Request, renderers: Iterable[Any], format_suffix: str | None = None) -> tuple[Any, str]:
        return next(iter(renderers)), JSON


def answer_format(request: HttpRequest) -> str:
    """`json`, `ndjson` or `csv`, by `?format=` or else by Accept. Raises BadRequest, NotAcceptable."""
    if asked := request.GET.get("format"):
        if asked not in FORMATS:
            raise BadRequest(detail=f"format is one of {', '.join(FORMATS)}, not {asked!r}.")
        return asked
    accepted = [part.split(";")[0].strip().lower() for part in request.headers.get("Accept", "*/*").split(",")]
    for kind in accepted:
        for name, own in FORMATS.items():
            if kind in (own, "*/*", own.split("/")[0] + "/*"):
                return name
    raise NotAcceptable(f"The rows can be had as {', '.join(FORMATS.values())}.")


def json_answer(text: str | bytes, status: int = 200) -> HttpResponse:
    return HttpResponse(text, content_type=JSON, status=status)


def telling(answer: AnAnswer, used: Used) -> AnAnswer:
    """The answer, which tells of old names that the request used, since when they are (RFC 9745), and where the present ones are."""
    if used.aliases:
        answer.headers["Deprecation"] = f"@{int(used.since.timestamp())}"
        link = f'</admin/tables/{quote(used.table, safe="")}>; rel="deprecation"'
        answer.headers["Link"] = ", ".join(part for part in (answer.headers.get("Link"), link) if part)
    return answer


def dumped(value: Any) -> bytes:
    """Plain values as JSON."""
    return orjson.dumps(value)


def json_array(rows: Iterable[str]) -> str:
    return f"[{','.join(rows)}]"


@dataclass(frozen=True, slots=True)
class LineFormat:
    """A format with a row a line: the SQL of a line, and the line before the first."""

    kind: str
    expression: str
    head: str


def line_format(name: str, columns: tuple[ColumnSchema, ...]) -> LineFormat:
    """How rows of these columns are written as `ndjson` or `csv`."""
    if name == "ndjson":
        return LineFormat(NDJSON, sql.row_json(columns), "")
    names = ",".join(c.name if c.name.isidentifier() else '"' + c.name.replace('"', '""') + '"' for c in columns)
    return LineFormat(CSV, sql.csv_line(columns), names + "\n")


def streamed(lines: Iterator[list[str]], form: LineFormat) -> StreamingHttpResponse:
    """A whole result as it is read; what fails at its first row still fails as an error of its own."""
    first = list(itertools.islice(lines, 1))
    chunks = itertools.chain(first, lines)
    texts = ("\n".join(chunk) + "\n" for chunk in chunks)
    return StreamingHttpResponse(itertools.chain([form.head] if form.head else [], texts), content_type=form.kind)
