"""A list of rows as an answer: what the address asks for, in the format that it asks for, and where it goes on."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from hashlib import sha256
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.http import parse_etags

from projects import cursors, exchange, exports, formats, slots, streams
from projects.aggregates import parse_groups
from projects.aliases import Names
from projects.filters import DEFAULT_LIMIT, Listing, parse_listing
from projects.formats import Format
from projects.preferences import COUNT, prefers
from projects.store import lists
from projects.store.connection import Store

VARIES = ("Accept", "Prefer", "Authorization", "Cookie")


def listed(store: Store, names: Names, request: HttpRequest) -> HttpResponseBase:
    """The rows that the address asks for, or 304 where the client has them already. Raises BadRequest, SchemaMoved."""
    return answered(store, names, parse_listing(names, pairs_of(request)), request)


def aggregated(store: Store, names: Names, request: HttpRequest) -> HttpResponseBase:
    """As `listed`, of the groups that the address asks for."""
    return answered(store, *parse_groups(names, pairs_of(request)), request)


def answered(store: Store, names: Names, listing: Listing, request: HttpRequest) -> HttpResponseBase:
    """A list that was understood, as an answer."""
    form = formats.wanted(request)
    listing = cursors.opened(names, listing)
    etag = _etag(store, names, request, form.name)  # Made before the rows are read: what is kept under it is never older than it.
    answer = HttpResponseNotModified() if _has(request, etag) else _shared(store, names, listing, request, form)
    answer["ETag"], answer["Cache-Control"] = etag, "private, no-cache"
    patch_vary_headers(answer, VARIES)
    return exchange.telling(answer, names.used)


def pairs_of(request: HttpRequest) -> list[tuple[str, str]]:
    """The parameters of the address, in their order."""
    return [(name, value) for name, values in request.GET.lists() for value in values]


def _shared(store: Store, names: Names, listing: Listing, request: HttpRequest, form: Format) -> HttpResponseBase:
    with turn(store, names, listing, counts=prefers(request, COUNT)):
        return _rows(store, names, listing, request, form)


def turn(store: Store, names: Names, listing: Listing, *, counts: bool = False) -> AbstractContextManager[None]:
    """A heavy request's turn where many rows of a large table are looked at for a page of them, else nothing. Raises TooManyHeavy."""
    looks = counts or listing.sort or listing.filter.parts or listing.offset or listing.after or names.source
    return slots.heavy() if looks and lists.has_many_rows(store, names.live.schema) else nullcontext()


def _rows(store: Store, names: Names, listing: Listing, request: HttpRequest, form: Format) -> HttpResponseBase:
    total = lists.count(store, names.schema, listing, names.source) if prefers(request, COUNT) else None
    answer = _page(store, names, listing, request) if form.name == "json" else _file(store, names, listing, request, form)
    if total is not None:
        answer["X-Total-Count"] = str(total)
        answer["Preference-Applied"] = COUNT
    return answer


def _page(store: Store, names: Names, listing: Listing, request: HttpRequest) -> HttpResponse:
    page = lists.page(store, names.schema, listing, names.source)
    answer = streams.packed(request, exchange.json_answer(exchange.json_array(page.rows)))
    if page.end is not None:
        answer["Link"] = _next(request, names, listing, page.end)
    return answer


def _file(store: Store, names: Names, listing: Listing, request: HttpRequest, form: Format) -> HttpResponseBase:
    """The whole result, or one page of it: where that ends is asked first, for a file has no room to say so at its end."""
    end = lists.end_of(store, names.schema, listing, names.source) if listing.limit else None
    if end is None:
        return exports.streamed(store, names, listing, form, request)
    answer = exports.streamed(store, names, replace(listing, until=end), form, request)
    answer["Link"] = _next(request, names, listing, end)
    return answer


def _next(request: HttpRequest, names: Names, listing: Listing, end: tuple[str | None, ...]) -> str:
    """The link to the next page. One whose cursor would be too long for an address goes on by offset, from this page's own cursor."""
    kept = [(name, value) for name, value in pairs_of(request) if name not in ("cursor", "offset")]
    if cursor := cursors.sealed(names, listing, end):
        further = {"cursor": cursor}
    else:
        begun = {"cursor": listing.cursor} if listing.cursor else {}
        further = begun | {"offset": str(listing.offset + (listing.limit or DEFAULT_LIMIT))}
    return f'<{request.path}?{urlencode([*kept, *further.items()])}>; rel="next"'


def _etag(store: Store, names: Names, request: HttpRequest, form: str) -> str:
    """Weak: two answers under it have the same rows, if not byte for byte in the same order."""
    asked = (request.get_full_path(), form, prefers(request, COUNT), request.headers.get("Schema-Version"), names.schema.fingerprint)
    return f'W/"{sha256(repr((store.mark_of(names.live.name), *asked)).encode()).hexdigest()[:32]}"'


def _has(request: HttpRequest, etag: str) -> bool:
    """Whether the client has the answer with the tag (RFC 9110, 13.1.2)."""
    given = parse_etags(request.headers.get("If-None-Match", ""))
    return "*" in given or etag.removeprefix("W/") in (tag.removeprefix("W/") for tag in given)
