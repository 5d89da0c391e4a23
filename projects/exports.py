"""Whole results as files: streamed while they are read, or written into the spool by a job."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.http import HttpRequest, StreamingHttpResponse
from django.utils.http import content_disposition_header

from projects import cursors, streams, versions
from projects.aliases import Names
from projects.errors import JobFileNotFound
from projects.filters import Listing, parse_listing
from projects.formats import FORMATS, Format
from projects.models import Job
from projects.store import export, spool
from projects.store.books import LiveTable
from projects.store.connection import Store
from projects.store.retries import steadily


def sheet_of(names: Names, listing: Listing, version: int | None) -> export.Sheet:
    """What a list's file has, in the shape of the version where one is asked for."""
    return export.sheet(names.schema, listing, source=names.source, version=version or names.live.version)


def streamed(store: Store, names: Names, listing: Listing, form: Format, request: HttpRequest) -> StreamingHttpResponse:
    """The rows of a list as a file, sent while they are read. Raises BadRequest, SchemaMoved, OutOfMemory, TooManyStreams."""
    version = int(request.headers.get("Schema-Version", 0))
    chunks = export.rows(store, names.live.name, sheet_of(names, listing, version), form.name, streams.leaving(request))
    answer = streams.streamed(request, chunks, form.kind, packs=not form.is_packed)
    answer["Content-Disposition"] = attachment(names.live.name, form)
    return answer


def to_file(store: Store, inputs: Mapping[str, Any], job: str) -> dict[str, Any]:
    """Writes the file that a job's inputs ask for; gives its rows, its bytes, and the address where it is fetched.

    Raises as `streamed`, and DiskFull, and as `versions.names`.
    """
    form, version = FORMATS[inputs["format"]], inputs.get("version")
    store.room.check()

    def written(live: LiveTable) -> tuple[int, int]:
        names = versions.names(live, inputs["table"], version, reads=True)
        listing = cursors.opened(names, parse_listing(names, [(name, value) for name, value in inputs["parameters"]]))
        return export.write(store, live.name, sheet_of(names, listing, version), form.name, path)

    path = spool.new_path(store, f".{form.suffix}")
    rows, size = steadily(store, inputs["table"], written)
    path.rename(_path(store, job, form))
    return {"rows": rows, "bytes": size, "file": f"/ops/jobs/{job}/file"}


def file_of(store: Store, job: Job) -> tuple[Path, Format]:
    """The file that a job made. Raises JobFileNotFound where there is none, or none any more."""
    form = FORMATS.get(str(job.inputs.get("format")))
    if job.kind == "export" and form:
        path = _path(store, str(job.id), form)
        if path.exists():
            return path, form
    raise JobFileNotFound(job=job.id, state=job.state)


def _path(store: Store, job: str, form: Format) -> Path:
    return store.spool / f"job-{job}.{form.suffix}"


def attachment(table: str, form: Format) -> str:
    """The header that has a browser keep the answer as a file of the table's name."""
    return content_disposition_header(True, f"{table}.{form.suffix}") or "attachment"
