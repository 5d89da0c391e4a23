"""kill -9 in the middle of an apply: afterwards the table is wholly old or wholly new, and plan, audit and archive say the same."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from rest_framework.test import APIClient

from projects import owner, plan_runs
from projects.models import Plan
from projects.store import archive, books
from projects.store.connection import Store, Transaction, get_store, reset_store
from schema_registry.models import AuditEntry
from tests.projects.ontology import TURBINES, Ontology, put, send, with_column, without_column

pytestmark = pytest.mark.django_db(transaction=True)

# A rebuild with an archive: a column goes, another loses digits, the key is widened.
CHANGED = with_column(with_column(without_column(TURBINES, "code"), "price", type="DECIMAL(10,1)"), "id", type="BIGINT")


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before(place: Any, name: str) -> None:
    """Dies where the function would begin."""
    setattr(place, name, die)


def after(place: Any, name: str) -> None:
    """Dies as soon as the function is done."""
    real: Callable[..., Any] = getattr(place, name)

    def then_die(*args: Any, **more: Any) -> None:
        real(*args, **more)
        die()

    setattr(place, name, then_die)


def before_statement(beginning: str) -> None:
    """Dies before the store runs the first statement that begins so."""
    real = Transaction.execute

    def execute(self: Transaction, sql: str, parameters: Any = None) -> Any:
        if sql.startswith(beginning):
            die()
        return real(self, sql, parameters)

    Transaction.execute = execute  # type: ignore[method-assign]


PLACES: dict[str, tuple[Callable[[], None], bool]] = {
    "before the table is looked at": (lambda: before(plan_runs, "_evolution"), False),
    "before the archive is written": (lambda: before_statement("COPY"), False),
    "between the archive and its description": (lambda: after(archive, "_settle"), False),
    "before the guard": (lambda: before_statement('ALTER TABLE main."turbines" ADD COLUMN'), False),
    "before the new table is filled": (lambda: before_statement('INSERT INTO main."spawn rebuilt"'), False),
    "before the old table is dropped": (lambda: before_statement("DROP TABLE"), False),
    "before the new table takes the name": (lambda: before_statement('ALTER TABLE main."spawn rebuilt" RENAME'), False),
    "before the books": (lambda: before(books, "put_plan"), False),
    "before the commit": (lambda: before(Store, "commit"), False),
    "after the commit": (lambda: after(Store, "commit"), True),
    "before Django's record": (lambda: before(plan_runs, "_settle"), True),
    "in Django's record": (lambda: after(plan_runs, "_remember"), True),
}


def die_in_a_child(place: Callable[[], None], work: Callable[[], Any]) -> None:
    """Does the work in a process of its own, which is killed at the place."""
    reset_store()
    connections.close_all()
    child = os.fork()
    if child == 0:
        place()
        try:
            work()
        finally:
            os._exit(7)  # It was not killed.
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), status
    assert os.WTERMSIG(status) == signal.SIGKILL


def apply_and_die(number: int, place: Callable[[], None]) -> None:
    die_in_a_child(place, lambda: plan_runs.apply(get_store(), number, actor="steward", confirm="turbines"))


@pytest.mark.thinned(2)
@pytest.mark.parametrize("place", PLACES)
def test_a_killed_apply_is_whole_or_nothing_and_a_retry_ends_right(
    turbines: Ontology, own_store: Path, steward_client: APIClient, place: str
) -> None:
    kill, is_applied = PLACES[place]
    old = steward_client.get("/ops/turbines").json()
    new = [{k: v for k, v in row.items() if k != "code"} | {"price": price} for row, price in zip(old, (12.5, 0.3), strict=True)]
    turbines.say(CHANGED)
    number = send(steward_client, "put", "/admin/tables/turbines").json()["plan"]["id"]
    send(steward_client, "post", f"/admin/plans/{number}/approve", {"reason": "because"})

    apply_and_die(number, kill)
    owner.take_over(get_store())

    assert steward_client.get("/ops/turbines").json() == (new if is_applied else old)
    plan = steward_client.get(f"/admin/plans/{number}").json()
    assert plan["state"] == ("applied" if is_applied else "failed")
    assert not Plan.objects.filter(state="applying").exists()
    told = AuditEntry.objects.get(action="plan.recover")
    assert told.detail == {"plan": number, "applied": is_applied}
    assert AuditEntry.objects.filter(action="table.alter").count() == is_applied
    assert len(list((own_store / "archive").iterdir())) == (2 if is_applied else 0)
    assert list((own_store / "spool").iterdir()) == []

    if not is_applied:
        assert "interrupted" in plan["error"]
        fresh = send(steward_client, "put", "/admin/tables/turbines").json()["plan"]["id"]
        send(steward_client, "post", f"/admin/plans/{fresh}/approve", {})
        assert send(steward_client, "post", f"/admin/plans/{fresh}/apply", {"confirm": "turbines"}).status_code == 200
        number = fresh
    assert steward_client.get("/ops/turbines").json() == new
    assert put(steward_client)["steps"] == []
    assert send(steward_client, "post", f"/admin/plans/{number}/undo", {}).status_code == 200
    assert steward_client.get("/ops/turbines").json() == old
    assert steward_client.get("/admin/audit/verify").json()["ok"]
