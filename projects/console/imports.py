"""The import of a file in the console: choose it, see what it would be in the table, confirm; the load itself is a job."""

import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from projects import imports, job_rights, job_words, loads
from projects.console.jobs import OPEN, Part, shown
from projects.console.uploads import SpoolUpload
from projects.errors import BadRequest, JobNotFound, UploadGone
from projects.imports import Preview
from projects.load_answers import one_of
from projects.models import Job
from projects.slots import slot
from projects.store import spool
from projects.store.bulk import ON_CONFLICT, Options
from projects.store.connection import get_store
from schema_registry import rights
from schema_registry.errors import SpawnError
from schema_registry.pages import Page

FORMATS = {"csv": "CSV", "ndjson": "JSON lines", "json": "JSON, an array of rows", "parquet": "Parquet", "arrow": "Arrow stream"}
RIGHTS = {"GET": rights.WRITE_ROWS, "POST": rights.WRITE_ROWS}


def address_of(table: str) -> str:
    """The table's own page."""
    return f"/console/tables/{quote(table, safe='')}/"


def crumbs_of(table: str) -> list[tuple[str, str]]:
    return [("Tables", "/console/tables/"), (table, address_of(table))]


def options_of(sent: QueryDict) -> Options:
    """What a form says of a load. Raises BadRequest."""
    nulls = [text.strip() for text in str(sent.get("nulls", "")).split(",")]
    return Options(
        on_conflict=one_of(sent, "on_conflict", ON_CONFLICT),
        skips=one_of(sent, "on_error", loads.ON_ERROR) == "skip",
        nulls=loads.read_nulls(filter(None, nulls)),
    )


# The form must not be read before it is known where its file goes, and so not by the middleware that looks for its token.
@method_decorator(csrf_exempt, name="dispatch")
class Import(Page):
    """The form, and what it brings: a file into the spool, then a check of it as a job. Nothing is loaded here."""

    title = "Import a file"
    template_name = "console/import.html"
    rights = RIGHTS

    @property
    def crumbs(self) -> list[tuple[str, str]]:
        return crumbs_of(self.kwargs["table"])

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        table = self.kwargs["table"]
        live, closed = get_store().table(table), ""
        try:
            loads.check(get_store(), table, None)
        except SpawnError as error:
            closed = str(error)
        more = {
            "table": live.name,
            "closed": closed,
            "endings": [f".{e}" for e in imports.ENDINGS],
            "formats": FORMATS.items(),
            "asked": self.request.GET,
        }
        return super().get_context_data(**kwargs) | more

    def post(self, request: HttpRequest, table: str) -> HttpResponse:
        path = spool.folder(get_store()) / f"job-{uuid.uuid4().hex}.upload"
        upload = SpoolUpload(request, path)
        try:
            get_store().room.check()
            with slot():
                request.upload_handlers = [upload]  # type: ignore[list-item]  # Django's stubs want their own list.
                answer: HttpResponse = csrf_protect(self._brought)(request, table, upload)
                return answer
        except SpawnError as error:
            return self._refused(str(error))
        finally:
            upload.close()
            path.unlink(missing_ok=True)

    def _brought(self, request: HttpRequest, table: str, upload: SpoolUpload) -> HttpResponse:
        """Raises BadRequest, DiskFull, and as `loads.check` and `imports.place`."""
        sent, file = request.POST, request.FILES.get("file")
        if upload.refusal:
            raise upload.refusal
        if file is None or not file.name:
            raise BadRequest(detail="Choose a file first.")
        if not file.size:
            raise BadRequest(detail="The file is empty.")
        loads.check(get_store(), table, None)
        options = options_of(sent)
        form = one_of(sent, "format", tuple(FORMATS)) if sent.get("format") else imports.format_of(file.name)
        path = imports.place(get_store(), upload.path, file.name, form)
        return self._checked(path, get_store().table(table).name, file.name, options)

    def _checked(self, path: Path, table: str, name: str, options: Options) -> HttpResponse:
        """Leaves the check; a file of which no row can be loaded is thrown away at once, and what is wrong with it is shown."""
        try:
            seen = imports.preview(get_store(), table, path, options)
            if seen.problems:
                path.unlink(missing_ok=True)
                return self._refused(f"No row of {name} can be loaded as it is. Mend the file and choose it again.", seen)
            check = imports.check(path, table, name, options, self.request.user)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        address = f"{self.request.path}{check.id}/"
        return HttpResponse(headers={"HX-Redirect": address}) if self.request.headers.get("HX-Request") else redirect(address)

    def _refused(self, problem: str, seen: Preview | None = None) -> HttpResponse:
        context = self.get_context_data(problem=problem, preview=seen) | {"asked": self.request.POST}
        return self.render_to_response(context)


class Check(Part):
    """A file that was brought: how its check goes on, what it would be in the table, and the confirmation."""

    template_name, part_name = "console/import_check.html", "console/import_state.html"
    rights = RIGHTS

    @property
    def crumbs(self) -> list[tuple[str, str]]:
        table = self.kwargs["table"]
        return [*crumbs_of(table), ("Import a file", f"{address_of(table)}import/")]

    def post(self, request: HttpRequest, table: str, check: uuid.UUID) -> HttpResponse:
        found, store = self._found(), get_store()
        try:
            match request.POST.get("deed"):
                case "load":
                    return redirect(f"/console/jobs/{imports.load(store, found, options_of(request.POST), request.user).id}/")
                case "again":
                    return redirect(f"../{imports.check_again(store, found, options_of(request.POST), request.user).id}/")
                case "discard":
                    imports.discard(store, found)
                    messages.info(request, f"The file {found.inputs.get('file')} was thrown away; nothing was loaded.")
                    return redirect(f"{address_of(table)}import/")
        except (BadRequest, UploadGone) as error:
            messages.error(request, str(error))
        return redirect(request.path)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        found = self._found()
        self.title = f"Check of {found.inputs.get('file', '')}"
        state = shown(found, self.request.user) | self._offer(found)
        if not self.request.headers.get("HX-Request"):
            state |= self._look(found)
        more = {"table": found.inputs["table"], "inputs": found.inputs, "nulls": ",".join(found.inputs["nulls"])}
        return super().get_context_data(**kwargs) | state | more

    def _found(self) -> Job:
        """The check of the address. Raises JobNotFound."""
        found = job_rights.found(self.kwargs["check"], self.request.user)
        if found.kind != "check":
            raise JobNotFound(job=found.id)
        return found

    def _offer(self, found: Job) -> dict[str, Any]:
        """What may be done with the file now."""
        result = found.result if isinstance(found.result, dict) else {}
        good = job_words.good_rows(result)
        load = imports.load_of(found)
        return {
            "load": load,
            "good": good,
            "expected": job_words.expected(result),
            "skips": found.inputs.get("on_error") == "skip",
            "is_checked": found.state == Job.State.DONE,
            "was_ended": found.state not in (*OPEN, Job.State.DONE),
        }

    def _look(self, found: Job) -> dict[str, Any]:
        """The first rows, as long as the file is there."""
        try:
            path = imports.path_of(get_store(), found)
            return {"preview": imports.preview(get_store(), found.inputs["table"], path, loads.options_of(found.inputs)), "is_there": True}
        except SpawnError as error:
            return {"gone": str(error)}
