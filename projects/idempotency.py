"""Idempotency-Key: a person's key on a table promises that a POST is done once; whoever sends it again gets the first answer.

The answer is written in the transaction of the work, so there is never one without the other. Only work that was done has one:
what was refused is looked at afresh. One process owns the store, so a set of the keys under way is enough to wait on.
"""

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from django.http import HttpRequest, HttpResponse

from projects import slots
from projects.errors import BadRequest, KeyReused, KeyUnderWay
from projects.store import books
from projects.store.books import Kept
from projects.store.connection import Store

HEADER = "HTTP_IDEMPOTENCY_KEY"
KEPT_FOR = timedelta(hours=24)
PATIENCE = 30.0  # seconds that a request waits for the first with its key
_OURS = UUID("7c9e4d1e-53a8-4a55-9d0b-0f3a0c7a9b11")  # the namespace of the promises' ids
_BARE = re.compile(r'(?!")[!-~]{1,255}')
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\]){1,255})"')
_MEANS = ("CONTENT_TYPE", "HTTP_CONTENT_ENCODING", "HTTP_SCHEMA_VERSION", "QUERY_STRING")  # what changes what a body means

_under_way: set[UUID] = set()
_ended = threading.Condition()


class AnsweredBefore(Exception):
    """Carries the first answer past the work that need not be done again."""

    def __init__(self, kept: Kept) -> None:
        super().__init__()
        self.kept = kept


class Promise:
    """One request's key. `id` is of the person, the table and the key, so that a job that takes it is made once."""

    def __init__(self, store: Store, ids: tuple[UUID, ...], request: HttpRequest) -> None:
        self.id = ids[0]
        self._store, self._ids = store, ids
        means = (request.method, *(request.META.get(name, "") for name in _MEANS))
        self._digest = hashlib.sha256("\0".join(map(str, means)).encode() + b"\0")

    def note(self, piece: bytes) -> bytes:
        """A piece of the body, or all of it, which is what it was once it is noted."""
        self._digest.update(piece)
        return piece

    def noted(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """A body as it is read, noted piece by piece."""
        return map(self.note, pieces)

    @property
    def digest(self) -> str:
        """Of what was asked and of the body as far as it is noted."""
        return self._digest.hexdigest()

    def settle(self) -> None:
        """To be called once the body is read, before anything is done. Raises AnsweredBefore, KeyReused."""
        with self._store.read() as cursor:
            kept = books.kept(cursor, self._ids, since=datetime.now(UTC) - KEPT_FOR)
        if kept and kept.digest != self.digest:
            raise KeyReused()
        if kept:
            raise AnsweredBefore(kept)

    def keep(self, answer: HttpResponse) -> Kept:
        """The answer as the work's transaction has to write it, with `books.put_kept`."""
        headers = json.dumps(dict(answer.items()))
        return Kept(self.id, self.digest, datetime.now(UTC), answer.status_code, headers, answer.content.decode())


def once(store: Store, table: str, request: HttpRequest, person: str, act: Callable[[Promise | None], HttpResponse]) -> HttpResponse:
    """What `act` answers, or the first answer to the request's key, where it has one; requests with one key wait for each other.

    `person` stands for whose key it is. Raises BadRequest, TableNotFound, KeyReused, KeyUnderWay, and as `act`.
    """
    key = read_key(request.META.get(HEADER))
    if key is None:
        return act(None)
    live = store.table(table)
    names = (live.name, *(alias.name for alias in live.aliases if alias.column is None))
    ids = tuple(uuid5(_OURS, "\0".join((person, name.casefold(), key))) for name in names)
    try:
        with _alone(ids[0]):
            return act(Promise(store, ids, request))
    except AnsweredBefore as before:
        kept = before.kept
        return HttpResponse(kept.body, status=kept.status, headers=json.loads(kept.headers) | {"Idempotency-Replayed": "true"})


def read_key(text: str | None) -> str | None:
    """The key of a header, bare or as a quoted string, None where there is none. Raises BadRequest."""
    if text is None:
        return None
    text = text.strip(" \t")
    if _BARE.fullmatch(text):
        return text
    if quoted := _QUOTED.fullmatch(text):
        return re.sub(r"\\(.)", r"\1", quoted[1])
    raise BadRequest(detail="Idempotency-Key is 1 to 255 visible ASCII characters, such as a UUID.")


@contextmanager
def _alone(promise: UUID) -> Iterator[None]:
    """Raises KeyUnderWay where another request has it for too long."""
    with _ended:

        def is_over(seconds: float) -> bool:
            return _ended.wait_for(lambda: promise not in _under_way, seconds)

        if not is_over(slots.STUCK) and not slots.patiently(is_over, PATIENCE):
            raise KeyUnderWay()
        _under_way.add(promise)
    try:
        yield
    finally:
        with _ended:
            _under_way.discard(promise)
            _ended.notify_all()


def forget_old(store: Store) -> None:
    """Removes the answers that are no longer given."""
    before = datetime.now(UTC) - KEPT_FOR
    store.writer.alone(lambda transaction: books.forget_kept(transaction.cursor, before=before))
