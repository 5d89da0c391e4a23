"""A disk that is full, or nearly: what would write is refused in one sentence, nothing is lost or half done, and it recovers by itself."""

import contextlib
import json
import threading
from collections.abc import Iterator

import duckdb
import pytest
from django.db import connection
from rest_framework.test import APIClient

from projects.errors import DiskFull, StoreReopening
from projects.store import checkpoints, tables
from projects.store.connection import Store, get_store, reset_store
from projects.store.rows import Create
from schema_registry.models import AuditEntry
from tests.disks import Bounded, Mounted, put_store_on, small_disk
from tests.projects.conftest import WIND_FARM, sample
from tests.projects.ontology import TURBINES, Ontology, send, without_column

pytestmark = pytest.mark.django_db


@pytest.fixture
def disk(settings, tmp_path, own_store) -> Iterator[Mounted]:
    """A disk of its own for the store, of 48 MiB."""
    for made in small_disk(tmp_path):
        put_store_on(settings, made.folder)
        yield made


@pytest.fixture
def bounded(settings, tmp_path, own_store) -> Iterator[Bounded]:
    made = Bounded(tmp_path / "disk")
    put_store_on(settings, made.folder)
    yield made
    made.end()


def wind_farm(number: int, size: int = 1000) -> dict:
    return WIND_FARM | {"project_name": f"farm {number}", "description": "x" * size}


def names(client: APIClient) -> set[str]:
    return {row["project_name"] for row in client.get("/ops/projects?limit=10000").json()}


def csv(rows: int) -> str:
    head = "project_name,total_amount,maturity_years,expected_tri,dscr,description\n"
    return head + "".join(f"farm {n},1250000.50,20,8.25,1.35,{n:0>400}\n" for n in range(rows))


def post_csv(client: APIClient, rows: int):
    return client.generic("POST", "/ops/projects", csv(rows), content_type="text/csv")


def write_until_full(client: APIClient) -> set[str]:
    """The names of the rows that were answered with success, until one was answered otherwise: with 507."""
    written: set[str] = set()
    while (answer := send(client, "post", "/ops/projects", wind_farm(len(written)))).status_code == 201:
        written.add(answer.json()["project_name"])
    assert (answer.status_code, answer.json()["code"]) == (507, "disk-full")
    assert answer.json()["detail"] == "The disk is full; nothing was written."
    return written


def test_writes_are_refused_on_a_full_disk_reading_goes_on_and_writing_once_there_is_room(
    disk: Mounted, projects: Store, editor_client: APIClient
) -> None:
    disk.fill(leave=200_000)
    written = write_until_full(editor_client)
    assert written and names(editor_client) == written
    assert editor_client.get("/monitoring/ready").status_code == 200
    disk.clear()
    assert send(editor_client, "post", "/ops/projects", wind_farm(-1)).status_code == 201
    reset_store()  # What was acknowledged is in the file, and what was refused is not.
    assert names(editor_client) == written | {"farm -1"}


def test_a_load_that_fills_the_disk_is_refused_whole(disk: Mounted, projects: Store, editor_client: APIClient) -> None:
    disk.fill(leave=3_000_000)
    answer = post_csv(editor_client, 5_000)
    assert (answer.status_code, answer.json()["code"]) == (507, "disk-full")
    assert names(editor_client) == set() and list(projects.spool.iterdir()) == []
    disk.clear()
    assert post_csv(editor_client, 5_000).json()["inserted"] == 5_000
    reset_store()
    assert len(names(editor_client)) == 5_000


def test_a_plan_whose_archive_finds_no_room_leaves_the_table_as_it_was_and_can_be_applied_later(
    disk: Mounted, turbines: Ontology, store: Store, steward_client: APIClient
) -> None:
    turbines.say(without_column(TURBINES, "code"))
    number = send(steward_client, "put", "/admin/tables/turbines").json()["plan"]["id"]
    send(steward_client, "post", f"/admin/plans/{number}/approve", {})
    before = steward_client.get("/ops/turbines").json()
    disk.fill()
    answer = send(steward_client, "post", f"/admin/plans/{number}/apply", {"confirm": "turbines"})
    assert (answer.status_code, answer.json()["code"]) == (507, "disk-full")
    assert steward_client.get("/ops/turbines").json() == before
    assert steward_client.get(f"/admin/plans/{number}").json()["state"] == "approved"
    assert [*store.archive.iterdir(), *store.spool.iterdir()] == []
    disk.clear()
    assert send(steward_client, "post", f"/admin/plans/{number}/apply", {"confirm": "turbines"}).status_code == 200
    assert "code" not in steward_client.get("/ops/turbines").json()[0]


def test_a_checkpoint_that_finds_no_room_loses_nothing_and_the_file_opens_anew_by_itself(
    disk: Mounted, projects: Store, editor_client: APIClient
) -> None:
    assert post_csv(editor_client, 3_000).status_code == 200
    assert send(editor_client, "patch", "/ops/projects?maturity_years=20&max_affected=5000", {"maturity_years": 21}).status_code == 200
    disk.fill(leave=20_000)
    with pytest.raises(StoreReopening), projects.read() as cursor:
        cursor.execute("CHECKPOINT")
    assert {row["maturity_years"] for row in editor_client.get("/ops/projects?limit=10000").json()} == {21}
    assert send(editor_client, "post", "/ops/projects", wind_farm(1, 10)).status_code == 201
    disk.clear()
    with projects.read() as cursor:
        cursor.execute("CHECKPOINT")
    assert len(editor_client.get("/ops/projects?limit=10000").json()) == 3_001


def test_a_stop_ends_though_the_write_that_waits_meets_a_file_that_failed(disk: Mounted, projects: Store, editor_client: APIClient) -> None:
    assert post_csv(editor_client, 3_000).status_code == 200
    assert send(editor_client, "patch", "/ops/projects?maturity_years=20&max_affected=5000", {"maturity_years": 21}).status_code == 200
    begun, goes_on = threading.Event(), threading.Event()
    projects.writer.later(lambda _: (begun.set(), goes_on.wait(30)))
    assert begun.wait(30)
    projects.writer.later(lambda writing: writing.execute("CREATE TABLE late AS SELECT 1"))
    stopping = threading.Thread(target=projects.writer.stop, daemon=True)
    stopping.start()
    disk.fill(leave=20_000)
    with contextlib.suppress(duckdb.Error), projects.connection().cursor() as cursor:
        cursor.execute("CHECKPOINT")
    goes_on.set()
    stopping.join(30)
    disk.clear()
    assert not stopping.is_alive()


def test_the_log_is_not_folded_in_where_there_is_no_room_for_it(disk: Mounted, projects: Store, editor_client: APIClient) -> None:
    with projects.transaction() as transaction:  # Deletes go to the log, and a large one is long.
        transaction.execute("CREATE TABLE large AS SELECT range AS n, repeat('x', 900) AS t FROM range(10000)")
    with projects.transaction() as transaction:
        transaction.execute("UPDATE large SET t = t || n")
    log = projects.path.with_name("data_product.db.wal")
    assert log.stat().st_size > checkpoints.FROM
    disk.fill(leave=log.stat().st_size // 2)
    assert checkpoints.fold(projects) is False
    assert editor_client.get("/ops/projects").status_code == 200
    disk.clear()
    assert checkpoints.fold(projects) is True


def test_a_bound_on_the_size_of_files_is_a_full_disk_too(bounded: Bounded) -> None:
    tables.create(get_store(), sample("project_schema"), version=1, provenance="mock", actor="test")

    def write(number: int) -> None:
        schema = get_store().table("projects").schema
        cells = {c.name: None for c in schema.columns} | {"project_name": f"farm {number}", "description": "x" * 500, "status": "ACTIVE"}
        numbers = {"total_amount": "1", "maturity_years": "1", "expected_tri": "1", "dscr": "1", "currency_code": "EUR"}
        get_store().writer.write(Create(schema, cells | numbers, "test", 1))

    bounded.fill(leave=5_000)
    written = 0
    with pytest.raises(DiskFull):
        while True:
            write(written)
            written += 1
    assert written and count() == written
    bounded.clear()
    write(written)
    reset_store()
    assert count() == written + 1


def count() -> int:
    with get_store().read() as cursor:
        return cursor.execute("SELECT count(*) FROM projects").fetchall()[0][0]


# Nearly full: refused before anything breaks.


@pytest.fixture
def nearly_full(projects: Store, settings, editor_client: APIClient) -> str:
    """The key of a row that was written before less than the reserve was free, but more than a quarter of it."""
    key = send(editor_client, "post", "/ops/projects", WIND_FARM).json()["project_id"]
    reset_store()
    settings.DISK_RESERVE = 2**60
    get_store().room._reserve = 2 * least_free()
    return key


def least_free() -> int:
    return min(rows_free for rows_free in map(checkpoints.free, get_store().room._folders.values()))


def test_below_the_reserve_what_writes_is_refused_and_what_reads_or_deletes_goes_on(nearly_full: str, steward_client: APIClient) -> None:
    refused = [
        send(steward_client, "post", "/ops/projects", WIND_FARM),
        send(steward_client, "patch", f"/ops/projects/{nearly_full}", {"dscr": 2}),
        send(steward_client, "patch", "/ops/projects?dscr__gt=0", {"dscr": 2}),
        send(steward_client, "post", "/ops/projects", [WIND_FARM]),
        post_csv(steward_client, 2),
    ]
    for answer in refused:
        assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (507, "disk-nearly-full", "60")
        assert answer.json()["detail"].endswith("kept in reserve, so nothing was written; reading goes on.")
    assert steward_client.get(f"/ops/projects/{nearly_full}").json()["dscr"] == 1.35
    assert send(steward_client, "delete", f"/ops/projects/{nearly_full}").status_code == 204


def test_below_the_reserve_no_plan_is_applied_and_no_table_made(
    turbines: Ontology, store: Store, settings, steward_client: APIClient
) -> None:
    reset_store()
    settings.DISK_RESERVE = 2**60
    turbines.say(without_column(TURBINES, "code"))
    plan = send(steward_client, "put", "/admin/tables/turbines").json()["plan"]
    send(steward_client, "post", f"/admin/plans/{plan['id']}/approve", {})
    answer = send(steward_client, "post", f"/admin/plans/{plan['id']}/apply", {"confirm": "turbines"})
    assert (answer.status_code, answer.json()["code"]) == (507, "disk-nearly-full")
    assert steward_client.get(f"/admin/plans/{plan['id']}").json()["state"] == "approved"
    assert send(steward_client, "delete", "/ops/turbines/1").status_code == 507  # A quarter of the reserve is kept from deletes too.
    settings.DISK_RESERVE = 0
    reset_store()
    assert send(steward_client, "post", f"/admin/plans/{plan['id']}/apply", {"confirm": "turbines"}).status_code == 200


# Django's database.


@pytest.fixture
def full_database(transactional_db, roles) -> Iterator[None]:
    """SQLite may take no further page, which it says as it says of a full disk."""
    with connection.cursor() as cursor:
        pages = cursor.execute("PRAGMA page_count").fetchone()[0]
        cursor.execute(f"PRAGMA max_page_count = {pages}")
    yield
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA max_page_count = 1073741823")


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_recorded_for_want_of_room_is_never_a_success(
    projects: Store, steward_client: APIClient, full_database: None
) -> None:
    recorded, answers = AuditEntry.objects.count(), []
    for number in range(1000):
        answers.append(send(steward_client, "post", "/admin/sync", {"names": [f"{number}" + "x" * 40_000]}))
        if answers[-1].status_code != 202:
            break
    assert (answers[-1].status_code, answers[-1].json()["code"]) == (507, "database-full")
    assert answers[-1].json()["detail"] == "The disk of Django's database is full, so this could not be recorded."
    assert steward_client.get("/ops/projects").status_code == 200
    assert AuditEntry.objects.count() == recorded
    assert json.loads(steward_client.get("/monitoring/ready").content)["status"] == "ready"
