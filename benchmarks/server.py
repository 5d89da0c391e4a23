"""Servers to measure: `manage.py up` and the bare view's, each in a process of its own with files of its own."""

import base64
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
USER, PASSWORD = "root", "a long enough pass phrase"
UP = [sys.executable, "manage.py", "up"]
GUNICORN = [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "duckspawn_site.wsgi"]
PATIENCE = 120  # seconds for a start


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A service in `folder`, with production's settings but for `settings`."""

    def __init__(self, folder: Path, command: list[str], **settings: str) -> None:
        self.folder, self.command, self.port = folder, command, free_port()
        self.log = folder / "server.log"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "DUCKSPAWN_ENV_FILE": os.devnull,
            "DATABASE_URL": f"sqlite:///{folder / 'app.sqlite3'}",
            "DUCKDB_PATH": str(folder / "data.db"),
            "PORT": str(self.port),
            "DJANGO_SUPERUSER_USERNAME": USER,
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
            **{name: os.environ[name] for name in ("STATIC_DIR",) if name in os.environ},
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Starts it; gives the seconds until it is ready. Raises RuntimeError with its log."""
        started = time.perf_counter()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)
        while time.perf_counter() - started < PATIENCE and self.process.poll() is None:
            try:
                if self.ask("GET", "/monitoring/ready")[0] == 200:
                    return time.perf_counter() - started
            except OSError:
                pass
            time.sleep(0.02)
        raise RuntimeError(f"the server did not start:\n{self.log.read_text()}")

    def ask(self, method: str, path: str, **headers: str) -> tuple[int, bytes]:
        """One request on a connection of its own: the answer's status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def token(self) -> str:
        """A superuser's bearer token."""
        basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        status, body = self.ask("POST", "/auth/tokens", Authorization=f"Basic {basic}")
        if status != 201:
            raise RuntimeError(body.decode(errors="replace"))
        return json.loads(body)["token"]

    def memory(self) -> float:
        """The resident memory of the process that serves, in MiB."""
        workers = psutil.Process(self.process.pid).children(recursive=True) if self.process else []
        return max(worker.memory_info().rss for worker in workers) / 2**20

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
