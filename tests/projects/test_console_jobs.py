"""Jobs in the console: who sees which, what their pages say, and how they are cancelled."""

from uuid import uuid4

import pytest
from django.utils import timezone

from projects import job_words, jobs
from projects.models import Job
from tests.projects.signed import Person

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("roles", "store")]

SCRIPT = "<script>alert(1)</script>"
LIST = "/console/jobs/"


def address_of(job: Job) -> str:
    return f"{LIST}{job.id}/"


def test_people_see_their_own_jobs_and_operators_all():
    editor, operator = Person("editor"), Person("operator")
    own = Job.objects.create(kind="sync", created_by=editor.user, done=50, total=100, state="running")
    other = Job.objects.create(kind="load", inputs={"table": "mills"})
    text = editor.get(LIST)
    assert "50 %" in text
    assert address_of(own) in text
    assert address_of(other) not in text
    assert "There is no job" in editor.client.get(address_of(other), HTTP_ACCEPT="text/html").content.decode()
    text = operator.get(LIST)
    assert address_of(own) in text
    assert 'Load a file</a> <span class="spawn-soft">mills' in text
    assert address_of(own) not in operator.get(f"{LIST}?mine=1")


def test_the_list_is_narrowed_by_state_and_kind_and_pages_keep_that():
    operator = Person("operator")
    Job.objects.bulk_create(Job(kind="export", state="done", inputs={"table": f"t{n}"}) for n in range(60))
    Job.objects.create(kind="load", state="failed", error="It is bad.")
    assert "It is bad." in operator.get(f"{LIST}?state=failed&kind=load")
    text = operator.get(f"{LIST}?state=done")
    assert "It is bad." not in text
    assert text.count("<tr>") == 51
    assert 'href="?state=done&amp;page=2"' in text
    assert operator.get(f"{LIST}?state=done&page=2").count("<tr>") == 11
    assert "No job is like this" in operator.get(f"{LIST}?state=queued")


def test_a_page_of_jobs_asks_the_database_no_more_often_than_a_short_one(django_assert_max_num_queries):
    operator = Person("operator")
    Job.objects.bulk_create(Job(kind="export", created_by=operator.user, inputs={"table": f"t{n}"}) for n in range(60))
    with django_assert_max_num_queries(8):
        operator.get(LIST)


def test_a_list_without_jobs_says_what_makes_one():
    assert "There was no job yet" in Person("viewer").get(LIST)


def test_a_page_asks_again_only_while_something_goes_on():
    operator = Person("operator")
    job = Job.objects.create(kind="export", state="running", done=7, total=100, started_at=timezone.now())
    for address in (LIST, address_of(job)):
        part = operator.get(address, headers={"HX-Request": "true"})
        assert "hx-trigger" in part
        assert "7 %" in part
        assert "<html" not in part
    Job.objects.filter(id=job.id).update(state="done", finished_at=timezone.now(), result={"rows": 1200, "bytes": 2048})
    for address in (LIST, address_of(job)):
        assert "hx-trigger" not in operator.get(address, headers={"HX-Request": "true"})
    assert "The file has 1,200 rows and 2.0 KB." in operator.get(address_of(job))


def test_a_jobs_page_shows_its_outcome_as_text_and_no_secret_input():
    editor = Person("editor")
    inputs = {"table": SCRIPT, "spool": "secret-1", "password": "secret-2", "file": SCRIPT, "on_conflict": "ignore"}
    rejects = [{"row": 7, "column": SCRIPT, "value": SCRIPT, "code": "enum", "reason": SCRIPT}]
    result = {"rejected": 1200, "rejects": rejects, "problems": []}
    job = Job.objects.create(kind="load", created_by=editor.user, state="failed", inputs=inputs, error=SCRIPT, result=result)
    text = editor.get(address_of(job))
    assert SCRIPT not in text
    assert "secret" not in text
    assert "1,200 rows of the file do not fit the table" in text
    assert "are left as they are" in text
    assert "was kept for seven days" in text
    assert editor.client.delete(address_of(job)).status_code == 405


def test_a_job_that_waits_is_cancelled_once_by_who_may():
    editor, viewer = Person("editor"), Person("viewer")
    jobs.leave("load", {"table": "a"}, editor.user)
    job = Job.objects.get()
    viewer.post(address_of(job), status=404)
    editor.post(address_of(job))
    job.refresh_from_db()
    assert job.state == "withdrawn"
    editor.post(address_of(job))
    assert "is over: it ended withdrawn" in editor.get(address_of(job))


def test_there_is_no_button_to_cancel_what_one_may_only_see():
    steward, operator = Person("steward"), Person("operator")
    job = Job.objects.create(kind="sync", created_by=operator.user)
    assert ">Cancel<" not in steward.get(address_of(job))
    steward.post(address_of(job))
    assert "may not have this done" in steward.get(address_of(job))
    assert ">Cancel<" in operator.get(address_of(job))


def test_an_unknown_job_is_a_page_of_404():
    assert Person("viewer").client.get(f"{LIST}{uuid4()}/").status_code == 404


@pytest.mark.parametrize(
    ("kind", "result", "words"),
    [
        ("load", {"inserted": 1, "updated": 2, "rejected": 1}, "1 row was added. 2 rows were updated. 1 row was bad and left out."),
        ("load", {"inserted": 0}, "0 rows were added."),
        (
            "sync",
            {"tables": [{"outcome": "created"}, {"outcome": "unchanged"}, {"outcome": "created"}]},
            "3 tables: 2 created, 1 unchanged.",
        ),
        ("apply", {"id": 3, "table": "mills", "state": "applied"}, "The plan 3 of mills is applied."),
        ("check_store", {"sound": True, "looked": {"feed": 1}, "findings": []}, "The store is sound."),
        ("verify_audit", {"ok": True, "entries": 1, "detail": ""}, "1 entry of the audit log: each stands as it was written"),
        ("other", {"x": 1}, ""),
    ],
)
def test_what_came_of_a_job_is_said_in_words(kind, result, words):
    assert job_words.outcome(Job(kind=kind, state="done", result=result)) == words


def test_every_kind_of_job_has_words():
    assert set(job_words.TITLES) == set(jobs.KINDS)
