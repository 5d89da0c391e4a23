"""The sync that the owner leaves by itself: every SYNC_EVERY seconds after the last one that it left had ended."""

import time
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from projects import jobs
from projects.models import Job

WHOLE = {"names": [], "dry_run": False}  # the inputs of a sync of every table


class SyncSchedule:
    """Cheap to ask at every heartbeat: between two syncs the database is left alone. What it goes by survives a restart."""

    def __init__(self) -> None:
        self._asleep_until = 0.0  # by a clock that nobody sets

    def keep(self) -> Job | None:
        """Leaves a sync where one is due, and no other sync of every table waits or runs; gives it."""
        if not settings.SYNC_EVERY or time.monotonic() < self._asleep_until:
            return None
        due = due_at(settings.SYNC_EVERY)
        left = (due - timezone.now()).total_seconds() if due else 0.0
        self._asleep_until = time.monotonic() + left
        if left > 0 or _is_under_way():
            return None
        return jobs.leave_once("sync", WHOLE | {jobs.SCHEDULED: True})


def due_at(every: int) -> datetime | None:
    """When the next sync is due, `every` seconds after the last of the schedule; None where there was none.

    One that ended in the future did so by a clock that was set back since, and says nothing.
    """
    ended = Job.objects.filter(kind="sync", inputs__scheduled=True, finished_at__lte=timezone.now())
    last = ended.order_by("-finished_at").values_list("finished_at", flat=True).first()
    return last + timedelta(seconds=every) if last else None


def _is_under_way() -> bool:
    open_ones = Job.objects.filter(kind="sync", state__in=(Job.State.QUEUED, Job.State.RUNNING))
    return any(not job.inputs.get("names") and not job.inputs.get("dry_run") for job in open_ones)
