"""Who asks too fast is told when to come back, and nobody else is hurt by it."""

from datetime import timedelta
from ipaddress import ip_network

import pytest
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from django.utils import timezone
from rest_framework.test import APIClient

from duckspawn_site import throttle
from duckspawn_site.auth import authentication
from duckspawn_site.auth.models import Token
from duckspawn_site.environment import Rate
from monitoring.addresses import client_address, household
from tests.conftest import client_of, user_with_role

BROWSER = {"Accept": "text/html"}


@pytest.fixture
def slow(settings, roles) -> User:
    """Three requests a minute for who is nobody, five for somebody; a viewer."""
    settings.THROTTLE, settings.THROTTLE_ANON = Rate(5, 60), Rate(3, 60)
    return user_with_role("viewer")


def wrong() -> APIClient:
    return APIClient(HTTP_AUTHORIZATION="Bearer " + "0" * 64)


def statuses(client: Client, times: int, path: str = "/admin") -> list[int]:
    return [client.get(path).status_code for _ in range(times)]


def test_who_is_nobody_is_refused_after_so_many_requests(slow):
    client = APIClient()
    assert statuses(client, 4, "/") == [200, 200, 200, 429]
    answer = client.get("/ops/projects")
    assert (answer.status_code, answer.headers["Content-Type"]) == (429, "application/problem+json")
    assert 1 <= int(answer.headers["Retry-After"]) <= 20
    assert answer.json()["code"] == "throttled"
    assert answer.headers["X-Request-ID"] and answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_browser_is_told_so_on_a_page(slow):
    assert statuses(Client(), 3, "/console/login/") == [200, 200, 200]
    page = Client().get("/console/login/", headers=BROWSER)
    assert (page.status_code, page.headers["Content-Type"]) == (429, "text/html; charset=utf-8")
    assert "try again in" in page.content.decode()


def test_refused_requests_count_too_and_other_addresses_do_not(slow):
    assert statuses(APIClient(), 4, "/ops/projects") == [401, 401, 401, 429]
    assert APIClient(REMOTE_ADDR="192.0.2.9").get("/ops/projects").status_code == 401


def test_wrong_tokens_do_not_reach_the_database(slow, django_assert_num_queries, django_assert_max_num_queries):
    statuses(wrong(), 3)
    with django_assert_max_num_queries(1):  # The list of the tokens that there are, at most.
        assert statuses(wrong(), 20) == [429] * 20
    with django_assert_num_queries(0):
        assert statuses(APIClient(HTTP_AUTHORIZATION="Bearer ü"), 20) == [429] * 20


def test_a_good_token_is_not_hurt_by_who_shares_its_address(slow):
    used, fresh = client_of(slow), client_of(slow)
    assert used.get("/admin").status_code == 200
    assert statuses(wrong(), 4) == [401, 401, 401, 429]
    assert used.get("/admin").status_code == fresh.get("/admin").status_code == 200


def test_a_token_that_is_no_longer_good_counts_for_its_address(slow):
    client = client_of(slow)
    assert client.get("/admin").status_code == 200
    Token.objects.update(expiry=timezone.now() - timedelta(seconds=1))
    authentication.forget_all()
    assert statuses(client, 5) == [401, 401, 401, 429, 429]


def test_a_token_that_another_process_revoked_counts_for_its_address(slow, monkeypatch):
    client = client_of(slow)
    assert client.get("/admin").status_code == 200
    Token.objects.all()._raw_delete("default")  # No signal, as if it were another process.
    monkeypatch.setattr(authentication, "KEPT", 0)
    assert statuses(client, 5) == [401, 401, 401, 401, 429]


def test_each_token_has_requests_of_its_own(slow):
    one, other = client_of(slow), client_of(slow)
    assert statuses(one, 8)[-1] == 429 and "Retry-After" in one.get("/admin").headers
    assert statuses(other, 3) == [200, 200, 200]


def test_good_tokens_take_nothing_from_their_address(slow):
    for _ in range(5):
        assert client_of(slow).get("/admin").status_code == 200
    assert statuses(APIClient(), 4, "/ops/projects") == [401, 401, 401, 429]


def test_somebody_who_is_signed_in_counts_for_themself(slow):
    console = Client()
    console.force_login(slow)
    assert console.get("/console/").status_code == 200
    assert statuses(APIClient(), 4, "/ops/projects") == [401, 401, 401, 429]
    assert console.get("/console/").status_code == 200
    assert 429 in statuses(console, 8, "/console/")


def test_a_session_that_ended_counts_for_its_address(slow):
    console = Client()
    console.force_login(slow)
    assert console.get("/console/").status_code == 200
    cookie = console.cookies["sessionid"].value
    assert console.post("/console/logout/").status_code == 200
    ended = Client()
    ended.cookies["sessionid"] = cookie
    assert statuses(ended, 4, "/console/")[-1] == 429


def test_probes_and_static_files_are_not_counted(slow):
    client = Client()
    for path in ("/monitoring/live", "/monitoring/ready/", "/monitoring/health", "/static/projects/icon.svg"):
        assert 429 not in statuses(client, 5, path)
    assert statuses(client, 3, "/") == [200, 200, 200]


def test_health_with_a_wrong_token_is_counted(slow):
    assert statuses(wrong(), 4, "/monitoring/health") == [401, 401, 401, 429]


def test_what_is_off_is_never_refused(settings, roles):
    settings.THROTTLE, settings.THROTTLE_ANON = None, Rate(1, 60)
    assert statuses(client_of(user_with_role("viewer")), 30) == [200] * 30
    settings.THROTTLE, settings.THROTTLE_ANON = Rate(1, 60), None
    assert statuses(APIClient(), 30, "/ops/projects") == [401] * 30


# The bucket.


def test_a_bucket_fills_again_steadily():
    limiter = throttle.Limiter(Rate(2, 10))
    assert [limiter.take("a", now) for now in (0, 0, 0, 4, 5, 5, 10)] == [0, 0, 5, 1, 0, 5, 0]
    assert [limiter.take("a", now) for now in (100, 100, 100)] == [0, 0, 5]


def test_what_is_given_back_can_be_taken_again():
    limiter = throttle.Limiter(Rate(1, 10))
    assert (limiter.take("a", 0), limiter.take("a", 0)) == (0, 10)
    limiter.give_back("a")
    limiter.give_back("b")
    assert (limiter.take("a", 0), limiter.take("b", 0)) == (0, 0)


def test_callers_without_end_take_no_memory_without_end(monkeypatch):
    monkeypatch.setattr(throttle, "MOST", 100)
    limiter = throttle.Limiter(Rate(1, 10))
    for number in range(1000):
        assert limiter.take(number, number / 1000) == 0
        assert len(limiter._full_at) <= 100
    assert limiter.take(999, 1) > 0


# Whose address it is.


@pytest.mark.parametrize(
    ("remote", "forwarded", "caller"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "203.0.113.5", "192.0.2.1"),  # No proxy of ours: its word is nothing.
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.5", "203.0.113.5"),  # The caller wrote the first.
        ("10.0.0.1", "1.1.1.1, 203.0.113.5,10.0.0.2", "203.0.113.5"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "203.0.113.5, nonsense", "10.0.0.1"),
        ("::ffff:10.0.0.1", "2001:db8::7", "2001:db8::7"),
        ("", "203.0.113.5", None),
    ],
)
def test_only_a_named_proxy_says_whose_address_it_is(settings, remote, forwarded, caller):
    settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/8")]
    request = RequestFactory().get("/", REMOTE_ADDR=remote, HTTP_X_FORWARDED_FOR=forwarded)
    assert client_address(request) == caller


def test_nobodys_word_about_addresses_is_taken_by_default(slow):
    for number in range(3):
        assert APIClient(HTTP_X_FORWARDED_FOR=f"192.0.2.{number}").get("/ops/projects").status_code == 401
    assert APIClient(HTTP_X_FORWARDED_FOR="192.0.2.77").get("/ops/projects").status_code == 429


def test_one_household_of_ipv6_is_one_caller():
    found = {household(RequestFactory().get("/", REMOTE_ADDR=f"2001:db8:0:1::{last}")) for last in ("1", "2", "ffff")}
    assert found == {"2001:db8:0:1::/64"}
