"""A real server whose every secret can be recognised, and which logs at the finest level: its output has none of them."""

import socket
from pathlib import Path

import pytest
import requests

from tests.server.conftest import PASSWORD, Server

MARK = "hush"
SETTINGS = {
    "LOG_LEVEL": "DEBUG",
    "SECRET_KEY": f"{MARK}-key" * 8,
    "USE_MOCK_ONTO_SERVER": "false",
    "ONTO_SERVER_URL": f"http://ann:{MARK}-ontology@127.0.0.1:1",
    "NOTIFY_URL": f"http://127.0.0.1:1/{MARK}-path?token={MARK}-query",
    "NOTIFY_SECRET": f"{MARK}-webhook",
    "NOTIFY_MAIL": "ann@example.org",
    "EMAIL_URL": f"smtp://ann:{MARK}-mail@127.0.0.1:1",
}


def raw(server: Server, *lines: str) -> str:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall("\r\n".join((*lines, "", "")).encode())
        return connection.recv(65_536).decode()


@pytest.mark.long
def test_nothing_that_a_server_prints_or_answers_has_a_secret(tmp_path: Path):
    server = Server(tmp_path, **SETTINGS)
    try:
        server.start()
        said = [
            raw(server, f"GET /admin?token={MARK} HTTP/1.1", "Host: localhost", f"Authorization : Bearer {MARK}-bearer"),
            raw(
                server, "GET /admin HTTP/1.1", "Host: localhost", f"Authorization: Bearer {MARK}-bearer", f"Cookie: sessionid={MARK}", "No"
            ),
            raw(server, f"{MARK} /admin HTTP/9", "Host: localhost"),
            requests.get(f"{server.url}/admin", auth=("root", f"{MARK}-wrong"), timeout=20).text,
            requests.get(f"{server.url}/console/?token={MARK}", cookies={"sessionid": f"{MARK}-session"}, timeout=20).url.partition("?")[0],
            server.post("/admin/tables", json={"schema": "unseen"}).text,
            *(
                server.get(f"/{path}?token={MARK}").text
                for path in ("ops/none", "monitoring/health", "metrics", "admin/drift", "openapi.json")
            ),
        ]
        tried = server.command("up", "--no-serve", DATABASE_URL=f"postgres://ann:{MARK}-database@127.0.0.1:1/x")
    finally:
        server.stop()
    log = server.log.read_text()
    assert '"level":"debug"' in log and "ontology-unavailable" in log
    assert tried.returncode != 0
    everything = "\n".join((*said, log, tried.stdout, tried.stderr))
    assert [line for line in everything.splitlines() if MARK in line or PASSWORD in line] == []
    token = server.session.headers["Authorization"].split()[1]
    assert token not in everything
