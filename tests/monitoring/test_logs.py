"""The log's lines and its level."""

import io
import json
import logging
import re

import pytest
import structlog
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from duckspawn_site.auth.models import Token
from monitoring import logs
from projects import rows
from schema_registry.models import AuditEntry
from tests.projects.conftest import WIND_FARM, projects, store  # noqa: F401 - Fixtures.


@pytest.fixture
def lines():
    """The lines that the service's own handler writes, parsed."""
    handler = next(h for h in logging.root.handlers if isinstance(h.formatter, structlog.stdlib.ProcessorFormatter))
    kept, handler.stream = handler.stream, io.StringIO()
    yield lambda: [json.loads(line) for line in handler.stream.getvalue().splitlines()]
    handler.stream = kept


@pytest.fixture(autouse=True)
def level_as_before():
    yield
    logs.set_level(settings.LOG_LEVEL)


def test_a_request_has_one_line_with_its_id_and_its_person(lines, roles):
    root = User.objects.create_superuser("root")
    client = Client(headers={"X-Request-ID": "abc-1"})
    client.force_login(root)
    answer = client.get("/monitoring/live")
    assert answer.headers["X-Request-ID"] == "abc-1"
    client.get("/console/?password=hidden")
    first, second = (line for line in lines() if line["event"] == "request")
    assert (first["request_id"], first["method"], first["path"], first["status"]) == ("abc-1", "GET", "/monitoring/live", 200)
    assert first["ms"] >= 0 and first["user"] is None  # This view has no need to know who asks, and nobody looked.
    assert (second["user"], second["path"]) == ("root", "/console/")


def test_the_line_names_the_owner_of_a_token(lines, viewer_client):
    viewer_client.get("/admin")
    assert lines()[-1]["user"] == "viewer"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "a\r\nb", "é"])
def test_an_unsound_request_id_is_replaced(client, given):
    fresh = client.get("/monitoring/live", headers={"X-Request-ID": given}).headers["X-Request-ID"]
    assert len(fresh) == 32 and fresh != given


TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"  # the example of W3C Trace Context


@pytest.mark.parametrize("given", [f"00-{TRACE}-{PARENT}-01", f"01-{TRACE}-{PARENT}-01-of-a-later-version"])
def test_a_callers_trace_is_in_every_line_and_in_the_answer(client, lines, given):
    answer = client.get("/monitoring/live", headers={"traceparent": given})
    assert lines()[-1]["trace_id"] == TRACE
    version, trace, span, flags = answer.headers["traceresponse"].split("-")
    assert (version, trace, len(span), flags) == ("00", TRACE, 16, "01")
    assert span != PARENT


@pytest.mark.parametrize(
    "given",
    [
        "",
        TRACE,
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-01-more",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f" 00-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01\n",
        f"00-{TRACE}-{PARENT}-01" * 100,
    ],
)
def test_an_unsound_trace_is_replaced_by_a_fresh_one(client, lines, given):
    answer = client.get("/monitoring/live", headers={"traceparent": given})
    trace = answer.headers["traceresponse"].split("-")[1]
    assert re.fullmatch("[0-9a-f]{32}", trace) and trace != TRACE
    assert lines()[-1]["trace_id"] == trace


def test_a_request_without_ids_has_one_for_both(client, lines):
    client.get("/monitoring/live")
    assert lines()[-1]["trace_id"] == lines()[-1]["request_id"]


def test_a_line_tells_what_was_asked_by_whom_from_where_and_how_it_went(lines, viewer_client, projects):  # noqa: F811
    answer = viewer_client.get("/ops/projects?status=SECRET")
    line = lines()[-1]
    token = str(Token.objects.get().id)
    told = {"method": "GET", "path": "/ops/projects", "route": "/ops/<str:table>", "status": 200, "user": "viewer", "token_id": token}
    assert told.items() <= line.items()
    assert (line["address"], line["bytes"]) == ("127.0.0.1", len(answer.content))
    assert "SECRET" not in json.dumps(line)


def test_an_answer_that_is_sent_while_it_is_made_has_its_line_when_it_was_sent(lines, viewer_client, projects):  # noqa: F811
    row = {name: str(value) for name, value in WIND_FARM.items()}
    rows.create(projects, "projects", row, actor="ada")
    answer = viewer_client.get("/ops/projects?format=csv")
    assert [line for line in lines() if line["event"] == "request"] == []
    sent = b"".join(answer.streaming_content)
    line = lines()[-1]
    assert (line["status"], line["bytes"], line["whole"]) == (200, len(sent), True)
    assert line["user"] == "viewer" and line["request_id"] == answer.headers["X-Request-ID"]


def test_the_line_of_an_answer_whose_client_left_says_so(lines, viewer_client, projects):  # noqa: F811
    answer = viewer_client.get("/ops/projects?format=csv")
    answer.close()
    line = lines()[-1]
    assert (line["status"], line["bytes"], line["whole"]) == (200, 0, False)


def test_a_static_file_has_its_line_with_its_size(client, lines):
    answer = client.get("/static/console/grid.js")
    size = len(b"".join(answer.streaming_content))
    assert (lines()[-1]["route"], lines()[-1]["bytes"]) == ("/static/", size)
    b"".join(client.head("/static/console/grid.js").streaming_content)
    assert lines()[-1]["bytes"] == 0


def test_a_librarys_line_is_json_with_the_requests_id(lines):
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        logging.getLogger("some.library").warning("%s broke", "pump")
    line = lines()[-1]
    assert (line["event"], line["level"], line["logger"], line["request_id"]) == ("pump broke", "warning", "some.library", "r1")


def test_an_exceptions_trace_is_in_one_line(lines):
    try:
        raise ValueError("no")
    except ValueError:
        structlog.get_logger("ours").exception("broke")
    assert "ValueError: no" in lines()[-1]["exception"]


def test_secrets_are_not_logged(lines):
    structlog.get_logger("ours").warning("got Bearer abcdefghijkl", password="hush", url="http://me:hush@host/", api_token="hush")
    logging.getLogger("urllib3").warning("Authorization: Basic aHVzaDpodXNo from postgres://u:hush@db/x")
    structlog.get_logger("ours").warning(
        "in others", facts={"token": "hush", "seen": ["http://hush@host/"]}, error=OSError("redis://:hush@host")
    )
    text = json.dumps(lines())
    assert "hush" not in text and "abcdefghijkl" not in text and "aHVzaDpodXNo" not in text
    assert "host" in text


def test_the_level_takes_effect_at_once_for_every_logger_and_handler(lines, operator_client):
    chatty = logging.getLogger("tests.chatty")
    chatty.setLevel(logging.ERROR)
    chatty.debug("before")
    answer = operator_client.post("/admin/logging/level", {"level": "debug"}, format="json")
    assert (answer.status_code, answer.json()) == (200, {"level": "DEBUG"})
    chatty.debug("after")
    structlog.get_logger("ours").debug("ours too")
    said = [line["event"] for line in lines()]
    assert "before" not in said and "after" in said and "ours too" in said
    assert operator_client.get("/admin/logging/level/").json() == {"level": "DEBUG"}
    operator_client.post("/admin/logging/level", {"level": "ERROR"}, format="json")
    structlog.get_logger("ours").warning("hushed")
    assert "hushed" not in [line["event"] for line in lines()]


def test_a_change_of_level_is_audited(operator_client):
    operator_client.post("/admin/logging/level", {"level": "WARNING"}, format="json")
    entry = AuditEntry.objects.get(action="log_level.set")
    assert (entry.actor, entry.object, entry.detail) == ("operator", "WARNING", {"before": settings.LOG_LEVEL})


def test_a_level_that_is_none_is_refused_with_the_choices(operator_client):
    answer = operator_client.post("/admin/logging/level", {"level": "loud"}, format="json")
    fault = answer.json()["errors"][0]
    assert (answer.status_code, fault["pointer"]) == (422, "/level")
    assert "DEBUG, INFO, WARNING, ERROR, CRITICAL" in fault["detail"]


def test_the_facts_beside_a_line_are_in_it(lines):
    logging.getLogger("projects.owner").warning("recovered", extra={"plans": [7], "request": object()})
    line = lines()[-1]
    assert (line["event"], line["plans"], "request" in line) == ("recovered", [7], False)
