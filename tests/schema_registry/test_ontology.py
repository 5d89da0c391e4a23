import json
import threading
import time

import pytest

from schema_registry import transport
from schema_registry.errors import DocumentNotFound, DocumentRefused, OntologyUnavailable
from schema_registry.ontology import OntologyClient
from tests.schema_registry.documents import client_of, drip, reply, save, serving, table


def reason_of(question) -> str:
    with pytest.raises(OntologyUnavailable) as refusal:
        question()
    return refusal.value.reason


def test_the_listed_documents_come_with_their_exact_text(ontology, folder):
    (folder / "thing_schema.json").write_text('{"name": "things",  "columns": [{"name": "id", "type": "DOUBLE", "maximum": 1.10}]}')
    fetched, refused = ontology.all_documents()
    assert [one.document_id for one in fetched] == ["item_schema", "thing_schema"]
    assert fetched[1].text == (folder / "thing_schema.json").read_text()
    assert str(fetched[1].document["columns"][0]["maximum"]) == "1.10"
    assert {one.provenance for one in fetched} == {"live"}
    assert refused == ()


def test_an_unchanged_document_is_not_sent_again_and_is_live_all_the_same():
    statuses = []

    def answer(handler):
        unchanged = handler.headers.get("If-None-Match") == '"v1"'
        statuses.append(304 if unchanged else 200)
        reply(handler, b"" if unchanged else b'{"name":"things"}', statuses[-1], ETag='"v1"')

    with serving(answer) as url:
        ontology = client_of(url)
        first, second = ontology.document("x"), ontology.document("x")
    assert statuses == [200, 304]
    assert (second.text, second.provenance) == (first.text, "live")
    assert second.fetched_at > first.fetched_at


def test_an_edited_document_shows_at_once(ontology, folder):
    ontology.document("thing_schema")
    save(folder, "thing_schema", table(name="others"))
    assert ontology.document("thing_schema").document["name"] == "others"


def test_a_list_may_hold_objects_with_an_id():
    with serving(lambda h: reply(h, b'[{"id": "a", "title": "A"}, "b", "a"]')) as url:
        assert client_of(url).ids() == ("a", "b")


def test_a_server_without_a_list_is_asked_for_the_ids_of_the_settings():
    with serving(lambda h: reply(h, b"{}", 404)) as url:
        assert client_of(url, schema_ids=["project_schema"]).ids() == ("project_schema",)
        assert "ONTO_SCHEMA_IDS" in reason_of(client_of(url).ids)


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b"null", b'["a", 5]', b'[{"name": "a"}]', b'[".."]', b'["a\\u0000"]', b'[{"id": []}]', b"<html>", b""]
)
def test_a_list_that_is_none_is_no_answer(body):
    with serving(lambda h: reply(h, body)) as url:
        assert "list of schemas" in reason_of(client_of(url).ids)


@pytest.mark.parametrize(("status", "tries"), [(500, 3), (503, 3), (429, 3), (401, 1), (204, 1)])
def test_only_a_server_in_trouble_is_asked_again(status, tries):
    asked = []

    def answer(handler):
        asked.append(1)
        reply(handler, b"", status)

    with serving(answer) as url:
        assert f"status {status}" in reason_of(client_of(url).ids)
    assert len(asked) == tries


def test_a_server_that_recovers_is_believed():
    asked = []

    def answer(handler):
        asked.append(1)
        reply(handler, b'["a"]', 200 if len(asked) == 3 else 502)

    with serving(answer) as url:
        assert client_of(url).ids() == ("a",)


def hang(handler):
    time.sleep(3)


def drip_body(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    drip(handler, b" " * 100)


def drip_head(handler):
    drip(handler, b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 100)


@pytest.mark.parametrize("answer", [hang, drip_body, drip_head])
def test_a_server_that_hangs_or_drips_is_left_in_time(answer):
    with serving(answer) as url:
        start = time.monotonic()
        assert "within 0.4 seconds" in reason_of(client_of(url, timeout=0.4).ids)
        assert time.monotonic() - start < 1.2
        time.sleep(0.3)
        assert not [thread for thread in threading.enumerate() if thread.name == "ontology"]


def test_nothing_at_the_address_is_said_plainly():
    assert "nothing answers" in reason_of(client_of("http://127.0.0.1:1").ids)


def test_a_body_that_breaks_off_is_no_answer():
    def answer(handler):
        reply(handler, b'["a"]', Content_Length="500")
        handler.close_connection = True

    with serving(answer) as url:
        assert "broke off" in reason_of(client_of(url).ids)


def test_a_huge_document_is_refused_and_the_others_stand(monkeypatch):
    monkeypatch.setattr(transport, "MAX_BYTES", 1000)

    def answer(handler):
        reply(
            handler,
            b'["a", "b", "c", "d"]' if handler.path == "/schemas" else b'"' + b"x" * (2000 if handler.path.endswith("b") else 5) + b'"',
        )

    with serving(answer) as url:
        fetched, refused = client_of(url).all_documents()
    assert [one.document_id for one in fetched] == ["a", "c", "d"]
    assert [(one.document_id, one.problems[0].code) for one in refused] == [("b", "limit")]


@pytest.mark.parametrize("body", [b"<html>", b"\xff\xfe", b'{"a": NaN}', b"[" * 50_000])
def test_a_document_that_is_not_json_is_refused(body):
    with serving(lambda h: reply(h, body)) as url, pytest.raises(DocumentRefused) as refusal:
        client_of(url).document("a")
    assert refusal.value.problems[0].code == "syntax"


def test_a_listed_document_that_is_not_there_is_refused_alone(ontology):
    fetched, refused = ontology.some_documents(["thing_schema", "gone"])
    assert fetched.document_id == "thing_schema"
    assert (refused.document_id, refused.problems[0].code) == ("gone", "not_found")


@pytest.mark.parametrize("document_id", ["..", ".", "", "a/../thing_schema", "../etc/passwd", "x" * 201, "a\0b", "thing_schema?x=1"])
def test_an_id_asks_for_nothing_but_a_document(ontology, document_id):
    with pytest.raises(DocumentNotFound):
        ontology.document(document_id)


def test_an_id_is_quoted_on_its_way(ontology, folder):
    save(folder, "a b%2F#é?", table())
    assert ontology.document("a b%2F#é?").document["name"] == "things"


def test_a_redirect_is_followed_on_the_same_server_only():
    asked = []
    with serving(lambda h: (asked.append(h.path), reply(h, b'["stolen"]'))) as elsewhere:

        def answer(handler):
            if handler.path == "/schemas":
                reply(handler, b"", 302, Location="/moved")
            elif handler.path == "/moved":
                reply(handler, b'["a"]')
            else:
                reply(handler, b"", 307, Location=elsewhere)

        with serving(answer) as url:
            assert client_of(url).ids() == ("a",)
            assert "another server" in reason_of(lambda: client_of(url).document("x"))
    assert asked == []


def test_redirects_without_end_are_left():
    with serving(lambda h: reply(h, b"", 301, Location="/schemas")) as url:
        assert "without end" in reason_of(client_of(url).ids)


def test_a_password_in_the_address_is_used_and_never_shown():
    seen = []

    def answer(handler):
        seen.append(handler.headers["Authorization"])
        reply(handler, b"{}" if handler.path.startswith("/schemas/") else b"", 200 if handler.path.startswith("/schemas/") else 403)

    with serving(answer) as url:
        ontology = client_of(url.replace("//", "//me:s3cret@"))
        with pytest.raises(OntologyUnavailable) as refusal:
            ontology.ids()
        fetched = ontology.document("x")
    assert seen[0].startswith("Basic ")
    assert "s3cret" not in f"{refusal.value} {refusal.value.__dict__} {fetched.url} {ontology.url}"


def test_health_says_what_the_server_says(ontology):
    assert ontology.health().healthy
    with serving(lambda h: reply(h, b"", 503)) as url:
        answer = client_of(url).health()
    assert (answer.healthy, answer.detail) == (False, "it answered with status 503")
    assert not client_of("http://127.0.0.1:1").health().healthy


def test_the_mock_answers_without_asking_the_live_server():
    asked = []
    with serving(lambda h: (asked.append(1), reply(h))) as url:
        ontology = client_of(url, use_mock=True)
        fetched, _ = ontology.all_documents()
        assert ontology.health().provenance == "mock"
    assert [one.document_id for one in fetched] == ["portfolio_project_schema", "portfolio_schema", "project_schema"]
    assert {one.provenance for one in fetched} == {"mock"}
    assert asked == []


def test_the_settings_give_one_shared_client(settings, server):
    settings.ONTO_SERVER_URL = server.url
    assert OntologyClient.from_settings() is OntologyClient.from_settings()
    assert OntologyClient.from_settings().ids() == ("item_schema", "thing_schema")


def test_many_threads_share_one_client(ontology):
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(json.loads(ontology.document("thing_schema").text)["name"])) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["things"] * 8
