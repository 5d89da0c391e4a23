"""Bad inputs at every door: each is refused with a clear sentence, none is a fault of ours, and nothing changes."""

import json
from collections import Counter
from urllib.parse import unquote_to_bytes

import pytest
from django.contrib.auth.models import User
from django.http.response import HttpResponseBase
from django.test import Client

from duckspawn_site.auth.models import Token
from projects.models import Job, ManagedTable, Plan
from tests.projects.conftest import kept, projects, store  # noqa: F401 - Fixtures.
from tests.site.bad_inputs import BY_DOOR
from tests.site.bad_inputs.console import console
from tests.site.bad_inputs.people import ODD_DOORS, ODD_HEADERS
from tests.site.bad_inputs.sent import Bad, get

TELLTALES = (b"Traceback", b"Exception", b"site-packages", b'File "', b"duckdb.", b"sqlite3", b"/tmp/")


@pytest.fixture
def root(admin_client_api) -> str:
    """A superuser's bearer token, as the header has it."""
    return admin_client_api._credentials.get("HTTP_AUTHORIZATION") or admin_client_api.defaults["HTTP_AUTHORIZATION"]


def sent(bad: Bad, authorization: str) -> HttpResponseBase:
    """The request as a server hands it over, with a superuser's token unless it has a word of its own."""
    headers = {"Authorization": authorization, **bad.headers}
    environ = {_variable(name): value for name, value in headers.items() if value or name != "Authorization"}
    client = Client(raise_request_exception=False)
    return client.generic(bad.method, "/", bad.body, content_type=bad.kind, **_addressed(bad.path), **environ)


def _addressed(address: str) -> dict[str, str]:
    path, _, query = address.partition("?")
    return {"QUERY_STRING": query, "PATH_INFO": unquote_to_bytes(path).decode("latin-1")}


def _variable(name: str) -> str:
    plain = name.upper().replace("-", "_")
    return plain if plain in ("CONTENT_LENGTH", "CONTENT_TYPE") else f"HTTP_{plain}"


def content(answer: HttpResponseBase) -> bytes:
    return answer.content if not answer.streaming else b"".join(answer.streaming_content)


def fault(bad: Bad, answer: HttpResponseBase) -> str:
    """What is wrong with an answer to a bad request, or an empty text."""
    body = content(answer)
    if answer.status_code not in bad.statuses:
        return f"{answer.status_code} {body[:300]!r}"
    if answer.status_code == 200:
        return ""
    if answer.headers.get("Content-Type") != "application/problem+json":
        return f"{answer.status_code} is {answer.headers.get('Content-Type')}"
    if len(body) > 20_000:
        return f"{answer.status_code} has {len(body)} bytes"
    said = json.loads(body)
    is_sentence = said["detail"].endswith(".") or said["code"] == "query-refused"  # DuckDB's own words, of SQL that the caller wrote.
    if not is_sentence or said["status"] != answer.status_code:
        return f"no sentence: {said['detail'][:300]!r}"
    return next((f"tells {tale!r}: {body[:300]!r}" for tale in TELLTALES if tale in body), "")


def standing(store) -> tuple:  # noqa: F811
    """All that a bad request might have changed."""
    with store.read() as cursor:
        rows = cursor.execute("SELECT * FROM projects ORDER BY ALL").fetchall()
        feed = cursor.execute("SELECT count(*) FROM _duckspawn.changes").fetchall()
    tables = [(table.name, table.schema.fingerprint, table.version) for table in store.tables()]
    jobs = Job.objects.exclude(state=Job.State.FAILED).count()  # A load that is refused leaves one, with its rejects.
    return rows, feed, tables, jobs, [model.objects.count() for model in (ManagedTable, Plan, Token, User)]


@pytest.mark.parametrize("door", BY_DOOR)
def test_bad_inputs_are_refused_by_a_sentence_and_change_nothing(door: str, root: str, kept, settings) -> None:  # noqa: F811
    settings.USE_MOCK_ONTO_SERVER = True
    before = standing(kept)
    faults = {str(bad): found for bad in BY_DOOR[door]() if (found := fault(bad, sent(bad, root)))}
    assert faults == {}
    assert standing(kept) == before


def test_bad_inputs_at_the_console_are_a_page_and_change_nothing(client, root: str, kept, settings) -> None:  # noqa: F811
    settings.USE_MOCK_ONTO_SERVER = True
    client.force_login(User.objects.get(username="root"))
    client.raise_request_exception = False
    before, faults = standing(kept), {}
    for bad in console():
        answer = client.generic(bad.method, "/", bad.body, content_type=bad.kind, HTTP_ACCEPT="text/html", **_addressed(bad.path))
        body = content(answer)
        is_page = answer.status_code == 302 or answer.headers["Content-Type"].startswith("text/html")
        if answer.status_code not in bad.statuses or not is_page or any(tale in body for tale in TELLTALES):
            faults[str(bad)] = f"{answer.status_code} {answer.headers['Content-Type']} {body[:200]!r}"
    assert faults == {}
    assert standing(kept) == before


def test_there_are_many_and_they_differ() -> None:
    every = [(bad.method, bad.path, bad.body, bad.kind, *bad.headers.items()) for door in (*BY_DOOR.values(), console) for bad in door()]
    assert len(set(every)) >= 1_500


def test_odd_headers_are_no_fault_of_ours_at_any_door(root: str, kept) -> None:  # noqa: F811
    seen = Counter()
    for path in ODD_DOORS:
        for name, value in ODD_HEADERS:
            answer = sent(get(path, **{name: value}), root)
            content(answer)
            seen[answer.status_code] += 1
            assert answer.status_code < 500, (path, name, value[:60])
    assert seen[200] > len(ODD_DOORS) * len(ODD_HEADERS) / 2
