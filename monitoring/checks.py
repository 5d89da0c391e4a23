"""What is looked at to say whether the service is well. Each check is a value that runs and says what it found.

What was found is kept for KEPT seconds and found anew in the background, so that probes cannot load the service. While a check runs,
its last finding stands; one that runs for longer than its timeout has failed, and is not started again while it hangs.
"""

import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import psutil
import structlog
from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone

from monitoring.kept import FIRST, Kept
from monitoring.system import standing
from projects import clock
from projects.store.connection import get_store
from schema_registry.database import check_step, told
from schema_registry.errors import SpawnError
from schema_registry.models import Snapshot
from schema_registry.ontology import OntologyClient

KEPT = 5.0  # seconds
PATIENCE = 3.0  # seconds that whoever has checks run waits for them: as long as the ontology server is given, and a little
BRIEF = 0.5  # seconds that a probe waits, which Kubernetes gives one second
GIB, MIB = 2**30, 2**20

HEALTHY, DEGRADED, UNHEALTHY = "healthy", "degraded", "unhealthy"
# Without these two nothing can be served.
VITAL = ("database", "duckdb")

log = structlog.get_logger("duckspawn.health")


class CheckWarned(Exception):
    """The check found something that a person should look at."""


class CheckFailed(Exception):
    """The check found something broken."""


class Check(Protocol):
    """One thing to look at, within `timeout` seconds. `run` says what it found, or raises CheckWarned or CheckFailed with the sentence."""

    @property
    def timeout(self) -> float: ...

    def run(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: healthy, degraded or unhealthy, a sentence, and how long it took (seconds)."""

    status: str
    detail: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Cpu:
    """Warns where the processors are busy and much more waits for them: one of the two alone is ordinary work."""

    warn_percent: float = 95
    warn_load: float = 4  # processes for each processor, over a minute
    timeout: float = 2.0

    def run(self) -> str:
        percent, count = psutil.cpu_percent(interval=0.1), psutil.cpu_count() or 1
        load = psutil.getloadavg()[0] / count
        detail = f"{percent:.0f} % busy, {load:.1f} processes for each of {count} processors"
        if percent >= self.warn_percent and load >= self.warn_load:
            raise CheckWarned(detail)
        return detail


@dataclass(frozen=True, slots=True)
class Memory:
    """Warns where the machine has hardly any memory left."""

    warn_percent: float = 95
    timeout: float = 2.0

    def run(self) -> str:
        memory = psutil.virtual_memory()
        detail = f"{memory.percent:.0f} % used, {memory.available / GIB:.1f} GiB available"
        if memory.percent >= self.warn_percent:
            raise CheckWarned(detail)
        return detail


@dataclass(frozen=True, slots=True)
class Disk:
    """Looks at the disk that has the DuckDB file."""

    folder: Path
    warn_bytes: int = GIB
    fail_bytes: int = 100 * MIB
    timeout: float = 5.0

    def run(self) -> str:
        free = shutil.disk_usage(standing(self.folder)).free
        detail = f"{free / GIB:.1f} GiB free"
        if free < self.fail_bytes:
            raise CheckFailed(detail)
        if free < self.warn_bytes:
            raise CheckWarned(detail)
        return detail


@dataclass(frozen=True, slots=True)
class Database:
    """Asks Django's database whether it is of this version."""

    timeout: float = 5.0

    def run(self) -> str:
        check_step()
        return f"{connection.vendor} answers"


@dataclass(frozen=True, slots=True)
class DuckDB:
    """Asks DuckDB a question. A commit of ten seconds, which every reader waits for, is no fault."""

    timeout: float = 15.0

    def run(self) -> str:
        store = get_store()
        with store.read() as cursor:
            cursor.execute("SELECT 1").fetchall()
        return f"answers, {len(store.tables())} tables"


@dataclass(frozen=True, slots=True)
class OntologyServer:
    """Asks the ontology server. Without it the tables are served as they are, so its silence is never more than a warning."""

    patience: float = 2.0  # seconds; whoever asks for our health does not wait for long
    timeout: float = 5.0

    def run(self) -> str:
        if settings.USE_MOCK_ONTO_SERVER:
            return "mock: the sample ontology inside stands in for a server"
        try:
            client = OntologyClient(settings.ONTO_SERVER_URL, timeout=min(settings.ONTO_SERVER_TIMEOUT, self.patience))
            answer = client.health()
        except SpawnError as error:
            raise CheckWarned(str(error)) from error
        if not answer.healthy:
            raise CheckWarned(f"The ontology server at {client.url} is not well: {answer.detail}. {_newest_snapshot()}")
        return f"{client.url}: {answer.detail}"


def _newest_snapshot() -> str:
    newest = Snapshot.objects.order_by("-last_seen_at").first()
    if newest is None:
        return "There is no snapshot yet."
    return f"The newest snapshot was seen {said(timezone.now() - newest.last_seen_at)} ago."


def said(span: timedelta) -> str:
    """A span for a reader: its largest unit alone."""
    seconds = max(int(span.total_seconds()), 0)
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{seconds} seconds"


@dataclass(frozen=True, slots=True)
class Clock:
    """Warns where the machine's clock was set while this process ran."""

    timeout: float = 2.0

    def run(self) -> str:
        leapt = clock.leapt()
        if not clock.is_trusted():
            way = f"{'forward' if leapt > timedelta() else 'back'} by {said(abs(leapt))}"
            raise CheckWarned(f"The clock was set {way} since the start; until a restart no archive is purged for its age.")
        return "goes evenly"


def checks() -> dict[str, Check]:
    """The checks by name, as /monitoring/health shows them."""
    return {
        "cpu": Cpu(),
        "memory": Memory(),
        "disk": Disk(Path(settings.DUCKDB_PATH).parent, fail_bytes=max(settings.DISK_RESERVE, 100 * MIB)),
        "clock": Clock(),
        "database": Database(),
        "duckdb": DuckDB(),
        "onto_server": OntologyServer(),
    }


def overall(findings: Mapping[str, Finding]) -> str:
    """Unhealthy where what is vital failed, degraded where anything else is not healthy."""
    if any(findings[name].status == UNHEALTHY for name in VITAL if name in findings):
        return UNHEALTHY
    return HEALTHY if all(f.status == HEALTHY for f in findings.values()) else DEGRADED


class Runner:
    """Runs checks side by side in threads of their own, at most one for each, and keeps what they found for a while."""

    def __init__(self, *, kept: float = KEPT) -> None:
        self._kept = kept
        self._lock = threading.Lock()
        self._findings: dict[str, Kept[Finding]] = {}

    def findings(self, wanted: Mapping[str, Check], *, patience: float = PATIENCE) -> dict[str, Finding]:
        """What each check found last. Whoever has them run waits for at most `patience` seconds, who comes meanwhile hardly at all."""
        looks = {name: self._look(name, check) for name, check in wanted.items()}
        began = {name for name, look in looks.items() if look.begin()}
        until = time.monotonic() + (patience if began else FIRST)
        for name, look in looks.items():
            if name in began or look.value is None:
                look.wait(min(until - time.monotonic(), wanted[name].timeout - look.silent_for))
        return {name: _standing(look, wanted[name].timeout) for name, look in looks.items()}

    def forget(self) -> None:
        """Drops what was found; the next question runs the checks."""
        with self._lock:
            self._findings = {}

    def _look(self, name: str, check: Check) -> Kept[Finding]:
        with self._lock:
            if name not in self._findings:
                self._findings[name] = Kept(f"check {name}", lambda: _find(name, check), kept=self._kept)
            return self._findings[name]


def _standing(look: Kept[Finding], timeout: float) -> Finding:
    """The last finding, unless its check has been silent for too long since, or never said anything."""
    silent = look.silent_for
    if silent >= timeout:
        return Finding(UNHEALTHY, f"gave no answer within {timeout:g} seconds", round(silent, 4))
    return look.value or Finding(UNHEALTHY, "has not answered yet", round(silent, 4))


def _find(name: str, check: Check) -> Finding:
    """Runs one check. Whatever goes wrong in it is a finding, and an unforeseen error is in the log with its trace."""
    started = time.perf_counter()
    try:
        status, detail = HEALTHY, check.run()
    except CheckWarned as warning:
        status, detail = DEGRADED, str(warning)
    except CheckFailed as failure:
        status, detail = UNHEALTHY, str(failure)
    except (SpawnError, DatabaseError) as error:
        ours = error if isinstance(error, SpawnError) else told(error)
        status, detail = UNHEALTHY, str(ours or "Django's database failed; the log says how")
    except Exception:
        log.exception("check broke", check=name)
        status, detail = UNHEALTHY, "broke; the log says how"
    return Finding(status, detail, round(time.perf_counter() - started, 4))


_runner = Runner()


def findings(patience: float = PATIENCE) -> dict[str, Finding]:
    """What each of the service's checks found."""
    return _runner.findings(checks(), patience=patience)


def is_ready() -> bool:
    """Whether requests can be served; this asks only what is vital, and so never waits for another server."""
    found = _runner.findings({name: check for name, check in checks().items() if name in VITAL}, patience=BRIEF)
    return overall(found) == HEALTHY


def forget_all() -> None:
    """Drops what was found, as a test's end does."""
    _runner.forget()
