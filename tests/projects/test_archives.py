"""What archives hold, what becomes of them, and what an undo does without one."""

import json
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from django.core.management import call_command
from django.utils import timezone
from rest_framework.test import APIClient

from projects import archives
from projects.models import Plan
from projects.store.connection import Store
from schema_registry.models import AuditEntry
from tests.projects.ontology import TURBINES, Ontology, send, with_column, without_column

pytestmark = pytest.mark.django_db


@pytest.fixture
def dropped(turbines: Ontology, steward_client: APIClient) -> int:
    """The plan that dropped the column code."""
    turbines.say(without_column(TURBINES, "code"))
    number = send(steward_client, "put", "/admin/tables/turbines").json()["plan"]["id"]
    send(steward_client, "post", f"/admin/plans/{number}/approve", {})
    assert send(steward_client, "post", f"/admin/plans/{number}/apply", {"confirm": "turbines"}).status_code == 200
    return number


def files(store: Store) -> list[Path]:
    return sorted(store.archive.iterdir())


def test_an_archive_has_every_row_with_its_key_and_says_what_it_is(dropped: int, store: Store) -> None:
    described, parquet = files(store)
    assert [path.stat().st_mode & 0o777 for path in (described, parquet)] == [0o600, 0o600]
    with duckdb.connect() as plain:
        rows = plain.execute('SELECT "key id", "old code" FROM read_parquet(?) ORDER BY 1', [str(parquet)]).fetchall()
    assert rows == [(1, "abc"), (2, None)]
    beside = json.loads(described.read_text())
    assert (beside["plan"], beside["dropped"], beside["rows"], beside["base"]["name"]) == (dropped, ["code"], 2, "turbines")


def test_where_nothing_is_rewritten_nothing_is_archived(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    turbines.say(with_column(TURBINES, "power", type="SMALLINT"))
    plan = send(steward_client, "put", "/admin/tables/turbines").json()["plan"]
    assert (plan["state"], plan["outcome"]["archive"], files(store)) == ("applied", None, [])


@pytest.mark.parametrize("harm", ["gone", "changed"])
def test_an_undo_without_its_archive_changes_nothing(dropped: int, store: Store, steward_client: APIClient, harm: str) -> None:
    parquet = files(store)[1]
    if harm == "gone":
        parquet.unlink()
    else:
        parquet.write_bytes(parquet.read_bytes()[:-1] + b"x")
    answer = send(steward_client, "post", f"/admin/plans/{dropped}/undo", {})
    assert (answer.status_code, answer.json()["code"]) == (500, "archive-damaged")
    assert "code" not in steward_client.get("/ops/turbines").json()[0]
    assert steward_client.get(f"/admin/plans/{dropped}").json()["state"] == "applied"


def test_a_number_of_128_bits_comes_back_with_every_digit(turbines: Ontology, steward_client: APIClient) -> None:
    turbines.say(with_column(TURBINES, "large", type="HUGEINT"))
    send(steward_client, "put", "/admin/tables/turbines")
    largest = 2**127 - 1
    send(steward_client, "patch", "/ops/turbines/1", {"large": largest})
    turbines.say(TURBINES)
    number = send(steward_client, "put", "/admin/tables/turbines").json()["plan"]["id"]
    send(steward_client, "post", f"/admin/plans/{number}/approve", {})
    assert send(steward_client, "post", f"/admin/plans/{number}/apply", {"confirm": "turbines"}).status_code == 200
    assert send(steward_client, "post", f"/admin/plans/{number}/undo", {}).status_code == 200
    assert [row["large"] for row in steward_client.get("/ops/turbines").json()] == [largest, None]


def test_old_archives_are_purged_and_their_plans_cannot_be_undone(
    dropped: int, store: Store, steward_client: APIClient, settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.ARCHIVE_KEEP_DAYS = 30
    assert archives.purge_by_setting(store, actor="system") == []
    Plan.objects.filter(pk=dropped).update(finished_at=timezone.now() - timedelta(days=31))
    call_command("purge_archives", "--days", "30", "--dry-run")
    assert f"plan {dropped} of turbines could be undone no longer" in capsys.readouterr().out
    assert len(files(store)) == 2
    assert [plan.pk for plan in archives.purge_by_setting(store, actor="system")] == [dropped]
    assert files(store) == []
    assert AuditEntry.objects.get(action="archive.purge").detail["plan"] == dropped
    answer = send(steward_client, "post", f"/admin/plans/{dropped}/undo", {})
    assert (answer.status_code, answer.json()["code"]) == (409, "undo-refused")
    assert "purged" in answer.json()["detail"]
    assert archives.purge_by_setting(store, actor="system") == []


def test_by_default_archives_are_kept_for_ever(dropped: int, store: Store) -> None:
    Plan.objects.filter(pk=dropped).update(finished_at=timezone.now() - timedelta(days=9999))
    assert archives.purge_by_setting(store, actor="system") == []
    assert len(files(store)) == 2
