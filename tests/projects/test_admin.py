"""The jobs in the console, and the way to every page."""

import re

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from projects.models import Job

pytestmark = pytest.mark.django_db

SCRIPT = "<script>alert(1)</script>"
JOBS = reverse("admin:projects_job_changelist")


def test_only_those_who_may_read_rows_see_jobs(client, roles):
    client.force_login(User.objects.create_user("nobody", is_staff=True))
    assert client.get(JOBS).status_code == 403


# Jobs.


def test_people_see_their_own_jobs_and_operators_all(console):
    own = Job.objects.create(kind="sync", created_by=console.enter("editor"), done=50, total=100, state="running")
    other = Job.objects.create(kind="load")
    text = console.get(JOBS)
    assert "50 %" in text
    assert str(own.pk) in text
    assert str(other.pk) not in text
    console.get(reverse("admin:projects_job_change", args=[other.pk]), 302)
    console.enter("operator")
    text = console.get(JOBS)
    assert str(own.pk) in text
    assert str(other.pk) in text


def test_a_jobs_page_shows_its_outcome_escaped_and_no_secret_input(console):
    inputs = {"table": SCRIPT, "spool": "secret-1", "password": "secret-2"}
    job = Job.objects.create(
        kind="load", created_by=console.enter("editor"), state="failed", inputs=inputs, error=SCRIPT, result={SCRIPT: 1}
    )
    text = console.get(reverse("admin:projects_job_change", args=[job.pk]))
    assert SCRIPT not in text
    assert "secret" not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 3
    assert console.post(reverse("admin:projects_job_change", args=[job.pk]), {"state": "done"}).status_code == 403
    assert console.post(reverse("admin:projects_job_delete", args=[job.pk]), {"post": "yes"}).status_code == 403


# The way there.


@pytest.mark.parametrize(
    ("role", "titles"),
    [
        ("viewer", {"Tables", "Schemas", "Jobs", "API docs", "Tokens"}),
        ("steward", {"Tables", "Schemas", "Jobs", "Audit log", "API docs", "Tokens"}),
    ],
)
def test_the_first_page_and_the_sidebar_lead_where_a_person_may_go(console, kept, role, titles):
    console.enter(role)
    text = console.get(reverse("admin:index"))
    cards = dict(re.findall(r'<li><a href="([^"]+)">.*?<strong>([^<]+)</strong>', text))
    assert set(cards.values()) == titles
    for address in cards:
        assert text.count(f'href="{address}"') >= 2
        if address.startswith("/console/"):
            console.get(address)
