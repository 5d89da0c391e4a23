"""Logins that fail too often, slowed by name and address together; django-axes counts them, and the settings say how many.

The same name is let in from another address meanwhile, and another name from the same one. `audit` has each time that somebody was slowed.
"""

import math
from typing import Any

from axes.handlers.proxy import AxesProxyHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Max
from django.http import HttpRequest
from django.utils import timezone
from rest_framework import authentication as rest
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from duckspawn_site.auth.errors import LoginSlowed
from monitoring.addresses import client_address
from projects import audit

LONGEST_NAME = User._meta.get_field("username").max_length or 150


class BasicAuthentication(rest.BasicAuthentication):
    """REST framework's, with the request that Django made: failures are counted by its address. Raises LoginSlowed."""

    def authenticate_credentials(self, userid: str, password: str, request: Request | None = None) -> Any:
        # REST framework's own caller gives it.
        assert request is not None  # noqa: S101  # nosec B101
        if "\0" in userid + password:  # PostgreSQL would refuse to look for it.
            raise AuthenticationFailed("Invalid username/password.")
        found = super().authenticate_credentials(userid, password, request._request)  # type: ignore[arg-type]
        forgive(userid, client_address(request._request))
        return found


def name_tried(request: HttpRequest, credentials: dict[str, Any] | None) -> str:
    """The name that somebody signs in with, no longer than a name may be."""
    return str((credentials or {}).get("username") or "")[:LONGEST_NAME]


def refuse(sender: Any, *, request: HttpRequest, username: str, ip_address: str | None, **_: Any) -> None:
    """Receives axes' word that a login is locked. Raises LoginSlowed; the first time is audited."""
    if getattr(request, "axes_failures_since_start", None):
        audit.record("login.slow", username, actor="anonymous", detail={"address": ip_address})
    last = AccessAttempt.objects.filter(username=username, ip_address=ip_address).aggregate(last=Max("attempt_time"))["last"]
    rest = (last or timezone.now()) + settings.AXES_COOLOFF_TIME - timezone.now()
    raise LoginSlowed(wait=max(1, math.ceil(rest.total_seconds())))


def forgive(username: str, address: str | None = None) -> int:
    """Forgets failed logins with that name, from that address or from all; gives how many callers had some."""
    return AxesProxyHandler.reset_attempts(username=username[:LONGEST_NAME], ip_address=address)


def unlock(username: str, *, actor: str) -> int:
    """Lets somebody try again at once who was slowed; audited. Gives from how many callers there were failures."""
    count = forgive(username)
    audit.record("login.unlock", username, actor=actor, detail={"attempts": count})
    return count
