"""Idempotency-Key: however often and however much at once a request is sent, its work is done once."""

import json
import threading
from collections import Counter
from datetime import timedelta

import duckdb
import pytest
from django.db import connections
from rest_framework.test import APIClient

from projects import idempotency
from projects.models import Job
from projects.store import books
from projects.store.connection import Store, get_store, reset_store
from tests.conftest import client_of, user_with_role
from tests.projects.conftest import WIND_FARM, make_table
from tests.projects.ontology import FIRST, TURBINES, Ontology, send

pytestmark = pytest.mark.django_db

KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"


def post(client: APIClient, body: object = WIND_FARM, key: str = KEY, path: str = "/ops/projects", **headers: str):
    text = body if isinstance(body, str) else json.dumps(body)
    return client.post(path, data=text, content_type="application/json", headers={"Idempotency-Key": key, **headers})


def facts(answer) -> tuple:
    return answer.status_code, answer.content, answer["Location"], answer["ETag"], answer["Content-Type"]


def test_the_first_answer_is_given_again_until_a_day_is_over(
    projects: Store, editor_client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = post(editor_client)
    assert (first.status_code, first.has_header("Idempotency-Replayed")) == (201, False)
    editor_client.delete(first["Location"])
    again = post(editor_client, key=f'"{KEY}"')
    assert (facts(again), again["Idempotency-Replayed"]) == (facts(first), "true")
    for other in (post(editor_client, WIND_FARM | {"dscr": 2}), post(editor_client, path="/ops/projects?dry_run=false")):
        assert (other.status_code, other.json()["code"]) == (422, "key-reused")
    assert editor_client.get("/ops/projects").json() == []

    idempotency.forget_old(projects)
    assert facts(post(editor_client)) == facts(first)
    monkeypatch.setattr(idempotency, "KEPT_FOR", timedelta(0))
    fresh = post(editor_client)
    assert (fresh.status_code, fresh["Location"] == first["Location"]) == (201, False)
    idempotency.forget_old(projects)
    with projects.read() as cursor:
        assert cursor.execute("SELECT count(*) FROM _duckspawn.answers").fetchall() == [(0,)]


def test_a_key_is_its_persons_and_its_tables(projects: Store, editor_client: APIClient, admin_client_api: APIClient) -> None:
    make_table("words", [{"name": "id", "type": "INTEGER", "required": True}])
    answers = [post(editor_client), post(admin_client_api), post(editor_client, {"id": 1}, path="/ops/words")]
    assert [(a.status_code, a.has_header("Idempotency-Replayed")) for a in answers] == [(201, False)] * 3
    assert len(editor_client.get("/ops/projects").json()) == 2


def test_many_rows_are_loaded_once_whatever_their_format(projects: Store, editor_client: APIClient) -> None:
    make_table("words", [{"name": "id", "type": "INTEGER", "required": True}, {"name": "word", "type": "VARCHAR"}])
    bodies = {"application/json": '[{"id":1}]', "text/csv": "id\n2\n", "application/x-ndjson": '{"id":3}\n'}

    def send_many(kind: str, key: str, body: str = "", **headers: str):
        sent = {"Idempotency-Key": key, **headers}
        return editor_client.post("/ops/words?on_conflict=update", data=body or bodies[kind], content_type=kind, headers=sent)

    for kind in bodies:
        first, again = send_many(kind, kind), send_many(kind, kind)
        assert (first.status_code, first.json()["inserted"], again.content) == (200, 1, first.content)
        assert again["Idempotency-Replayed"] == "true"
        assert send_many(kind, kind, bodies[kind] + " ").json()["code"] == "key-reused"
    left = [send_many("text/csv", "later", Prefer="respond-async") for _ in range(2)]
    assert [answer.status_code for answer in left] == [202, 202]
    assert left[0]["Location"] == left[1]["Location"]
    assert Job.objects.count() == 1
    assert len(list(projects.spool.glob("job-*"))) == 1
    assert send_many("text/csv", "later", "id\n9\n", Prefer="respond-async").json()["code"] == "key-reused"
    assert send_many("text/csv", "later")["Location"] == left[0]["Location"]


def test_what_was_refused_is_looked_at_afresh(projects: Store, editor_client: APIClient) -> None:
    assert post(editor_client, {"status": "DREAMT"}).status_code == 422
    assert post(editor_client, "{").status_code == 400
    made = post(editor_client)
    assert made.status_code == 201
    row = made.json()
    assert post(editor_client, row, key="other").status_code == 409
    editor_client.delete(made["Location"])
    assert post(editor_client, row, key="other").status_code == 201
    assert [e["Idempotency-Replayed"] for e in (post(editor_client), post(editor_client, row, key="other"))] == ["true"] * 2


@pytest.mark.parametrize("key", ["", " ", "two words", "é", "x" * 256, '"', '"a', '""', 'a"b" c', "\x7f"])
def test_a_key_that_is_none_is_a_bad_request(projects: Store, editor_client: APIClient, key: str) -> None:
    answer = post(editor_client, key=key)
    assert (answer.status_code, "Idempotency-Key" in answer.json()["detail"]) == (400, True)
    assert editor_client.get("/ops/projects").json() == []


def test_a_renamed_table_keeps_its_promises(turbines: Ontology, steward_client: APIClient) -> None:
    row = FIRST | {"id": 9, "serial": 9}
    first = post(steward_client, row, path="/ops/turbines")
    turbines.say(TURBINES | {"name": "mills"}, "turbines_schema")
    assert send(steward_client, "post", "/ops/initialize").status_code == 200
    for path in ("/ops/turbines", "/ops/mills"):
        assert facts(post(steward_client, row, path=path)) == facts(first)
    versioned = {"Schema-Version": "1"}
    assert post(steward_client, row, path="/ops/turbines", **versioned).json()["code"] == "key-reused"
    made = post(steward_client, row | {"id": 10, "serial": 10}, "k", "/ops/turbines", **versioned)
    again = post(steward_client, row | {"id": 10, "serial": 10}, "k", "/ops/turbines", **versioned)
    assert (facts(again), again["Schema-Version"]) == (facts(made), "1")


def test_an_answer_is_kept_with_its_row_or_not_at_all(
    projects: Store, editor_client: APIClient, monkeypatch: pytest.MonkeyPatch, settings
) -> None:
    """The file is closed in the middle, as a crash would leave it."""
    reached = []

    def broken(cursor: duckdb.DuckDBPyConnection, answers: list[books.Kept]) -> None:
        reached.extend(answers)
        raise duckdb.IOException("the disk is gone")

    with monkeypatch.context() as patched:
        patched.setattr(books, "put_kept", broken)
        with pytest.raises(duckdb.IOException):
            post(editor_client)
    assert reached and editor_client.get("/ops/projects").json() == []
    first = post(editor_client)
    reset_store()
    assert facts(post(editor_client)) == facts(first)
    assert editor_client.get("/ops/projects").json() == [first.json()]
    assert get_store() is not projects


def test_the_books_of_the_format_before_take_the_step(projects: Store, editor_client: APIClient, settings) -> None:
    made = send(editor_client, "post", "/ops/projects", WIND_FARM)
    reset_store()
    with duckdb.connect(str(settings.DUCKDB_PATH)) as connection:
        connection.execute("DROP TABLE _duckspawn.answers")
        connection.execute("UPDATE _duckspawn.meta SET value = '2' WHERE key = 'format'")
    assert post(editor_client).status_code == 201
    assert facts(post(editor_client))[0] == 201
    assert len(editor_client.get("/ops/projects").json()) == 2
    assert editor_client.get(made["Location"]).json() == made.json()


@pytest.mark.django_db(transaction=True)
def test_one_key_sent_twenty_times_at_once_makes_one_row(projects: Store, roles: None) -> None:
    editor = user_with_role("editor")
    clients = [client_of(editor) for _ in range(20)]
    start, answers = threading.Barrier(len(clients)), []

    def act(client: APIClient) -> None:
        start.wait()
        answers.append(post(client))
        connections.close_all()

    threads = [threading.Thread(target=act, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({facts(answer) for answer in answers}) == 1
    assert Counter(answer.get("Idempotency-Replayed") for answer in answers) == {None: 1, "true": 19}
    assert clients[0].get("/ops/projects").json() == [answers[0].json()]
    assert not idempotency._under_way


@pytest.mark.django_db(transaction=True)
def test_who_waits_too_long_for_the_first_is_told(projects: Store, editor_client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "PATIENCE", 0.01)
    begun, free, answers = threading.Event(), threading.Event(), []
    projects.writer.later(lambda _: begun.set() or free.wait())
    assert begun.wait(10)  # The writer is busy, so the first request stays under way.

    def act() -> None:
        answers.append(post(editor_client))
        connections.close_all()

    first = threading.Thread(target=act)
    first.start()
    while not idempotency._under_way:
        first.join(0.01)
    answer = post(editor_client)
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (409, "key-under-way", "5")
    free.set()
    first.join()
    assert [a.status_code for a in answers] == [201]
    assert facts(post(editor_client)) == facts(answers[0])
