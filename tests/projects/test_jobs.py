"""Jobs: what is left for the owner is done once, by right, and said; what a killed owner left is brought to an end."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection
from rest_framework.test import APIClient

from projects import jobs, owner, sync
from projects.errors import NotAllowed, StoreBusy
from projects.models import Job, ManagedTable, Owner
from projects.store import books
from projects.store.connection import Store, get_store, reset_store
from schema_registry.models import AuditEntry
from tests.conftest import client_of, user_with_role
from tests.projects.ontology import TURBINES, Ontology, outcomes

threaded = pytest.mark.django_db(transaction=True)
PATIENCE = 15  # seconds


@pytest.fixture
def running(ontology: Ontology, roles: None, store: Store) -> Iterator[Store]:
    """An owner at work in this process, with the tables of the ontology."""
    sync.sync(store, actor="test")
    owner.start_owner()
    yield store
    owner.stop_owner()


def ended(job: Job) -> Job:
    """The job when it has ended."""
    until = time.monotonic() + PATIENCE
    while job.finished_at is None and time.monotonic() < until:
        time.sleep(0.05)
        job.refresh_from_db()
    assert job.finished_at, f"the job is still {job.state}"
    return job


def left_load(text: str, user: User | None = None, table: str = "sites") -> tuple[Job, Path]:
    """A load of this file that waits for the owner, and the file in the spool."""
    spool = get_store().spool
    spool.mkdir(exist_ok=True)
    path = spool / f"job-{len(text)}.csv"
    path.write_text(text)
    return jobs.leave("load", {"table": table, "spool": path.name, "nulls": []}, user), path


def rows_of(store: Store, table: str) -> list[tuple]:
    with store.read() as cursor:
        return cursor.execute(f"FROM {table} ORDER BY id").fetchall()


# Work for the owner.


@threaded
def test_the_owner_does_a_sync_that_was_left_for_it(ontology: Ontology, running: Store) -> None:
    ontology.say(TURBINES | {"description": "Newer."})
    job = ended(jobs.leave("sync", {"names": [], "dry_run": False}, user_with_role("steward")))
    assert (job.state, job.done, job.total, job.error) == ("done", 100, 100, "")
    assert outcomes(job.result) == {"turbines": "altered", "sites": "unchanged"}
    assert (job.result["waits"], job.result["failed"]) == (False, False)
    assert job.created_at < job.started_at < job.finished_at
    assert AuditEntry.objects.get(action="table.alter").actor == "steward"


@threaded
def test_who_prefers_not_to_wait_gets_the_tables_by_a_job(ontology: Ontology, running: Store) -> None:
    client = client_of(user_with_role("steward"))
    ontology.say(TURBINES | {"description": "Newer."})
    answer = client.post("/ops/initialize", HTTP_PREFER='wait=5, respond-async; x="y"')
    assert (answer.status_code, answer["Preference-Applied"]) == (202, "respond-async")
    job = ended(Job.objects.get(id=answer["Location"].removeprefix("/ops/jobs/")))
    assert outcomes(job.result) == {"turbines": "altered", "sites": "unchanged"}
    assert client.get(answer["Location"]).json()["state"] == "done"


@threaded
def test_the_owner_loads_a_file_or_says_which_rows_are_to_blame(running: Store) -> None:
    good, good_file = left_load("id,name\n1,one\n2,two\n")
    bad, bad_file = left_load("id,name\n3,three\nx,four\n1,again\n")
    taken, _ = left_load("id,name\n3,three\n2,again\n3,twice\n")
    assert (ended(good).state, good.done, good.result["inserted"]) == ("done", 100, 2)
    assert (ended(bad).state, bad.result["rejects"][0]["row"], bad.result["rejects"][0]["column"]) == ("failed", 2, "id")
    assert "nothing was loaded" in bad.error
    assert (ended(taken).state, [r["row"] for r in taken.result["rejects"]]) == ("failed", [2, 3])
    assert rows_of(running, "sites") == [(1, "one"), (2, "two")]
    assert not good_file.exists()
    assert not bad_file.exists()
    with running.read() as cursor:
        assert json.loads(books.job_result(cursor, str(good.id))) == good.result
        assert books.job_result(cursor, str(bad.id)) is None
    entry = AuditEntry.objects.get(action="rows.load")
    assert (entry.actor, entry.detail) == ("system", {"rows": 2, "job": str(good.id)})


@threaded
def test_a_job_that_breaks_says_so_and_the_next_one_is_done(running: Store) -> None:
    broken = Job.objects.create(kind="juggle")
    missing, _ = left_load("id\n1\n", table="ghosts")
    verified = jobs.leave("verify_audit", {})
    assert (ended(broken).state, "log has it" in broken.error) == ("failed", True)
    assert (ended(missing).state, missing.error) == ("failed", "There is no table named ghosts.")
    assert (ended(verified).state, verified.result["ok"]) == ("done", True)


@threaded
def test_an_owner_beats_until_it_is_stopped(ontology: Ontology, running: Store) -> None:
    until = time.monotonic() + PATIENCE
    while not owner.is_beating() and time.monotonic() < until:
        time.sleep(0.05)
    assert (owner.is_beating(), Owner.objects.count()) == (True, 1)
    owner.stop_owner()
    assert (owner.is_beating(), Owner.objects.count(), running.is_open) == (False, 0, False)
    waiting = jobs.leave("verify_audit", {})
    time.sleep(2 * owner.LOOK)
    waiting.refresh_from_db()
    assert waiting.state == "queued"
    reset_store()
    owner.start_owner()  # A second start in one process takes up what waits.
    assert ended(waiting).state == "done"


@threaded
def test_a_load_that_the_owner_stops_in_says_so_and_leaves_no_row(running: Store) -> None:
    job, path = left_load("id,name\n" + "".join(f"{n},name of {n}\n" for n in range(1_500_000)))
    until = time.monotonic() + PATIENCE
    while job.state == "queued" and time.monotonic() < until:
        time.sleep(0.02)
        job.refresh_from_db()
    owner.stop_owner()
    job.refresh_from_db()
    assert (job.state, job.error) == ("failed", "It was interrupted when the server stopped; nothing of it was kept.")
    assert not path.exists()
    reset_store()
    assert rows_of(get_store(), "sites") == []


@threaded
def test_a_right_that_was_lost_stops_the_job(running: Store) -> None:
    editor = user_with_role("editor")
    owner.stop_owner()
    job, path = left_load("id\n1\n", editor)
    editor.groups.clear()
    reset_store()
    owner.start_owner()
    assert (ended(job).state, job.error) == ("failed", "editor may not have this done: load.")
    assert rows_of(get_store(), "sites") == []
    assert not path.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("viewer", {"export"}),
        ("editor", {"export", "check", "load"}),
        ("steward", {"export", "check", "load", "sync", "initialize", "verify_audit", "apply", "undo", "erase"}),
        ("operator", {"export", "verify_audit", "check_store", "backup"}),
    ],
)
def test_a_role_may_leave_the_jobs_that_it_may_do_itself(roles: None, role: str, may: set[str]) -> None:
    user, allowed = user_with_role(role), set()
    for kind in jobs.KINDS:
        try:
            jobs.leave(kind, {}, user)
            allowed.add(kind)
        except NotAllowed as refusal:
            assert role in str(refusal)
    assert allowed == may
    assert {job.kind for job in Job.objects.all()} == may


@pytest.mark.django_db
def test_a_user_who_was_shut_out_may_leave_nothing(roles: None) -> None:
    steward = user_with_role("steward")
    steward.is_active = False
    with pytest.raises(NotAllowed):
        jobs.check_right("sync", steward)


# Cancelling.


def begun(job: Job) -> None:
    until = time.monotonic() + PATIENCE
    while job.state == "queued" and time.monotonic() < until:
        time.sleep(0.02)
        job.refresh_from_db()
    assert job.state == "running"


@threaded
def test_a_load_that_is_cancelled_says_so_and_leaves_no_row(running: Store) -> None:
    editor = user_with_role("editor")
    job, path = left_load("id,name\n" + "".join(f"{n},name of {n}\n" for n in range(1_500_000)), editor)
    begun(job)
    answer = client_of(editor).delete(f"/ops/jobs/{job.id}")
    assert (answer.status_code, answer.json()["state"]) == (202, "running")
    assert (ended(job).state, job.error) == ("cancelled", "It was cancelled while it ran; what it had begun was rolled back.")
    assert (rows_of(running, "sites"), path.exists()) == ([], False)
    entry = AuditEntry.objects.get(action="job.cancel")
    assert (entry.actor, entry.object) == ("editor", f"load {job.id}")
    again = client_of(editor).delete(f"/ops/jobs/{job.id}")
    assert (again.status_code, again.json()["code"]) == (409, "job-over")
    after, _ = left_load("id,name\n1,one\n", editor)
    assert (ended(after).state, rows_of(running, "sites")) == ("done", [(1, "one")])


def cancelled_in_the_middle(job: Job) -> Job:
    """Cancels a job that has begun; for a moment after that it cannot be interrupted yet."""
    while True:
        try:
            return jobs.cancel(job, actor="test")
        except StoreBusy:
            time.sleep(0.01)


@threaded
def test_a_job_that_no_interrupt_reaches_ends_as_it_would_have(running: Store) -> None:
    with running.locks.of("sites").alone():
        job = jobs.leave("sync", {"names": [], "dry_run": False})
        begun(job)
        assert cancelled_in_the_middle(job).state == "running"
    assert (ended(job).state, outcomes(job.result)) == ("done", {"turbines": "unchanged", "sites": "unchanged"})
    assert AuditEntry.objects.get(action="job.cancel").object == f"sync {job.id}"


@pytest.mark.django_db
def test_a_job_that_waits_is_withdrawn(roles: None, store: Store) -> None:
    editor = user_with_role("editor")
    job, path = left_load("id\n1\n", editor)
    answer = client_of(editor).delete(f"/ops/jobs/{job.id}")
    assert (answer.status_code, answer.json()["state"], path.exists()) == (200, "withdrawn", False)
    assert jobs.next_job() is None
    assert AuditEntry.objects.get(action="job.cancel").actor == "editor"
    again = client_of(editor).delete(f"/ops/jobs/{job.id}")
    assert (again.status_code, again.json()["detail"]) == (409, f"The job {job.id} is over: it ended withdrawn.")


@pytest.mark.django_db
def test_people_cancel_their_own_jobs_and_operators_all(roles: None, store: Store, operator_client: APIClient) -> None:
    editor, steward = user_with_role("editor"), user_with_role("steward")
    mine, theirs, systems = (jobs.leave(kind, {}, user) for kind, user in (("load", editor), ("sync", steward), ("sync", None)))

    def cancelled(client: APIClient, job: Job) -> int:
        return client.delete(f"/ops/jobs/{job.id}").status_code

    assert [cancelled(client_of(editor), job) for job in (theirs, systems)] == [404, 404]
    assert [cancelled(client_of(steward), job) for job in (mine, systems)] == [404, 403]
    assert cancelled(client_of(editor, role="viewer"), mine) == 403
    assert Job.objects.filter(state="queued").count() == 3
    assert cancelled(client_of(editor), mine) == 200
    assert [cancelled(operator_client, job) for job in (theirs, systems)] == [200, 200]


@pytest.mark.django_db
def test_a_job_that_is_only_just_being_begun_is_cancelled_a_moment_later(roles: None, store: Store) -> None:
    steward = user_with_role("steward")
    job = jobs.leave("verify_audit", {}, steward)
    assert jobs.next_job() == job
    answer = client_of(steward).delete(f"/ops/jobs/{job.id}")
    assert (answer.status_code, answer["Retry-After"]) == (503, "1")


# Taking back, and the queue.


@pytest.mark.django_db
def test_a_job_is_taken_back_only_while_it_waits(store: Store) -> None:
    first, path = left_load("id\n1\n")
    second = jobs.leave("sync", {})
    assert [owner.place_in_queue(job) for job in (first, second)] == [0, 1]
    assert jobs.withdraw(first)
    assert not path.exists()
    assert not jobs.withdraw(first)
    claimed = jobs.next_job()
    assert (claimed, claimed.state, jobs.next_job()) == (second, "running", None)
    assert not jobs.withdraw(second)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state, bool(first.finished_at), second.finished_at) == ("withdrawn", "running", True, None)


@threaded
def test_a_job_is_either_begun_or_taken_back_never_both(own_store: Path) -> None:
    left = [jobs.leave("verify_audit", {}) for _ in range(20)]
    claimed, taken = [], []

    def claim() -> None:
        while job := jobs.next_job():
            claimed.append(job.id)
        connection.close()

    def take_back() -> None:
        taken.extend(job.id for job in reversed(left) if jobs.withdraw(job))
        connection.close()

    threads = [threading.Thread(target=work) for work in (claim, take_back, claim)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed + taken) == sorted(job.id for job in left)
    states = {job.id: job.state for job in Job.objects.all()}
    assert states == dict.fromkeys(claimed, "running") | dict.fromkeys(taken, "withdrawn")


# After a kill.


def left_running(kind: str, **inputs: object) -> Job:
    return Job.objects.create(kind=kind, inputs=inputs, state=Job.State.RUNNING)


@pytest.mark.django_db
def test_what_a_killed_owner_left_is_done_failed_or_begun_again(store: Store) -> None:
    store.spool.mkdir()
    for name in ("job-1.csv", "job-2.csv", "left.parquet"):
        (store.spool / name).write_text("x")
    committed, lost = (left_running("load", table="sites", spool=f"job-{n}.csv", nulls=[]) for n in (1, 2))
    again, unknown = left_running("sync"), left_running("juggle")
    waiting = jobs.leave("verify_audit", {})
    with store.transaction() as transaction:
        books.put_job(transaction.cursor, str(committed.id), '{"inserted": 2}')
    owner.take_over(store)
    for job in (committed, lost, again, unknown, waiting):
        job.refresh_from_db()
    assert (committed.state, committed.result, committed.done) == ("done", {"inserted": 2}, 100)
    assert (lost.state, lost.result, "interrupted" in lost.error) == ("failed", None, True)
    assert (again.state, again.started_at) == ("queued", None)
    assert (unknown.state, waiting.state) == ("failed", "queued")
    assert list(store.spool.iterdir()) == []
    assert {e.object for e in AuditEntry.objects.filter(action="job.recover")} == {str(j) for j in (committed, lost, again, unknown)}
    assert jobs.recover(store) == []


@pytest.mark.django_db
def test_a_take_over_mends_what_django_knows_and_says_so(ontology: Ontology, store: Store) -> None:
    sync.sync(store, actor="test")
    ManagedTable.objects.all().delete()
    owner.take_over(store)
    assert set(ManagedTable.objects.values_list("name", flat=True)) == {"sites", "turbines"}
    assert AuditEntry.objects.get(action="tables.recover").object == "sites, turbines"
    owner.take_over(store)
    assert AuditEntry.objects.filter(action="tables.recover").count() == 1


# By REST.


@pytest.mark.django_db
def test_people_see_their_own_jobs_and_operators_all(roles: None, operator_client: APIClient, store: Store) -> None:
    editor, steward = user_with_role("editor"), user_with_role("steward")
    mine, theirs, systems = (jobs.leave(kind, {}, user) for kind, user in (("load", editor), ("sync", steward), ("sync", None)))

    def seen(client: APIClient) -> list[str]:
        return [job["id"] for job in client.get("/ops/jobs").json()]

    assert seen(client_of(editor)) == [str(mine.id)]
    assert seen(client_of(steward)) == [str(theirs.id)]
    assert seen(operator_client) == [str(job.id) for job in (systems, theirs, mine)]
    assert [j["id"] for j in operator_client.get("/ops/jobs?limit=1&offset=1").json()] == [str(theirs.id)]
    for job in (theirs, systems):
        answer = client_of(editor).get(f"/ops/jobs/{job.id}")
        assert (answer.status_code, answer.json()["code"]) == (404, "job-not-found")
        assert operator_client.get(f"/ops/jobs/{job.id}").status_code == 200
    shown = client_of(editor).get(f"/ops/jobs/{mine.id}").json()
    assert {key: shown[key] for key in ("kind", "state", "done", "total", "result", "error", "created_by")} == {
        "kind": "load",
        "state": "queued",
        "done": 0,
        "total": None,
        "result": None,
        "error": "",
        "created_by": "editor",
    }


@pytest.mark.django_db
def test_a_job_that_never_was_is_not_found(operator_client: APIClient, anonymous_client: APIClient, store: Store) -> None:
    for job in ("0197f0a0-0000-7000-8000-000000000001", "nonsense"):
        assert operator_client.get(f"/ops/jobs/{job}").status_code == 404
    assert operator_client.get("/ops/jobs?colour=red").status_code == 400
    assert anonymous_client.get("/ops/jobs").status_code == 401
