"""The front door, the headers that every answer has, and static files."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from duckspawn_site.middleware import POLICY

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def test_a_browser_gets_the_landing_page_and_a_client_json(client, db):
    page = client.get("/", headers=BROWSER)
    assert "DuckDB Spawn" in page.content.decode() and "<script" not in page.content.decode()
    said = client.get("/").json()
    assert (said["health"], said["rows"], said["version"]) == ("/monitoring/health", "/ops/{table}", "0.1.0")


def test_the_landing_page_knows_who_is_signed_in(client, db):
    assert "Sign in" in client.get("/", headers=BROWSER).content.decode()
    client.force_login(User.objects.create_user("ada<script>"))
    page = client.get("/", headers=BROWSER).content.decode()
    assert "Signed in as ada&lt;script&gt;" in page


def test_every_door_of_the_landing_page_is_one(admin_client_api, client, db):
    for door, path in client.get("/").json().items():
        if path.startswith("/") and "{" not in path:
            assert admin_client_api.get(path).status_code in (200, 302, 405), door


def test_a_browser_at_admin_is_sent_to_the_console(client, viewer_client):
    assert client.get("/admin/", headers=BROWSER).headers["Location"] == "/console/"
    assert client.get("/console").headers["Location"] == "/console/"
    assert viewer_client.get("/admin").json() == viewer_client.get("/admin/").json()
    assert client.get("/admin/").status_code == 401


@pytest.mark.parametrize("path", ["/", "/monitoring/live", "/console/login/", "/nowhere", "/static/unfold/css/styles.css"])
def test_every_answer_is_safe_by_default(client, db, path):
    headers = client.get(path).headers
    assert headers["Content-Security-Policy"] == POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["X-Request-ID"]


def test_pages_cannot_be_framed(client, db):
    assert client.get("/").headers["X-Frame-Options"] == "DENY"


def test_cookies_are_out_of_a_scripts_reach(client, db):
    User.objects.create_superuser("root", password="x y z")
    client.post("/console/login/", {"username": "root", "password": "x y z"})
    cookie = client.cookies["sessionid"]
    assert cookie["httponly"] and cookie["samesite"] == "Lax"


def test_static_files_are_served_without_collecting_them(client, db):
    page = client.get("/console/login/").content.decode()
    assert "/static/unfold/css/styles" in page
    answer = client.get("/static/unfold/css/styles.css")
    assert answer.status_code == 200 and "css" in answer.headers["Content-Type"]


def test_the_console_opens_with_its_sidebar(db):
    console = Client()
    console.force_login(User.objects.create_superuser("root"))
    page = console.get("/console/").content.decode()
    for link in ("/console/tables/", "/console/auth/user/", "/docs"):
        assert f'href="{link}"' in page


def test_slashes_in_front_of_a_path_lead_nowhere_else(client, db):
    for path in ("//example.org/", "//", "/console//example.org"):
        answer = client.get("/", PATH_INFO=path)
        assert not answer.headers.get("Location", "").startswith(("//", "http"))
