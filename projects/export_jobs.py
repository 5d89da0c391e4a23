"""Exports for who prefers not to wait: the job is left, and its file is fetched once it is done."""

from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

from projects import cursors, exports, formats, jobs, streams, versions
from projects.filters import parse_listing
from projects.job_answers import accepted
from projects.list_answers import pairs_of
from projects.models import Job
from projects.preferences import ASYNC, prefers
from projects.store.books import LiveTable
from projects.store.connection import Store
from projects.store.retries import steadily


def is_asked(request: HttpRequest) -> bool:
    """Whether a list is to be a job's file. A page of JSON never is: it is answered as soon."""
    return prefers(request, ASYNC) and formats.wanted(request).name != "json"


def left(store: Store, table: str, request: HttpRequest, version: int | None, user: Any) -> HttpResponse:
    """Leaves the job. What can only fail is refused before: raises as a list does."""
    form = formats.wanted(request)
    pairs = [(name, value) for name, value in pairs_of(request) if name != "format"]

    def understood(live: LiveTable) -> None:
        names = versions.names(live, table, version, reads=True)
        cursors.opened(names, parse_listing(names, pairs))

    steadily(store, table, understood)
    return accepted(jobs.leave("export", {"table": table, "format": form.name, "parameters": pairs, "version": version}, user))


def fetched(store: Store, job: Job, request: HttpRequest) -> StreamingHttpResponse:
    """The file of a job that is done. Raises JobFileNotFound, TooManyStreams."""
    path, form = exports.file_of(store, job)
    answer = streams.streamed(request, streams.Pieces(path.open("rb")), form.kind, packs=False)
    answer["Content-Length"] = str(path.stat().st_size)
    answer["Content-Disposition"] = exports.attachment(job.inputs["table"], form)
    return answer
