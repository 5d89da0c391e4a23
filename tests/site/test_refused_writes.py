"""Writes that would change something: whoever may not is refused and changes nothing, and a scoped token does its own."""

import json
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from duckspawn_site.auth.models import Token
from projects import plans, rows
from projects.evolution import drafts
from projects.models import Job
from projects.store.connection import Store
from schema_registry.models import AuditEntry
from schema_registry.sources.native import parse_document
from tests.conftest import client_of
from tests.projects.conftest import DOCUMENTS, WIND_FARM, kept, projects, store  # noqa: F401 - Fixtures.
from tests.site import callers
from tests.site.callers import NOBODYS, OPERATORS, OWN, STANDS_FOR, STEWARDS, TABLE_STEWARDS, WRITERS

ROW = {name: str(value) for name, value in WIND_FARM.items()}
OTHER_ROW = ROW | {"project_name": "Solar farm"}

# Method, path, body, who may, and what those who may are answered. In this order each of them does something.
WRITES: tuple[tuple[str, str, Any, frozenset[str], int], ...] = (
    ("POST", "/ops/projects", OTHER_ROW, WRITERS, 201),
    ("POST", "/ops/projects", [OTHER_ROW, OTHER_ROW], WRITERS, 200),
    ("PATCH", "/ops/projects?project_name=Wind%20farm", {"maturity_years": 3}, WRITERS, 200),
    ("DELETE", "/ops/projects?project_name=Solar%20farm", None, WRITERS, 200),
    ("PATCH", "/ops/projects/{row}", {"maturity_years": 4}, WRITERS, 200),
    ("PUT", "/ops/projects/{row}", ROW, WRITERS, 200),
    ("DELETE", "/ops/projects/{row}", None, WRITERS, 204),
    ("PATCH", "/admin/tables/projects", {"pinned": True}, TABLE_STEWARDS, 200),
    ("POST", "/admin/plans/{plan}/approve", {"reason": "so"}, TABLE_STEWARDS, 200),
    ("POST", "/admin/plans/{plan}/reject", {"reason": "not so"}, TABLE_STEWARDS, 200),
    ("DELETE", "/admin/tables/projects?confirm=projects", None, TABLE_STEWARDS, 200),
    ("DELETE", "/ops/jobs/{job}", None, OPERATORS | {OWN}, 200),
    ("DELETE", "/auth/tokens/{token}", None, frozenset({"superuser"}), 204),
    ("POST", "/admin/logging/level", {"level": "INFO"}, OPERATORS, 200),
    ("POST", "/admin/sync", {}, STEWARDS, 202),
)
PASSING = ("KnownStore", "Sample", "Session")  # What time alone changes.


@pytest.fixture
def made(roles, kept: Store, settings) -> dict[str, Any]:  # noqa: F811
    """What the writes are about: a row, a plan that waits, and a superuser's job and token."""
    settings.ONTO_SERVER_URL = "http://127.0.0.1:9"
    document = json.loads((DOCUMENTS / "project_schema.json").read_text())
    narrower = parse_document(document | {"columns": document["columns"][:-1]}, "project_schema")
    root = User.objects.create_superuser("root")
    return {
        "row": json.loads(rows.create(kept, "projects", ROW, actor="ann").row)["project_id"],
        "plan": plans.propose(drafts.to_schema(kept, kept.table("projects"), narrower), actor="ann").pk,
        "job": Job.objects.create(kind="export", inputs={"table": "projects"}, created_by=root).pk,
        "token": Token.objects.create(user=root)[0].pk,
    }


def sent(client: APIClient, made: dict[str, Any], method: str, path: str, body: Any) -> int:
    text = "" if body is None else json.dumps(body)
    return client.generic(method, path.format_map(made), text, content_type="application/json").status_code


def standing(store: Store) -> dict[str, Any]:  # noqa: F811
    """All that there is: the tables, their rows and feed, and Django's records but for attempts that were refused."""
    with store.read() as cursor:
        found: dict[str, Any] = {
            table.name: (table.schema.fingerprint, cursor.execute(f"SELECT * FROM {table.name} ORDER BY ALL").fetchall())
            for table in store.tables()
        }
    for model in apps.get_models():
        if model._meta.managed and model is not AuditEntry and model.__name__ not in PASSING:
            found[model.__name__] = sorted(str(record | {"last_used_at": None}) for record in model.objects.values())
    found["seq"] = store.seq
    return found | {"audit": list(AuditEntry.objects.exclude(action="right.refuse").values_list("seq", "action"))}


def test_who_may_not_write_is_refused_and_changes_nothing(made: dict[str, Any], kept: Store):  # noqa: F811
    clients = callers.every()
    for client in clients.values():
        client.get("/admin")  # An expired token is deleted when it is used.
    before, passed = standing(kept), {}
    for method, path, body, may, _ in WRITES:
        for caller, client in clients.items():
            role = STANDS_FOR.get(caller, caller)
            if role not in may:
                status = sent(client, made, method, path, body)
                if status not in ((401,) if role in NOBODYS else (403, 404)):
                    passed[method, path, caller] = status
    assert passed == {}
    assert standing(kept) == before


def test_a_scoped_token_writes_to_its_own_table_and_the_rest_takes_a_whole_one(made: dict[str, Any], kept: Store):  # noqa: F811
    scoped, whole = (client_of(User.objects.get(username="root"), scopes=scopes) for scopes in (["projects"], []))
    wrong, before = {}, standing(kept)
    for method, path, body, may, answered in WRITES:
        status, after = sent(scoped if OWN in may else whole, made, method, path, body), standing(kept)
        if status != answered or before == after:
            wrong[method, path] = status
        before = after
    assert wrong == {}
