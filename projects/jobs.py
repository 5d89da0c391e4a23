"""Work that outlives a request, or that a command leaves for the owner of the file: what kinds there are, and how one is run."""

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from django.contrib.auth.models import AbstractBaseUser
from django.db import DatabaseError, connections, transaction
from django.db.models import QuerySet
from django.utils import timezone
from rest_framework.utils.encoders import JSONEncoder

from projects import audit, backups, erasing, exports, loads, notices, plan_runs, plans, soundness, sync, undoing
from projects.errors import JobOver, NotAllowed, StoreBusy, UploadGone
from projects.models import Job
from projects.store import books
from projects.store.connection import Store, get_store
from projects.store.gauge import BACKUPS, JOBS, Gauge
from schema_registry import database, rights
from schema_registry.errors import SpawnError

log = logging.getLogger(__name__)

SYSTEM = "system"  # who acts where no person does
SCHEDULED = "scheduled"  # the input of a job that its schedule left
SYNC_FLAGS = ("dry_run", "approve", "allow_destructive", "accept_shrunk")  # inputs of a sync

LOOK = 0.03  # seconds between looks whether a job that runs was cancelled

_leaving = threading.Lock()
_running: dict[UUID, threading.Event] = {}  # What runs in this process, and whether it was cancelled.
ended: Counter[tuple[str, str]] = Counter()  # How many jobs ended in this process, by kind and state.


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of job: the right it needs, what does it; whether a killed owner begins it again, whether it only looks; its lane.

    One that is done in parts may have done some of them when it is interrupted, and is ended by asking for it once more.
    """

    right: str
    run: Callable[[Store, Mapping[str, Any], str, str], dict[str, Any]]
    again: bool = False
    looks: bool = False
    in_parts: bool = False
    lane: str = JOBS


def _sync(store: Store, inputs: Mapping[str, Any], actor: str, job: str) -> dict[str, Any]:
    given = {flag: bool(inputs.get(flag)) for flag in SYNC_FLAGS}
    report = sync.sync(store, inputs.get("names") or None, actor=actor, reason=inputs.get("reason", ""), **given)
    return plain(report.as_json() | {"waits": report.waits, "failed": report.failed})


def _initialize(store: Store, inputs: Mapping[str, Any], actor: str, job: str) -> dict[str, Any]:
    return plain(sync.spawn(store, actor=actor).as_json())


def _load(store: Store, inputs: Mapping[str, Any], actor: str, job: str) -> dict[str, Any]:
    path = store.spool / Path(inputs["spool"]).name
    try:
        options = loads.options_of(inputs)
        return loads.load_file(store, inputs["table"], path, options, actor=actor, job=job, version=inputs.get("version")).as_json()
    finally:
        path.unlink(missing_ok=True)


def _check(store: Store, inputs: Mapping[str, Any], actor: str, job: str) -> dict[str, Any]:
    """What a load of the file would do that leaves its bad rows out; the file stays."""
    path = store.spool / Path(inputs["upload"]).name
    if not path.exists():
        raise UploadGone(file=inputs.get("file", ""))
    options = replace(loads.options_of(inputs), skips=True, dry_run=True)
    return loads.load_file(store, inputs["table"], path, options, actor=actor, job=job).as_json()


def _export(store: Store, inputs: Mapping[str, Any], actor: str, job: str) -> dict[str, Any]:
    return exports.to_file(store, inputs, job)


def _verify_audit(store: Store, inputs: Mapping[str, Any], actor: str, job: str) -> dict[str, Any]:
    verdict = audit.verify()
    return {"ok": verdict.ok, "entries": verdict.entries, "broken_at": verdict.broken_at, "detail": verdict.detail}


def _check_store(store: Store, inputs: Mapping[str, Any], actor: str, job: str) -> dict[str, Any]:
    return soundness.check(store).as_json()


def _erase(store: Store, inputs: Mapping[str, Any], actor: str, job: str) -> dict[str, Any]:
    """The key goes out of the job first, for the rest of the work cleans up behind it."""
    Job.objects.filter(id=job).update(inputs={"table": inputs["table"]})
    return erasing.erase(store, inputs["table"], inputs["key"], actor=actor)


def _apply(store: Store, inputs: Mapping[str, Any], actor: str, job: str) -> dict[str, Any]:
    return plain(plans.as_json(plan_runs.apply(store, int(inputs["plan"]), actor=actor, confirm=inputs.get("confirm"))))


def _undo(store: Store, inputs: Mapping[str, Any], actor: str, job: str) -> dict[str, Any]:
    confirm, given = inputs.get("confirm"), {"inputs": inputs.get("inputs"), "reason": inputs.get("reason", "")}
    made = undoing.undo(store, int(inputs["plan"]), actor=actor, confirm=confirm, dry_run=bool(inputs.get("dry_run")), **given)
    return plain(plans.as_json(made) | {"waits_for": undoing.waits_for(made, confirm) if made.state in plans.OPEN else ""})


def plain(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What REST would answer, as the plain JSON that a job keeps."""
    kept: dict[str, Any] = json.loads(json.dumps(answer, cls=JSONEncoder))
    return kept


KINDS: dict[str, Kind] = {
    "sync": Kind(rights.MANAGE_TABLES, _sync, again=True),
    "initialize": Kind(rights.MANAGE_TABLES, _initialize, again=True),
    "load": Kind(rights.WRITE_ROWS, _load),
    "check": Kind(rights.WRITE_ROWS, _check),
    "apply": Kind(rights.MANAGE_TABLES, _apply),
    "undo": Kind(rights.MANAGE_TABLES, _undo),
    "export": Kind(rights.READ_ROWS, _export),
    "verify_audit": Kind(rights.READ_AUDIT, _verify_audit),
    "erase": Kind(rights.MANAGE_TABLES, _erase, in_parts=True),
    "check_store": Kind(rights.OPERATE, _check_store, looks=True),
    "backup": Kind(rights.OPERATE, backups.run, again=True, lane=BACKUPS),
}


def check_right(kind: str, user: AbstractBaseUser | None) -> None:
    """Raises NotAllowed where the person may not have such work done; without a person it is the system's own."""
    if user is not None and not rights.allows(user, None, KINDS[kind].right):
        raise NotAllowed(actor=user.get_username(), kind=kind)


def leave(kind: str, inputs: Mapping[str, Any], user: Any = None, *, id: UUID | None = None) -> Job:
    """Queues a job for the owner, under an id of its own or the given one. Raises NotAllowed."""
    check_right(kind, user)
    return Job.objects.create(id=id or uuid4(), kind=kind, inputs=dict(inputs), created_by=user)


def leave_once(kind: str, inputs: Mapping[str, Any], user: Any = None) -> Job:
    """As `leave`; but where a job of the same kind and inputs is queued already, that one."""
    check_right(kind, user)
    with _leaving:  # One process serves requests and schedules, so this is enough.
        for job in Job.objects.filter(kind=kind, state=Job.State.QUEUED).order_by("created_at"):
            if _work(job.inputs) == _work(inputs):
                return job
        return leave(kind, inputs, user)


def _work(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs without who asks."""
    return {name: value for name, value in inputs.items() if name != SCHEDULED}


def withdraw(job: Job) -> bool:
    """Takes a job back that nobody has begun; False where somebody has."""
    waiting = Job.objects.filter(id=job.id, state=Job.State.QUEUED)
    withdrawn = bool(waiting.update(state=Job.State.WITHDRAWN, finished_at=timezone.now()))
    if withdrawn:
        _forget(job)
    return withdrawn


def cancel(job: Job, *, actor: str) -> Job:
    """Withdraws a job that waits, or interrupts the one that runs, which then ends `cancelled` unless it was done before.

    Raises JobOver where it has ended, and StoreBusy where it is only just being begun or brought to an end.
    """
    if not withdraw(job):
        job.refresh_from_db()
        if job.finished_at is not None:
            raise JobOver(job=job.id, state=job.state)
        if (cancelled := _running.get(job.id)) is None:
            raise StoreBusy()
        cancelled.set()
    job.refresh_from_db()
    audit.record("job.cancel", f"{job.kind} {job.id}", actor=actor, detail={"state": job.state})
    return job


def lane_of(kind: str) -> str:
    """The lane that jobs of the kind run in; an older version may not know what a newer one left."""
    return KINDS[kind].lane if kind in KINDS else JOBS


def of_lane(lane: str) -> QuerySet[Job]:
    """The jobs of one lane."""
    return Job.objects.exclude(kind__in=[kind for kind, known in KINDS.items() if known.lane != lane])


def next_job(lane: str = JOBS) -> Job | None:
    """Claims the oldest job of the lane that waits."""
    for job in of_lane(lane).filter(state=Job.State.QUEUED).order_by("created_at")[:1]:
        claimed = Job.objects.filter(id=job.id, state=Job.State.QUEUED).update(state=Job.State.RUNNING, started_at=timezone.now())
        if claimed:
            job.refresh_from_db()
            return job
    return None


def run(store: Store, job: Job, is_ending: Callable[[], bool] = lambda: False) -> None:
    """Runs a claimed job and records its outcome; whatever goes wrong ends in the job's error.

    `is_ending` says whether the owner is being stopped, which interrupts the job.
    """
    actor = job.created_by.get_username() if job.created_by else SYSTEM
    cancelled = _running[job.id] = threading.Event()
    try:
        check_right(job.kind, job.created_by)
        gauge = store.gauge(lane_of(job.kind))
        with measured(gauge, lambda percent: _show_progress(job, percent), is_cancelled=cancelled.is_set):
            result = KINDS[job.kind].run(store, job.inputs, actor, str(job.id))
    except SpawnError as error:
        _finish(job, Job.State.FAILED, told(error), str(error))
    except DatabaseError as error:
        _end_unrecorded(store, job, error, is_ending=is_ending())
    except Exception:  # noqa: BLE001 - the loop of jobs survives anything
        _end_broken(store, job, is_ending=is_ending(), is_cancelled=cancelled.is_set())
    else:
        _finish(job, Job.State.DONE, result, "")
    finally:
        del _running[job.id]


def running() -> list[UUID]:
    """The jobs that run in this process."""
    return list(_running)


def _show_progress(job: Job, percent: float) -> None:
    try:
        Job.objects.filter(id=job.id).update(done=round(percent), total=100)
    except DatabaseError as error:  # The next one may be written; who watches has to go on for the sake of a cancel.
        log.warning("the progress of the %s job %s was not written: %s", job.kind, job.id, error)


def _end_broken(store: Store, job: Job, *, is_ending: bool, is_cancelled: bool) -> None:
    """Ends a job that an error broke off: a stop, somebody who cancelled it, or a fault of ours."""
    if is_cancelled:
        log.info("the %s job %s was cancelled", job.kind, job.id, exc_info=True)
        _settle(store, job, cancelled=True)
    elif is_ending:
        _settle(store, job)
    else:
        log.exception("the %s job %s failed", job.kind, job.id)
        _finish(job, Job.State.FAILED, None, "Something went wrong inside; the log has it under this job's id.")


def _end_unrecorded(store: Store, job: Job, error: DatabaseError, *, is_ending: bool) -> None:
    """Ends a job during which Django's database failed: done where its rows are in the file all the same."""
    ours = database.told(error)
    with store.read() as cursor:
        is_done = books.job_result(cursor, str(job.id)) is not None
    if ours and not is_done:
        _finish(job, Job.State.FAILED, None, str(ours))
    else:
        _end_broken(store, job, is_ending=is_ending or is_done, is_cancelled=False)


def _finish(job: Job, state: str, result: Any, error: str) -> None:
    done = {"done": 100, "total": 100} if state == Job.State.DONE else {}
    with transaction.atomic():
        Job.objects.filter(id=job.id).update(state=state, result=result, error=error, finished_at=timezone.now(), **done)
        if state == Job.State.FAILED and _is_news(job, error):
            body = {"job": job.id, "kind": job.kind, "error": error, "created_by": job.created_by and job.created_by.get_username()}
            notices.tell(notices.JOB_FAILED, str(job.inputs.get("table", "")), body)
    _forget(job)
    ended[job.kind, state] += 1


def _is_news(job: Job, error: str) -> bool:
    """A schedule's job that fails just as the one before it did is none: an outage is told once."""
    if not job.inputs.get(SCHEDULED):
        return True
    earlier = Job.objects.filter(kind=job.kind, inputs__scheduled=True, created_at__lt=job.created_at)
    before = earlier.order_by("-created_at").values_list("state", "error").first()
    return before != (Job.State.FAILED, error)


def _forget(job: Job) -> None:
    """A load that is over, run or not, needs its file no longer; of an erasure the key must not stay."""
    if "key" in job.inputs:
        Job.objects.filter(id=job.id).update(inputs={name: value for name, value in job.inputs.items() if name != "key"})
    if name := job.inputs.get("spool"):
        (get_store().spool / Path(name).name).unlink(missing_ok=True)


def told(error: SpawnError) -> dict[str, Any]:
    """What an error carries besides its sentence, as plain JSON."""
    problems = [{"pointer": p.pointer, "code": p.code, "detail": p.detail} for p in error.problems]
    carried: dict[str, Any] = {
        name: vars(error)[name] for name in ("rejected", "rejects", "rejects_file", "changes") if name in vars(error)
    }
    return carried | {"problems": problems}


@contextmanager
def measured(
    gauge: Gauge, report: Callable[[float], Any], every: float = 0.3, is_cancelled: Callable[[], bool] = lambda: False
) -> Iterator[None]:
    """Reports every so many seconds how far, in percent, the work of a lane is, and interrupts it once it is cancelled."""
    gauge.begin()
    ended = threading.Event()

    def watch() -> None:
        due = time.monotonic() + every
        try:
            while not ended.wait(LOOK):
                if is_cancelled():  # Again and again: between two statements an interrupt is lost.
                    gauge.stop()
                if time.monotonic() >= due:
                    report(gauge.progress())
                    due = time.monotonic() + every
        finally:
            connections.close_all()  # This thread's own.

    watcher = threading.Thread(target=watch, name="duckspawn-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def recover(store: Store, lane: str | None = None) -> list[Job]:
    """Ends what is left running, by a killed owner or in the lane; gives those jobs."""
    left = [job for job in Job.objects.filter(state=Job.State.RUNNING) if lane in (None, lane_of(job.kind))]
    for job in left:
        done = _settle(store, job)
        audit.record("job.recover", f"{job.kind} {job.id}", actor=SYSTEM, detail={"done": done})
    return left


def _settle(store: Store, job: Job, *, cancelled: bool = False) -> bool:
    """Ends a job that was interrupted: done where its rows are in the file, and True; cancelled, begun again or failed otherwise."""
    with store.read() as cursor:
        result = books.job_result(cursor, str(job.id))
    if result is not None:
        _finish(job, Job.State.DONE, json.loads(result), "")
    elif cancelled:
        _finish(job, Job.State.CANCELLED, None, f"It was cancelled while it ran; {_left_of(job, 'what it had begun was rolled back')}.")
    elif job.kind in KINDS and KINDS[job.kind].again:  # An older version may not know what a newer one left.
        Job.objects.filter(id=job.id).update(state=Job.State.QUEUED, started_at=None)
    else:
        _finish(job, Job.State.FAILED, None, f"It was interrupted when the server stopped; {_left_of(job, 'nothing of it was kept')}.")
    return result is not None


def _left_of(job: Job, whole: str) -> str:
    in_parts = job.kind in KINDS and KINDS[job.kind].in_parts
    return "a part of it may be done, and the same command does the rest" if in_parts else whole
