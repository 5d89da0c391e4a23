"""Every secret of the service has a value that can be recognised: nothing that is logged, kept or answered has one."""

import io
import logging
from base64 import b64encode
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
import structlog
from django.apps import apps
from django.conf import settings as configured
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.http.response import HttpResponseBase
from django.test import Client

from duckspawn_site.auth.models import Token
from monitoring import logs, sampling
from projects import notices
from tests.conftest import user_with_role
from tests.projects.conftest import ontology, ontology_server, projects, store  # noqa: F401 - Fixtures.
from tests.projects.ontology import NOWHERE, Ontology
from tests.site.console_pages import DJANGOS, OURS, address

MARK = "hush"
MARKED = {
    name: f"{MARK}-{name}" for name in ("key", "ontology", "webhook", "path", "mail", "database", "password", "wrong", "bearer", "query")
}
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def logged(caplog) -> Iterator[Callable[[], str]]:
    """Everything that is logged, at the finest level: as our handler writes it, and as other handlers would have it."""
    handler = next(h for h in logging.root.handlers if isinstance(h.formatter, structlog.stdlib.ProcessorFormatter))
    kept, handler.stream = handler.stream, io.StringIO()
    logs.set_level("DEBUG")
    yield lambda: f"{handler.stream.getvalue()}\n{caplog.text}"
    handler.stream = kept
    logs.set_level(configured.LOG_LEVEL)


@pytest.fixture
def marked(ontology: Ontology, settings, monkeypatch) -> Ontology:  # noqa: F811
    """Real receivers behind secrets: an ontology server, a webhook that refuses, a mail server that is not there."""
    bare = ontology.url.removeprefix("http://")
    settings.SECRET_KEY = MARKED["key"] * 5
    settings.ONTO_SERVER_URL = f"http://ann:{MARKED['ontology']}@{bare}"
    settings.NOTIFY_URL, settings.NOTIFY_SECRET = f"http://{bare}/{MARKED['path']}?token={MARKED['query']}", MARKED["webhook"]
    settings.NOTIFY_MAIL, settings.EMAIL_BACKEND = ["ann@example.org"], "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_HOST_PASSWORD = "127.0.0.1", 1, MARKED["mail"]
    monkeypatch.setitem(settings.DATABASES["default"], "PASSWORD", MARKED["database"])
    return ontology


class Visitor:
    """Whoever asks, and every text that they were answered."""

    def __init__(self) -> None:
        self.said: dict[str, str] = {}
        self.statuses: set[int] = set()

    def ask(self, client: Client, method: str, path: str, **more: object) -> HttpResponseBase:
        answer = client.generic(method, path, **more)
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content
        self.statuses.add(answer.status_code)
        self.said[f"{len(self.said)} {method} {path} {answer.status_code}"] = body.decode()
        return answer


def bearer(token: str) -> Client:
    return Client(raise_request_exception=False, headers={"Authorization": f"Bearer {token}"})


def encoded(name: str, password: str) -> str:
    return b64encode(f"{name}:{password}".encode()).decode()


def visit_doors(visitor: Visitor) -> None:
    """Wrong passwords and tokens, forms without their token, and a password that is changed."""
    wrong = MARKED["wrong"]
    for _ in range(configured.AXES_FAILURE_LIMIT + 1):
        visitor.ask(Client(), "POST", "/console/login/", data=f"username=viewer&password={wrong}", content_type=FORM)
    visitor.ask(
        Client(headers={"Authorization": f"Basic {encoded('editor', wrong)}"}),
        "POST",
        "/auth/tokens",
        data="{}",
        content_type="application/json",
    )
    for token in (MARKED["bearer"], f"{MARKED['bearer']} {MARKED['bearer']}", f"{MARKED['bearer']}\xff"):
        visitor.ask(bearer(token), "GET", "/admin")
    visitor.ask(Client(enforce_csrf_checks=True), "POST", "/console/login/", data=f"username=viewer&password={wrong}", content_type=FORM)


def visit_api(visitor: Visitor, root: Client, viewer: Client) -> None:
    """Reading, writing and being refused, each with a secret in the query."""
    hidden, json = f"?token={MARKED['query']}", {"content_type": "application/json"}
    for path in ("/", "/admin", "/admin/tables", "/admin/schemas", "/admin/plans", "/admin/audit", "/admin/drift", "/admin/backups"):
        visitor.ask(root, "GET", path + hidden)
    for path in ("/ops/projects", "/ops/projects/none", "/ops/no_table", "/openapi.json", "/auth/tokens", "/metrics", "/no/such/page"):
        visitor.ask(root, "GET", path + hidden)
    for path in ("live", "ready", "health", "metrics/system"):
        visitor.ask(root, "GET", f"/monitoring/{path}{hidden}")
    visitor.ask(viewer, "GET", f"/admin/audit{hidden}")
    visitor.ask(viewer, "POST", f"/ops/projects{hidden}", data="{}", **json)
    visitor.ask(root, "POST", f"/ops/projects{hidden}", data="{", **json)
    visitor.ask(root, "POST", "/ops/projects", data="{}", **json)
    visitor.ask(root, "POST", f"/ops/initialize{hidden}", data="{}", **json)
    visitor.ask(root, "POST", "/admin/backups", data="{}", **json)


def visit_console(visitor: Visitor, browser: Client, shown: SimpleNamespace) -> None:
    for page in (*OURS.values(), *DJANGOS):
        visitor.ask(browser, "GET", address(page, shown))
    visitor.ask(browser, "GET", "/docs")
    for name in ("old_password", "new_password1", "new_password2"):
        visitor.ask(browser, "POST", "/console/password_change/", data=f"{name}={MARKED['wrong']}", content_type=FORM)
    added = f"username=new&password1={MARKED['wrong']}&password2=other"
    visitor.ask(browser, "POST", "/console/auth/user/add/", data=added, content_type=FORM)


def test_no_secret_is_logged_answered_or_kept(roles, marked: Ontology, shown: SimpleNamespace, settings, logged):
    people = {role: user_with_role(role) for role in ("viewer", "editor")}
    root = User.objects.create_superuser("root", password=MARKED["password"])
    tokens = {user.username: Token.objects.create(user=user)[1] for user in (root, people["viewer"])}
    browser, visitor = Client(raise_request_exception=False), Visitor()
    visitor.ask(browser, "POST", "/console/login/?next=/console/", data=f"username=root&password={MARKED['password']}", content_type=FORM)

    visit_doors(visitor)
    sampling.Meter().take(shown.store)
    visit_api(visitor, bearer(tokens["root"]), bearer(tokens["viewer"]))
    visit_console(visitor, browser, shown)
    notices.tell(notices.JOB_FAILED, "projects", {})
    notices.deliver()
    settings.ONTO_SERVER_URL = NOWHERE.replace("://", f"://ann:{MARKED['ontology']}@")
    visitor.ask(bearer(tokens["root"]), "POST", "/admin/tables", data='{"schema": "unseen"}', content_type="application/json")
    settings.ONTO_SERVER_TIMEOUT = None
    visitor.ask(bearer(tokens["root"]), "POST", "/ops/initialize", data="{}", content_type="application/json")

    assert {200, 302, 400, 401, 403, 404, 409, 422, 429, 500, 503} <= visitor.statuses
    kept = {
        model.__name__: str(list(model.objects.values())) for model in apps.get_models() if model._meta.managed and model is not Session
    }
    secrets = {**MARKED, **tokens, "session": browser.cookies["sessionid"].value, "basic": encoded("editor", MARKED["wrong"])}
    places = visitor.said | kept | {"the log": logged()}
    assert '"level":"debug"' in places["the log"]
    assert {(name, place) for place, text in places.items() for name, secret in secrets.items() if secret in text} == set()
