"""The owner: the one process that has the DuckDB file open. It says so by a heartbeat, does the jobs that others leave, sends notices."""

import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from django.db import connections
from django.utils import timezone

from projects import archives, audit, drift, erasing, idempotency, identity, jobs, notices, one_table, plan_runs
from projects.models import Job, Owner
from projects.schedule import BACKUP, SYNC, Schedule
from projects.store import apart, checkpoints, spool
from projects.store.connection import Store, get_store
from projects.store.gauge import LANES
from schema_registry import audit as chain

log = logging.getLogger(__name__)

BEAT = 2.0  # seconds between heartbeats
SILENCE = timedelta(seconds=10)  # after this long without a beat nobody does jobs
LOOK = 0.3  # seconds between looks for a job or a notice
SWEEP = 3600.0  # seconds between looks for what is old: notices, archives, answers under an Idempotency-Key
STOPPING = 20.0  # seconds that a stop waits for the job, the notice and the heartbeat


class Duties:
    """The threads of an owner: the heartbeat, which also opens the file, sets things right and keeps the schedules; jobs; notices."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._ready = threading.Event()
        self._schedules = (Schedule(SYNC), Schedule(BACKUP))
        self._swept: float | None = None
        self._unsettled: set[str] = set()
        loops = [*((lane, partial(self._next, lane)) for lane in LANES), ("notices", self._deliver)]
        self._threads = [threading.Thread(target=self._beat, name="duckspawn-heartbeat", daemon=True)]
        self._threads += [
            threading.Thread(target=self._repeat, args=(look,), name=f"duckspawn-{name}", daemon=True) for name, look in loops
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends the threads, a job in the middle of a statement included, then closes the file."""
        self._ended.set()
        store = get_store()
        until = time.monotonic() + STOPPING
        while any(thread.is_alive() for thread in self._threads) and time.monotonic() < until:
            for lane in LANES if store.is_open else ():  # Again and again: between two statements an interrupt is lost.
                store.gauge(lane).stop()
            for thread in self._threads:
                thread.join(timeout=0.1)
        store.close()

    def _beat(self) -> None:
        started = timezone.now()
        try:
            while not self._ended.is_set():
                self._once(started)
                self._ended.wait(BEAT)
            Owner.objects.filter(pid=os.getpid()).delete()
        finally:
            connections.close_all()

    def _once(self, started: datetime) -> None:
        store = get_store()
        try:
            if not self._ready.is_set():
                take_over(store)
                self._ready.set()
            identity.note(store)
            Owner.objects.update_or_create(id=1, defaults={"pid": os.getpid(), "started_at": started, "beat_at": timezone.now()})
            plan_runs.recover(store)
            audit.witness(chain.head())
            for schedule in self._schedules:
                schedule.keep()
            checkpoints.fold(store)
        except Exception as error:  # noqa: BLE001 - the heartbeat survives anything, and tries again at the next beat
            log.warning("the store is not ready: %s", error)

    def _repeat(self, look: Callable[[], bool]) -> None:
        """Looks again and again for something to do, at once after it did something."""
        try:
            while not self._ended.is_set():
                if self._ready.wait(LOOK) and not look():
                    self._ended.wait(LOOK)
        finally:
            connections.close_all()

    def _next(self, lane: str) -> bool:
        try:
            if lane in self._unsettled:  # Django's database failed before the last job's end was recorded.
                jobs.recover(get_store(), lane)
                self._unsettled.discard(lane)
            job = jobs.next_job(lane)
            if job:
                jobs.run(get_store(), job, self._ended.is_set)
        except Exception:  # the loop of jobs survives anything
            log.exception("the jobs cannot be looked for")
            self._unsettled.add(lane)
            return False
        return job is not None

    def _deliver(self) -> bool:
        try:
            if self._swept is None or time.monotonic() - self._swept > SWEEP:
                notices.forget_old()
                spool.expire(get_store())
                archives.purge_by_setting(get_store(), actor=jobs.SYSTEM)
                idempotency.forget_old(get_store())
                self._swept = time.monotonic()
            return notices.deliver(self._ended.is_set)
        except Exception:  # the loop of notices survives anything
            log.exception("the notices cannot be sent")
            return False


def take_over(store: Store) -> None:
    """Opens the file, and brings to an end what a killed owner left: half-made files, jobs, records that disagree."""
    identity.guarded(store).connection()
    identity.note(store)
    spool.sweep(store)
    apart.sweep(store)
    settled = plan_runs.recover(store)
    mended = one_table.reconcile(store)
    erasing.settle(store)
    drift.tell_new(store)
    recovered = jobs.recover(store)
    if settled or mended or recovered:
        ended = {"plans": [plan.pk for plan in settled], "tables": mended, "jobs": [str(job.id) for job in recovered]}
        log.info("recovered", extra=ended)
    if mended:
        audit.record("tables.recover", ", ".join(mended), actor=jobs.SYSTEM)


_duties: Duties | None = None


def start_owner() -> None:
    """Makes this process the owner; gunicorn calls it after the fork."""
    global _duties  # noqa: PLW0603 - one process, one owner
    if _duties is None:
        identity.guarded(get_store())
        _duties = Duties()
        _duties.start()


def end_streams() -> None:
    """Ends the event streams, which a server that stops would else wait for."""
    get_store().end_waits()


def stop_owner() -> None:
    """Ends what `start_owner` began, with everything that was accepted written."""
    global _duties  # noqa: PLW0603
    if _duties is not None:
        _duties.stop()
        _duties = None


def beating() -> Owner | None:
    """The owner that said within the last ten seconds that it is there.

    A beat that is to come counts no more than one of long ago: the clock was set back since, and whoever lives beats again soon.
    """
    now = timezone.now()
    return Owner.objects.filter(beat_at__gt=now - SILENCE, beat_at__lt=now + SILENCE).first()


def is_beating() -> bool:
    """Whether there is such an owner."""
    return beating() is not None


def place_in_queue(job: Job) -> int:
    """How many jobs are before this one in its lane, the running one included."""
    before = jobs.of_lane(jobs.lane_of(job.kind)).filter(created_at__lt=job.created_at)
    return before.filter(state__in=(Job.State.QUEUED, Job.State.RUNNING)).count()
