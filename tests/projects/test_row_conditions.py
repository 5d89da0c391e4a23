"""One row under conditions: its ETag, If-Match and If-None-Match, and PUT, which makes the row where there is none."""

import json
import threading

import pytest
from django.db import connections
from rest_framework.test import APIClient

from projects import rows
from projects.preconditions import Preconditions
from projects.store import rows as stored
from projects.store.connection import Store
from tests.conftest import client_of, user_with_role
from tests.projects.conftest import WIND_FARM, make_table
from tests.projects.ontology import SECOND, TURBINES, Ontology, put, send, with_column

pytestmark = pytest.mark.django_db

KEY = "0197f0a0-0000-7000-8000-00000000000a"
ADDRESS = f"/ops/projects/{KEY}"


def feed(store: Store) -> list[tuple]:
    with store.read() as cursor:
        return cursor.execute("SELECT op, key FROM _duckspawn.changes WHERE op <> 'schema' ORDER BY seq").fetchall()


def sent(client: APIClient, method: str, path: str, body: object = None, **headers: str):
    data = "" if body is None else json.dumps(body)
    return getattr(client, method)(path, data=data, content_type="application/json", headers=headers)


def test_a_tag_is_the_rows_text_and_goes_with_every_answer_of_it(projects: Store, editor_client: APIClient) -> None:
    made = send(editor_client, "post", "/ops/projects", WIND_FARM)
    address, tag = made["Location"], made["ETag"]
    assert tag.startswith('"') and editor_client.get(address)["ETag"] == tag
    known = editor_client.get(address, headers={"If-None-Match": f'"other", W/{tag}'})
    assert (known.status_code, known.content, known["ETag"]) == (304, b"", tag)
    patched = send(editor_client, "patch", address, {"status": "ACTIVE"})
    replaced = send(editor_client, "put", address, WIND_FARM)
    assert len({tag, patched["ETag"], replaced["ETag"]}) == 3
    fresh = editor_client.get(address, headers={"If-None-Match": tag})
    assert (fresh.status_code, fresh["ETag"], fresh.json()) == (200, replaced["ETag"], replaced.json())
    same = editor_client.get(address, headers={"If-Match": replaced["ETag"], "If-None-Match": replaced["ETag"]})
    assert same.status_code == 304
    assert editor_client.get(address, headers={"If-Match": tag}).status_code == 412


@pytest.mark.parametrize(("method", "body"), [("put", WIND_FARM), ("patch", {"status": "ACTIVE"}), ("delete", None)])
def test_a_row_that_changed_meanwhile_is_not_overwritten(projects: Store, editor_client: APIClient, method: str, body: object) -> None:
    tag = send(editor_client, "put", ADDRESS, WIND_FARM)["ETag"]
    now = send(editor_client, "patch", ADDRESS, {"status": "COMPLETED"})["ETag"]
    for stale in (tag, f"W/{now}", f'{tag}, "x"'):
        answer = sent(editor_client, method, ADDRESS, body, **{"If-Match": stale})
        assert (answer.status_code, answer.json()["code"]) == (412, "precondition-failed")
        assert "send the ETag that it has then" in answer.json()["detail"]
    assert sent(editor_client, method, ADDRESS, body, **{"If-None-Match": "*"}).status_code == 412
    assert editor_client.get(ADDRESS)["ETag"] == now
    assert sent(editor_client, method, ADDRESS, body, **{"If-Match": f'"x" ,\t{now}', "If-None-Match": tag}).status_code in (200, 204)
    assert feed(projects) == [("create", KEY), ("patch", KEY), ({"put": "replace"}.get(method, method), KEY)]


@pytest.mark.parametrize("tags", ["", "x", '"a" "b"', '"a', 'w/"a"', '*, "a"', '"a b"', ","])
def test_tags_that_are_none_are_a_bad_request(projects: Store, editor_client: APIClient, tags: str) -> None:
    for header in ("If-Match", "If-None-Match"):
        answer = sent(editor_client, "put", ADDRESS, WIND_FARM, **{header: tags})
        assert (answer.status_code, header in answer.json()["detail"]) == (400, True)
    assert editor_client.get(ADDRESS, headers={"If-Match": tags}).status_code == 400
    assert editor_client.get("/ops/projects").json() == []


def test_put_makes_the_row_where_there_is_none_and_replaces_it_where_there_is(projects: Store, editor_client: APIClient) -> None:
    missing = sent(editor_client, "put", ADDRESS, WIND_FARM, **{"If-Match": "*"})
    assert (missing.status_code, "leave it out to create" in missing.json()["detail"]) == (412, True)
    assert send(editor_client, "put", ADDRESS, {"status": "ACTIVE"}).status_code == 422
    made = sent(editor_client, "put", ADDRESS, WIND_FARM | {"status": "ACTIVE"}, **{"If-None-Match": "*"})
    row = made.json()
    assert (made.status_code, made["Location"], row["project_id"]) == (201, ADDRESS, KEY)
    assert (row["currency_code"], row["description"], row["status"]) == ("USD", None, "ACTIVE")
    assert row["creation_date"] and row["last_updated"].endswith("Z")
    replaced = send(editor_client, "put", ADDRESS, WIND_FARM)
    assert (replaced.status_code, replaced.has_header("Location")) == (200, False)
    assert (replaced.json()["status"], replaced.json()["creation_date"]) == ("PROPOSED", row["creation_date"])
    assert editor_client.get(ADDRESS).json() == replaced.json()
    assert feed(projects) == [("create", KEY), ("replace", KEY)]
    other = send(editor_client, "put", ADDRESS, WIND_FARM | {"project_id": KEY[:-1] + "b"})
    assert (other.status_code, other.json()["errors"][0]["code"]) == (422, "key")
    for method in ("patch", "delete"):  # What is not there has no tag to compare.
        assert sent(editor_client, method, ADDRESS[:-1] + "b", {}, **{"If-Match": "*"}).status_code == 404
    assert send(editor_client, "put", "/ops/projects/no-uuid", WIND_FARM).status_code == 404


def test_put_makes_rows_of_any_key_and_meets_the_other_rules(store: Store, editor_client: APIClient) -> None:
    make_table(
        "words",
        [{"name": "word", "type": "VARCHAR"}, {"name": "no", "type": "INTEGER"}, {"name": "code", "type": "INTEGER"}],
        primary_key=["word", "no"],
        unique=[["code"]],
    )
    made = send(editor_client, "put", "/ops/words/a~2Cb~2F,7", {"code": 1})
    assert (made.status_code, made["Location"]) == (201, "/ops/words/a~2Cb~2F,7")
    assert made.json() == {"word": "a,b/", "no": 7, "code": 1}
    assert send(editor_client, "delete", made["Location"]).status_code == 204
    assert send(editor_client, "put", made["Location"], {"code": 1, "no": 7}).status_code == 201
    assert send(editor_client, "put", "/ops/words/b,1", {"code": 1}).status_code == 409
    assert editor_client.get("/ops/words").json() == [{"word": "a,b/", "no": 7, "code": 1}]


def test_a_row_that_a_load_brings_while_it_is_put_is_replaced(store: Store) -> None:
    make_table("words", [{"name": "word", "type": "VARCHAR", "required": True}, {"name": "code", "type": "INTEGER"}], primary_key=["word"])
    looked = []

    class Meanwhile(Preconditions):
        """Once the writer has looked for the row, and before it writes, another transaction commits it."""

        def refusal(self, table: str, key: str, row: str | None, *, reads: bool = False) -> None:
            looked.append(row)
            if row is None:
                with store.transaction() as load:
                    load.execute("INSERT INTO words VALUES ('a', 1)")

    written = rows.replace(store, "words", "a", {"code": 2}, actor="ann", wanted=Meanwhile())
    assert (looked, written.entry.op) == ([None, '{"word":"a","code":1}'], "replace")
    assert stored.get(store, store.table("words").schema, ("a",)) == '{"word":"a","code":2}'


def test_a_version_has_tags_of_its_own_shape(turbines: Ontology, steward_client: APIClient, store: Store) -> None:
    renamed = with_column(TURBINES, "power", name="output", renamed_from="power")
    turbines.say(with_column(renamed, "note", type="VARCHAR", default="-"))
    put(steward_client)
    first = {"Schema-Version": "1"}
    seen = steward_client.get("/ops/turbines/1", headers=first)
    assert seen["ETag"] != steward_client.get("/ops/turbines/1")["ETag"]
    assert steward_client.get("/ops/turbines/1", headers=first | {"If-None-Match": seen["ETag"]}).status_code == 304
    assert sent(steward_client, "patch", "/ops/turbines/1", {"output": 5}, **{"If-Match": seen["ETag"]}).status_code == 412
    patched = sent(steward_client, "patch", "/ops/turbines/1", {"power": 5}, **first, **{"If-Match": seen["ETag"]})
    assert (patched.status_code, patched.json()["power"]) == (200, 5)
    assert patched["ETag"] == steward_client.get("/ops/turbines/1", headers=first)["ETag"]
    made = sent(steward_client, "put", "/ops/turbines/3", SECOND | {"id": 3}, **first)
    assert (made.status_code, made.json()["power"], steward_client.get("/ops/turbines/3").json()["note"]) == (201, 200, "-")
    deleted = sent(steward_client, "delete", "/ops/turbines/1", **first, **{"If-Match": patched["ETag"]})
    assert deleted.status_code == 204


@pytest.mark.django_db(transaction=True)
def test_puts_of_one_key_at_once_make_one_row_and_a_tag_is_good_for_one_change(projects: Store, roles: None) -> None:
    clients = [client_of(user) for user in [user_with_role("editor")] for _ in range(8)]
    start, answers = threading.Barrier(len(clients)), []

    def act(client: APIClient, number: int) -> None:
        start.wait()
        made = send(client, "put", ADDRESS, WIND_FARM | {"maturity_years": number})
        start.wait()
        tag = client.get(ADDRESS)["ETag"]
        start.wait()
        changed = sent(client, "patch", ADDRESS, {"maturity_years": 100 + number}, **{"If-Match": tag})
        answers.append((made.status_code, changed.status_code))
        connections.close_all()

    threads = [threading.Thread(target=act, args=one) for one in zip(clients, range(len(clients)), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made for made, _ in answers) == [200] * 7 + [201]
    assert sorted(changed for _, changed in answers) == [200] + [412] * 7
    assert [op for op, _ in feed(projects)] == ["create"] + ["replace"] * 7 + ["patch"]
