"""What a command does: the work itself where the DuckDB file is free, else a job for its owner, watched to its end."""

import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User

from projects import identity, jobs, owner
from projects.bodies import unzipped
from projects.errors import JobFailed, StoreHeld, UnknownUser
from projects.models import Job
from projects.store import spool
from projects.store.connection import get_store, reset_store
from schema_registry.database import check_step

Tell = Callable[[float, str], None]  # percent done, and a sentence


def person(name: str | None) -> User | None:
    """The user that a command acts as; None is the system. Raises UnknownUser."""
    if name is None:
        return None
    found = User.objects.filter(username=name, is_active=True).first()
    if found is None:
        raise UnknownUser(name=name)
    return found


def perform(kind: str, inputs: Mapping[str, Any], *, user: User | None, tell: Tell) -> dict[str, Any]:
    """Does the work, here or by the owner, and gives its result. What only looks leaves all as it was, what a killed owner left too.

    Raises what the work raises; JobFailed where the owner's failed; StoreHeld where somebody has the file who does no jobs;
    DatabaseOutOfStep.
    """
    check_step()
    jobs.check_right(kind, user)
    try:
        store = identity.guarded(get_store())
        store.connection()
    except StoreHeld as held:
        return _by_owner(kind, inputs, user, tell, held)
    try:
        if not jobs.KINDS[kind].looks:
            owner.take_over(store)
        with jobs.measured(store.gauge(jobs.lane_of(kind)), lambda percent: tell(percent, "")):
            actor = user.get_username() if user else jobs.SYSTEM
            result = jobs.KINDS[kind].run(store, inputs, actor, str(uuid.uuid4()))
        identity.note(store)
        return result
    finally:
        reset_store()


def _by_owner(kind: str, inputs: Mapping[str, Any], user: User | None, tell: Tell, held: StoreHeld) -> dict[str, Any]:
    job = jobs.leave(kind, inputs, user)
    heard = time.monotonic()
    while job.finished_at is None:
        if owner.is_beating():
            heard = time.monotonic()
        elif time.monotonic() - heard > owner.SILENCE.total_seconds() and jobs.withdraw(job):
            raise held
        tell(job.done, _standing(job))
        time.sleep(owner.LOOK)
        job.refresh_from_db()
    if job.state != Job.State.DONE:
        raise JobFailed(detail=job.error or f"The job ended {job.state}.", **(job.result or {}))
    return dict(job.result or {})


def _standing(job: Job) -> str:
    before = owner.place_in_queue(job)
    return f"waiting for the server, {before} before it" if job.state == Job.State.QUEUED else "the server does it"


def into_spool(path: Path, form: str) -> str:
    """Copies a file of rows into the spool, where the owner may read it, without its gzip; gives its name there. Raises BadRequest."""
    name, store = f"job-{uuid.uuid4().hex}.{form}", get_store()
    with path.open("rb") as file:
        pieces = iter(lambda: file.read(spool.PIECE), b"")
        spool.write(store, spool.folder(store) / name, unzipped(pieces) if path.suffix.lower() == ".gz" else pieces)
    return name
