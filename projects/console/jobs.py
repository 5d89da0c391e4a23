"""Jobs in the console: one's own, or everybody's; how far each is, and what came of it."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from projects import backup_jobs, backups, exports, job_rights, job_words, owner, rejects
from projects.errors import BackupDirMissing, JobFileNotFound, JobOver, NotAllowed, StoreBusy
from projects.job_words import KINDS_IN_ORDER
from projects.models import Job
from projects.store.connection import get_store
from schema_registry import documents, rights
from schema_registry.pages import Page

OPEN = (Job.State.QUEUED, Job.State.RUNNING)
ON_PAGE = 50  # jobs


class Part(Page):
    """A page of which htmx asks again for one part, `part_name`, while something goes on."""

    part_name = ""

    def get_template_names(self) -> list[str]:
        return [self.part_name] if self.request.headers.get("HX-Request") else [self.template_name or ""]


class Jobs(Part):
    """The list, newest first."""

    title = "Jobs"
    template_name, part_name = "console/jobs.html", "console/jobs_list.html"
    rights = {"GET": rights.READ_ROWS, "POST": rights.OPERATE}

    def post(self, request: HttpRequest) -> HttpResponse:
        """Has a backup made."""
        try:
            return redirect("console:job", backup_jobs.left(request.user).id)
        except BackupDirMissing as error:
            messages.warning(request, str(error))
        return redirect(request.path)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        seen, chosen = job_rights.visible(self.request.user), self._chosen()
        jobs = Paginator(seen.filter(**chosen).defer("result"), ON_PAGE).get_page(self.request.GET.get("page"))
        lines = [Line(job) for job in jobs]
        more = {
            "jobs": jobs,
            "lines": lines,
            "is_live": any(line.is_open for line in lines),
            "is_filtered": bool(chosen),
            "query": self._address(),
            "kinds": KINDS_IN_ORDER,
            "states": Job.State.values,
            "asked": self.request.GET,
            "backed_up_at": backups.last_finished() if self.allows(rights.OPERATE) else None,
            "has_shelf": settings.BACKUP_DIR is not None,
        }
        return super().get_context_data(**kwargs) | more

    def _chosen(self) -> dict[str, Any]:
        """The conditions that the address has; one that is none of ours is no condition."""
        asked = self.request.GET
        chosen: dict[str, Any] = {"kind": asked["kind"]} if asked.get("kind") in job_words.TITLES else {}
        chosen |= {"state": asked["state"]} if asked.get("state") in Job.State.values else {}
        return chosen | ({"created_by": self.request.user} if asked.get("mine") else {})

    def _address(self) -> str:
        """The filters as they stand in the address, without the page's number."""
        query = self.request.GET.copy()
        query.pop("page", None)
        return query.urlencode()


class Line:
    """A job as a list shows it."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.title, self.subject = job_words.title(job.kind), job_words.subject(job)
        self.is_open = job.state in OPEN
        self.percent = percent(job)
        self.took = took(job)


class OneJob(Part):
    """One job: live while it goes on, then its outcome; its maker and operators may cancel it."""

    template_name, part_name = "console/job.html", "console/job_state.html"
    rights = {"GET": rights.READ_ROWS, "POST": rights.READ_ROWS}
    crumbs = [("Jobs", "/console/jobs/")]

    def post(self, request: HttpRequest, job: UUID) -> HttpResponse:
        cancel(request, job)
        return redirect(request.path)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        found = job_rights.found(self.kwargs["job"], self.request.user)
        self.title = ": ".join(filter(None, (job_words.title(found.kind), job_words.subject(found))))
        return super().get_context_data(**kwargs) | shown(found, self.request.user)


def cancel(request: HttpRequest, job: UUID) -> None:
    """Cancels the job, and tells what came of that. Raises JobNotFound."""
    try:
        job_rights.cancel(job_rights.found(job, request.user), request.user)
    except (JobOver, StoreBusy, NotAllowed) as error:
        messages.warning(request, str(error))


def shown(job: Job, user: Any) -> dict[str, Any]:
    """What the page of a job, or one that waits for it, shows."""
    result = job.result if isinstance(job.result, dict) else {}
    return {
        "job": job,
        "is_open": job.state in OPEN,
        "before": owner.place_in_queue(job) if job.state == Job.State.QUEUED else 0,
        "percent": percent(job),
        "said": job_words.STATES.get(Job.State(job.state), ""),
        "outcome": job_words.outcome(job),
        "given": job_words.given(job),
        "took": took(job),
        "may_cancel": job_rights.may_cancel(job, user),
        "rejected": result.get("rejected", 0),
        "rejects": result.get("rejects", []),
        "problems": result.get("problems", []),
        "has_rejects": bool(result.get("rejected")) and rejects.path_of(get_store(), str(job.id)).exists(),
        "has_file": _has_file(job),
        "pretty": "" if job.kind in ("load", "check", "export") or job.result is None else documents.pretty(job.result),
    }


def _has_file(job: Job) -> bool:
    try:
        exports.file_of(get_store(), job)
    except JobFileNotFound:
        return False
    return True


def percent(job: Job) -> int | None:
    """How far it is, or None where nothing is known yet."""
    return 100 * job.done // job.total if job.total else None


def took(job: Job) -> float | None:
    """Seconds from its start to its end, or to now."""
    return ((job.finished_at or timezone.now()) - job.started_at).total_seconds() if job.started_at else None
