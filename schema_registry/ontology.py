"""The ontology server's client: lists and fetches documents within bounds, and says where each came from."""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit, urlunsplit

from django.conf import settings

from schema_registry import documents, transport
from schema_registry.errors import DocumentNotFound, DocumentRefused, OntologyUnavailable, Problem
from schema_registry.mock import folder
from schema_registry.transport import Answer, NoAnswer

TRIES = 3
BACK_OFF = 0.1  # seconds before the second try; twice that before the third
MAX_REDIRECTS = 5
MAX_ID = 200  # characters of a document's id
MAX_KEPT = 1_000  # documents kept with their ETags
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
class HealthAnswer:
    """Whether the ontology server says it is well, in words, and the seconds that took."""

    healthy: bool
    detail: str
    seconds: float
    provenance: Literal["live", "mock"]


class OntologyClient:
    """Asks one ontology server, or the sample ontology inside; safe to share between threads.

    `timeout` (seconds) bounds each try as a whole, redirects and body included. A broken connection, a 5xx and a 429
    are tried twice more; a try that timed out is not. All tries of one question together take at most three timeouts.
    """

    def __init__(
        self, url: str, *, timeout: float, schema_ids: Iterable[str] = (), use_mock: bool = False, mock_folder: Path = folder.SAMPLE
    ) -> None:
        parts = urlsplit(url.rstrip("/"))
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise OntologyUnavailable(url=_without_user(parts), reason="its address does not begin with http:// or https://")
        self.url = MOCK_URL if use_mock else _without_user(parts)
        self.use_mock = use_mock
        self._auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        self._timeout, self._schema_ids, self._folder = timeout, tuple(schema_ids), mock_folder
        self._session = transport.session()
        self._kept: dict[str, Fetched] = {}
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
        listed = self._schema_ids if answer.status == 404 else _ids(self._json(answer))
        if not listed:
            raise self._unavailable("its list of schemas is empty, or no list of ids")
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
            return self._keep(replace(kept, fetched_at=datetime.now(UTC)))
        if answer.status != 200:
            raise self._unavailable(f"it answered with status {answer.status}")
        document, text = _parsed(document_id, answer.body, whole=answer.whole)
        etag = answer.headers.get("ETag", "")
        return self._keep(
            Fetched(document_id, document, text, "live", etag if len(etag) <= 500 else "", self.url + path, datetime.now(UTC))
        )

    def all_documents(self) -> tuple[tuple[Fetched, ...], tuple[DocumentRefused, ...]]:
        """Every listed document, and a refusal for each that is listed but cannot be had. Raises OntologyUnavailable."""
        return self.some_documents(self.ids())

    def some_documents(self, document_ids: Iterable[str]) -> tuple[tuple[Fetched, ...], tuple[DocumentRefused, ...]]:
        """The documents of these ids, as `all_documents` answers."""
        fetched: list[Fetched] = []
        refused: list[DocumentRefused] = []
        for document_id in document_ids:
            try:
                fetched.append(self.document(document_id))
            except DocumentRefused as refusal:
                refused.append(refusal)
            except DocumentNotFound:
                refused.append(_refusal(document_id, "not_found", "the server lists it and does not have it"))
        return tuple(fetched), tuple(refused)

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

    def _keep(self, fetched: Fetched) -> Fetched:
        """Keeps a document that has an ETag; the one that was asked for longest ago makes room."""
        with self._lock:
            self._kept.pop(fetched.document_id, None)
            if fetched.etag:
                self._kept[fetched.document_id] = fetched
            while len(self._kept) > MAX_KEPT:
                del self._kept[next(iter(self._kept))]
        return fetched

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


def _without_user(parts: SplitResult) -> str:
    """The address without a user and password, which no error and no snapshot may show."""
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


def _ids(listed: object) -> tuple[str, ...]:
    """The ids in a list of ids, or of objects with an id, each once; nothing at all where one of them is no id."""
    if not isinstance(listed, list):
        return ()
    found: list[Any] = [item.get("id") if isinstance(item, dict) else item for item in listed]
    return tuple(dict.fromkeys(found)) if all(map(_usable, found)) else ()


def _parsed(document_id: str, body: bytes, *, whole: bool) -> tuple[Any, str]:
    if not whole:
        raise _refusal(document_id, "limit", f"it is larger than {transport.MAX_BYTES} bytes")
    try:
        text = body.decode("utf-8-sig")
        return documents.read(text), text
    except UnicodeDecodeError:
        raise _refusal(document_id, "syntax", "it is not UTF-8") from None
    except documents.NotJson as failure:
        raise _refusal(document_id, "syntax", str(failure)) from None


def _refusal(document_id: str, code: str, detail: str) -> DocumentRefused:
    return DocumentRefused(document_id=document_id, problems=(Problem("", code, detail),))
