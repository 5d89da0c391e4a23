"""The server that is measured: `manage.py up` with the bare view's address added, in a process of its own with files of its own."""

import base64
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
USER, PASSWORD = "root", "a long enough pass phrase"
UP = [sys.executable, "manage.py", "up"]
KEPT = ("STATIC_DIR", "DUCKDB_MEMORY_LIMIT", "DUCKDB_THREADS", "THREADS")  # settings that may come from whoever runs it
PATIENCE = 120  # seconds for a start
OFTEN = 0.02  # seconds between two looks at the memory


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A service in `folder`, with production's settings but for `settings`."""

    def __init__(self, folder: Path, **settings: str) -> None:
        folder.mkdir()
        self.folder, self.port = folder, free_port()
        self.log = folder / "server.log"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "DUCKSPAWN_ENV_FILE": os.devnull,
            "DATABASE_URL": f"sqlite:///{folder / 'app.sqlite3'}",
            "DUCKDB_PATH": str(folder / "data.db"),
            "PORT": str(self.port),
            "THROTTLE": "off",
            "THROTTLE_ANON": "off",
            "DJANGO_SUPERUSER_USERNAME": USER,
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
            "DJANGO_SETTINGS_MODULE": "benchmarks.bare_settings",
            **{name: os.environ[name] for name in KEPT if name in os.environ},
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.serving: psutil.Process | None = None

    def start(self) -> float:
        """Starts it; gives the seconds until it is ready. Raises RuntimeError with its log."""
        started = time.perf_counter()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(UP, cwd=ROOT, env=self.environment, stdout=log, stderr=log)
        while time.perf_counter() - started < PATIENCE and self.process.poll() is None:
            try:
                if self.ask("GET", "/monitoring/ready")[0] == 200:
                    took = time.perf_counter() - started
                    workers = psutil.Process(self.process.pid).children(recursive=True)
                    self.serving = max(workers, key=lambda worker: worker.memory_info().rss)
                    return took
            except OSError:
                pass
            time.sleep(0.02)
        raise RuntimeError(f"the server did not start:\n{self.log.read_text()}")

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes, dict[str, str]]:
        """One request on a connection of its own: the answer's status, body and headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, path, body or None, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.read(), dict(answer.getheaders())
        finally:
            connection.close()

    def token(self) -> str:
        """A superuser's bearer token."""
        basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        status, body, _ = self.ask("POST", "/auth/tokens", Authorization=f"Basic {basic}")
        if status != 201:
            raise RuntimeError(body.decode(errors="replace"))
        return json.loads(body)["token"]

    def memory(self) -> float:
        """The resident memory of the process that serves, in MiB."""
        assert self.serving
        return self.serving.memory_info().rss / 2**20

    @contextmanager
    def watched(self) -> Iterator[list[float]]:
        """The most memory that is resident while the block runs, in MiB, in a list of one."""
        most, over = [self.memory()], threading.Event()

        def look() -> None:
            while not over.wait(OFTEN):
                most[0] = max(most[0], self.memory())

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            yield most
        finally:
            over.set()
            watcher.join()

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=40)
            except subprocess.TimeoutExpired:
                for child in psutil.Process(self.process.pid).children(recursive=True):
                    child.kill()
                self.process.kill()
                self.process.wait()
