"""Everybody who may ask: nobody, each role, and each kind of token, the dead and the narrow ones too."""

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

from django.contrib.auth.models import Group, User
from django.core.management import call_command
from rest_framework.test import APIClient

from duckspawn_site.auth.models import Token
from tests.conftest import client_of, user_with_role

ROLES = ("viewer", "editor", "steward", "operator")
# A superuser's tokens that are scoped to one table: the one that is asked for, and another.
OWN, OTHER = "a token for this table", "a token for another table"
DEAD = "a dead token"  # Refused even where nobody needs one.
# Whose answers each other token gets.
STANDS_FOR = {
    "a steward's token narrowed to viewer": "viewer",
    "a superuser's token narrowed to editor": "editor",
    "a superuser's token narrowed to operator": "operator",
    "a viewer's token that says steward": "viewer",
    "a token whose owner left the group": "no role",
    "a token whose owner was made inactive": DEAD,
    "a token that was revoked": DEAD,
    "a token that has expired": DEAD,
}
NOBODYS = ("anonymous", DEAD)

# Who may do what.
OPERATORS = frozenset({"operator", "superuser"})
AUDITORS = OPERATORS | {"steward"}
STEWARDS = frozenset({"steward", "superuser"})  # of all tables
SOME_STEWARDS = STEWARDS | {OWN, OTHER}  # of those they reach
TABLE_STEWARDS = STEWARDS | {OWN}  # of the table `projects`
WRITERS = TABLE_STEWARDS | {"editor"}
READERS = WRITERS | {"viewer", "operator", OTHER}
TABLE_READERS = READERS - {OTHER}
SCHEMA_READERS = TABLE_READERS - {OWN}  # of a schema that is neither's
SIGNED = READERS | {"no role"}
ALL = SIGNED | {"anonymous"}
PROBERS = ALL | {DEAD}


def every() -> dict[str, APIClient]:
    """A client for each; every token that is dead now was good, and used, a moment ago."""
    users = {role: user_with_role(role) for role in ROLES}
    users |= {"no role": User.objects.create_user("no role"), "superuser": User.objects.create_superuser("superuser")}
    clients = {"anonymous": APIClient(), **{role: client_of(user) for role, user in users.items()}}
    clients[OWN] = client_of(users["superuser"], scopes=["Projects"])
    clients[OTHER] = client_of(users["superuser"], scopes=["portfolios"])
    narrowed = (_commanded("steward", "viewer"), _commanded("superuser", "editor"), _commanded("superuser", "operator"))
    others = (*narrowed, _commanded("viewer", "steward"), *map(_died, (_left, _rested, _revoked, _expired)))
    return clients | dict(zip(STANDS_FOR, others, strict=True))


def _commanded(user: str, role: str) -> APIClient:
    """With the token that `manage.py create_token USER --role ROLE` prints."""
    printed = StringIO()
    call_command("create_token", user, "--role", role, stdout=printed)
    return APIClient(HTTP_AUTHORIZATION=f"Bearer {printed.getvalue().strip()}")


def _died(end: Callable[[User], Any]) -> APIClient:
    owner = User.objects.create_user(end.__name__.strip("_"))
    owner.groups.add(Group.objects.get(name="steward"))
    client = client_of(owner)
    assert client.get("/admin/tables").status_code == 200
    end(owner)
    return client


def _left(owner: User) -> None:
    owner.groups.clear()


def _rested(owner: User) -> None:
    owner.is_active = False
    owner.save()


def _revoked(owner: User) -> None:
    token = Token.objects.get(user=owner)
    assert client_of(owner).delete(f"/auth/tokens/{token.pk}").status_code == 204


def _expired(owner: User) -> None:
    token = Token.objects.get(user=owner)
    token.expiry = token.created - timedelta(seconds=1)
    token.save()
