import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from schema_registry.mock import server as mock_server
from tests.schema_registry.documents import save, table

ROOT = Path(__file__).parents[2]


def raw(url: str, request: bytes) -> bytes:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_it_lists_serves_and_is_healthy(server):
    assert requests.get(f"{server.url}/schemas").json() == ["item_schema", "thing_schema"]
    assert requests.get(f"{server.url}/schemas/thing_schema").json()["name"] == "things"
    assert requests.get(f"{server.url}/health").json() == {"status": "healthy"}


def test_a_document_has_a_strong_etag_that_answers_304(server, folder):
    url = f"{server.url}/schemas/thing_schema"
    etag = requests.get(url).headers["ETag"]
    assert not etag.startswith("W/")
    for sent in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        again = requests.get(url, headers={"If-None-Match": sent})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", etag)
    save(folder, "thing_schema", table(name="changed"))
    assert requests.get(url, headers={"If-None-Match": etag}).json()["name"] == "changed"


def test_head_answers_without_a_body(server):
    answer = requests.head(f"{server.url}/schemas/thing_schema")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 0


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nope",
        "/schemas/",
        "/schemas/nope",
        "/schemas/a/b",
        "/schemas/..%2Fsecret",
        "/schemas/%2e%2e/secret",
        "/schemas/%2e%2e%2fsecret",
        "/schemas/../secret",
        "/schemas/%00",
        "/schemas//etc/passwd",
        "/schemas/link",
        "/schemas/folder",
        "/schemas/pipe",
        "/schemas/%ff",
        "/schemas/notes.txt",
        "/schemas/thing_schema.json",
        "http://x/../secret",
    ],
)
def test_nothing_but_documents_is_served(server, folder, path):
    (folder.parent / "secret.json").write_text('"secret"')
    (folder / "link.json").symlink_to(folder.parent / "secret.json")
    (folder / "folder.json").mkdir()
    (folder / "notes.txt").write_text("secret")
    os.mkfifo(folder / "pipe.json")
    answer = raw(server.url, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 404 " in head.splitlines()[0]
    assert b"application/problem+json" in head
    assert json.loads(body)["status"] == 404
    assert b"secret" not in body


def test_links_and_other_files_are_not_listed(server, folder):
    (folder / "link.json").symlink_to(folder / "thing_schema.json")
    (folder / ".json").write_text("{}")
    assert requests.get(f"{server.url}/schemas").json() == ["item_schema", "thing_schema"]


@pytest.mark.parametrize("method", ["POST", "DELETE", "BREW"])
def test_other_methods_are_refused_with_a_problem(server, method):
    answer = requests.request(method, f"{server.url}/schemas")
    assert (answer.status_code, answer.json()["status"]) == (405, 405)


@pytest.mark.parametrize(
    "request_line", [b"rubbish\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"\x16\x03\x01\x00", b"GET /" + b"x" * 70_000]
)
def test_a_broken_request_does_not_stop_it(server, request_line):
    raw(server.url, request_line)
    assert requests.get(f"{server.url}/health").status_code == 200


def test_a_folder_that_went_away_is_a_problem(server, folder):
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    assert requests.get(f"{server.url}/schemas").json()["status"] == 500


def test_a_client_that_hangs_is_left_and_the_others_are_served(monkeypatch, server):
    monkeypatch.setattr(mock_server._Handler, "timeout", 0.3)
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as hanging:
        hanging.sendall(b"GET /health HT")
        assert requests.get(f"{server.url}/health").status_code == 200
        assert hanging.recv(100) == b""


def test_a_connection_serves_many_requests(server):
    connection = http.client.HTTPConnection(*server.url.removeprefix("http://").split(":"))
    for path, status in (("/schemas", 200), ("/nope", 404), ("/health", 200)):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
    connection.close()


def started(*options: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "DATABASE_URL": "sqlite:////nonexistent/none.sqlite3", "SECRET_KEY": "x" * 50}
    command = [sys.executable, "manage.py", "mock_ontology", *options]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_a_folder_without_a_database_and_stops_cleanly(folder, how):
    process = started("--port", "0", "--dir", str(folder))
    url = process.stdout.readline().split()[-1]
    assert requests.get(f"{url}/schemas").json() == ["item_schema", "thing_schema"]
    process.send_signal(how)
    output, errors = process.communicate(timeout=10)
    assert (process.returncode, "stopped" in output, errors) == (0, True, "")


def test_the_command_says_in_one_sentence_what_it_cannot_have(server):
    process = started("--port", server.url.rpartition(":")[2])
    assert "cannot be had" in process.communicate(timeout=20)[1]
    assert process.returncode == 1
