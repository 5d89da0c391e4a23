"""All the rows that a load refused, as a CSV file that its job, or the job that stands for it, hands out for seven days."""

from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from projects.errors import DuplicateKeys, RejectsGone, RowsRefused
from projects.models import Job
from projects.store import spool
from projects.store.bulk import Options
from projects.store.connection import Store


def path_of(store: Store, job: str) -> Path:
    """Where the rejects of a job stand, if there are any."""
    return spool.folder(store) / f"job-{job}.rejects.csv"


def address_of(job: str) -> str:
    return f"/ops/jobs/{job}/rejects"


def keep(
    job: str,
    table: str,
    options: Options,
    *,
    actor: str,
    result: dict[str, Any] | None = None,
    error: RowsRefused | DuplicateKeys | None = None,
) -> None:
    """Records a load that ran within a request as a job that is over, so that its rejects can be fetched by who asked for it."""
    now = timezone.now()
    inputs = {
        "table": table,
        "on_conflict": options.on_conflict,
        "on_error": "skip" if options.skips else "abort",
        "dry_run": options.dry_run,
    }
    refused = error and {"rejected": error.rejected, "rejects": error.rejects, "rejects_file": error.rejects_file}
    Job.objects.create(
        id=job,
        kind="load",
        state=Job.State.FAILED if error else Job.State.DONE,
        inputs=inputs,
        result=result or refused,
        error=str(error) if error else "",
        created_by=User.objects.filter(username=actor).first(),
        started_at=now,
        finished_at=now,
    )


def opened(store: Store, job: Job) -> Any:
    """The job's rejects as an open file of bytes. Raises RejectsGone."""
    try:
        return path_of(store, str(job.id)).open("rb")
    except FileNotFoundError as error:
        raise RejectsGone(job=job.id) from error
