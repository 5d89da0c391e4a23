"""The schemas in the console: every snapshot as it was fetched, any two side by side, and fetching them now."""

from typing import Any

from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from projects import jobs
from projects.console import columns
from projects.console.comparison import compared, lines
from projects.console.places import table_page
from projects.errors import ProjectsError, TableNotFound
from projects.plans import open_plan
from projects.store.books import LiveTable
from projects.store.connection import get_store
from schema_registry import documents, rights, snapshots
from schema_registry.errors import OntologyUnavailable, UnknownVersion
from schema_registry.models import Listing, Snapshot
from schema_registry.ontology import OntologyClient
from schema_registry.pages import Page

SCHEMAS = ("Schemas", "/console/schemas/")
ON_A_PAGE = 50
LONGEST_DOCUMENT = 200_000  # characters that a page shows of a document
SOURCES = (*Snapshot.Provenance.values,)


class Schemas(Page):
    """Every snapshot, the newest first, narrowed by `q`, `table` and `provenance`; a POST fetches now, as a job."""

    title = "Schemas"
    template_name = "console/schemas.html"
    rights = {"GET": rights.READ_ROWS, "POST": rights.MANAGE_TABLES}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The same job as POST /admin/sync leaves, or one that only says what it would do; two clicks make one."""
        flags = {"accept_shrunk": True} if "accept_shrunk" in request.POST else {}
        job = jobs.leave_once("sync", {"names": [], "dry_run": request.POST.get("deed") != "sync", **flags}, request.user)
        return redirect(f"/console/jobs/{job.id}/")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        given = {name: self.request.GET.get(name, "") for name in ("q", "table", "provenance")}
        page = Paginator(_chosen(**given), ON_A_PAGE).get_page(self.request.GET.get("page"))
        return super().get_context_data(
            page=page,
            live=_live_versions(),
            is_empty=not page.paginator.count and not any(given.values()),
            sources=SOURCES,
            **given,
            **_source(),
            **kwargs,
        )


def _chosen(*, q: str, table: str, provenance: str) -> QuerySet[Snapshot]:
    found = Snapshot.objects.defer("schema", "document").order_by("-fetched_at", "-id")
    if q:
        found = found.filter(Q(table_name__icontains=q) | Q(document_id__icontains=q) | Q(url__icontains=q) | Q(fingerprint__startswith=q))
    if table:
        found = found.filter(table_key=table.casefold())
    return found.filter(provenance=provenance) if provenance in SOURCES else found


def _live_versions() -> dict[str, int]:
    """The version of each live table by its name; nothing where DuckDB cannot be read, which is no reason to show no schema."""
    try:
        return {table.name: table.version for table in get_store().tables()}
    except ProjectsError:
        return {}


def _source() -> dict[str, Any]:
    """Where schemas come from, and what was listed there last."""
    try:
        client = OntologyClient.from_settings()
    except OntologyUnavailable as failure:
        return {"trouble": str(failure)}
    return {"source": client.url, "is_mock": client.use_mock, "listing": Listing.objects.filter(url=client.url).first()}


class Schema(Page):
    """One table's snapshots, and two of them side by side: `from` and `to`, the live one and the newest where they are left out."""

    template_name = "console/schema.html"
    crumbs = [SCHEMAS]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        found = snapshots.versions(kwargs["table"])
        name, live = found[0].table_name, _live(kwargs["table"])
        self.title = f"Schemas of {name}"
        before, after = self._two(found, live)
        plan = open_plan(live.name) if live else None
        shown = {"from": before, "to": after, "live": live, "plan": plan, "versions": found, "address": table_page(name)}
        return super().get_context_data(**{**kwargs, "table": name}, **shown, **_compared(before, after))

    def _two(self, found: list[Snapshot], live: LiveTable | None) -> tuple[Snapshot, Snapshot]:
        """The two versions that are asked for. Raises UnknownVersion."""
        numbered = {one.number: one for one in found}
        newest = found[0].number
        present = live.version if live and live.version in numbered else newest
        default = present if present != newest else max((n for n in numbered if n < newest), default=newest)
        asked = (self.request.GET.get("from") or default, self.request.GET.get("to") or newest)
        for number in asked:
            if not str(number).isdecimal() or len(str(number)) > 9 or int(number) not in numbered:
                raise UnknownVersion(table=found[0].table_name, number=number)
        return numbered[int(asked[0])], numbered[int(asked[1])]


def _live(name: str) -> LiveTable | None:
    try:
        return get_store().table(name)
    except (TableNotFound, ProjectsError):
        return None


def _compared(before: Snapshot, after: Snapshot) -> dict[str, Any]:
    """The comparison of two snapshots; one with itself is shown whole."""
    if before.pk == after.pk:
        return {"columns": columns.lines(after.as_schema()), "schema": after.as_schema(), "document": _pretty(after)}
    found, more = lines(_pretty(before), _pretty(after))
    return {"comparison": compared(before.as_schema(), after.as_schema()), "document_lines": found, "more_lines": more}


def _pretty(snapshot: Snapshot) -> str:
    """The document on several lines, every number with its digits."""
    try:
        text = documents.pretty(documents.read(snapshot.document))
    except documents.NotJson:
        text = snapshot.document
    return text if len(text) <= LONGEST_DOCUMENT else text[:LONGEST_DOCUMENT] + "\n… the rest is at /admin/schemas"
