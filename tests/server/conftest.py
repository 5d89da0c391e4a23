"""A real server, as a newcomer starts it: `manage.py up` in a process of its own, with files of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.settings import STATIC_ROOT

ROOT = Path(__file__).parents[2]
PASSWORD = "a long enough pass phrase"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A service in `folder`; started, killed and started again at will. `session` has a superuser's token."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
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
            "DJANGO_SUPERUSER_USERNAME": "root",
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
            "USE_MOCK_ONTO_SERVER": "true",
            "DUCKDB_THREADS": "2",
            "STATIC_DIR": STATIC_ROOT,  # Two that start at once from one checkout must not collect into one folder.
            **settings,
        }
        self.session = requests.Session()
        self.process: subprocess.Popen[bytes] | None = None

    def command(self, *words: str, **settings: str) -> list[str] | subprocess.CompletedProcess[str]:
        """Runs one management command to its end."""
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=self.environment | settings,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def start(self) -> "Server":
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([sys.executable, "manage.py", "up"], cwd=ROOT, env=self.environment, stdout=log, stderr=log)
        for _ in range(600):
            if self.process.poll() is not None:
                break
            try:
                if requests.get(f"{self.url}/monitoring/ready", timeout=5).status_code == 200:
                    self._sign_in()
                    return self
            except (requests.ConnectionError, requests.Timeout):
                pass
            time.sleep(0.1)
        raise AssertionError(f"the server did not start:\n{self.log.read_text()}")

    def _sign_in(self) -> None:
        if "Authorization" not in self.session.headers:
            answer = requests.post(f"{self.url}/auth/tokens", auth=("root", PASSWORD), timeout=10)
            assert answer.status_code == 201, answer.text
            self.session.headers["Authorization"] = f"Bearer {answer.json()['token']}"

    def get(self, path: str, **more) -> requests.Response:
        return self.session.get(self.url + path, timeout=60, **more)

    def post(self, path: str, **more) -> requests.Response:
        return self.session.post(self.url + path, timeout=120, **more)

    def children(self) -> list[int]:
        """The processes that the server started: gunicorn's worker."""
        assert self.process
        found = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False)
        return [int(pid) for pid in found.stdout.split()]

    def kill(self) -> None:
        """As a power cut would, for every process of the server at once."""
        assert self.process
        children = self.children()
        for pid in (self.process.pid, *children):
            os.kill(pid, signal.SIGKILL)
        self.process.wait()
        while any(Path(f"/proc/{pid}").exists() and "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text() for pid in children):
            time.sleep(0.01)  # A process that is dying holds its files a moment longer.

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=40)
            except subprocess.TimeoutExpired:
                self.kill()
                raise


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with the sample ontology, not yet started."""
    made = Server(tmp_path)
    yield made
    made.stop()
