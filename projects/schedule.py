"""What the owner leaves by itself: a sync every SYNC_EVERY and a backup every BACKUP_EVERY seconds after the last such one had ended."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from projects import backups, jobs
from projects.models import Job

WHOLE = {"names": [], "dry_run": False}  # the inputs of a sync of every table


@dataclass(frozen=True, slots=True)
class Scheduled:
    """What is done every so many seconds, as the setting says (0 is off), and which other jobs of its kind stand for it."""

    kind: str
    every: str
    inputs: Mapping[str, Any]
    stands_for_it: Callable[[Mapping[str, Any]], bool]


SYNC = Scheduled("sync", "SYNC_EVERY", WHOLE, lambda inputs: not inputs.get("names") and not inputs.get("dry_run"))
BACKUP = Scheduled("backup", "BACKUP_EVERY", backups.TO_SHELF, lambda inputs: inputs.get("to") == backups.TO_SHELF["to"])


class Schedule:
    """Cheap to ask at every heartbeat: between two runs the database is left alone. What it goes by survives a restart."""

    def __init__(self, scheduled: Scheduled) -> None:
        self._scheduled = scheduled
        self._asleep_until = 0.0  # by a clock that nobody sets

    def keep(self) -> Job | None:
        """Leaves a job where one is due, and no other that stands for it waits or runs; gives it."""
        every, kind = int(getattr(settings, self._scheduled.every)), self._scheduled.kind
        if not every or time.monotonic() < self._asleep_until:
            return None
        due = due_at(kind, every)
        left = (due - timezone.now()).total_seconds() if due else 0.0
        self._asleep_until = time.monotonic() + left
        if left > 0 or self._is_under_way():
            return None
        return jobs.leave_once(kind, {**self._scheduled.inputs, jobs.SCHEDULED: True})

    def _is_under_way(self) -> bool:
        open_ones = Job.objects.filter(kind=self._scheduled.kind, state__in=(Job.State.QUEUED, Job.State.RUNNING))
        return any(self._scheduled.stands_for_it(job.inputs) for job in open_ones)


def due_at(kind: str, every: int) -> datetime | None:
    """When the next one is due, `every` seconds after the last of the schedule; None where there was none.

    One that ended in the future did so by a clock that was set back since, and says nothing.
    """
    ended = Job.objects.filter(kind=kind, inputs__scheduled=True, finished_at__lte=timezone.now())
    last = ended.order_by("-finished_at").values_list("finished_at", flat=True).first()
    return last + timedelta(seconds=every) if last else None
