"""The jobs in the console: what is there, to be looked at."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString

from projects.models import Job
from schema_registry import documents, rights
from schema_registry.admin import ReadOnlyAdmin

COLOURS = {
    "done": "success",
    "running": "info",
    "failed": "danger",
}
SHOWN_INPUTS = {"names", "table", "nulls", "dry_run"}  # What else a job was given may be a secret: its name is enough.


admin.site.index_title = "Console"


def _labels(states: list[str]) -> SafeString | None:
    shown = (render_to_string("unfold/helpers/label.html", {"text": s, "type": COLOURS.get(s)}) for s in states)
    return format_html('<span class="spawn-labels">{}</span>', SafeString("".join(shown))) if states else None


def _pre(text: str) -> SafeString:
    return format_html('<pre class="spawn-code">{}</pre>', text)


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    empty_text = "There was no job yet. A sync that is due and a file that a command leaves to the server are jobs."
    list_display = ["kind", "label", "progress", "maker", "created_at", "started_at", "finished_at"]
    list_filter = ["state", "kind"]
    list_select_related = ["created_by"]
    fieldsets = [
        (None, {"fields": ["id", "kind", "label", "progress", "maker", "created_at", "started_at", "finished_at"]}),
        ("What it was given", {"fields": ["shown_inputs"]}),
        ("What came of it", {"fields": ["error", "pretty_result"]}),
    ]
    readonly_fields = ["label", "progress", "maker", "shown_inputs", "pretty_result"]

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        everybodys = super().get_queryset(request)
        sees_all = rights.allows(request.user, None, rights.MANAGE_JOBS)
        return everybodys if sees_all else everybodys.filter(created_by=request.user.pk)

    @admin.display(description="State", ordering="state")
    def label(self, job: Job) -> SafeString | None:
        return _labels([job.state])

    @admin.display(description="Progress")
    def progress(self, job: Job) -> str | None:
        return f"{100 * job.done // job.total} %" if job.total else None

    @admin.display(description="Made by", ordering="created_by__username")
    def maker(self, job: Job) -> str:
        return job.created_by.get_username() if job.created_by else "the system"

    @admin.display(description="Inputs")
    def shown_inputs(self, job: Job) -> SafeString | None:
        shown = {name: value if name in SHOWN_INPUTS else "(not shown)" for name, value in job.inputs.items()}
        return _pre(documents.pretty(shown)) if shown else None

    @admin.display(description="Result")
    def pretty_result(self, job: Job) -> SafeString | None:
        return None if job.result is None else _pre(documents.pretty(job.result))
