"""The console's first page: what needs its reader now, then how the service is, each as far as they may see it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Max
from django.utils import timezone

from monitoring import charts
from monitoring.checks import said
from monitoring.models import Sample
from projects import audit, drift
from projects.models import Job, Plan
from projects.plans import OPEN
from projects.store import tables
from projects.store.connection import Store, get_store
from projects.store.tables import Size
from schema_registry import rights
from schema_registry.errors import SpawnError
from schema_registry.models import Snapshot
from schema_registry.ontology import without_user

LARGEST = 10  # tables
NAMES = {"cpu": "Processors", "memory": "Memory", "disk": "Disk", "database": "Django's database"}  # of checks, for a reader
RECENT = timedelta(days=1)  # how long a failed job is news
STALE = timedelta(days=1)  # how old a source's word may be where no schedule asks for it
LATE = 3  # so many intervals without a sample, and the last one says nothing of now


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that needs a person: how many of it (none where it is not counted), in words, and the page to do it on."""

    words: str
    link: str
    state: str
    count: int | None = None


def home(user: Any, span: str) -> dict[str, Any]:
    """The page for this reader; `span` is one of charts.SPANS, by default the first."""
    may = {right: rights.allows(user, None, right) for right in rights.ALL}
    here, last = _opened(), _last_sample()
    waiting = list(_waiting(user, may, here, last))
    page = {"waiting": waiting, "has_role": any(may.values()), "may": {"manage_tables": may[rights.MANAGE_TABLES]}}
    return page | _state(may, here.store, last) | charts.drawn(may, span)


@dataclass(frozen=True, slots=True)
class Here:
    """The store, where its file can be opened, else the reason why not."""

    store: Store | None
    problem: str = ""


def _opened() -> Here:
    store = get_store()
    try:
        store.connection()
    except SpawnError as error:
        return Here(None, str(error))
    return Here(store)


def _last_sample() -> Sample | None:
    """The newest sample, where it still says something of now."""
    late = timedelta(seconds=LATE * (settings.SAMPLE_EVERY or 60))
    return Sample.objects.filter(hourly=False, at__gt=timezone.now() - late).first()


# What needs a person.


def _waiting(user: Any, may: dict[str, bool], here: Here, last: Sample | None) -> Iterator[Waiting]:
    store = here.store
    if here.problem:
        yield Waiting(f"DuckDB cannot be read now. {here.problem}", "/monitoring/health", "down")
    if may[rights.READ_AUDIT] and store:
        yield from _chain()
    if may[rights.MANAGE_TABLES]:
        yield from _sync()
        yield from _plans()
        yield from _drift(store) if store else ()
    yield from _failed_jobs(user, everybodys=may[rights.MANAGE_JOBS])
    if may[rights.MANAGE_TABLES] or may[rights.OPERATE]:
        yield from _source(last)
    if may[rights.OPERATE] and last:
        found = {name: detail for name, detail in last.troubles.items() if name not in ("onto_server", "duckdb")}
        yield from (Waiting(f"{NAMES.get(name, name)}: {detail}", "/monitoring/health", "degraded") for name, detail in found.items())


def _chain() -> Iterator[Waiting]:
    verdict = audit.standing().verdict
    if not verdict.ok:
        yield Waiting(f"The audit log's chain is broken: {verdict.detail}.", "/console/audit/", "failed")


def _sync() -> Iterator[Waiting]:
    """The last sync, where it could not do a table: its job is done all the same."""
    last = Job.objects.filter(kind="sync", state=Job.State.DONE).order_by("-finished_at").values_list("id", "result__failed").first()
    if last and last[1]:
        yield Waiting("The last sync could not do every table.", f"/console/jobs/{last[0]}/", "failed")


def _plans() -> Iterator[Waiting]:
    states = list(Plan.objects.filter(state__in=OPEN).order_by().values_list("state", flat=True))
    for state, words in ((Plan.State.PROPOSED, "waiting for a decision"), (Plan.State.APPROVED, "approved and not applied")):
        if count := states.count(state):
            yield Waiting(f"plan{_s(count)} {words}", f"/console/plans/?state={state}", "waiting", count)


DRIFTED = {
    "altered": "table{s} altered by hand",
    "missing": "table{s} missing from the file",
    "orphaned": "table{s} that the ontology no longer lists",
    "behind": "table{s} behind the ontology, with no plan yet",
}


def _drift(store: Store) -> Iterator[Waiting]:
    """Tables that are not as they should be. One that is behind and has a plan is waiting with its plan already."""
    found = [one for one in drift.look(store, store.tables()).values() if one.state != "behind" or one.plan is None]
    for state, words in DRIFTED.items():
        if count := sum(one.state == state for one in found):
            yield Waiting(words.format(s=_s(count)), f"/console/tables/?state={state}", state, count)
    if count := len(drift.foreign(store)):
        yield Waiting(f"table{_s(count)} in the file that nobody here made", "/console/tables/", "missing", count)


def _failed_jobs(user: Any, *, everybodys: bool) -> Iterator[Waiting]:
    failed = Job.objects.filter(state=Job.State.FAILED, finished_at__gt=timezone.now() - RECENT)
    count = (failed if everybodys else failed.filter(created_by=user.pk)).count()
    if count:
        yield Waiting(f"job{_s(count)} failed since yesterday", "/console/jobs/?state=failed", "failed", count)


def _source(last: Sample | None) -> Iterator[Waiting]:
    """A source that cannot be relied on: the sample ontology, one that gives no answer, or one that was long not asked."""
    seen = Snapshot.objects.aggregate(seen=Max("last_seen_at"))["seen"]
    allowed = max(timedelta(seconds=2 * settings.SYNC_EVERY), timedelta(hours=1)) if settings.SYNC_EVERY else STALE
    if settings.USE_MOCK_ONTO_SERVER:
        yield Waiting("The sample ontology stands in for an ontology server.", "/console/schemas/", "mock")
    elif last and "onto_server" in last.troubles:
        yield Waiting(last.troubles["onto_server"], "/console/schemas/", "down")
    elif seen is None:
        yield Waiting("No schema was fetched yet.", "/console/schemas/", "stale")
    elif timezone.now() - seen > allowed:
        words = f"The ontology server was last asked for its schemas {said(timezone.now() - seen)} ago."
        yield Waiting(words, "/console/schemas/", "stale")


def _s(count: int) -> str:
    return "" if count == 1 else "s"


# How the service is.


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure of the state: its name, its value in words, and what it is of."""

    name: str
    value: str
    detail: str = ""
    moment: datetime | None = None


def _state(may: dict[str, bool], store: Store | None, last: Sample | None) -> dict[str, Any]:
    """The facts and the largest tables, for a reader who may see rows."""
    if not may[rights.READ_ROWS]:
        return {}
    rows = tables.estimated_rows(store) if store else {}
    largest = tables.largest(store, LARGEST) if store else []
    facts = [*(_of_store(store, rows) if store else ()), _of_source(last)]
    return {"facts": facts, "number": len(rows), "largest": [(one, size.rows, _on_disk(size)) for one, size in largest]}


def _on_disk(size: Size) -> str:
    """What was written lately is in the write-ahead log until that is folded into the file."""
    return charts.in_bytes(size.bytes) if size.bytes or not size.rows else "in the log"


def _of_store(store: Store, rows: dict[str, int]) -> Iterator[Fact]:
    yield Fact("Tables", f"{len(rows):,}")
    yield Fact("Rows, about", charts.short(sum(rows.values())))
    yield Fact("File on disk", charts.in_bytes(store.path.stat().st_size))


def _of_source(last: Sample | None) -> Fact:
    seen = Snapshot.objects.aggregate(seen=Max("last_seen_at"))["seen"]
    if settings.USE_MOCK_ONTO_SERVER:
        return Fact("Ontology", "mock", "the sample ontology inside", seen)
    if last is None:
        return Fact("Ontology", "not asked", "no sample of the last minutes", seen)
    return Fact("Ontology", "silent" if "onto_server" in last.troubles else "answers", without_user(settings.ONTO_SERVER_URL), seen)
