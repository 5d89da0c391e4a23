"""The audit log in the console: found by who, what and when; before and after; and a badge that does not read all of it each time."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from projects import audit
from projects.console import audit as audit_page
from projects.models import Job
from projects.store.connection import Store
from schema_registry import audit as chain
from schema_registry.models import AuditEntry
from tests.conftest import user_with_role

pytestmark = pytest.mark.django_db

SCRIPT = "<script>alert(1)</script>"
AUDIT = "/console/audit/"


@pytest.fixture
def client(store: Store, roles) -> Client:
    """A browser in which an operator is signed in, who reads the log and decides nothing."""
    return signed_in("operator")


def signed_in(role: str) -> Client:
    user = user_with_role(role)
    User.objects.filter(pk=user.pk).update(is_staff=True)
    made = Client()
    made.force_login(user)
    return made


def page(client: Client, path: str = AUDIT) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def words(text: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", text.partition('id="main"')[2])).split())


def entries(text: str) -> list[int]:
    return [int(number) for number in re.findall(r'<th scope="row"><a href="/console/audit/(\d+)/"', text)]


def written(count: int, actor: str = "ada") -> list[AuditEntry]:
    return [chain.append("table.create", f"t{n}", actor=actor, detail={"version": n}) for n in range(1, count + 1)]


def tamper(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [3, 2, 1]),
        ("actor=eve", [2]),
        ("action=log_level.set", [3]),
        ("object=turbines", [2]),
        ("object=turbines&actor=ada", []),
        ("from=2100-01-01T00:00:00Z", []),
        ("until=2100-01-01T00:00", [3, 2, 1]),
        ("until=2001-01-01T00:00:00Z", []),
        ("before=3", [2, 1]),
        ("after=1", [3, 2]),
        ("before=x", [3, 2, 1]),
    ],
)
def test_entries_are_found_by_person_object_action_and_time(client: Client, query: str, found: list[int]) -> None:
    chain.append("table.create", "sites", actor="ada", detail={})
    chain.append("plan.approve", "turbines", actor="eve", detail={"plan": 7})
    chain.append("log_level.set", "DEBUG", actor="ada", detail={"before": "INFO"})
    assert entries(page(client, f"{AUDIT}?{query}")) == found


def test_what_is_no_moment_is_said_beside_its_field(client: Client) -> None:
    written(1)
    assert "This is no moment" in words(page(client, f"{AUDIT}?from=yesterday"))
    assert client.get(f"{AUDIT}?format=csv&from=yesterday").status_code == 404


def test_pages_go_by_number_back_and_forth(client: Client) -> None:
    written(120)
    first = page(client)
    assert entries(first) == list(range(120, 70, -1))
    assert "before=71" in first
    assert "after=" not in first
    second = page(client, f"{AUDIT}?before=71")
    assert entries(second) == list(range(70, 20, -1))
    assert "after=70" in second
    last = page(client, f"{AUDIT}?before=21")
    assert entries(last) == list(range(20, 0, -1))
    assert "before=" not in last
    assert entries(page(client, f"{AUDIT}?after=70")) == list(range(120, 70, -1))


def test_an_entry_shows_what_was_before_and_after(client: Client) -> None:
    chain.append("log_level.set", "DEBUG", actor="ada", detail={"before": "INFO"})
    chain.append("table.decide", SCRIPT, actor=SCRIPT, detail={"note": SCRIPT, "pinned": True})
    assert "What Before After DEBUG INFO DEBUG" in words(page(client, f"{AUDIT}1/"))
    shown = page(client, f"{AUDIT}2/")
    assert SCRIPT not in shown
    assert SCRIPT not in page(client)
    assert "Its hash is right, and it follows entry 1." in words(shown)
    tamper("UPDATE schema_registry_auditentry SET actor = 'eve' WHERE seq = 2")
    assert "It is not as it was written: entry 2 was changed." in words(page(client, f"{AUDIT}2/"))
    assert client.get(f"{AUDIT}3/").status_code == 404


def test_an_empty_log_says_what_will_stand_there(client: Client) -> None:
    assert "Nothing was done yet." in words(page(client))
    assert "No entry is like that." in words(page(client, f"{AUDIT}?actor=eve"))


def test_an_entry_that_cannot_be_read_any_more_breaks_no_page(client: Client) -> None:
    written(2)
    tamper("PRAGMA ignore_check_constraints = ON")
    tamper("UPDATE schema_registry_auditentry SET detail = '{broken' WHERE seq = 2")
    tamper("PRAGMA ignore_check_constraints = OFF")
    assert entries(page(client)) == [2, 1]
    assert "The chain is broken at entry 2" in words(page(client))
    assert "It is not as it was written" in words(page(client, f"{AUDIT}2/"))


# The badge.


def test_the_badge_reads_on_from_what_it_read_before(client: Client, monkeypatch, django_assert_max_num_queries) -> None:
    monkeypatch.setattr(audit, "LOOK", 10)
    monkeypatch.setattr(audit, "RECENT", 5)
    written(25)
    assert "The chain verifies up to entry 10 of 25." in words(page(client))
    assert "The chain verifies up to entry 20 of 25." in words(page(client))
    assert "The chain verifies : 25 entries" in words(page(client))
    written(1)
    tamper("UPDATE schema_registry_auditentry SET actor = 'eve' WHERE seq = 3")
    assert "The chain verifies : 26 entries" in words(page(client))  # What was read before is not read again.
    answer = client.post(AUDIT, follow=True)
    assert "The chain is broken: entry 3 was changed." in words(answer.content.decode())
    assert "The chain is broken at entry 3" in words(page(client))
    with django_assert_max_num_queries(12):
        page(client)


def test_the_badge_finds_what_was_changed_since_it_looked(client: Client) -> None:
    written(5)
    page(client)
    written(2)
    tamper("UPDATE schema_registry_auditentry SET object = 'x' WHERE seq = 6")
    assert "The chain is broken at entry 6: entry 6 was changed." in words(page(client))
    assert "The chain is broken" in words(client.post(AUDIT, follow=True).content.decode())
    tamper("UPDATE schema_registry_auditentry SET object = 't1' WHERE seq = 6")
    assert "The chain verifies: 7 entries" in words(client.post(AUDIT, follow=True).content.decode())
    assert "All of it was read" in words(page(client))
    tamper("DELETE FROM schema_registry_auditentry WHERE seq > 5")
    assert "is not the one that was verified before" in words(page(client))


def test_a_long_log_is_verified_by_a_job(client: Client, monkeypatch) -> None:
    monkeypatch.setattr(audit_page, "AT_ONCE", 3)
    written(4)
    answer = client.post(AUDIT)
    job = Job.objects.get(kind="verify_audit")
    assert answer.headers["Location"] == f"/console/jobs/{job.pk}/"


# As a file.


def test_what_is_filtered_is_exported_whole_and_oldest_first(client: Client) -> None:
    written(3)
    written(2, actor='e"v,e')
    answer = client.get(f"{AUDIT}?format=csv")
    lines = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [line["seq"] for line in lines] == ["1", "2", "3", "4", "5"]
    assert (lines[4]["actor"], json.loads(lines[4]["detail"])) == ('e"v,e', {"version": 2})
    some = client.get(f"{AUDIT}?format=json&actor=ada")
    assert [one["object"] for one in json.loads(b"".join(some.streaming_content))] == ["t1", "t2", "t3"]
    none = client.get(f"{AUDIT}?format=json&actor=nobody")
    assert json.loads(b"".join(none.streaming_content)) == []
    assert client.get(f"{AUDIT}?format=xml").status_code == 404
    since = (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="seconds").replace("+", "%2B")
    assert json.loads(b"".join(client.get(f"{AUDIT}?format=json&from={since}").streaming_content)) == []


def test_only_those_with_the_right_read_the_log(client: Client) -> None:
    written(1)
    vera = signed_in("viewer")
    for path in (AUDIT, f"{AUDIT}1/", f"{AUDIT}?format=csv"):
        assert vera.get(path).status_code == 403
    assert vera.post(AUDIT).status_code == 403
