"""The clients of soak.py: each does one work after the other on a connection of its own, and notes the status of every answer."""

import http.client
import json
import random
import socket
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from multiprocessing.connection import Connection
from urllib.parse import urlencode

import pyarrow as pa
import pyarrow.parquet

from benchmarks.files import CELLS, KINDS
from benchmarks.server import PASSWORD, USER

LOADED = 200  # rows of a load
HELD = 40  # rows that a client has created and not yet deleted
GOOD = frozenset(range(200, 400))
DELIBERATE = frozenset({429, 503})
PATIENCE = 120  # seconds for an answer
Told = tuple[int, bytes, dict[str, str]]


class Client:
    """One client: a connection, its rows, and what it has seen. `expected` are the statuses that a work may get beside success."""

    def __init__(self, port: int, token: str, seed: int) -> None:
        self.port, self.token, self.number = port, token, seed
        self.random, self.seen = random.Random(seed), Counter[tuple[str, int]]()
        self.wrong: list[str] = []
        self.rows: deque[tuple[str, str]] = deque()  # addresses and tags
        self.since, self.work, self.cookie = "0", "", ""
        self.files = _files(seed)
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)

    def ask(self, method: str, path: str, body: bytes = b"", *expected: int, **headers: str) -> Told:
        """One request; whatever is neither success, expected nor deliberate is noted as wrong."""
        given = {"Authorization": f"Bearer {self.token}", **{name.replace("_", "-"): value for name, value in headers.items()}}
        try:
            self.connection.request(method, path, body or None, given)
            answer = self.connection.getresponse()
            told = answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}
        except (OSError, http.client.HTTPException) as failure:
            self.connection.close()
            told = 0, repr(failure).encode(), {}
        self.seen[self.work, told[0]] += 1
        if told[0] not in GOOD | DELIBERATE and told[0] not in expected:
            self.wrong.append(f"{self.work}: {method} {path[:120]} {told[0]} {told[1][:300]!r}")
        return told

    def send(self, method: str, path: str, body: object, *expected: int, **headers: str) -> Told:
        return self.ask(method, path, json.dumps(body).encode(), *expected, Content_Type="application/json", **headers)

    # Rows.

    def create(self) -> None:
        status, _, told = self.send("POST", "/ops/projects", CELLS, Idempotency_Key=str(uuid.uuid4()))
        if status == 201:
            self.rows.append((told["location"], told["etag"]))
        while len(self.rows) > HELD:
            self.delete()

    def read(self) -> None:
        if self.rows:
            self.ask("GET", self.random.choice(self.rows)[0])

    def patch(self) -> None:
        if self.rows:
            address, tag = self.rows.popleft()
            status, _, told = self.send("PATCH", address, {"dscr": self.random.randrange(1, 9)}, If_Match=tag)
            self.rows.append((address, told["etag"] if status == 200 else tag))

    def delete(self) -> None:
        if self.rows:
            address, tag = self.rows.popleft()
            if self.ask("DELETE", address)[0] in DELIBERATE:
                self.rows.append((address, tag))

    def refused(self) -> None:
        self.send("POST", "/ops/projects", {**CELLS, "total_amount": "many"}, 422)
        self.ask("GET", f"/ops/projects/{uuid.uuid4()}", b"", 404)
        self.ask("GET", "/ops/projects?nothing=1", b"", 400)

    # Lists.

    def page(self) -> None:
        _, _, told = self.ask("GET", "/ops/projects?sort=-total_amount&limit=50")
        if "link" in told:
            self.ask("GET", told["link"].partition(">")[0].removeprefix("<"))

    def filtered(self) -> None:
        self.ask("GET", "/ops/projects?status=ACTIVE&dscr__gte=2&project_name__icontains=park&limit=20", Prefer="count=exact")

    def aggregate(self) -> None:
        self.ask("GET", "/ops/projects/aggregate?group_by=status&agg=count,sum(total_amount)")

    def query(self) -> None:
        sql = "SELECT status, count(*) AS n, avg(dscr) AS d FROM projects WHERE dscr > ? GROUP BY ALL"
        self.send("POST", "/ops/query", {"sql": sql, "params": [self.random.randrange(9)]})

    def changes(self) -> None:
        _, _, told = self.ask("GET", f"/ops/projects/changes?since={self.since}&limit=200", b"", 410)
        self.since = told.get("x-last-seq", "0") if told else self.since
        if self.since == "0":
            _, body, _ = self.ask("GET", "/ops/projects/changes?limit=1")
            self.since = str(json.loads(body)[-1]["seq"]) if body.startswith(b"[{") else "0"

    def stream(self) -> None:
        """Events for half a second; then the client leaves without a word."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as listening:
            head = f"GET /ops/projects/changes HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.token}\r\n"
            listening.sendall(f"{head}Accept: text/event-stream\r\n\r\n".encode())
            first = listening.recv(65_536)
            self.seen[self.work, int(first[9:12] or 0)] += 1
            time.sleep(0.5)

    # Files.

    def load(self) -> None:
        kind = self.random.choice(list(self.files))
        self.ask("POST", "/ops/projects?on_conflict=update", self.files[kind], Content_Type=KINDS[kind])

    def export(self) -> None:
        self.ask("GET", "/ops/projects", Accept=KINDS[self.random.choice(["CSV", "NDJSON", "Parquet", "Arrow"])])

    def export_later(self) -> None:
        status, _, told = self.ask("GET", "/ops/projects", Accept=KINDS["CSV"], Prefer="respond-async")
        if status == 202 and self._ended(told["location"]) == "done":
            self.ask("GET", f"{told['location']}/file")

    def _ended(self, job: str) -> str:
        for _ in range(300):
            status, body, _ = self.ask("GET", job)
            if status == 200 and (state := json.loads(body)["state"]) not in ("queued", "running"):
                return state
            time.sleep(0.1)
        return ""

    # Stewards, operators, and people with a browser.

    def plan(self) -> None:
        """A column more on a table of this client's, and its undo."""
        name = f"soaked_{self.number}"
        columns = [{"name": "id", "type": "INTEGER", "required": True}, {"name": "note", "type": "VARCHAR"}]
        document = {"name": name, "columns": [*columns, {"name": "more", "type": "DOUBLE"}]}
        _, body, _ = self.send("PUT", f"/admin/tables/{name}", {"schema": document}, 404, 409)
        if body.startswith(b'{"plan"') and (number := json.loads(body)["plan"]["id"]):
            self.send("POST", f"/admin/plans/{number}/undo", {"confirm": name}, 409)

    def sync(self) -> None:
        status, _, told = self.send("POST", "/admin/sync", {})
        if status == 202:
            self._ended(told["location"])

    def watch(self) -> None:
        for path in (
            "/monitoring/live",
            "/monitoring/ready",
            "/monitoring/health",
            "/metrics",
            "/monitoring/metrics/system",
            "/admin/tables",
        ):
            self.ask("GET", path)

    def console(self) -> None:
        if not self.cookie:
            self._sign_in()
        for page in ("", "tables/", "tables/projects/", "tables/projects/rows/?sort=-dscr", "plans/", "jobs/", "audit/", "query/"):
            self.ask("GET", f"/console/{page}", Cookie=self.cookie, Accept="text/html", Authorization="")

    def _sign_in(self) -> None:
        _, body, told = self.ask("GET", "/console/login/", Accept="text/html", Authorization="")
        crumb = told.get("set-cookie", "").partition(";")[0]
        token = body.partition(b'name="csrfmiddlewaretoken" value="')[2].partition(b'"')[0].decode()
        form = urlencode({"username": USER, "password": PASSWORD, "csrfmiddlewaretoken": token, "next": "/console/"}).encode()
        kinds = {"Content_Type": "application/x-www-form-urlencoded", "Accept": "text/html"}
        status, _, told = self.ask("POST", "/console/login/", form, Cookie=crumb, Authorization="", **kinds)
        self.cookie = f"{crumb}; {told.get('set-cookie', '').rpartition('sessionid=')[2].partition(';')[0].join(('sessionid=', ''))}"
        if status != 302:
            self.cookie = ""


# How often each is drawn.
WORKS: dict[Callable[[Client], None], int] = {
    Client.create: 24,
    Client.read: 30,
    Client.patch: 8,
    Client.delete: 6,
    Client.refused: 3,
    Client.page: 8,
    Client.filtered: 8,
    Client.aggregate: 4,
    Client.query: 4,
    Client.changes: 4,
    Client.stream: 1,
    Client.load: 3,
    Client.export: 3,
    Client.export_later: 1,
    Client.plan: 1,
    Client.sync: 1,
    Client.watch: 2,
    Client.console: 2,
}


def run(port: int, token: str, clients: int, told: Connection) -> None:
    """So many clients until somebody says enough; tells what each saw."""
    over, made = threading.Event(), [Client(port, token, number) for number in range(clients)]

    def work(client: Client) -> None:
        while not over.is_set():
            (chosen,) = client.random.choices(list(WORKS), WORKS.values())
            client.work = chosen.__name__
            chosen(client)

    threads = [threading.Thread(target=work, args=(client,)) for client in made]
    for thread in threads:
        thread.start()
    with suppress(EOFError):
        told.recv()
    over.set()
    for thread in threads:
        thread.join()
    for client in made:
        client.connection.close()
    told.send((sum((client.seen for client in made), Counter()), [line for client in made for line in client.wrong]))


def _files(seed: int) -> dict[str, bytes]:
    """The same rows of this client's in each format."""
    numbers = count(seed * LOADED)
    rows = [{"project_id": str(uuid.UUID(int=next(numbers))), **CELLS} for _ in range(LOADED)]
    lines = "".join(f"{json.dumps(row)}\n" for row in rows)
    table, buffers = pa.Table.from_pylist(rows).drop_columns(["description"]), [pa.BufferOutputStream() for _ in range(2)]
    with pa.ipc.new_stream(buffers[0], table.schema) as writer:
        writer.write_table(table)
    pa.parquet.write_table(table, buffers[1])
    head = [name for name in rows[0] if name != "description"]
    cells = "".join(",".join(str(row[name]) for name in head) + "\n" for row in rows)
    return {
        "JSON": json.dumps(rows).encode(),
        "NDJSON": lines.encode(),
        "CSV": f"{','.join(head)}\n{cells}".encode(),
        "Arrow": buffers[0].getvalue().to_pybytes(),
        "Parquet": buffers[1].getvalue().to_pybytes(),
    }
