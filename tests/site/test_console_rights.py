"""Who may see and do what in the console: every page by every role, without Django's staff flag."""

import re
from types import SimpleNamespace
from uuid import UUID

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import get_resolver, resolve

from duckspawn_site.auth.models import Token
from schema_registry.models import AuditEntry
from tests.conftest import PASSWORD, client_of, user_with_role
from tests.site.console_pages import AUDITORS, DJANGOS, FILTERED, OURS, OUTSIDE, RECORDS, ROLES, STATES, Visit, pages, visit

pytestmark = pytest.mark.django_db
LOGIN = "/console/login/"
# Which tests of their own have: the doors, another person's token, and what only leads on.
ELSEWHERE = {"login", "logout", "people_token_change", "people_token_history", "view_on_site"}


@pytest.fixture
def people(roles) -> dict[str, Client]:
    """A browser for each role, and for those outside; none of these people is Django's staff but the superuser."""
    root = User.objects.create_superuser("superuser", password=PASSWORD)
    users = {role: root if role == "superuser" else user_with_role(role) for role in ROLES}
    users["no role"] = User.objects.create_user("no role")
    clients = {role: Client() for role in (*ROLES, *OUTSIDE)}
    clients["a token"] = client_of(root)
    for role, user in users.items():
        clients[role].force_login(user)
    return clients


@pytest.fixture
def records(people: dict[str, Client]) -> dict[str, Visit]:
    """Django's pages about single records, by address; the token is the superuser's."""
    made = {
        "user": User.objects.get(username="viewer").pk,
        "group": Group.objects.get(name="viewer").pk,
        "token": Token.objects.get().pk,
        "attempt": AccessAttempt.objects.create(username="viewer", ip_address="192.0.2.1", failures_since_start=1).pk,
    }
    return {"/console/" + visit.path.format_map(made): visit for visit in RECORDS}


def test_every_page_is_in_the_table():
    numbered = dict.fromkeys(("plan", "applied", "entry", "user", "group", "token", "attempt"), 7) | dict.fromkeys(
        ("job", "check"), UUID(int=7)
    )
    paths = [f"/console/{line.path.format_map(numbered)}".partition("?")[0] for line in (*OURS.values(), *DJANGOS, *RECORDS)]
    every = get_resolver().namespace_dict
    assert set(OURS) == {pattern.name for pattern in every["console"][1].url_patterns}
    djangos = {name for name in every["admin"][1].reverse_dict if not callable(name)}
    assert djangos - {resolve(path).url_name for path in paths} == ELSEWHERE


def test_each_page_answers_each_role_as_the_table_says(people: dict[str, Client], records: dict[str, Visit], shown: SimpleNamespace):
    every, wrong, forbidden = pages(shown) | records, [], {method: set() for method in ("GET", "POST")}
    for method in ("GET", "POST"):
        for address, line in every.items():
            if method == "POST" and line in (*STATES, *FILTERED):
                continue
            for role in (*ROLES, *OUTSIDE):
                answer = visit(people[role], address, method)
                if answer.status_code != line.status(method, role) or (
                    role in OUTSIDE and not answer.headers["Location"].startswith(LOGIN)
                ):
                    wrong.append(f"{method} {address} {role}: {answer.status_code}, not {line.status(method, role)}")
                elif answer.status_code == 403:
                    forbidden[method].add((address.partition("?")[0].replace("/rows/7/", "/rows/*/"), role))  # The audit log has no key.
    assert wrong == []
    for method, attempts in forbidden.items():
        assert attempts == set(AuditEntry.objects.filter(action="right.refuse", detail__method=method).values_list("object", "actor"))


def test_a_person_neither_sees_nor_revokes_the_token_of_another(people: dict[str, Client]):
    token = f"/console/people/token/{Token.objects.get().pk}"
    for page in ("change", "history"):
        found = {role: people[role].get(f"{token}/{page}/").headers.get("Location", "").partition("?")[0] for role in people}
        assert found == {role: LOGIN if role in OUTSIDE else "" if role == "superuser" else "/console/" for role in people}
    for role in set(people) - {"superuser"}:
        people[role].post("/console/people/token/", {"action": "revoke", "_selected_action": [str(Token.objects.get().pk)]})
    assert Token.objects.count() == 1


def test_the_documents_page_is_for_those_who_may_read(people: dict[str, Client], shown: SimpleNamespace):
    found = {role: people[role].get("/docs").status_code for role in people}
    assert found == dict.fromkeys(ROLES, 200) | {"anonymous": 302, "no role": 403, "a token": 302}


def test_the_sidebar_leads_only_where_its_reader_may_go(people: dict[str, Client], shown: SimpleNamespace):
    for role in ROLES:
        text = people[role].get("/console/").content.decode()
        sidebar = text[text.index('id="nav-sidebar"') : text.index('id="main"')]
        links = set(re.findall(r'<a href="(/[^"]+)"', sidebar))
        assert ("/console/audit/" in links) == (role in AUDITORS)
        assert ("/console/auth/user/" in links) == (role == "superuser")
        assert {link: people[role].get(link).status_code for link in links} == dict.fromkeys(links, 200)


# The door.


def sign_in(name: str, **changes: object) -> tuple[int, str]:
    User.objects.filter(username=name).update(**changes) if changes else None
    answer = Client().post(LOGIN, {"username": name, "password": PASSWORD, "next": "/console/"})
    return answer.status_code, answer.content.decode()


@pytest.mark.parametrize("role", ["viewer", "editor", "steward", "operator"])
def test_somebody_with_a_role_signs_in_without_djangos_staff_flag(roles, role: str):
    assert not user_with_role(role).is_staff
    assert sign_in(role)[0] == 302


def test_somebody_without_a_role_is_told_to_ask_for_one(roles):
    User.objects.create_user("nobody", password=PASSWORD)
    status, text = sign_in("nobody")
    assert status == 200
    assert "Ask somebody who gives roles for one." in text


def test_somebody_whose_role_was_taken_away_is_told_so_at_the_door(roles, client):
    user = user_with_role("steward")
    client.force_login(user)
    user.groups.clear()
    assert "This account has no role here" in client.get("/console/plans/", follow=True).content.decode()


def test_somebody_who_was_made_inactive_is_not_let_in(roles):
    user_with_role("steward")
    status, text = sign_in("steward", is_active=False)
    assert status == 200
    assert "This name and password do not fit together." in text


def test_somebody_who_keeps_djangos_own_records_only_enters_too(client):
    client.force_login(User.objects.create_user("clerk", is_staff=True))
    text = client.get("/console/").content.decode()
    assert "This account has no role here yet, so there is nothing to see." in text
    assert "Nothing waits for you." not in text and "The service" not in text
    assert client.get("/console/auth/user/").status_code == 403
