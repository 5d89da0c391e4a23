"""Work that outlives a request, or that a command leaves for the owner of the file: what kinds there are, and how one is run."""

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import connections
from django.utils import timezone

from projects import audit, loads, sync
from projects.errors import NotAllowed
from projects.models import Job
from projects.store import books
from projects.store.connection import Store, get_store
from schema_registry import rights
from schema_registry.errors import SpawnError

log = logging.getLogger(__name__)

SYSTEM = "system"  # who acts where no person does


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of job: the right it needs, what does it, and whether it is begun again after the owner was killed."""

    right: str
    run: Callable[[Store, Mapping[str, Any], str, str], dict[str, Any]]
    again: bool = False


def _sync(store: Store, inputs: Mapping[str, Any], actor: str, job: str) -> dict[str, Any]:
    report = sync.sync(store, inputs.get("names") or None, actor=actor, dry_run=bool(inputs.get("dry_run")))
    return report.as_json() | {"waits": report.waits, "failed": report.failed}


def _load(store: Store, inputs: Mapping[str, Any], actor: str, job: str) -> dict[str, Any]:
    path = store.spool / Path(inputs["spool"]).name
    try:
        return loads.load_file(store, inputs["table"], path, nulls=tuple(inputs["nulls"]), actor=actor, job=job).as_json()
    finally:
        path.unlink(missing_ok=True)


def _verify_audit(store: Store, inputs: Mapping[str, Any], actor: str, job: str) -> dict[str, Any]:
    verdict = audit.verify()
    return {"ok": verdict.ok, "entries": verdict.entries, "broken_at": verdict.broken_at, "detail": verdict.detail}


KINDS: dict[str, Kind] = {
    "sync": Kind(rights.MANAGE_TABLES, _sync, again=True),
    "load": Kind(rights.WRITE_ROWS, _load),
    "verify_audit": Kind(rights.READ_AUDIT, _verify_audit),
}


def check_right(kind: str, user: AbstractBaseUser | None) -> None:
    """Raises NotAllowed where the person may not have such work done; without a person it is the system's own."""
    if user is not None and not rights.allows(user, None, KINDS[kind].right):
        raise NotAllowed(actor=user.get_username(), kind=kind)


def leave(kind: str, inputs: Mapping[str, Any], user: Any = None) -> Job:
    """Queues a job for the owner. Raises NotAllowed."""
    check_right(kind, user)
    return Job.objects.create(kind=kind, inputs=dict(inputs), created_by=user)


def withdraw(job: Job) -> bool:
    """Takes a job back that nobody has begun; False where somebody has."""
    waiting = Job.objects.filter(id=job.id, state=Job.State.QUEUED)
    withdrawn = bool(waiting.update(state=Job.State.WITHDRAWN, finished_at=timezone.now()))
    if withdrawn:
        _forget_file(job)
    return withdrawn


def next_job() -> Job | None:
    """Claims the oldest job that waits."""
    for job in Job.objects.filter(state=Job.State.QUEUED).order_by("created_at")[:1]:
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
    try:
        check_right(job.kind, job.created_by)
        with measured(store, lambda percent: Job.objects.filter(id=job.id).update(done=round(percent), total=100)):
            result = KINDS[job.kind].run(store, job.inputs, actor, str(job.id))
    except SpawnError as error:
        _finish(job, Job.State.FAILED, told(error), str(error))
    except Exception:  # the loop of jobs survives anything
        if is_ending():
            _settle(store, job)
            return
        log.exception("a job failed", extra={"job": str(job.id), "kind": job.kind})
        _finish(job, Job.State.FAILED, None, "Something went wrong inside; the log has it under this job's id.")
    else:
        _finish(job, Job.State.DONE, result, "")


def _finish(job: Job, state: str, result: Any, error: str) -> None:
    done = {"done": 100, "total": 100} if state == Job.State.DONE else {}
    Job.objects.filter(id=job.id).update(state=state, result=result, error=error, finished_at=timezone.now(), **done)
    _forget_file(job)


def _forget_file(job: Job) -> None:
    """A load that is over, run or not, needs its file no longer."""
    if name := job.inputs.get("spool"):
        (get_store().spool / Path(name).name).unlink(missing_ok=True)


def told(error: SpawnError) -> dict[str, Any]:
    """What an error carries besides its sentence, as plain JSON."""
    problems = [{"pointer": p.pointer, "code": p.code, "detail": p.detail} for p in error.problems]
    carried: dict[str, Any] = {name: vars(error)[name] for name in ("rejects", "changes") if name in vars(error)}
    return carried | {"problems": problems}


@contextmanager
def measured(store: Store, report: Callable[[float], Any], every: float = 0.3) -> Iterator[None]:
    """Reports every so many seconds how far, in percent, the store's long work is."""
    ended = threading.Event()

    def watch() -> None:
        try:
            while not ended.wait(every):
                report(store.progress())
        finally:
            connections.close_all()  # This thread's own.

    watcher = threading.Thread(target=watch, name="duckspawn-progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def recover(store: Store) -> list[Job]:
    """At start, ends what a killed owner left running; gives those jobs."""
    left = list(Job.objects.filter(state=Job.State.RUNNING))
    for job in left:
        done = _settle(store, job)
        audit.record("job.recover", f"{job.kind} {job.id}", actor=SYSTEM, detail={"done": done})
    return left


def _settle(store: Store, job: Job) -> bool:
    """Ends a job that was interrupted: done where its rows are in the file, and True; begun again or failed otherwise."""
    with store.read() as cursor:
        result = books.job_result(cursor, str(job.id))
    if result is not None:
        _finish(job, Job.State.DONE, json.loads(result), "")
    elif job.kind in KINDS and KINDS[job.kind].again:  # An older version may not know what a newer one left.
        Job.objects.filter(id=job.id).update(state=Job.State.QUEUED, started_at=None)
    else:
        _finish(job, Job.State.FAILED, None, "It was interrupted when the server stopped; nothing of it was kept.")
    return result is not None
