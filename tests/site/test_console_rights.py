"""Who may see and do what in the console: every page by every role, without Django's staff flag."""

import re
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import get_resolver

from schema_registry.models import AuditEntry
from tests.conftest import PASSWORD, user_with_role
from tests.site.console_pages import OURS, ROLES, pages, visit

pytestmark = pytest.mark.django_db
LOGIN = "/console/login/"


@pytest.fixture
def people(roles) -> dict[str, Client]:
    """A browser for each role; none of these people is Django's staff but the superuser."""
    root = User.objects.create_superuser("superuser", password=PASSWORD)
    users = {role: root if role == "superuser" else user_with_role(role) for role in ROLES}
    clients = {role: Client() for role in ROLES}
    for role, client in clients.items():
        client.force_login(users[role])
    return clients


def test_every_page_of_ours_is_in_the_table():
    assert set(OURS) == {pattern.name for pattern in get_resolver().namespace_dict["console"][1].url_patterns}


def test_each_page_is_for_those_who_may_see_it(people: dict[str, Client], shown: SimpleNamespace):
    wanted = {(address, role): visit.status(role) for address, visit in pages(shown).items() for role in ROLES}
    assert {asked: visit(people[asked[1]], asked[0]).status_code for asked in wanted} == wanted


def test_who_is_not_signed_in_is_sent_to_the_login(shown: SimpleNamespace):
    answers = {address: visit(Client(), address) for address in pages(shown)}
    assert {a: (r.status_code, r.headers["Location"].partition("?")[0]) for a, r in answers.items()} == dict.fromkeys(answers, (302, LOGIN))


def test_nobody_posts_to_a_page_without_its_right(people: dict[str, Client], shown: SimpleNamespace):
    asked = {(a, role) for a, visit in pages(shown).items() if visit in OURS.values() for role in ROLES if role not in visit.posts}
    refused = {(a, role): people[role].post(a).status_code for a, role in asked}
    assert {one: status for one, status in refused.items() if status not in (403, 404, 405)} == {}
    audited = set(AuditEntry.objects.filter(action="right.refuse", detail__method="POST").values_list("object", "actor"))
    assert {(a.partition("?")[0], role) for (a, role), status in refused.items() if status == 403} == audited


@pytest.mark.parametrize("role", ROLES)
def test_the_sidebar_leads_only_where_its_reader_may_go(people: dict[str, Client], shown: SimpleNamespace, role: str):
    text = people[role].get("/console/").content.decode()
    sidebar = text[text.index('id="nav-sidebar"') : text.index('id="main"')]
    links = set(re.findall(r'<a href="(/[^"]+)"', sidebar))
    assert ("/console/audit/" in links) == (role in ("steward", "operator", "superuser"))
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


def test_somebody_who_was_made_inactive_is_not_let_in(roles):
    user_with_role("steward")
    assert sign_in("steward", is_active=False)[0] == 200


def test_somebody_who_keeps_djangos_own_records_only_enters_too(client):
    client.force_login(User.objects.create_user("clerk", is_staff=True))
    text = client.get("/console/").content.decode()
    assert "Nothing waits for you." in text
    assert "The service" not in text
    assert client.get("/console/auth/user/").status_code == 403
