"""Every REST endpoint by every role: the answer is what the table says. An endpoint that is not in it fails a test."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient

from monitoring.probes import PROBES
from projects.store.connection import Store
from tests.conftest import client_of, user_with_role
from tests.projects.conftest import kept, projects, store  # noqa: F401 - Fixtures.

READERS = frozenset({"viewer", "editor", "steward", "operator", "superuser"})
WRITERS = frozenset({"editor", "steward", "superuser"})
STEWARDS = frozenset({"steward", "superuser"})
OPERATORS = frozenset({"operator", "superuser"})
AUDITORS = STEWARDS | OPERATORS
SIGNED = READERS | {"no role"}
ALL = SIGNED | {"anonymous"}
JOB = str(UUID(int=7))
KEY = str(UUID(int=8))

# Method and route: who may, and what they are answered. Each request leaves everything as it was.
TABLE: dict[tuple[str, str], tuple[frozenset[str], int]] = {
    ("GET", ""): (ALL, 200),
    ("GET", "admin"): (SIGNED, 200),
    ("GET", "auth/tokens"): (SIGNED, 200),
    ("POST", "auth/tokens"): (frozenset(), 401),  # By name and password alone, never by a token.
    ("DELETE", "auth/tokens/<uuid:token_id>"): (SIGNED, 404),
    ("GET", "monitoring/health"): (ALL, 200),
    ("GET", "monitoring/live"): (ALL, 200),
    ("GET", "monitoring/ready"): (ALL, 200),
    ("GET", "monitoring/metrics/system"): (OPERATORS, 200),
    ("GET", "metrics"): (OPERATORS, 200),
    ("GET", "admin/logging/level"): (OPERATORS, 200),
    ("POST", "admin/logging/level"): (OPERATORS, 422),
    ("GET", "openapi.json"): (READERS, 200),
    ("POST", "ops/initialize"): (STEWARDS, 503),  # The ontology server is down.
    ("POST", "ops/query"): (READERS, 400),
    ("GET", "ops/jobs"): (READERS, 200),
    ("GET", "ops/jobs/<uuid:job>"): (READERS, 404),
    ("DELETE", "ops/jobs/<uuid:job>"): (READERS, 404),
    ("GET", "ops/jobs/<uuid:job>/file"): (READERS, 404),
    ("GET", "ops/jobs/<uuid:job>/rejects"): (READERS, 404),
    ("GET", "ops/<str:table>"): (READERS, 200),
    ("POST", "ops/<str:table>"): (WRITERS, 422),
    ("PATCH", "ops/<str:table>"): (WRITERS, 400),
    ("DELETE", "ops/<str:table>"): (WRITERS, 400),
    ("GET", "ops/<str:table>/changes"): (READERS, 200),
    ("GET", "ops/<str:table>/schema"): (READERS, 200),
    ("GET", "ops/<str:table>/aggregate"): (READERS, 200),
    ("GET", "ops/<str:table>/<str:key>"): (READERS, 404),
    ("PUT", "ops/<str:table>/<str:key>"): (WRITERS, 422),
    ("PATCH", "ops/<str:table>/<str:key>"): (WRITERS, 404),
    ("DELETE", "ops/<str:table>/<str:key>"): (WRITERS, 404),
    ("GET", "admin/plans"): (READERS, 200),
    ("POST", "admin/plans"): (STEWARDS, 400),
    ("POST", "admin/plans/apply"): (STEWARDS, 400),
    ("GET", "admin/plans/<int:plan>"): (READERS, 404),
    ("POST", "admin/plans/<int:plan>/approve"): (STEWARDS, 404),
    ("POST", "admin/plans/<int:plan>/reject"): (STEWARDS, 404),
    ("POST", "admin/plans/<int:plan>/apply"): (STEWARDS, 404),
    ("POST", "admin/plans/<int:plan>/undo"): (STEWARDS, 404),
    ("GET", "admin/backups"): (OPERATORS, 200),
    ("POST", "admin/backups"): (OPERATORS, 409),  # There is no BACKUP_DIR.
    ("GET", "admin/drift"): (READERS, 200),
    ("POST", "admin/sync"): (STEWARDS, 202),
    ("GET", "admin/tables"): (READERS, 200),
    ("POST", "admin/tables"): (STEWARDS, 503),
    ("GET", "admin/tables/<str:table>"): (READERS, 200),
    ("PUT", "admin/tables/<str:table>"): (STEWARDS, 503),
    ("PATCH", "admin/tables/<str:table>"): (STEWARDS, 200),
    ("DELETE", "admin/tables/<str:table>"): (STEWARDS, 428),
    ("DELETE", "admin/tables/<str:table>/aliases/<str:alias>"): (STEWARDS, 404),
    ("GET", "admin/audit/verify"): (AUDITORS, 200),
    ("GET", "admin/audit"): (AUDITORS, 200),
    ("GET", "admin/schemas"): (READERS, 200),
    ("GET", "admin/schemas/<str:name>/versions"): (READERS, 404),
    ("GET", "admin/schemas/<str:name>/versions/<int:number>"): (READERS, 404),
}
PAGES = {"console", "docs"}  # For browsers: tests/site/test_console_rights.py has them.


def endpoints(patterns: list[URLPattern | URLResolver], above: str = "") -> Iterator[tuple[str, str]]:
    """Every method and route that the resolver knows, but the console's."""
    for pattern in patterns:
        route = above + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            if not route.startswith("console/"):
                yield from endpoints(pattern.url_patterns, route)
        elif route not in PAGES:
            view = getattr(pattern.callback, "cls", None)
            actions = getattr(pattern.callback, "actions", None)
            methods = actions or [name for name in getattr(view, "http_method_names", ["get"]) if view is None or hasattr(view, name)]
            yield from ((name.upper(), route.rstrip("/")) for name in methods if name not in ("options", "head"))


def path_of(route: str) -> str:
    for part, value in {"<uuid:token_id>": JOB, "<uuid:job>": JOB, "<str:table>": "projects", "<str:key>": KEY}.items():
        route = route.replace(part, value)
    for part, value in {"<int:plan>": "7", "<str:alias>": "old", "<str:name>": "none", "<int:number>": "1"}.items():
        route = route.replace(part, value)
    return f"/{route}"


def status(may: frozenset[str], answered: int, role: str) -> int:
    return answered if role in may or not may else 401 if role == "anonymous" else 403


@pytest.fixture
def clients(roles, kept: Store, settings) -> dict[str, APIClient]:  # noqa: F811
    settings.ONTO_SERVER_URL = "http://127.0.0.1:9"
    people = {role: user_with_role(role) for role in ("viewer", "editor", "steward", "operator")}
    people |= {"no role": User.objects.create_user("no role"), "superuser": User.objects.create_superuser("superuser")}
    return {"anonymous": APIClient(), **{role: client_of(user) for role, user in people.items()}}


def asked(client: APIClient, method: str, route: str) -> int:
    answer = client.generic(method, path_of(route), "{}" if method in ("POST", "PUT", "PATCH") else "", content_type="application/json")
    if answer.streaming:
        b"".join(answer.streaming_content)
    return answer.status_code


def test_every_endpoint_is_in_the_table():
    probes = {("GET", path.removeprefix("/")) for path in PROBES}
    assert set(endpoints(get_resolver().url_patterns)) | probes == set(TABLE)


def test_each_endpoint_answers_each_role_as_the_table_says(clients: dict[str, APIClient]):
    wanted = {(*one, role): status(*line, role) for one, line in TABLE.items() for role in clients}
    found = {(method, route, role): asked(clients[role], method, route) for method, route, role in wanted}
    assert sorted(f"{one}: {found[one]}, not {wanted[one]}" for one in wanted if found[one] != wanted[one]) == []


@pytest.mark.parametrize("role", ["viewer", "editor", "operator"])
def test_a_token_of_a_lower_role_passes_where_that_role_does(clients: dict[str, APIClient], role: str):
    lower = client_of(User.objects.get(username="superuser"), role=role)
    passed = {one: asked(lower, *one) for one, line in TABLE.items() if role not in line[0] and line[0]}
    assert {one: found for one, found in passed.items() if found != 403} == {}
