"""The ontology server's client: lists and fetches documents within bounds, and says where each came from."""

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

from django.conf import settings

from schema_registry import documents, transport
from schema_registry.errors import DocumentNotFound, DocumentRefused, OntologyUnavailable, Problem
from schema_registry.mock import folder
from schema_registry.transport import Answer, NoAnswer

TRIES = 3
BACK_OFF = 0.1  # seconds before the second try; twice that before the third
MAX_REDIRECTS = 5
MAX_ID = 200  # characters of a document's id
MAX_ETAG = 500  # characters; a longer one is not kept
MAX_KEPT = 1_000  # documents kept with their ETags
MAX_KEPT_BYTES = 16 * 2**20  # of their texts together
MAX_DOCUMENTS = 10_000  # that one server lists
MAX_TOGETHER = 32 * 2**20  # bytes of all documents that are read for one question
PATIENCE = 60  # timeouts that all of them together may take
MOCK_URL = "mock"


@dataclass(frozen=True, slots=True)
class Fetched:
    """A document as it came: parsed, and its exact text; `fetched_at` is when its server last answered for it (UTC)."""

    document_id: str
    document: Any
    text: str
    provenance: Literal["live", "mock"]
    etag: str
    url: str
    fetched_at: datetime


@dataclass(frozen=True, slots=True)
class _Kept:
    """A document as its server last sent it, to be asked for by its ETag."""

    body: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class HealthAnswer:
    """Whether the ontology server says it is well, in words, and the seconds that took."""

    healthy: bool
    detail: str
    seconds: float
    provenance: Literal["live", "mock"]


class OntologyClient:
    """Asks one ontology server, or the sample ontology inside; safe to share between threads.

    `timeout` (seconds) bounds each try as a whole, redirects and body included. A broken connection, a 5xx and a 429
    are tried twice more; a try that timed out is not. All tries of one question together take at most three timeouts, and all
    documents that are read together at most PATIENCE of them.
    """

    def __init__(
        self, url: str, *, timeout: float, schema_ids: Iterable[str] = (), use_mock: bool = False, mock_folder: Path = folder.SAMPLE
    ) -> None:
        parts = urlsplit(url.rstrip("/"))
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise OntologyUnavailable(url=without_user(url), reason="its address does not begin with http:// or https://")
        self.url = MOCK_URL if use_mock else without_user(url.rstrip("/"))
        self.use_mock = use_mock
        self._auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        self._timeout, self._schema_ids, self._folder = timeout, tuple(schema_ids), mock_folder
        self._session = transport.session()
        self._kept: dict[str, _Kept] = {}
        self._kept_bytes = 0
        self._lock = threading.Lock()

    @staticmethod
    def from_settings() -> "OntologyClient":
        """The client that the settings describe; the same one each time, so that it keeps its documents."""
        ids = tuple(settings.ONTO_SCHEMA_IDS)
        return _shared(settings.ONTO_SERVER_URL, settings.ONTO_SERVER_TIMEOUT, ids, settings.USE_MOCK_ONTO_SERVER)

    def ids(self) -> tuple[str, ...]:
        """The ids of all documents. Raises OntologyUnavailable, also for an empty list, which is no answer."""
        if self.use_mock:
            return self._mock_ids()
        answer = self._ask("/schemas")
        if answer.status != 404:
            listed = self._ids(self._json(answer))
        elif not (listed := self._schema_ids):
            raise self._unavailable("it has no list of schemas, and ONTO_SCHEMA_IDS is empty")
        return listed

    def document(self, document_id: str) -> Fetched:
        """One document. Raises OntologyUnavailable, DocumentNotFound, and DocumentRefused where what came is no JSON."""
        if not _usable(document_id):
            raise DocumentNotFound(url=self.url, document_id=str(document_id)[:MAX_ID])
        if self.use_mock:
            return self._mock_document(document_id)
        path = f"/schemas/{quote(document_id, safe='')}"
        kept = self._kept.get(document_id)
        answer = self._ask(path, etag=kept.etag if kept else "")
        if answer.status in (404, 410):
            raise DocumentNotFound(url=self.url, document_id=document_id)
        if answer.status == 304 and kept:
            body, whole, etag = kept.body, True, kept.etag
        elif answer.status == 200:
            body, whole, etag = answer.body, answer.whole, _etag(answer)
        else:
            raise self._unavailable(f"it answered with status {answer.status}")
        document, text = _parsed(document_id, body, whole=whole)
        self._keep(document_id, _Kept(body, etag))
        return Fetched(document_id, document, text, "live", etag, self.url + path, datetime.now(UTC))

    def all_documents(self) -> tuple[tuple[Fetched, ...], tuple[DocumentRefused, ...]]:
        """Every listed document, and a refusal for each that is listed but cannot be had. Raises OntologyUnavailable."""
        answers = list(self.some_documents(self.ids()))
        fetched = tuple(one for one in answers if isinstance(one, Fetched))
        return fetched, tuple(one for one in answers if isinstance(one, DocumentRefused))

    def some_documents(self, document_ids: Iterable[str]) -> Iterator[Fetched | DocumentRefused]:
        """The documents of these ids one by one, or a refusal for each that cannot be had. Raises OntologyUnavailable, too many bytes or
        seconds of all together included.
        """
        ends, size = time.monotonic() + PATIENCE * self._timeout, 0
        for document_id in document_ids:
            if time.monotonic() > ends:
                raise self._unavailable(f"its documents did not all come within {PATIENCE * self._timeout:.3g} seconds")
            one = self._document_or_refusal(document_id)
            size += len(one.text.encode()) if isinstance(one, Fetched) else one.size
            if size > MAX_TOGETHER:
                raise self._unavailable(f"its documents are larger than {MAX_TOGETHER} bytes together")
            yield one

    def _document_or_refusal(self, document_id: str) -> Fetched | DocumentRefused:
        try:
            return self.document(document_id)
        except DocumentRefused as refusal:
            return refusal.bare()
        except DocumentNotFound:
            return _refusal(document_id, "not_found", "the server lists it and does not have it")

    def health(self) -> HealthAnswer:
        """What GET /health answers, asked once; a server that gives no answer is unhealthy, with the reason."""
        if self.use_mock:
            return HealthAnswer(True, "the sample ontology answers; the live server is not asked", 0.0, "mock")
        start = time.monotonic()
        try:
            status = self._ask("/health", tries=1).status
        except OntologyUnavailable as failure:
            return HealthAnswer(False, failure.reason, time.monotonic() - start, "live")
        return HealthAnswer(200 <= status < 300, f"it answered with status {status}", time.monotonic() - start, "live")

    def _ask(self, path: str, *, etag: str = "", tries: int = TRIES) -> Answer:
        """The answer to a GET, tried again where that may help."""
        ends = time.monotonic() + TRIES * self._timeout
        headers = {"If-None-Match": etag} if etag else {}
        reason = ""
        for number in range(tries):
            if number and (wait := BACK_OFF * 2 ** (number - 1)) < ends - time.monotonic():
                time.sleep(wait)
            left = min(self._timeout, ends - time.monotonic())
            if left <= 0:
                break
            try:
                answer = self._follow(path, headers, left)
            except NoAnswer as failure:
                reason = failure.reason
                if not failure.again:
                    break
                continue
            if answer.status < 500 and answer.status != 429:
                return answer
            reason = f"it answered with status {answer.status}"
        raise self._unavailable(reason)

    def _follow(self, path: str, headers: dict[str, str], seconds: float) -> Answer:
        """One try: redirects are followed on the same server only, all within the seconds."""
        ends = time.monotonic() + seconds
        url = self.url + path
        for _ in range(MAX_REDIRECTS + 1):
            left = ends - time.monotonic()
            if left <= 0:
                raise NoAnswer(f"it did not answer within {seconds:.3g} seconds", again=False)
            answer = transport.get(self._session, url, seconds=left, headers=headers, auth=self._auth)
            if answer.status not in (301, 302, 303, 307, 308) or not answer.headers.get("Location"):
                return answer
            url = _same_server(url, answer.headers["Location"])
        raise NoAnswer("it redirects without end", again=False)

    def _json(self, answer: Answer) -> Any:
        if answer.status != 200:
            raise self._unavailable(f"it answered with status {answer.status}")
        if not answer.whole:
            raise self._unavailable(f"its answer is larger than {transport.MAX_BYTES} bytes")
        try:
            return documents.read(answer.body)
        except documents.NotJson as failure:
            raise self._unavailable(f"its list of schemas is unusable: {failure}") from None

    def _ids(self, listed: object) -> tuple[str, ...]:
        """The ids in a list of ids, or of objects with an id, each once. Raises OntologyUnavailable where one of them is no id."""
        if not isinstance(listed, list) or not listed:
            raise self._unavailable("its list of schemas is empty, or no list")
        if len(listed) > MAX_DOCUMENTS:
            raise self._unavailable(f"its list of schemas has {len(listed)} of them, and {MAX_DOCUMENTS} is the most")
        found: list[Any] = [item.get("id") if isinstance(item, dict) else item for item in listed]
        if not all(map(_usable, found)):
            raise self._unavailable(f"its list of schemas has an id that is none: an id has 1 to {MAX_ID} printable characters")
        return tuple(dict.fromkeys(found))

    def _keep(self, document_id: str, kept: "_Kept") -> None:
        """Keeps a document that has an ETag; those that were asked for longest ago make room."""
        with self._lock:
            self._forget(document_id)
            if kept.etag:
                self._kept[document_id] = kept
                self._kept_bytes += len(kept.body)
            while len(self._kept) > MAX_KEPT or self._kept_bytes > MAX_KEPT_BYTES:
                self._forget(next(iter(self._kept)))

    def _forget(self, document_id: str) -> None:
        if gone := self._kept.pop(document_id, None):
            self._kept_bytes -= len(gone.body)

    def _mock_ids(self) -> tuple[str, ...]:
        try:
            listed = folder.stems(self._folder)
        except OSError:
            raise self._unavailable("its folder cannot be read") from None
        if not listed:
            raise self._unavailable("its folder has no documents")
        return listed

    def _mock_document(self, document_id: str) -> Fetched:
        try:
            content = folder.content(self._folder, document_id)
        except OSError:
            raise self._unavailable("its folder cannot be read") from None
        if content is None:
            raise DocumentNotFound(url=self.url, document_id=document_id)
        document, text = _parsed(document_id, content, whole=len(content) <= transport.MAX_BYTES)
        return Fetched(document_id, document, text, "mock", "", f"{MOCK_URL}:{document_id}.json", datetime.now(UTC))

    def _unavailable(self, reason: str) -> OntologyUnavailable:
        return OntologyUnavailable(url=self.url, reason=reason)


@lru_cache(maxsize=4)
def _shared(url: str, timeout: float, ids: tuple[str, ...], use_mock: bool) -> OntologyClient:
    return OntologyClient(url, timeout=timeout, schema_ids=ids, use_mock=use_mock)


def without_user(url: str) -> str:
    """The address without a user, password and query, which no page, error, snapshot or backup may show."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _same_server(url: str, location: str) -> str:
    """Where a redirect leads, if that is the same server (or the same host by https)."""
    try:
        here, there = urlsplit(url), urlsplit(urljoin(url, location))
        same = (there.scheme, there.hostname, there.port) == (here.scheme, here.hostname, here.port)
        upgrade = (here.scheme, there.scheme) == ("http", "https") and there.hostname == here.hostname and there.port in (None, 443)
    except ValueError:
        raise NoAnswer("it redirects to something that is no address", again=False) from None
    if not same and not upgrade:
        raise NoAnswer("it redirects to another server, which is not followed", again=False)
    return urlunsplit((there.scheme, there.netloc.rpartition("@")[2], there.path, there.query, ""))


def _usable(document_id: object) -> bool:
    """Whether an id can be asked for; `.` and `..` would be taken for folders on the way."""
    return isinstance(document_id, str) and 1 <= len(document_id) <= MAX_ID and document_id.isprintable() and document_id not in (".", "..")


def _etag(answer: Answer) -> str:
    """The ETag, where it can be sent back."""
    etag = answer.headers.get("ETag", "")
    return etag if len(etag) <= MAX_ETAG and etag.isascii() and etag.isprintable() else ""


def _parsed(document_id: str, body: bytes, *, whole: bool) -> tuple[Any, str]:
    if not whole:
        raise _refusal(document_id, "limit", f"it is larger than {transport.MAX_BYTES} bytes", body)
    try:
        text = body.decode("utf-8-sig")
        return documents.read(text), text
    except UnicodeDecodeError:
        raise _refusal(document_id, "syntax", "it is not UTF-8", body) from None
    except documents.NotJson as failure:
        raise _refusal(document_id, "syntax", str(failure), body) from None


def _refusal(document_id: str, code: str, detail: str, body: bytes = b"") -> DocumentRefused:
    return DocumentRefused(document_id=document_id, problems=(Problem("", code, detail),), size=len(body))
