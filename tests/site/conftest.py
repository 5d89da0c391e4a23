"""Everything that a page of the console may show, with hostile text wherever a person or a server may put some."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from projects import imports, jobs, one_table, plan_runs, plans, rows
from projects.evolution import drafts
from projects.models import Job, Plan
from projects.store import spool, tables
from projects.store.bulk import Options
from projects.store.connection import Store
from schema_registry import audit, snapshots
from schema_registry.schema import TableSchema
from schema_registry.sources.native import parse_document
from tests.projects.conftest import projects, store  # noqa: F401 - Fixtures.

HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)>\"'>"
MARK = "onerror=alert(1)"  # of it, whatever is escaped around it
COLUMN = f"c {HOSTILE}"


COLUMNS = (
    {"name": "id", "type": "INTEGER", "required": True, "description": HOSTILE},
    {"name": COLUMN, "type": "VARCHAR", "description": HOSTILE, "unit": HOSTILE, "id": f"https://example.org/{HOSTILE}"},
    {"name": "choice", "type": "VARCHAR", "enum": [HOSTILE, "b"], "default": HOSTILE},
    {"name": "parent", "type": "INTEGER", "references": "hostile.id"},
    {"name": "gone", "type": "VARCHAR", "description": "A later schema has it no longer."},
)


def hostile_schema(columns: Sequence[dict[str, Any]]) -> TableSchema:
    """A table whose names, meanings, units, defaults and values are hostile, as far as a schema may have such."""
    return parse_document({"name": "hostile", "description": HOSTILE, "columns": list(columns)}, f"doc {HOSTILE}")


@pytest.fixture
def shown(projects: Store) -> SimpleNamespace:  # noqa: F811
    """The sample tables, and a hostile one with a row, a plan that waits, failed jobs, and audit entries."""
    first, wanted = hostile_schema(COLUMNS), hostile_schema(COLUMNS[:-1])
    snapshot = snapshots.record(first, {"note": HOSTILE}, provenance="live", url=f"https://example.org/{HOSTILE}")
    tables.create(projects, first, version=1, provenance="live", actor=HOSTILE)
    one_table.reconcile(projects)
    rows.create(projects, "hostile", {"id": 7, COLUMN: HOSTILE, "choice": HOSTILE, "parent": 8, "gone": HOSTILE}, actor=HOSTILE)
    later = snapshots.record(wanted, {"note": HOSTILE}, provenance="live", url=f"https://example.org/{HOSTILE}")
    plan = plans.propose(drafts.to_schema(projects, projects.table("hostile"), wanted), actor=HOSTILE, snapshot=later)
    Plan.objects.filter(pk=plan.pk).update(reason=HOSTILE, error=HOSTILE)
    inputs = {"table": "hostile", "names": [HOSTILE], "file": HOSTILE}
    job = Job.objects.create(kind="load", state="failed", inputs=inputs, error=HOSTILE, result={HOSTILE: HOSTILE})
    entry = audit.append("table.create", HOSTILE, actor=HOSTILE, detail={HOSTILE: {"before": HOSTILE, "after": HOSTILE}})
    made = {"plan": plan, "applied": applied(projects), "job": job, "entry": entry, "check": brought(projects)}
    return SimpleNamespace(store=projects, snapshot=snapshot, **made)


def applied(store: Store) -> Plan:  # noqa: F811
    """A plan that took a column with hostile values away, and can be undone."""
    before, after = (parse_document({"name": "changed", "columns": list(some)}, "changed") for some in (COLUMNS[:2], COLUMNS[:1]))
    tables.create(store, before, version=1, provenance="live", actor=HOSTILE)
    rows.create(store, "changed", {"id": 1, COLUMN: HOSTILE}, actor=HOSTILE)
    plan = plans.propose(drafts.to_schema(store, store.table("changed"), after), actor=HOSTILE)
    plans.approve(plan.pk, actor=HOSTILE, reason=HOSTILE)
    return plan_runs.apply(store, plan.pk, actor=HOSTILE, confirm="changed")


def brought(store: Store) -> Job:  # noqa: F811
    """A file that somebody brought, with a good row and a bad one, and its check, which is done."""
    path = spool.folder(store) / "job-hostile.upload"
    path.write_text(f'id,"{COLUMN.replace(chr(34), chr(34) * 2)}",choice\n1,{HOSTILE[:20]},b\n{HOSTILE[:20]},x,c\n')
    placed = imports.place(store, path, "hostile.csv", "csv")
    check = imports.check(placed, "hostile", f"{HOSTILE}.csv", Options(skips=True), None)
    # Not by `jobs.run`, whose thread would wait for the lock of the test's transaction.
    result = jobs.KINDS["check"].run(store, check.inputs, HOSTILE, str(check.pk))
    Job.objects.filter(pk=check.pk).update(state=Job.State.DONE, result=result, finished_at=timezone.now())
    return check
