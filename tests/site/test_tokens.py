"""Bearer tokens, from the name and password to their end."""

from base64 import b64encode
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from duckspawn_site.auth import authentication
from duckspawn_site.auth.models import Token
from duckspawn_site.auth.tokens import BadExpiry, parse_expiry
from schema_registry.models import AuditEntry
from schema_registry.rights import READ_ROWS, WRITE_ROWS, allows
from tests.conftest import PASSWORD, client_of, user_with_role


def basic(user: str, password: str = PASSWORD) -> APIClient:
    return APIClient(HTTP_AUTHORIZATION="Basic " + b64encode(f"{user}:{password}".encode()).decode())


@pytest.fixture
def editor(roles) -> User:
    return user_with_role("editor")


def test_a_name_and_password_give_a_token_that_works(editor):
    answer = basic("editor").post(
        "/auth/tokens", {"role": "viewer", "expires": "2h", "scopes": ["projects"], "name": "nightly"}, format="json"
    )
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    made = answer.json()
    assert (made["role"], made["scopes"], made["name"]) == ("viewer", ["projects"], "nightly")
    token = Token.objects.get(pk=made["id"])
    assert timedelta(minutes=119) < token.expiry - timezone.now() < timedelta(hours=2)
    listed = APIClient(HTTP_AUTHORIZATION=f"Bearer {made['token']}").get("/auth/tokens/").json()
    assert [t["id"] for t in listed] == [made["id"]]
    assert "token" not in listed[0] and "digest" not in listed[0]


def test_the_secret_is_not_kept(editor):
    secret = basic("editor").post("/auth/tokens", {}, format="json").json()["token"]
    kept = Token.objects.values().get()
    assert secret not in str(kept)


def test_a_wrong_password_or_a_token_makes_no_token(editor):
    refused = basic("editor", "wrong").post("/auth/tokens", {}, format="json")
    assert refused.status_code == 401 and refused.headers["WWW-Authenticate"].startswith("Basic")
    assert client_of(editor).post("/auth/tokens", {}, format="json").status_code == 401
    session = Client()
    session.force_login(editor)
    assert session.post("/auth/tokens", {}, content_type="application/json").status_code == 401


def test_basic_is_taken_for_tokens_only(editor):
    assert basic("editor").get("/auth/tokens").status_code == 200
    assert basic("editor").get("/admin").status_code == 401


@pytest.mark.parametrize(
    ("body", "pointer"),
    [({"role": "king"}, "/role"), ({"expires": "soon"}, "/expires"), ({"scopes": "projects"}, "/scopes"), ({"scope": ["a"]}, "/scope")],
)
def test_a_wish_that_cannot_be_met_is_refused_with_its_place(editor, body, pointer):
    answer = basic("editor").post("/auth/tokens", body, format="json")
    assert answer.status_code == 422
    assert [e["pointer"] for e in answer.json()["errors"]] == [pointer]


def test_without_credentials_the_answer_says_how_to_sign_in(anonymous_client):
    answer = anonymous_client.get("/auth/tokens")
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_a_revoked_token_is_refused_at_once(editor):
    client = client_of(editor)
    token = client.get("/auth/tokens").json()[0]
    assert client.delete(f"/auth/tokens/{token['id']}").status_code == 204
    assert client.get("/auth/tokens").status_code == 401


def test_only_a_superuser_revokes_the_token_of_another(editor, admin_client_api):
    other = user_with_role("viewer")
    token, _ = Token.objects.create(user=other)
    assert client_of(editor).delete(f"/auth/tokens/{token.id}").status_code == 404
    narrowed = client_of(User.objects.get(username="root"), role="viewer")
    assert narrowed.delete(f"/auth/tokens/{token.id}").status_code == 404
    assert admin_client_api.delete(f"/auth/tokens/{token.id}").status_code == 204


def test_a_token_that_expires_is_refused_while_its_answer_is_still_kept(editor):
    client = client_of(editor)
    assert client.get("/auth/tokens").status_code == 200
    kept = next(iter(authentication._answers.values()))
    kept.token.expiry = timezone.now() - timedelta(seconds=1)
    assert client.get("/auth/tokens").status_code == 401


def test_an_inactive_persons_token_is_refused_at_once(editor):
    client = client_of(editor)
    assert client.get("/auth/tokens").status_code == 200
    editor.is_active = False
    editor.save()
    assert client.get("/auth/tokens").status_code == 401


def test_a_kept_answer_asks_no_database(editor, django_assert_num_queries):
    client = client_of(editor)
    client.get("/admin")
    with django_assert_num_queries(0):
        assert client.get("/admin").status_code == 200


def test_the_last_use_is_written_at_most_once_a_minute(editor):
    client = client_of(editor)
    client.get("/admin")
    first = Token.objects.get().last_used_at
    assert first is not None
    authentication.forget_all()
    client.get("/admin")
    assert Token.objects.get().last_used_at == first


def test_garbage_is_no_token(anonymous_client):
    for text in ("Bearer", "Bearer a b", "Bearer \xff\xfe", "Bearer " + "x" * 5000):
        assert anonymous_client.get("/auth/tokens", headers={"Authorization": text}).status_code == 401


def test_a_token_has_the_meet_of_its_role_and_its_owners_rights(editor):
    viewer_token = Token(user=editor, role="viewer")
    assert allows(editor, viewer_token, READ_ROWS) and not allows(editor, viewer_token, WRITE_ROWS)
    viewer = user_with_role("viewer")
    assert not allows(viewer, Token(user=viewer, role="steward"), WRITE_ROWS)
    assert allows(editor, Token(user=editor), WRITE_ROWS)


def test_scopes_name_tables_without_case():
    assert Token(scopes=["Projects"]).allows_table("projects")
    assert not Token(scopes=["projects"]).allows_table("portfolios")
    assert Token().allows_table("portfolios")


def test_making_and_revoking_is_audited_without_the_secret(editor):
    made = basic("editor").post("/auth/tokens", {"name": "nightly"}, format="json").json()
    basic("editor").delete(f"/auth/tokens/{made['id']}")
    entries = AuditEntry.objects.filter(object=made["id"]).order_by("seq")
    assert [(e.action, e.actor) for e in entries] == [("token.create", "editor"), ("token.revoke", "editor")]
    assert made["token"] not in str(list(entries.values()))


def test_an_attempt_without_the_right_is_audited(viewer_client):
    assert viewer_client.get("/admin/logging/level").status_code == 403
    entry = AuditEntry.objects.get(action="right.refuse")
    assert (entry.actor, entry.object) == ("viewer", "/admin/logging/level")


def test_the_command_prints_the_token_alone(editor):
    out = StringIO()
    call_command("create_token", "editor", "--role", "viewer", "--expires", "P1D", "--scope", "a", "--scope", "b", stdout=out)
    secret = out.getvalue().strip()
    assert APIClient(HTTP_AUTHORIZATION=f"Bearer {secret}").get("/auth/tokens").json()[0]["scopes"] == ["a", "b"]


def test_the_command_says_what_is_wrong(editor):
    with pytest.raises(CommandError, match="no user 'nobody'"):
        call_command("create_token", "nobody")
    with pytest.raises(CommandError, match="30d, 12h"):
        call_command("create_token", "editor", "--expires", "later")


@pytest.mark.parametrize(("text", "span"), [("30d", timedelta(days=30)), ("45m", timedelta(minutes=45)), ("PT8H", timedelta(hours=8))])
def test_an_expiry_is_read(text, span):
    assert parse_expiry(text) == span


@pytest.mark.parametrize("text", ["", "30", "0d", "-P1D", "999999d", "1w", "P999999D", "PT"])
def test_an_expiry_that_says_nothing_sensible_is_refused(text):
    with pytest.raises(BadExpiry):
        parse_expiry(text)


def test_the_console_shows_a_token_and_revokes_it(editor):
    root = User.objects.create_superuser("root", password=PASSWORD)
    token, _ = Token.objects.create(user=editor, name="nightly")
    console = Client()
    console.force_login(root)
    assert "nightly" in console.get("/console/people/token/").content.decode()
    console.post("/console/people/token/", {"action": "revoke", "_selected_action": [str(token.pk)]})
    assert not Token.objects.exists()


@pytest.mark.parametrize("page", ["auth/user/", "auth/user/add/", "auth/group/", "people/token/"])
def test_each_page_about_people_opens(roles, page):
    console = Client()
    console.force_login(User.objects.create_superuser("root", password=PASSWORD))
    assert console.get(f"/console/{page}").status_code == 200
