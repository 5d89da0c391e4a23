"""Every REST endpoint by every role and every kind of token: the answer is what the table says. An endpoint not in it fails a test."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient

from monitoring.probes import PROBES
from projects.store.connection import Store
from tests.projects.conftest import kept, projects, store  # noqa: F401 - Fixtures.
from tests.site import callers
from tests.site.callers import (
    ALL,
    AUDITORS,
    NOBODYS,
    OPERATORS,
    PROBERS,
    READERS,
    SCHEMA_READERS,
    SIGNED,
    SOME_STEWARDS,
    STANDS_FOR,
    STEWARDS,
    TABLE_READERS,
    TABLE_STEWARDS,
    WRITERS,
)

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
    ("GET", "monitoring/live"): (PROBERS, 200),
    ("GET", "monitoring/ready"): (PROBERS, 200),
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
    ("GET", "ops/<str:table>"): (TABLE_READERS, 200),
    ("POST", "ops/<str:table>"): (WRITERS, 422),
    ("PATCH", "ops/<str:table>"): (WRITERS, 400),
    ("DELETE", "ops/<str:table>"): (WRITERS, 400),
    ("GET", "ops/<str:table>/changes"): (TABLE_READERS, 200),
    ("GET", "ops/<str:table>/schema"): (TABLE_READERS, 200),
    ("GET", "ops/<str:table>/aggregate"): (TABLE_READERS, 200),
    ("GET", "ops/<str:table>/<str:key>"): (TABLE_READERS, 404),
    ("PUT", "ops/<str:table>/<str:key>"): (WRITERS, 422),
    ("PATCH", "ops/<str:table>/<str:key>"): (WRITERS, 404),
    ("DELETE", "ops/<str:table>/<str:key>"): (WRITERS, 404),
    ("GET", "admin/plans"): (READERS, 200),
    ("POST", "admin/plans"): (SOME_STEWARDS, 400),
    ("POST", "admin/plans/apply"): (SOME_STEWARDS, 400),
    ("GET", "admin/plans/<int:plan>"): (READERS, 404),
    ("POST", "admin/plans/<int:plan>/approve"): (SOME_STEWARDS, 404),
    ("POST", "admin/plans/<int:plan>/reject"): (SOME_STEWARDS, 404),
    ("POST", "admin/plans/<int:plan>/apply"): (SOME_STEWARDS, 404),
    ("POST", "admin/plans/<int:plan>/undo"): (SOME_STEWARDS, 404),
    ("GET", "admin/backups"): (OPERATORS, 200),
    ("POST", "admin/backups"): (OPERATORS, 409),  # There is no BACKUP_DIR.
    ("GET", "admin/drift"): (READERS, 200),
    ("POST", "admin/sync"): (STEWARDS, 202),
    ("GET", "admin/tables"): (READERS, 200),
    ("POST", "admin/tables"): (STEWARDS, 503),
    ("GET", "admin/tables/<str:table>"): (TABLE_READERS, 200),
    ("PUT", "admin/tables/<str:table>"): (TABLE_STEWARDS, 503),
    ("PATCH", "admin/tables/<str:table>"): (TABLE_STEWARDS, 200),
    ("DELETE", "admin/tables/<str:table>"): (TABLE_STEWARDS, 428),
    ("DELETE", "admin/tables/<str:table>/aliases/<str:alias>"): (TABLE_STEWARDS, 404),
    ("GET", "admin/audit/verify"): (AUDITORS, 200),
    ("GET", "admin/audit"): (AUDITORS, 200),
    ("GET", "admin/schemas"): (READERS, 200),
    ("GET", "admin/schemas/<str:name>/versions"): (SCHEMA_READERS, 404),
    ("GET", "admin/schemas/<str:name>/versions/<int:number>"): (SCHEMA_READERS, 404),
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


def status(may: frozenset[str], answered: int, caller: str) -> int:
    """What the caller is answered where those who may are answered so; where nobody may, everybody is."""
    role = STANDS_FOR.get(caller, caller)
    return answered if role in may or not may else 401 if role in NOBODYS else 403


@pytest.fixture
def clients(roles, kept: Store, settings) -> dict[str, APIClient]:  # noqa: F811
    settings.ONTO_SERVER_URL = "http://127.0.0.1:9"
    return callers.every()


def asked(client: APIClient, method: str, route: str) -> int:
    answer = client.generic(method, path_of(route), "{}" if method in ("POST", "PUT", "PATCH") else "", content_type="application/json")
    if answer.streaming:
        b"".join(answer.streaming_content)
    return answer.status_code


def test_every_endpoint_is_in_the_table():
    probes = {("GET", path.removeprefix("/")) for path in PROBES}
    assert set(endpoints(get_resolver().url_patterns)) | probes == set(TABLE)


def test_each_endpoint_answers_each_caller_as_the_table_says(clients: dict[str, APIClient]):
    wanted = {(*one, caller): status(*line, caller) for one, line in TABLE.items() for caller in clients}
    found = {(method, route, caller): asked(clients[caller], method, route) for method, route, caller in wanted}
    assert sorted(f"{one}: {found[one]}, not {wanted[one]}" for one in wanted if found[one] != wanted[one]) == []
