"""The change feed by REST: parse, call one function, answer."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from projects import changes, exchange
from projects.bodies import JSON
from projects.conditions import Refused
from projects.errors import BadRequest
from projects.filters import DEFAULT_LIMIT, LARGEST_LIMIT, whole
from projects.formats import NDJSON, best
from projects.row_views import ROW_RIGHTS, SCHEMA_VERSION, Reach
from projects.store.connection import get_store
from projects.streams import leaving, streamed

EVENTS = "text/event-stream"
FORMATS = {"json": JSON, "ndjson": NDJSON, "events": EVENTS}
LARGEST_SEQ = 2**62


@extend_schema(exclude=True)  # openapi.py describes each live table's own paths.
class Changes(APIView):
    """What changed in a table, a stretch at a time or as server-sent events."""

    permission_classes = [Reach]
    content_negotiation_class = exchange.AnyFormat
    rights = ROW_RIGHTS

    def get(self, request: Request, table: str) -> HttpResponseBase:
        plain = request._request
        if SCHEMA_VERSION in plain.META:
            raise BadRequest(detail="Changes are told as the rows were then; each has its schema_version, so leave Schema-Version out.")
        form = _format(plain)
        answer = _stream(plain, table) if form == EVENTS else _stretch(plain, table, form)
        patch_vary_headers(answer, ["Accept"])
        return answer


def _stretch(request: HttpRequest, table: str, form: str) -> HttpResponse:
    given = _given(request, "since", "limit")
    limit = _number("limit", given.get("limit", str(DEFAULT_LIMIT)), 1, LARGEST_LIMIT)
    found, used = changes.listed(get_store(), table, _since(given.get("since")), limit)
    texts = [told.text for told in found.entries]
    body = exchange.json_array(texts) if form == JSON else "".join(f"{text}\n" for text in texts)
    answer = HttpResponse(body, content_type=form)
    kept = [(name, value) for name, value in request.GET.items() if name != "since"]
    answer["Link"] = f'<{request.path}?{urlencode([*kept, ("since", found.last)])}>; rel="next"'
    answer["X-Last-Seq"], answer["Cache-Control"] = str(found.last), "no-store"
    return exchange.telling(answer, used)


def _stream(request: HttpRequest, table: str) -> StreamingHttpResponse:
    """A client that comes again says by Last-Event-ID what it has seen, whatever its address says."""
    given = _given(request, "since")
    seen = request.headers.get("Last-Event-ID")
    since = _number("Last-Event-ID", seen, 0, LARGEST_SEQ) if seen else _since(given.get("since"))
    events, used = changes.followed(get_store(), table, since, leaving(request))
    answer = streamed(request, map(str.encode, events), EVENTS, packs=False)
    answer["Cache-Control"], answer["X-Accel-Buffering"] = "no-store", "no"  # A proxy that gathers would keep events back.
    return exchange.telling(answer, used)


def _format(request: HttpRequest) -> str:
    """The media type that is asked for. Raises BadRequest, NotAcceptable."""
    if asked := request.GET.get("format"):
        if asked not in FORMATS:
            raise BadRequest(detail=f"format is one of {', '.join(FORMATS)}, not {asked!r}.")
        return FORMATS[asked]
    return best(request.headers.get("Accept", ""), list(FORMATS.values()))


def _given(request: HttpRequest, *known: str) -> Mapping[str, Any]:
    """The parameters, `format` aside. Raises BadRequest for one that there is not, or that is given twice."""
    for name, values in request.GET.lists():
        if name not in (*known, "format"):
            raise BadRequest(detail=f"There is no parameter {name} here; there is {', '.join((*known, 'format'))}.")
        if len(values) > 1:
            raise BadRequest(detail=f"{name} is given twice.")
    return request.GET


def _since(text: str | None) -> int | None:
    return None if text is None else _number("since", text, 0, LARGEST_SEQ)


def _number(name: str, text: str, lowest: int, highest: int) -> int:
    try:
        return whole(text, lowest, highest)
    except Refused as refused:
        raise BadRequest(detail=f"{name} {refused}.") from refused
