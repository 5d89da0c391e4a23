"""How fast somebody may ask: by token or signed-in person, and by address for whoever is neither.

REST framework throttles after permissions, when a wrong token has cost a query already; this stands before both.
"""

import math
import threading
import time
from collections.abc import Callable
from functools import cache
from itertools import islice

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from duckspawn_site.auth import authentication
from duckspawn_site.auth.errors import TooManyRequests
from duckspawn_site.environment import Rate
from duckspawn_site.errors import answer_error
from monitoring.addresses import household

MOST = 50_000  # callers that a limiter knows at once, and sessions; some 10 MB
PROBES = frozenset({"/monitoring/live", "/monitoring/ready", "/monitoring/health"})
_CLOSE = 1e-6  # seconds that adding up may be wrong by


class Limiter:
    """Lets each caller make `rate.number` requests at once, and then as many in each `rate.seconds`; safe in threads.

    A token bucket (the generic cell rate algorithm of ITU-T I.371): all that is kept of a caller is when their bucket is full again.
    """

    def __init__(self, rate: Rate) -> None:
        self._span = float(rate.seconds)
        self._each = rate.seconds / rate.number
        self._full_at: dict[object, float] = {}
        self._lock = threading.Lock()

    def take(self, caller: object, now: float | None = None) -> float:
        """Counts one request; gives 0, or the seconds until there is room for it, and then counts nothing. `now` is in seconds."""
        now = time.monotonic() if now is None else now
        with self._lock:
            full_at = max(self._full_at.get(caller, 0.0), now) + self._each
            if (over := full_at - now - self._span) > _CLOSE:
                return over
            if len(self._full_at) >= MOST:
                self._make_room(now)
            self._full_at[caller] = full_at
        return 0.0

    def give_back(self, caller: object) -> None:
        """Counts one request less."""
        with self._lock:
            if caller in self._full_at:
                self._full_at[caller] -= self._each

    def _make_room(self, now: float) -> None:
        """Forgets whoever has a full bucket, which changes nothing, and of the others those who came first, who are let off.

        Half is free afterwards, so that it is not looked through again for each caller.
        """
        kept = {caller: full_at for caller, full_at in self._full_at.items() if full_at > now}
        spared = max(len(kept) - MOST // 2, 0)
        self._full_at = dict(islice(kept.items(), spared, None))


@cache
def limiter(kind: str, rate: Rate | None) -> Limiter | None:
    """The process's one limiter of that kind; None where it is off."""
    return Limiter(rate) if rate else None


_signed_in: dict[str, int] = {}  # the user of each session that was seen to be somebody's


class Throttle:
    """Answers 429 with Retry-After to whoever asks too fast.

    A token or session that was good before counts for itself. Anything else counts for its address before the database is asked,
    and is given back when it turns out good. Where the address has no room left, a good token still passes: which tokens there
    are is then read at most once a second (`authentication.exists`).
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.people = limiter("people", settings.THROTTLE)
        self.addresses = limiter("addresses", settings.THROTTLE_ANON)
        if self.people is None and self.addresses is None:
            raise MiddlewareNotUsed

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if token := authentication.bearer(request.META.get("HTTP_AUTHORIZATION", "")):
            return self._with_token(request, token)
        if session := request.COOKIES.get(settings.SESSION_COOKIE_NAME):
            return self._with_session(request, session)
        if request.path_info in PROBES:
            return self.get_response(request)
        wait = self._of_address(request)
        return _refused(request, wait) if wait else self.get_response(request)

    def _with_token(self, request: HttpRequest, token: bytes) -> HttpResponseBase:
        digest = authentication.digest_of(token)
        known = authentication.is_known(digest)
        wait = self._of_person(digest) if known else self._of_address(request)
        if wait and not known and authentication.exists(token):
            known, wait = True, self._of_person(digest)
        if wait:
            return _refused(request, wait)
        response = self.get_response(request)
        if not known and authentication.is_known(digest):
            self._give_back(request)
        return response

    def _with_session(self, request: HttpRequest, session: str) -> HttpResponseBase:
        known = _signed_in.get(session)
        if wait := self._of_address(request) if known is None else self._of_person(known):
            return _refused(request, wait)
        response = self.get_response(request)
        user = request.__dict__.get("_cached_user")  # Asked for by the view, or nobody needed to know.
        if user is not None and user.is_authenticated and request.session.session_key == session:
            if known is None:
                self._give_back(request)
            _remember(session, user.pk)
        elif user is not None:
            _signed_in.pop(session, None)
        return response

    def _of_person(self, key: object) -> float:
        return self.people.take(key) if self.people else 0.0

    def _of_address(self, request: HttpRequest) -> float:
        return self.addresses.take(household(request)) if self.addresses else 0.0

    def _give_back(self, request: HttpRequest) -> None:
        if self.addresses:
            self.addresses.give_back(household(request))


def _refused(request: HttpRequest, wait: float) -> HttpResponseBase:
    return answer_error(request, TooManyRequests(wait=math.ceil(wait)))


def _remember(session: str, user: int) -> None:
    if len(_signed_in) >= MOST:
        _signed_in.clear()
    _signed_in[session] = user


def forget_all() -> None:
    """Begins anew: nobody has asked for anything yet."""
    limiter.cache_clear()
    _signed_in.clear()
