"""Whose jobs somebody may see, and which of them they may cancel: by REST and in the console alike."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from projects import jobs
from projects.errors import JobNotFound, NotAllowed
from projects.models import Job, Plan
from schema_registry import rights


def visible(user: Any, token: Any = None) -> QuerySet[Job]:
    """The jobs that a list shows: a person's own, or everybody's with the right to."""
    everybodys = rights.allows(user, token, rights.MANAGE_JOBS)
    seen = Job.objects.select_related("created_by").filter(**({} if everybodys else {"created_by": user}))
    return seen.filter(pk__in=_reached(seen, token)) if rights.is_scoped(token) else seen


def _reached(jobs_seen: QuerySet[Job], token: Any) -> list[UUID]:
    """Those of one table that the token reaches; what concerns many tables is for tokens that reach all."""
    tables = dict(Plan.objects.values_list("pk", "table"))
    named = ((pk, given.get("table") or tables.get(given.get("plan"))) for pk, given in jobs_seen.values_list("pk", "inputs"))
    return [pk for pk, table in named if table and rights.reaches(token, table)]


def found(job: UUID | str, user: Any, token: Any = None) -> Job:
    """The job, where it may be seen. Who may ask for a sync may see every sync: theirs can be one that was queued already.

    Raises JobNotFound.
    """
    seen = visible(user, token).filter(id=job).first()
    if seen is None and rights.allows(user, token, rights.MANAGE_TABLES) and not rights.is_scoped(token):
        seen = Job.objects.select_related("created_by").filter(id=job, kind="sync").first()
    if seen is None:
        raise JobNotFound(job=job)
    return seen


def may_cancel(job: Job, user: Any, token: Any = None) -> bool:
    """Whether somebody may. A token that may not leave such a job may not cancel its owner's either."""
    needed = {rights.MANAGE_JOBS}
    if job.created_by == user and job.kind in jobs.KINDS:
        needed.add(jobs.KINDS[job.kind].right)
    return any(rights.allows(user, token, right) for right in needed)


def cancel(job: Job, user: Any, token: Any = None) -> Job:
    """Cancels as `jobs.cancel` does, for who may. Raises NotAllowed, JobOver, StoreBusy."""
    if not may_cancel(job, user, token):
        raise NotAllowed(actor=user.get_username(), kind=f"cancel the job {job.id}")
    return jobs.cancel(job, actor=user.get_username())
