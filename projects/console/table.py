"""One table in the console: what it is, what is wrong with it, and what a steward may decide about it."""

import json
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect

from projects import aliases, archives, described, drift, one_table, sync, undoing
from projects.console import columns, examples
from projects.console.places import table_page
from projects.console.tables import TABLES, decided
from projects.errors import ConfirmationMissing, ProjectsError, TableAltered, TableNotFound
from projects.evolution.policy import ACTIONS, CLASSES
from projects.models import Compatibility, ManagedTable, Plan
from projects.store.books import LiveTable
from projects.store.connection import Store, get_store
from projects.store.retries import steadily
from projects.store.summary import Summary, summarize
from schema_registry import rights
from schema_registry.errors import Problem, SpawnError
from schema_registry.models import Snapshot
from schema_registry.pages import Page

VERSIONS = 10  # shown here; the table's schemas have a page of their own
FLAGS = {
    "pinned": ("Pinned", "A sync leaves the table at its version."),
    "read_only": ("Read-only", "Nobody writes, changes or deletes its rows."),
    "enforce_references": ("Enforce references", "Rows written here must refer to what is there, and that cannot go while they do."),
}


class Table(Page):
    """A table's own page; who is sent here with an old name goes on to the present one."""

    template_name = "console/table.html"
    rights = {"GET": rights.READ_ROWS, "POST": rights.MANAGE_TABLES}
    crumbs = [TABLES]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        store, name = get_store(), kwargs["table"]
        try:
            present = store.present_name(name)
        except ProjectsError as error:
            return self.render_to_response(self.get_context_data(problem=str(error), **kwargs))
        if present != name:
            return redirect(table_page(present))
        return self.render_to_response(self.get_context_data(**kwargs))

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Does what the pressed button says, then shows what came of it; what stands against it is said beside the button."""
        deed = request.POST.get("deed", "")
        try:
            return _DEEDS[deed](request, get_store(), kwargs["table"]) if deed in _DEEDS else redirect(request.path)
        except ConfirmationMissing as refusal:
            words = f"That is not the name of this table. Type {refusal.table} to drop it."
            return self._refused(deed, words)
        except SpawnError as refusal:
            return self._refused(deed, str(refusal), refusal.problems)

    def _refused(self, deed: str, words: str, problems: tuple[Problem, ...] = ()) -> HttpResponse:
        refusal = {"deed": deed, "words": words, "problems": problems}
        return self.render_to_response(self.get_context_data(refusal=refusal, **self.kwargs))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        name = kwargs["table"]
        self.title = f"Table {name}"
        shown = {} if "problem" in kwargs else self._shown(get_store(), name)
        return super().get_context_data(**shown, address=table_page(name), **kwargs)

    def _shown(self, store: Store, name: str) -> dict[str, Any]:
        """Raises TableNotFound where there is no table of that name and never was one."""
        record = ManagedTable.objects.filter(name__iexact=name).first()
        if store.has(name):
            base = self.request.build_absolute_uri("/").rstrip("/")
            try:
                facts = steadily(store, name, lambda live: _facts(store, live, record, base))
            except TableAltered:
                facts = _facts(store, store.table(name), record, base, counted=False)
            return facts | self._measured(store, name)
        if record is None:
            raise TableNotFound(table=name)
        return {"record": record, "archives": archives.of_table(store, [name])}

    def _measured(self, store: Store, name: str) -> dict[str, Any]:
        """What the columns hold, for a browser without scripts, which asks for it with the page."""
        return measured(store, name) if self.request.GET.get("measured") else {}


class Measured(Page):
    """What a table's columns hold: the part of its page that htmx asks for, else a page of its own."""

    title = "What the columns hold"

    @property
    def crumbs(self) -> list[tuple[str, str]]:
        name = self.kwargs["table"]
        return [TABLES, (f"Table {name}", table_page(name))]

    def get_template_names(self) -> list[str]:
        return ["console/measured.html" if self.request.headers.get("HX-Request") else "console/measured_page.html"]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**measured(get_store(), kwargs["table"]), **kwargs)


def measured(store: Store, name: str) -> dict[str, Any]:
    """What each column holds, or why that cannot be said."""

    def summed(live: LiveTable) -> list[Summary]:
        return summarize(store, live, seconds=settings.QUERY_TIMEOUT)

    try:
        return {"summaries": steadily(store, name, summed)}
    except ProjectsError as error:
        return {"unmeasured": str(error)}


# What the page shows.


def _facts(store: Store, live: LiveTable, record: ManagedTable | None, base: str, *, counted: bool = True) -> dict[str, Any]:
    drifted = drift.look(store, [live]).get(live.name.casefold())
    names = {live.name, *(alias.name for alias in live.aliases if alias.column is None)}
    tables = {table.name.casefold(): table for table in store.tables()}
    return {
        "seen": described.detail(store, live, drifted, counted=counted),
        "drifted": drifted,
        "live": live,
        "iri": columns.web_address(live.schema.id),
        "labels": decided(record),
        "columns": columns.lines(live.schema, tables),
        "users": _users(live, list(tables.values())),
        **_versions(live),
        "archives": archives.of_table(store, names),
        "examples": examples.examples(live.schema, base),
        "decisions": _decisions(record),
    }


def _users(live: LiveTable, tables: list[LiveTable]) -> list[tuple[str, str]]:
    """The columns of other tables that refer to this one, as (table, column)."""
    names = {live.name.casefold(), *(alias.name.casefold() for alias in live.aliases if alias.column is None)}
    referring = ((table.name, c) for table in tables for c in table.schema.columns if c.references)
    return [(table, c.name) for table, c in referring if (c.references or "").rpartition(".")[0].casefold() in names]


def _versions(live: LiveTable) -> dict[str, Any]:
    found = Snapshot.objects.filter(table_key=live.name.casefold()).defer("schema", "document").order_by("-number")
    return {"versions": found[:VERSIONS], "more_versions": max(found.count() - VERSIONS, 0)}


def _decisions(record: ManagedTable | None) -> dict[str, Any]:
    """What people decided, for the form; `shown` is that as text, by which the form tells that somebody else decided meanwhile."""
    record = record or ManagedTable()
    classes = [{"name": name, "own": record.policy.get(name, ""), "default": settings.EVOLUTION_POLICY[name]} for name in CLASSES]
    return {
        "flags": [{"name": n, "value": getattr(record, n), "label": label, "help": said} for n, (label, said) in FLAGS.items()],
        "compatibility": record.compatibility,
        "modes": Compatibility.values,
        "classes": classes,
        "actions": ACTIONS,
        "shown": _as_shown(record),
    }


def _as_shown(record: ManagedTable) -> str:
    return json.dumps([*(getattr(record, name) for name in FLAGS), record.compatibility, record.policy], sort_keys=True)


# What a steward does.


def _decide(request: HttpRequest, store: Store, name: str) -> HttpResponse:
    record = ManagedTable.objects.filter(name__iexact=name).first()
    if record and request.POST.get("shown") != _as_shown(record):
        messages.error(request, "Somebody decided on this table meanwhile, so nothing was saved; what stands now is shown.")
        return redirect(table_page(name) + "#decisions")
    one_table.decide(store, name, _given(request.POST), actor=request.user.get_username())
    messages.success(request, f"What you decided about {name} is kept.")
    return redirect(table_page(name) + "#decisions")


def _given(post: QueryDict) -> dict[str, Any]:
    policy = {name: post[f"policy_{name}"] for name in CLASSES if post.get(f"policy_{name}")}
    flags = {name: name in post for name in FLAGS}
    return {**flags, "compatibility": post.get("compatibility"), "policy": policy}


def _plan(request: HttpRequest, store: Store, name: str) -> HttpResponse:
    return _proposed(request, one_table.plan(store, name, actor=request.user.get_username()))


def _repair(request: HttpRequest, store: Store, name: str) -> HttpResponse:
    return _proposed(request, one_table.plan(store, name, actor=request.user.get_username(), drift=Plan.Kind.REPAIR.value))


def _adopt(request: HttpRequest, store: Store, name: str) -> HttpResponse:
    return _proposed(request, one_table.plan(store, name, actor=request.user.get_username(), drift=Plan.Kind.ADOPT.value))


def _proposed(request: HttpRequest, made: Plan) -> HttpResponse:
    if not made.pk:
        messages.success(request, f"There is nothing to do: {made.table} is as it should be.")
        return redirect(table_page(made.table))
    return redirect(f"/console/plans/{made.pk}/")


def _drop(request: HttpRequest, store: Store, name: str) -> HttpResponse:
    made = undoing.drop(store, name, confirm=request.POST.get("confirm", "").strip(), actor=request.user.get_username())
    if made.state == Plan.State.APPLIED:
        messages.success(request, f"The table {name} is dropped. Its rows are in the archive: undo this plan to have them back.")
    return redirect(f"/console/plans/{made.pk}/")


def _retire(request: HttpRequest, store: Store, name: str) -> HttpResponse:
    alias = request.POST.get("alias", "")
    aliases.retire(store, name, alias, actor=request.user.get_username())
    messages.success(request, f"The old name {alias} is retired: what still uses it is refused from now on.")
    return redirect(table_page(name) + "#aliases")


def _make(request: HttpRequest, store: Store, name: str) -> HttpResponse:
    outcome = sync.spawn(store, [name], actor=request.user.get_username(), revive=True).outcomes[0]
    say = messages.error if outcome.outcome == "refused" else messages.success
    say(request, outcome.detail or f"The table {outcome.table} is {outcome.outcome}.")
    return redirect(table_page(name))


_DEEDS: dict[str, Callable[[HttpRequest, Store, str], HttpResponse]] = {
    "decide": _decide,
    "plan": _plan,
    "repair": _repair,
    "adopt": _adopt,
    "drop": _drop,
    "retire": _retire,
    "make": _make,
}
