"""A hostile ontology server, spoken to over a real socket: each attack ends soon, with a sentence that says what was too much."""

import gc
import json
import ssl
import threading
import time

import psutil
import pytest

from schema_registry import ontology, snapshots, transport
from schema_registry.errors import DocumentRefused, OntologyUnavailable
from tests.hostile import MIB, Send, again, always, answer, documents, hostile, reset, wide
from tests.schema_registry.documents import client_of, table

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
IN_TIME = "did not answer within 0.4 seconds"
BROKE_OFF = "connection broke off"
XML = b'<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><a>&b;</a>'
YAML = b"a: &a [ha, ha]\nb: &b [*a, *a, *a]\nc: !!python/object/apply:os.system ['touch /tmp/duckspawn-owned']\n"


def redirect(where: str) -> Send:
    return always(answer(b"", status="302 Found", Location=where))


ATTACKS: dict[str, tuple[Send, str]] = {
    "a head byte by byte": (again(b"x", first=OK + b"X: ", pause=0.02), IN_TIME),
    "a body byte by byte": (again(b" ", first=OK + b"Content-Length: 100000\r\n\r\n", pause=0.02), IN_TIME),
    "chunks byte by byte": (again(b"1\r\n \r\n", first=CHUNKED, pause=0.02), IN_TIME),
    "silence": (lambda connection, path: time.sleep(2), IN_TIME),
    "no answer, and it leaves": (lambda connection, path: connection.close(), BROKE_OFF),
    "a connection reset midway": (reset, BROKE_OFF),
    "headers without end": (again(b"X: y\r\n" * 100, first=OK), "head has more than 100 lines"),
    "a header without end": (again(b"x" * 65_536, first=OK + b"X: "), "head has a line of more than 65536 bytes"),
    "100 Continue for ever": (again(b"HTTP/1.1 100 Continue\r\n\r\n" * 100, first=b""), "more than 10 answers before"),
    "a chunk for each byte": (again(b"1\r\n \r\n" * 10_000, first=CHUNKED), "more than 5000 pieces"),
    "a chunk's size without end": (again(b"x" * 65_536, first=CHUNKED + b"1;"), "more than 65536 bytes between two chunks"),
    "an end without end": (again(b"X: y\r\n" * 1_000, first=CHUNKED + b"1\r\n[\r\n0\r\n"), "end has more than 100 lines"),
    "a huge chunk": (again(b" " * MIB, first=CHUNKED + b"f" * 30 + b"\r\n"), "larger than 4194304 bytes"),
    "a chunk of no size": (always(CHUNKED + b"zz\r\n"), BROKE_OFF),
    "two lengths": (always(OK + b"Content-Length: 5\r\nContent-Length: 2\r\n\r\n[]"), "no HTTP"),
    "another protocol": (always(b"SSH-2.0-OpenSSH_9.0\r\n\r\n"), "no HTTP"),
    "a status that is none": (always(answer(b"[]", status="abc No")), "no HTTP"),
    "a status far out": (always(answer(b"[]", status="999 No")), "status 999"),
    "a body that must not be": (always(answer(b"[]", status="204 No Content")), "status 204"),
    "unchanged, though nothing was asked": (always(answer(b"", status="304 Not Modified")), "status 304"),
    "a compressed bomb": (always(answer(b"\x1f\x8b" + b"x" * 1000, Content_Encoding="gzip")), "compressed, which was not asked for"),
    "a redirect to a file": (redirect("file:///etc/passwd"), "another server"),
    "a redirect to another host": (redirect("//169.254.169.254/latest/meta-data"), "another server"),
    "a redirect to another port": (redirect("http://127.0.0.1:1/schemas"), "another server"),
    "a redirect in a circle": (redirect("/schemas"), "without end"),
    "a redirect to nothing": (redirect("http://[::1"), "no HTTP"),
    "XML that expands": (always(answer(XML, Content_Type="application/xml")), "unusable: it is not JSON"),
    "YAML that expands and runs": (always(answer(YAML, Content_Type="application/yaml")), "unusable: it is not JSON"),
    "nothing but depth": (always(answer(b"[" * 100_000)), "nested more than 50 deep"),
    "two million numbers": (always(answer(b"[" + b"1," * 2_000_000 + b"1]")), "more than 250000 values"),
    "not UTF-8": (always(answer(b'["\xff\xfe"]')), "not JSON"),
    "NaN": (always(answer(b"[NaN]")), "NaN"),
    "a number beyond all": (always(answer(b"[1e999999999]")), "10 to the 5000"),
    "one key twice": (always(answer(b'[{"id": "a", "id": "b"}]')), "one key twice"),
    "an object": (always(answer(b'{"a": 1}')), "no list"),
    "ids that are none": (always(answer(b'["a", {"id": 7}]')), "1 to 200 printable characters"),
    "an id too long": (always(answer(json.dumps(["a" * 201]).encode())), "1 to 200 printable characters"),
    "100,000 schemas": (
        always(answer(json.dumps([f"s{n}" for n in range(100_000)]).encode())),
        "has 100000 of them, and 10000 is the most",
    ),
}


def reason(url: str, timeout: float = 0.4) -> str:
    with pytest.raises(OntologyUnavailable) as refusal:
        client_of(url, timeout=timeout).ids()
    return refusal.value.reason


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_refused_in_time_with_what_was_too_much(attack: str, monkeypatch) -> None:
    monkeypatch.setattr(ontology, "BACK_OFF", 0.01)
    send, said = ATTACKS[attack]
    with hostile(send) as url:
        started = time.monotonic()
        assert said in reason(url)
        assert time.monotonic() - started < 3 * 0.4 + 1


def test_a_gigabyte_takes_no_more_memory_than_an_answer_may_have() -> None:
    process = psutil.Process()
    with hostile(again(b" " * MIB, first=OK + b"Content-Length: %d\r\n\r\n" % 2**30)) as url:
        assert "larger than 4194304 bytes" in reason(url, 5)  # What the first exchange loads is no part of it.
        gc.collect()
        before = process.memory_info().rss
        assert "larger than 4194304 bytes" in reason(url, 5)
        assert process.memory_info().rss - before < 4 * transport.MAX_BYTES


def test_tls_that_drips_is_left_in_time_and_leaves_no_thread() -> None:
    record = b"\x16\x03\x03\x3f\xff"  # the head of the longest record of a handshake
    with hostile(again(b"\x02", first=record, pause=0.02), waits=False) as url:
        assert "within 0.4 seconds" in reason(url.replace("http:", "https:"))
        assert _leaves_no_thread()


def test_a_server_without_a_certificate_that_is_trusted_is_told(tmp_path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with hostile(always(answer(b"[]")), tls=context) as url:
        assert "no secure connection" in reason(url, 2)
    assert _leaves_no_thread()


def _leaves_no_thread() -> bool:
    until = time.monotonic() + 5
    while any(thread.name == "ontology" for thread in threading.enumerate()) and time.monotonic() < until:
        time.sleep(0.02)
    return not any(thread.name == "ontology" for thread in threading.enumerate())


# Documents.

LONG = "x" * 3_000_000
DOCUMENTS: dict[str, tuple[bytes, str]] = {
    "100,000 columns": (wide(100_000), "more than 250000 values"),
    "10,000 columns": (wide(10_000), "1 to 1000 columns; the document has 10000"),
    "a column of too many problems": (wide(1, primary_key=[7] * 5_000), "more problems than these 100"),
    "a name of 3 MB": (json.dumps({"name": LONG, "columns": []}).encode(), "name is longer than 10000 characters"),
    "a type of 3 MB": (json.dumps(table({"name": "x", "type": "(" * 3_000_000})).encode(), "type is longer than 200 characters"),
    "a pattern of 3 MB": (json.dumps(table({"name": "x", "type": "TEXT", "pattern": LONG})).encode(), "pattern is longer than 1000"),
    "an enum of 10,001": (json.dumps(table({"name": "x", "type": "TEXT", "enum": list(range(10_001))})).encode(), "1 to 10000 values"),
    "wrong types everywhere": (
        json.dumps(
            {"name": [], "id": 7, "description": {}, "primary_key": {}, "unique": 7, "columns": [7, {"name": {}, "type": []}]}
        ).encode(),
        "name must be a text",
    ),
    "columns that are none": (b'{"name": "x", "columns": {"a": {"type": "INT"}}}', "columns must be an array"),
    "a deep default": (
        b'{"name": "x", "columns": [{"name": "a", "type": "JSON", "default": ' + b"[" * 60 + b"]" * 60 + b"}]}",
        "nested more than 50",
    ),
    "half a surrogate": (b'{"name": "x", "columns": [{"name": "\\ud800", "type": "INT"}]}', "half a surrogate pair"),
    "a NUL": (b'{"name": "x\\u0000", "columns": []}', "NUL"),
    "not UTF-8": (b'{"name": "\xff"}', "not UTF-8"),
    "a number of 4 MB": (
        b'{"name": "x", "columns": [{"name": "a", "type": "INT", "minimum": 1.' + b"1" * 4_000_000 + b"}]}",
        "not a whole number",
    ),
    "an integer of 4 MB": (b'{"name": "x", "columns": [{"name": "a", "type": "INT", "minimum": ' + b"1" * 4_000_000 + b"}]}", "not JSON"),
    "a body beyond the limit": (b'"' + b"x" * (4 * MIB) + b'"', "larger than 4194304 bytes"),
    "XML": (XML, "not JSON"),
    "YAML": (YAML, "not JSON"),
}


@pytest.mark.django_db
@pytest.mark.parametrize("attack", DOCUMENTS)
def test_a_hostile_document_is_refused_and_the_one_beside_it_stands(attack: str) -> None:
    body, said = DOCUMENTS[attack]
    good, listed = answer(json.dumps(table(name="good")).encode()), answer(b'["bad", "good"]')

    def send(connection, path):
        connection.sendall({"/schemas": listed, "/schemas/good": good}.get(path) or answer(body))

    with hostile(send) as url:
        answered = snapshots.refresh(client=client_of(url, timeout=10))
    assert [one.schema.name for one in answered.wanted] == ["good"]
    (refusal,) = answered.refused
    assert said in " ".join(problem.detail for problem in refusal.problems)
    assert len(refusal.problems) <= 101
    assert len(refusal.told) < 5_000


@pytest.mark.django_db
def test_ten_thousand_documents_of_one_name_are_refused_in_few_words() -> None:
    ids = [f"{'d' * 190}{n}" for n in range(300)]
    with hostile(documents(json.dumps(table()).encode(), ids=ids)) as url:
        answered = snapshots.refresh(client=client_of(url))
    assert len(answered.refused) == 300
    assert max(len(refusal.told) for refusal in answered.refused) < 4_000
    assert "and 290 more" in answered.refused[0].told


@pytest.mark.django_db
def test_documents_are_bounded_together_too(monkeypatch) -> None:
    monkeypatch.setattr(ontology, "MAX_TOGETHER", 100_000)
    with hostile(documents(wide(500), ids=[f"d{n}" for n in range(50)])) as url, pytest.raises(OntologyUnavailable) as refusal:
        snapshots.refresh(client=client_of(url))
    assert "larger than 100000 bytes together" in refusal.value.reason


@pytest.mark.django_db
def test_a_server_that_takes_long_for_each_document_is_left_after_all_of_them_together(monkeypatch) -> None:
    monkeypatch.setattr(ontology, "PATIENCE", 1)

    def slow(connection, path):
        time.sleep(0.2 if path != "/schemas" else 0)
        connection.sendall(answer(b'["a", "b", "c", "d", "e", "f"]' if path == "/schemas" else json.dumps(table()).encode()))

    with hostile(slow) as url, pytest.raises(OntologyUnavailable) as refusal:
        snapshots.refresh(client=client_of(url, timeout=0.5))
    assert "did not all come within 0.5 seconds" in refusal.value.reason


@pytest.mark.django_db
def test_a_slow_server_keeps_a_few_askers_waiting_and_tells_the_others(settings) -> None:
    settings.ONTO_SERVER_TIMEOUT = 0.3
    release = threading.Event()
    with hostile(lambda connection, path: release.wait(20)) as url:
        asked = [threading.Thread(target=_ask, args=(url,)) for _ in range(snapshots.TURNS)]
        for thread in asked:
            thread.start()
        while snapshots._turns._value:
            time.sleep(0.01)
        with pytest.raises(OntologyUnavailable, match="others are asking it already"):
            snapshots.refresh(client=client_of(url))
        release.set()
        for thread in asked:
            thread.join()


def _ask(url: str) -> None:
    with pytest.raises(OntologyUnavailable):
        snapshots.refresh(client=client_of(url, timeout=20))


@pytest.mark.parametrize("etag", ['"' + "x" * 600 + '"', '"\x01"', '"é"'])
def test_an_etag_that_cannot_be_sent_back_is_not(etag: str) -> None:
    with hostile(always(answer(b"{}", ETag=etag))) as url:
        client = client_of(url)
        assert [client.document("a").etag for _ in range(2)] == ["", ""]


def test_documents_with_etags_are_kept_within_a_limit(monkeypatch) -> None:
    monkeypatch.setattr(ontology, "MAX_KEPT_BYTES", 2_000_000)
    with hostile(always(answer(b'"' + b"x" * 900_000 + b'"', ETag='"1"'))) as url:
        client = client_of(url)
        for document_id in "abcdef":
            client.document(document_id)
    assert list(client._kept) == ["e", "f"]


def test_a_document_that_changes_while_it_is_asked_for_is_taken_as_it_came() -> None:
    bodies = iter([answer(b'{"name": "one"}', ETag='"1"'), answer(b"", status="304 Not Modified"), answer(b"<html>", ETag='"2"')])
    with hostile(lambda connection, path: connection.sendall(next(bodies))) as url:
        client = client_of(url)
        assert [client.document("a").document["name"] for _ in range(2)] == ["one", "one"]
        with pytest.raises(DocumentRefused):
            client.document("a")
