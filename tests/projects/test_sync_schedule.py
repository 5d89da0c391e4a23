"""The sync by itself, every SYNC_EVERY seconds, and the one that is asked for by POST /admin/sync."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from projects import jobs, owner
from projects.models import Job, Notice
from projects.schedule import SYNC, Schedule
from projects.store.connection import Store
from tests.conftest import client_of, user_with_role
from tests.projects.ontology import NOWHERE, Ontology, outcomes, send

threaded = pytest.mark.django_db(transaction=True)  # A job that runs writes its progress from another thread.
PATIENCE = 15  # seconds


def run_next(store: Store) -> Job:
    """Does the oldest job that waits."""
    job = jobs.next_job()
    assert job
    jobs.run(store, job)
    job.refresh_from_db()
    return job


def ended_ago(job: Job, seconds: int) -> None:
    moment = timezone.now() - timedelta(seconds=seconds)
    Job.objects.filter(id=job.id).update(finished_at=moment, created_at=moment)


# By itself.


@pytest.mark.django_db
def test_no_sync_is_left_where_none_was_asked_for(store: Store) -> None:
    assert Schedule(SYNC).keep() is None
    assert Job.objects.count() == 0


@threaded
def test_a_sync_is_left_once_the_last_one_is_long_enough_ago(ontology: Ontology, store: Store, settings) -> None:
    settings.SYNC_EVERY = 60
    schedule = Schedule(SYNC)
    first = schedule.keep()
    assert first
    assert (first.kind, first.state, first.created_by) == ("sync", "queued", None)
    assert schedule.keep() is None  # It waits.
    assert outcomes(run_next(store).result) == {"turbines": "created", "sites": "created"}
    assert schedule.keep() is None  # It has just been done.
    ended_ago(first, 59)
    assert Schedule(SYNC).keep() is None  # Nor by an owner that starts now.
    ended_ago(first, 61)
    second = Schedule(SYNC).keep()
    assert second and second != first
    assert outcomes(run_next(store).result) == {"turbines": "unchanged", "sites": "unchanged"}


@threaded
def test_an_owner_that_asks_often_leaves_the_database_alone(ontology, store, settings, django_assert_num_queries) -> None:
    settings.SYNC_EVERY = 60
    schedule = Schedule(SYNC)
    schedule.keep()
    run_next(store)
    schedule.keep()
    with django_assert_num_queries(0):
        assert schedule.keep() is None


@pytest.mark.django_db
@pytest.mark.parametrize("state", ["queued", "running"])
def test_none_is_left_beside_another_of_every_table(store: Store, settings, state: str) -> None:
    settings.SYNC_EVERY = 60
    other = jobs.leave("sync", {"names": [], "dry_run": False})
    Job.objects.filter(id=other.id).update(state=state)
    schedule = Schedule(SYNC)
    assert schedule.keep() is None
    ended = {"state": "done", "finished_at": timezone.now()}
    Job.objects.filter(id=other.id).update(**ended)
    assert schedule.keep()  # One that a person had done is none of the schedule's.


@pytest.mark.django_db
@pytest.mark.parametrize("inputs", [{"names": ["turbines"], "dry_run": False}, {"names": [], "dry_run": True}])
def test_a_sync_of_some_tables_or_a_dry_run_does_not_stand_for_it(store: Store, settings, inputs: dict) -> None:
    settings.SYNC_EVERY = 60
    jobs.leave("sync", inputs)
    assert Schedule(SYNC).keep()


@threaded
def test_an_outage_is_told_once(ontology: Ontology, store: Store, settings) -> None:
    settings.SYNC_EVERY, settings.NOTIFY_URL, settings.NOTIFY_SECRET = 60, NOWHERE, "x"
    there = settings.ONTO_SERVER_URL

    def sync_at(url: str) -> tuple[str, int]:
        """How a scheduled sync ends, and how many notices there are then."""
        settings.ONTO_SERVER_URL = url
        assert Schedule(SYNC).keep()
        job = run_next(store)
        ended_ago(job, 61)
        return job.state, Notice.objects.count()

    assert [sync_at(url) for url in (NOWHERE, NOWHERE, there, NOWHERE)] == [("failed", 1), ("failed", 1), ("done", 1), ("failed", 2)]
    assert set(Notice.objects.values_list("event", flat=True)) == {"job.failed"}


@threaded
def test_the_owner_syncs_by_itself(ontology: Ontology, store: Store, settings) -> None:
    settings.SYNC_EVERY = 10
    owner.start_owner()
    try:
        until = time.monotonic() + PATIENCE
        while not Job.objects.filter(state="done").exists() and time.monotonic() < until:
            time.sleep(0.05)
        assert [job.state for job in Job.objects.all()] == ["done"]
        assert [table.name for table in store.tables()] == ["sites", "turbines"]
    finally:
        owner.stop_owner()


@threaded
def test_many_at_once_leave_one_sync(own_store) -> None:
    left = []

    def leave() -> None:
        left.append(jobs.leave_once("sync", {"names": [], "dry_run": False}).id)
        connection.close()

    threads = [threading.Thread(target=leave) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(left), len(set(left)), Job.objects.count()) == (8, 1, 1)


# By REST.


@threaded
def test_a_sync_that_is_asked_for_is_a_job(ontology: Ontology, store: Store, steward_client: APIClient) -> None:
    answer = send(steward_client, "post", "/admin/sync")
    assert (answer.status_code, answer.json()["kind"], answer.json()["state"]) == (202, "sync", "queued")
    assert answer["Location"] == f"/ops/jobs/{answer.json()['id']}"
    run_next(store)
    job = steward_client.get(answer["Location"]).json()
    assert (job["state"], job["created_by"], outcomes(job["result"])) == ("done", "steward", {"turbines": "created", "sites": "created"})


@threaded
def test_only_what_is_named_is_synced(ontology: Ontology, store: Store, steward_client: APIClient) -> None:
    send(steward_client, "post", "/admin/sync", {"names": ["sites", "sites"]})
    assert outcomes(run_next(store).result) == {"sites": "created"}
    send(steward_client, "post", "/admin/sync", {"names": ["ghosts"]})
    failed = run_next(store)
    assert (failed.state, "ghosts" in failed.error) == ("failed", True)


@pytest.mark.django_db
def test_a_sync_that_is_queued_already_is_answered(store: Store, settings, steward_client: APIClient) -> None:
    settings.SYNC_EVERY = 60
    scheduled = Schedule(SYNC).keep()
    assert scheduled
    asked = [send(steward_client, "post", "/admin/sync", body) for body in (None, {}, {"names": ["b", "a"]}, {"names": ["a", "b"]})]
    ids = [answer.json()["id"] for answer in asked]
    assert ids[:2] == [str(scheduled.id)] * 2
    assert ids[2] == ids[3] != ids[0]
    assert [steward_client.get(answer["Location"]).status_code for answer in asked] == [200] * 4
    jobs.next_job()  # One that runs may have asked the ontology before it changed.
    assert send(steward_client, "post", "/admin/sync").json()["id"] not in ids


@pytest.mark.django_db
@pytest.mark.parametrize("body", [{"names": []}, {"names": "sites"}, {"names": [1]}, {"names": [""]}, {"tables": []}, [], "{"])
def test_a_body_that_names_nothing_is_refused(store: Store, steward_client: APIClient, body: object) -> None:
    assert send(steward_client, "post", "/admin/sync", body).status_code == 400
    assert Job.objects.count() == 0


@pytest.mark.django_db
def test_who_may_not_manage_tables_may_not_sync(store: Store, roles: None, anonymous_client: APIClient) -> None:
    steward = user_with_role("steward")
    refused = [client_of(user_with_role(role)) for role in ("viewer", "editor", "operator")]
    refused += [client_of(steward, role="editor"), client_of(steward, scopes=["turbines"])]
    assert [send(client, "post", "/admin/sync").status_code for client in refused] == [403] * 5
    assert send(anonymous_client, "post", "/admin/sync").status_code == 401
    assert Job.objects.count() == 0
