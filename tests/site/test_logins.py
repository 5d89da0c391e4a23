"""Logins that fail too often are slowed, by name and address together."""

from base64 import b64encode
from io import StringIO

import pytest
from axes.models import AccessAttempt
from django.conf import settings as configured
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from schema_registry.models import AuditEntry
from tests.conftest import PASSWORD, user_with_role

FAILURES = configured.AXES_FAILURE_LIMIT
WRONG = "hush, a wrong one"


@pytest.fixture
def viewer(roles) -> User:
    return user_with_role("viewer")


def sign_in(name: str, password: str = PASSWORD, **more: str):
    return Client(**more).post("/console/login/", {"username": name, "password": password, "next": "/console/"})


def basic(name: str, password: str = PASSWORD, **more: str):
    credentials = b64encode(f"{name}:{password}".encode()).decode()
    return APIClient(HTTP_AUTHORIZATION=f"Basic {credentials}", **more).post("/auth/tokens", {}, format="json")


def test_a_login_that_failed_too_often_is_slowed_on_the_page(viewer):
    assert [sign_in("viewer", WRONG).status_code for _ in range(FAILURES)] == [200] * (FAILURES - 1) + [429]
    page = sign_in("viewer")
    assert page.status_code == 429
    assert 200 < int(page.headers["Retry-After"]) <= 300
    assert "Too many logins failed with this name from this address; try again in" in page.content.decode()
    assert "password" in page.content.decode()  # The form is still there.


def test_a_token_by_a_wrong_password_is_slowed_as_a_problem(viewer):
    assert [basic("viewer", WRONG).status_code for _ in range(FAILURES)] == [401] * (FAILURES - 1) + [429]
    answer = basic("viewer")
    assert (answer.status_code, answer.json()["code"]) == (429, "login-slowed")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert 200 < int(answer.headers["Retry-After"]) <= 300


def test_both_doors_count_together_and_by_any_method(viewer):
    for _ in range(FAILURES - 2):
        sign_in("viewer", WRONG)
    credentials = b64encode(f"viewer:{WRONG}".encode()).decode()
    client = APIClient(HTTP_AUTHORIZATION=f"Basic {credentials}")
    assert client.get("/auth/tokens").status_code == 401
    assert client.delete("/auth/tokens/3f0f9f2e-9d44-4c7b-8d77-0d3f0f5f0f5f").status_code == 429
    assert sign_in("viewer").status_code == 429


def test_another_address_and_another_name_are_let_in_meanwhile(viewer):
    user_with_role("editor")
    for _ in range(FAILURES):
        sign_in("viewer", WRONG)
    assert sign_in("viewer", REMOTE_ADDR="192.0.2.7").status_code == 302
    assert basic("viewer", REMOTE_ADDR="192.0.2.7").status_code == 201
    assert (sign_in("editor").status_code, basic("editor").status_code) == (302, 201)


def test_another_browser_is_no_way_around(viewer):
    for number in range(FAILURES):
        sign_in("viewer", WRONG, HTTP_USER_AGENT=f"browser {number}", HTTP_X_FORWARDED_FOR=f"192.0.2.{number}")
    assert sign_in("viewer", HTTP_USER_AGENT="a new one").status_code == 429


def test_trying_on_makes_it_no_longer(viewer):
    for _ in range(FAILURES):
        sign_in("viewer", WRONG)
    last = AccessAttempt.objects.get().attempt_time
    assert [sign_in("viewer", WRONG).status_code for _ in range(3)] == [429] * 3
    assert (AccessAttempt.objects.get().attempt_time, AccessAttempt.objects.get().failures_since_start) == (last, FAILURES)


def test_after_its_time_a_good_password_is_taken_again(viewer):
    for _ in range(FAILURES):
        sign_in("viewer", WRONG)
    AccessAttempt.objects.update(attempt_time=timezone.now() - configured.AXES_COOLOFF_TIME)
    assert sign_in("viewer").status_code == 302


@pytest.mark.parametrize("door", [sign_in, basic])
def test_a_good_password_forgets_the_wrong_ones(viewer, door):
    for _ in range(FAILURES - 1):
        door("viewer", WRONG)
    assert door("viewer").status_code in (201, 302)
    assert not AccessAttempt.objects.exists()


def test_it_is_audited_once_and_nothing_has_the_password(viewer, caplog):
    for _ in range(FAILURES + 3):
        sign_in("viewer", WRONG)
        basic("viewer", WRONG)
    entry = AuditEntry.objects.get(action="login.slow")
    assert (entry.object, entry.actor, entry.detail) == ("viewer", "anonymous", {"address": "127.0.0.1"})
    kept = f"{list(AuditEntry.objects.values())} {list(AccessAttempt.objects.values())} {caplog.text}"
    assert "hush" not in kept
    assert "viewer" in caplog.text and "127.0.0.1" in caplog.text


def test_an_operator_lets_somebody_try_again_by_the_command(viewer):
    for _ in range(FAILURES):
        sign_in("viewer", WRONG)
    out = StringIO()
    call_command("unlock_login", "viewer", stdout=out)
    call_command("unlock_login", "viewer", stdout=out)
    assert out.getvalue().splitlines() == ["viewer may try again.", "No failed login of viewer was kept."]
    assert sign_in("viewer").status_code == 302
    assert AuditEntry.objects.filter(action="login.unlock", object="viewer", actor="system").exists()


def test_a_superuser_lets_somebody_try_again_in_the_console(viewer, client):
    for _ in range(FAILURES):
        sign_in("viewer", WRONG)
    client.force_login(User.objects.create_superuser("root"))
    page = client.get("/console/axes/accessattempt/").content.decode()
    assert "viewer" in page and "127.0.0.1" in page
    kept = AccessAttempt.objects.get()
    assert client.get(f"/console/axes/accessattempt/{kept.pk}/change/").status_code == 200
    client.post("/console/axes/accessattempt/", {"action": "unlock", "_selected_action": [str(kept.pk)]})
    assert sign_in("viewer").status_code == 302
    assert AuditEntry.objects.filter(action="login.unlock", actor="root").exists()


@pytest.mark.parametrize("name", ["", "x" * 5000, "a\0b", "ü" * 300, "a:b"])
def test_a_name_that_is_none_is_refused_and_slowed_like_any_other(db, name):
    statuses = [basic(name, WRONG).status_code for _ in range(FAILURES)]
    assert set(statuses) <= {401, 429}
    assert sign_in(name, WRONG).status_code in (200, 429)
