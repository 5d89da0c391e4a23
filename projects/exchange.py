"""Answers: their JSON, and what they tell of old names."""

from collections.abc import Iterable
from typing import Any, TypeVar
from urllib.parse import quote

import orjson
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request

from projects.aliases import Used
from projects.bodies import JSON

AnAnswer = TypeVar("AnAnswer", bound=HttpResponseBase)


class AnyFormat(BaseContentNegotiation):
    """Leaves the choice of a format to `formats.wanted`: rows have more formats than REST framework has renderers."""

    def select_parser(self, request: Request, parsers: Iterable[Any]) -> Any:
        return next(iter(parsers))

    def select_renderer(self, request: Request, renderers: Iterable[Any], format_suffix: str | None = None) -> tuple[Any, str]:
        return next(iter(renderers)), JSON


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
