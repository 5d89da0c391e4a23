"""Bearer tokens in requests. The answer for a token is kept a few seconds, because finding it out costs more than most views.

Whatever changes a person or a token in this process empties what was kept (apps.py); another process's change shows
after KEPT seconds.
"""

import hashlib
import logging
import math
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import OperationalError
from django.db.models import Q
from django.utils import timezone
from knox.auth import TokenAuthentication as KnoxAuthentication
from knox.crypto import hash_token
from rest_framework.exceptions import AuthenticationFailed

from duckspawn_site.auth.models import Token

log = logging.getLogger(__name__)

KEPT = 5.0  # seconds
LIST_KEPT = 1.0  # seconds
USE_NOTED = timedelta(minutes=1)
MOST = 10_000  # answers; a server seldom sees as many tokens in five seconds


@dataclass(frozen=True, slots=True)
class _Answer:
    user: User
    token: Token
    found_at: float


_answers: dict[bytes, _Answer] = {}
_forgotten = 0  # how often; an answer that was looked up before the last time is not kept after it
_lock = threading.Lock()
_existing: tuple[float, int, frozenset[str]] = -math.inf, 0, frozenset()  # when it was read, `_forgotten` then, and knox's digests
_reading = threading.Lock()


def forget_all(**_: Any) -> None:
    """Empties what was kept; it takes a signal's arguments and needs none of them."""
    global _forgotten  # noqa: PLW0603
    with _lock:
        _forgotten += 1
        _answers.clear()


def bearer(header: str) -> bytes:
    """The token of an Authorization header, read as REST framework reads it; empty where it has none."""
    words = header.split()
    return words[1].encode("iso-8859-1", "replace") if len(words) == 2 and words[0].lower() == "bearer" else b""


def digest_of(token: bytes) -> bytes:
    """What a token's answer is kept by."""
    return hashlib.sha256(token).digest()


def is_known(digest: bytes) -> bool:
    """Whether the token of this digest was good when it was last looked up, and nothing was forgotten since."""
    return digest in _answers


def exists(token: bytes) -> bool:
    """Whether there is such a token, by a list of the newest; it is read once a second at most while nothing changes, whoever asks."""
    global _existing  # noqa: PLW0603
    try:
        digest = hash_token(token.decode())
    except UnicodeDecodeError:
        return False
    with _reading:
        read_at, forgotten, digests = _existing
        if forgotten != _forgotten or time.monotonic() - read_at > LIST_KEPT:
            forgotten, living = _forgotten, Token.objects.filter(Q(expiry=None) | Q(expiry__gt=timezone.now()), user__is_active=True)
            digests = frozenset(living.order_by("-created").values_list("digest", flat=True)[:MOST])
            _existing = time.monotonic(), forgotten, digests
        return digest in digests


def _keep(digest: bytes, answer: _Answer, *, forgotten: int) -> None:
    with _lock:
        if forgotten == _forgotten:
            if len(_answers) >= MOST:
                _answers.clear()
            _answers[digest] = answer


class TokenAuthentication(KnoxAuthentication):
    """knox's, with its answer kept. Raises AuthenticationFailed for a token that is unknown, expired, or an inactive user's."""

    def authenticate_credentials(self, token: bytes) -> tuple[User, Token]:
        digest = digest_of(token)
        answer = _answers.get(digest)
        if answer is None or time.monotonic() - answer.found_at > KEPT:
            answer = self._find(token, digest)
        if answer.token.expiry is not None and answer.token.expiry <= timezone.now():
            raise AuthenticationFailed("Invalid token.")
        return answer.user, answer.token

    def _find(self, token: bytes, digest: bytes) -> _Answer:
        forgotten = _forgotten
        try:
            user, found = super().authenticate_credentials(token)
        except AuthenticationFailed:
            _answers.pop(digest, None)
            raise
        except UnicodeDecodeError as error:
            raise AuthenticationFailed("Invalid token.") from error
        _note_use(found)
        answer = _Answer(user, found, time.monotonic())
        _keep(digest, answer, forgotten=forgotten)
        return answer


def _note_use(token: Token) -> None:
    """Writes when the token was last used, at most once a minute. A database that is locked or full keeps nobody from reading."""
    now = timezone.now()
    if token.last_used_at is None or now - token.last_used_at > USE_NOTED:
        token.last_used_at = now
        try:
            Token.objects.filter(pk=token.pk).update(last_used_at=now)
        except OperationalError as error:
            log.warning("the use of a token was not noted: %s", error)
