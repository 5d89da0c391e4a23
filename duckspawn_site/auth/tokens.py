"""Makes and revokes tokens; the REST views, the console and the command all come here."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.dateparse import parse_duration

from duckspawn_site.auth.models import Token
from projects import audit

LONGEST = timedelta(days=3660)
DEFAULT_EXPIRES = "30d"
_SHORT = re.compile(r"(\d{1,6})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class BadExpiry(ValueError):
    """Say how long the token lives as 30d, 12h, 45m, or as an ISO 8601 duration such as P30D; ten years at most."""

    def __str__(self) -> str:
        return self.__doc__ or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a new token should be. A blank role means all of the owner's rights, no scopes all tables."""

    expires: timedelta
    role: str = ""
    scopes: tuple[str, ...] = ()
    name: str = ""


def parse_expiry(text: str) -> timedelta:
    """The span that `30d`, `12h`, `45m` or an ISO 8601 duration says. Raises BadExpiry."""
    short = _SHORT.fullmatch(text.strip())
    span = timedelta(**{_UNITS[short[2]]: int(short[1])}) if short else _iso(text.strip())
    if span is None or not timedelta(0) < span <= LONGEST:
        raise BadExpiry()
    return span


def _iso(text: str) -> timedelta | None:
    return parse_duration(text) if text.startswith("P") else None


@transaction.atomic
def create(owner: User, wish: Wish, *, actor: str) -> tuple[Token, str]:
    """Makes a token of the owner's; the second value is its secret, which nothing keeps."""
    token, secret = Token.objects.create(user=owner, expiry=wish.expires, role=wish.role, scopes=list(wish.scopes), name=wish.name)
    audit.record("token.create", str(token.id), actor=actor, detail=_described(token))
    return token, secret


@transaction.atomic
def revoke(token: Token, *, actor: str) -> None:
    """Takes the token away; this process refuses it from now on, another one within seconds."""
    described, object_id = _described(token), str(token.id)
    token.delete()
    audit.record("token.revoke", object_id, actor=actor, detail=described)


def _described(token: Token) -> dict[str, Any]:
    expires_at = token.expiry.isoformat() if token.expiry else None
    return {"owner": token.user.get_username(), "role": token.role, "scopes": token.scopes, "name": token.name, "expires_at": expires_at}
