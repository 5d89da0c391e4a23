"""The two sides: our server, asked over HTTP, and DuckDB in this process, with the same tables and the same rows in them."""

import http.client
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks import callers
from benchmarks.callers import Outcome, Refused
from benchmarks.files import DOCUMENT, KINDS, Flights, write_projects
from benchmarks.raw import Raw
from benchmarks.server import Server
from schema_registry import documents
from schema_registry.mock.folder import SAMPLE
from schema_registry.mock.server import MockOntology
from schema_registry.schema import TableSchema
from schema_registry.sources.native import parse_document

LOADED = "flights_load"  # the table that loads go into; `flights` is read


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    rounds: int
    seconds: float  # for each measurement of small requests
    rows: int  # of the flights
    projects: int  # rows before the first create


@contextmanager
def running(size: Size) -> Iterator["Sides"]:
    """Both sides, in a folder that goes at the end, and a process for the callers."""
    with (
        tempfile.TemporaryDirectory(prefix="duckspawn-benchmark-") as folder,
        ProcessPoolExecutor(1, get_context("spawn")) as pool,
    ):
        sides = Sides(Path(folder), size, pool)
        with sides.started():
            yield sides


class Sides:
    """Ours and raw DuckDB, in new files of one folder."""

    def __init__(self, folder: Path, size: Size, pool: ProcessPoolExecutor) -> None:
        self.folder, self.size, self.pool, self.flights = folder, size, pool, Flights(size.rows)
        self.schemas = _documents(folder / "documents")
        self.keys = [str(uuid.UUID(int=random.getrandbits(128), version=4)) for _ in range(size.projects)]
        self.starts: dict[str, tuple[str, str, str]] = {}

    @contextmanager
    def started(self) -> Iterator[None]:
        with MockOntology(self.folder / "documents") as ontology:
            self.server = Server(self.folder / "ours", ONTO_SERVER_URL=ontology.url)
            self.raw = Raw(self.folder / "raw.db", [self.schemas[name] for name in ("projects", "flights", LOADED)])
            try:
                self._start()
                yield
            finally:
                self.server.stop()
                self.raw.close()

    def _start(self) -> None:
        first = self.server.start()
        self.token = self.server.token()
        idle, raw_start, raw_idle = self.server.memory(), *_raw_start(self.folder / "started.db")
        self.server.stop()
        again = self.server.start()
        self.starts = {
            "first start": (f"{first:.1f} s", f"{raw_start:.2f} s", f"database, first user, {len(self.schemas)} tables; raw: import, open"),
            "start again": (f"{again:.1f} s", f"{raw_start:.2f} s", "looks whether the tables are as they should be"),
            "idle memory": (f"{idle:.0f} MiB", f"{raw_idle:.0f} MiB", "resident, the process that serves"),
        }

    def fill(self, *, flights: bool = True) -> None:
        """Both sides' projects, and flights where they are wanted."""
        projects = self.folder / "projects.csv"
        write_projects(projects, self.keys)
        for table, file in (("projects", projects), *((("flights", self.flights.file("CSV")),) if flights else ())):
            self.load(table, file, "CSV")
            self.raw.load(table, file, "CSV")

    # Ours, over HTTP.

    def call(self, requests: list[bytes], clients: int) -> Outcome:
        """So many clients send the requests in turn for the seconds of a measurement."""
        return self._watched(lambda: self._elsewhere(callers.call_server, requests, clients, self.size.seconds))

    def load(self, table: str, file: Path, kind: str) -> Outcome:
        """A file into a table. Raises Refused."""
        start = callers.head("POST", f"/ops/{table}", self.token, file.stat().st_size, Content_Type=KINDS[kind])

        def sent() -> Outcome:
            outcome, answer = self._elsewhere(callers.upload, start, file)
            return replace(outcome, rows=json.loads(answer)["inserted"])

        return self._watched(sent)

    def export(self, table: str, kind: str, rows: int) -> Outcome:
        """All rows of a table, thrown away as they come. Raises Refused."""
        start = callers.head("GET", f"/ops/{table}", self.token, Accept=KINDS[kind], Connection="close")
        return self._watched(lambda: replace(self._elsewhere(callers.download, start)[0], rows=rows))

    def fetched(self, table: str, kind: str) -> Path:
        """All rows of a table as a file, for somebody to look at."""
        file = self.folder / f"fetched.{kind.lower()}"
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=callers.PATIENCE)
        connection.request("GET", f"/ops/{table}", headers={"Authorization": f"Bearer {self.token}", "Accept": KINDS[kind]})
        with connection.getresponse() as answer, file.open("wb") as target:
            shutil.copyfileobj(answer, target)
        connection.close()
        return file

    def renew(self, table: str) -> None:
        """Drops the table and makes it again, without rows. Raises Refused."""
        self.ask("DELETE", f"/admin/tables/{table}?confirm={table}")
        self.ask("POST", "/admin/tables", json.dumps({"schema": table}).encode(), Content_Type="application/json")

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[bytes, dict[str, str]]:
        """One request that is not measured: the answer's body and headers. Raises Refused."""
        status, answer, told = self.server.ask(method, path, body, Authorization=f"Bearer {self.token}", **headers)
        if status >= 300:
            raise Refused(status, answer.decode(errors="replace"))
        return answer, told

    def refuses(self, method: str, path: str, **headers: str) -> int:
        """The status where the server does not know a format (406, 415), else 0."""
        try:
            self.ask(method, path, b" " if method == "POST" else b"", **headers)
        except Refused as refused:
            return refused.status if refused.status in (406, 415) else 0
        return 0

    def _elsewhere(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Runs a caller in the other process, for Python runs one thread at a time."""
        return self.pool.submit(call, self.server.port, *arguments).result()

    def _watched(self, call: Callable[[], Outcome]) -> Outcome:
        with self.server.watched() as most:
            outcome = call()
        return replace(outcome, peak=most[0])


def _documents(folder: Path) -> dict[str, TableSchema]:
    """The sample ontology and the flights, twice; gives each table's schema."""
    shutil.copytree(SAMPLE, folder)
    for other in DOCUMENT.parent.glob("*.json"):
        shutil.copy(other, folder)
    flights = DOCUMENT.read_text()
    (folder / f"{LOADED}.json").write_text(flights.replace('"name": "flights"', f'"name": "{LOADED}"', 1))
    read = (parse_document(documents.read(path.read_bytes()), path.stem) for path in sorted(folder.glob("*.json")))
    return {schema.name: schema for schema in read}


def _raw_start(file: Path) -> tuple[float, float]:
    """Seconds until a fresh Python has a new DuckDB file open, and its resident memory in MiB."""
    code = f"import duckdb, psutil; duckdb.connect({str(file)!r}); print(psutil.Process().memory_info().rss)"
    started = time.perf_counter()
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return time.perf_counter() - started, int(printed) / 2**20
