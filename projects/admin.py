"""The tables and the jobs in the console: what is there, to be looked at; a person may pin a table or close its rows."""

from collections.abc import Mapping
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.template.loader import render_to_string
from django.utils.formats import localize
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from unfold.views import ChangeList as UnfoldChangeList

from projects import audit, described, plans
from projects.errors import ProjectsError
from projects.models import Job, ManagedTable
from projects.store.connection import get_store
from projects.store.retries import steadily
from projects.table_page import curl, table_page
from schema_registry import documents, rights
from schema_registry.admin import ReadOnlyAdmin

COLOURS = {
    "in step": "success",
    "behind": "warning",
    "missing": "danger",
    "pinned": "info",
    "read-only": "info",
    "done": "success",
    "running": "info",
    "failed": "danger",
}
DEEDS = {
    ("pinned", True): "table.pin",
    ("pinned", False): "table.unpin",
    ("read_only", True): "table.read_only",
    ("read_only", False): "table.writable",
    ("enforce_references", True): "table.enforce",
    ("enforce_references", False): "table.unenforce",
}
SHOWN_INPUTS = {"names", "table", "nulls", "dry_run"}  # What else a job was given may be a secret: its name is enough.


admin.site.index_title = "Console"


def _labels(states: list[str]) -> SafeString | None:
    shown = (render_to_string("unfold/helpers/label.html", {"text": s, "type": COLOURS.get(s)}) for s in states)
    return format_html('<span class="spawn-labels">{}</span>', SafeString("".join(shown))) if states else None


def _pre(text: str) -> SafeString:
    return format_html('<pre class="spawn-code">{}</pre>', text)


class StateFilter(admin.SimpleListFilter):
    """What people decided about a table; whether it is behind is known table by table only."""

    title = "state"
    parameter_name = "state"
    conditions: Mapping[str, dict[str, Any]] = {
        "not dropped": {"dropped_at": None},
        "pinned": {"dropped_at": None, "pinned": True},
        "read-only": {"dropped_at": None, "read_only": True},
        "dropped": {"dropped_at__isnull": False},
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state, state.capitalize()) for state in self.conditions]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(**self.conditions.get(self.value() or "", {}))


class TableList(UnfoldChangeList):
    """One page of tables, each with what DuckDB says of it in `seen`, which is None where it says nothing."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)  # type: ignore[has-type]  # unfold has no types
        found = _summaries(request, [record.name for record in self.result_list])
        for record in self.result_list:
            record.seen = found.get(record.name.casefold())


def _summaries(request: HttpRequest, names: list[str]) -> dict[str, dict[str, Any]]:
    """The tables of those names that DuckDB has; where it cannot be read the reader is told why."""
    wanted = {name.casefold() for name in names}
    try:
        store = get_store()
        live = [table for table in store.tables() if table.name.casefold() in wanted]
        return {seen["name"].casefold(): seen for seen in described.summaries(store, live)}
    except ProjectsError as error:
        messages.error(request, f"DuckDB cannot be read now. {error}")
        return {}


@admin.register(ManagedTable)
class ManagedTableAdmin(ReadOnlyAdmin):
    empty_text = "There is no table yet. POST /ops/initialize, or `manage.py sync_schemas`, makes one of each schema that the ontology has."
    list_display = ["name", "description", "rows", "version", "source", "state", "changed"]
    list_filter = [StateFilter]
    search_fields = ["name"]
    search_help_text = "Searches the tables' names."
    fieldsets = [
        (None, {"fields": [("name", "state"), "description", ("source", "version"), ("rows", "size"), "changed"]}),
        ("What people decided", {"fields": [("pinned", "read_only", "enforce_references")]}),
    ]
    readonly_fields = ["name", "state", "description", "source", "version", "rows", "size", "changed"]
    change_form_outer_before_template = "projects/table_notices.html"
    change_form_outer_after_template = "projects/table.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return TableList

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """A table that was dropped has nothing to pin."""
        decides = self.has_view_permission(request) and rights.allows(request.user, None, rights.MANAGE_TABLES)
        return decides and not (isinstance(obj, ManagedTable) and obj.dropped_at)

    def save_model(self, request: HttpRequest, obj: ManagedTable, form: Any, change: bool) -> None:
        """Saves what was decided and nothing else: a sync may have moved the rest meanwhile."""
        obj.save(update_fields=form.changed_data)
        if form.changed_data:
            plans.void_approval(obj.name)
        for field in form.changed_data:
            audit.record(DEEDS[field, getattr(obj, field)], obj.name, actor=request.user.get_username())

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, obj: Any = None, **kwargs: Any) -> HttpResponse:
        base = request.build_absolute_uri("/").rstrip("/")
        context |= {"page": None, "problem": "", "again": curl(f"{base}/admin/tables", {"schema": obj.name})}
        try:
            store = get_store()
            if store.has(obj.name):
                context["page"] = steadily(store, obj.name, lambda live: table_page(store, live, base))
        except ProjectsError as error:
            context["problem"] = str(error)
        obj.seen = context["page"].seen if context["page"] else None
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)

    @admin.display(description="Description")
    def description(self, record: Any) -> str | None:
        return (record.seen and record.seen["description"]) or None

    @admin.display(description="Rows")
    def rows(self, record: Any) -> SafeString | None:
        count = record.seen and record.seen["rows"]
        return None if count is None else format_html('<span class="spawn-number">{}</span>', f"{count:,}")

    @admin.display(description="Size on disk")
    def size(self, record: Any) -> str | None:
        size = record.seen and record.seen["bytes"]
        return None if size is None else filesizeformat(size)

    @admin.display(description="Version")
    def version(self, record: Any) -> int | None:
        return record.seen and record.seen["version"]

    @admin.display(description="Source")
    def source(self, record: Any) -> SafeString | None:
        if not record.seen:
            return None
        source = record.seen["source"]
        return format_html('<span class="spawn-labels">{} {}</span>', source["document"], _labels([source["provenance"]]))

    @admin.display(description="State")
    def state(self, record: Any) -> SafeString | None:
        return _labels(_states(record))

    @admin.display(description="Changed")
    def changed(self, record: Any) -> str | None:
        moment = record.dropped_at or (record.seen and record.seen["changed_at"])
        return moment and localize(localtime(moment))


def _states(record: Any) -> list[str]:
    if record.dropped_at:
        return ["dropped"]
    decided = [state for state, is_so in (("pinned", record.pinned), ("read-only", record.read_only)) if is_so]
    return [record.seen["drift"]["state"], *decided] if record.seen else decided


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
