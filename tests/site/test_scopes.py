"""A token that is scoped to one table learns nothing of the others, and a narrowed one does no more than it says."""

import json

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from duckspawn_site.auth.models import Token
from projects import one_table, plans, rows
from projects.evolution import drafts
from projects.models import Job
from projects.store import tables
from projects.store.connection import Store
from schema_registry import audit, snapshots
from schema_registry.sources.native import parse_document
from tests.conftest import client_of
from tests.projects.conftest import projects, store  # noqa: F401 - Fixtures.

SECRET = "hushhush"
READS = (
    "/admin/tables",
    "/admin/plans",
    "/admin/plans/{plan}",
    f"/admin/plans?table={SECRET}",
    "/admin/schemas",
    f"/admin/schemas/{SECRET}/versions",
    f"/admin/schemas/{SECRET}/versions/1",
    f"/admin/schemas/{SECRET}/versions?diff=1..2",
    "/admin/drift",
    "/admin/audit",
    "/admin/audit/verify",
    f"/admin/tables/{SECRET}",
    "/ops/jobs",
    "/ops/jobs/{job}",
    "/ops/jobs/{job}/file",
    "/ops/jobs/{job}/rejects",
    f"/ops/{SECRET}",
    f"/ops/{SECRET}/1",
    f"/ops/{SECRET}/changes",
    f"/ops/{SECRET}/schema",
    f"/ops/{SECRET}/aggregate?agg=count",
    f"/ops/{SECRET}?format=csv",
    "/openapi.json",
    f"/openapi.json?table={SECRET}",
    "/metrics",
    "/monitoring/metrics/system",
    "/auth/tokens",
    "/admin/logging/level",
)
WRITES = (
    ("post", "/ops/query", {"sql": f"SELECT * FROM {SECRET}"}),
    ("post", f"/ops/{SECRET}", {"id": 2}),
    ("patch", f"/ops/{SECRET}?id=1", {}),
    ("delete", f"/ops/{SECRET}?id=1", None),
    ("put", f"/ops/{SECRET}/1", {}),
    ("patch", f"/ops/{SECRET}/1", {}),
    ("delete", f"/ops/{SECRET}/1", None),
    ("post", "/ops/initialize", {}),
    ("post", "/admin/tables", {"schema": SECRET}),
    ("put", f"/admin/tables/{SECRET}?dry_run=true", {}),
    ("patch", f"/admin/tables/{SECRET}", {}),
    ("delete", f"/admin/tables/{SECRET}?confirm={SECRET}", None),
    ("delete", f"/admin/tables/{SECRET}/aliases/x", None),
    ("post", "/admin/plans", {"table": SECRET}),
    ("post", "/admin/plans/{plan}/approve", {}),
    ("post", "/admin/plans/{plan}/reject", {}),
    ("post", "/admin/plans/{plan}/apply", {}),
    ("post", "/admin/plans/{plan}/undo", {}),
    ("post", "/admin/plans/apply", {"plans": [0]}),
    ("post", "/admin/sync", {}),
    ("delete", "/ops/jobs/{job}", None),
    ("post", "/admin/logging/level", {"level": "INFO"}),
)


@pytest.fixture
def made(projects: Store, roles) -> dict[str, object]:  # noqa: F811
    """A table that is nobody's business, with a row, a plan, two versions, a job, an audit entry, and a token scoped to it."""
    wide = {"name": SECRET, "columns": [{"name": "id", "type": "INTEGER", "required": True}, {"name": "of", "type": "VARCHAR"}]}
    first, wanted = parse_document(wide, SECRET), parse_document(wide | {"columns": wide["columns"][:1]}, SECRET)
    snapshots.record(first, wide, provenance="live", url="")
    tables.create(projects, first, version=1, provenance="live", actor="ann")
    one_table.reconcile(projects)
    rows.create(projects, SECRET, {"id": 1, "of": SECRET}, actor="ann")
    later = snapshots.record(wanted, wide | {"columns": wide["columns"][:1]}, provenance="live", url="")
    plan = plans.propose(drafts.to_schema(projects, projects.table(SECRET), wanted), actor="ann", snapshot=later)
    root = User.objects.create_superuser("root")
    job = Job.objects.create(kind="export", state="done", inputs={"table": SECRET}, created_by=root, result={"table": SECRET})
    audit.append("table.create", SECRET, actor="ann", detail={})
    Token.objects.create(user=root, name=SECRET, scopes=[SECRET])
    return {"root": root, "plan": plan.pk, "job": job.pk}


def test_a_scoped_token_learns_nothing_of_another_table(made):
    client, learnt = client_of(made["root"], scopes=["projects"]), {}
    for path in READS:
        answer = client.get(path.format_map(made))
        text = (b"".join(answer.streaming_content) if answer.streaming else answer.content).decode()
        asked = json.loads(text) if answer.status_code >= 400 else text  # An error repeats the name that was asked for.
        if answer.status_code < 400 and SECRET in asked:
            learnt[path] = text[:200]
        elif answer.status_code not in (200, 400, 403, 404):
            learnt[path] = answer.status_code
    assert learnt == {}


def test_a_scoped_token_does_nothing_to_another_table(made):
    client, done = client_of(made["root"], scopes=["projects"]), {}
    for method, path, body in WRITES:
        sent = json.loads(json.dumps(body).replace("[0]", f"[{made['plan']}]"))
        answer = getattr(client, method)(path.format_map(made), sent, format="json")
        if answer.status_code not in (400, 403, 404):
            done[method, path] = answer.status_code
    assert done == {}
    assert client_of(made["root"]).get(f"/ops/{SECRET}/1").json() == {"id": 1, "of": SECRET}


def test_a_scoped_token_still_does_its_own(made):
    client = client_of(made["root"], scopes=["projects"])
    assert [table["name"] for table in client.get("/admin/tables").json()] == ["projects"]
    assert client.get("/ops/projects").status_code == client.get("/admin/tables/projects").status_code == 200


def test_a_narrowed_token_sees_and_revokes_itself_alone(made):
    for narrow in ({"scopes": ["projects"]}, {"role": "viewer"}):
        client: APIClient = client_of(made["root"], name="own", **narrow)
        own = client.get("/auth/tokens").json()
        assert [token["name"] for token in own] == ["own"]
        other = Token.objects.get(name=SECRET)
        assert client.delete(f"/auth/tokens/{other.pk}").status_code == 404
        assert client.delete(f"/auth/tokens/{own[0]['id']}").status_code == 204
