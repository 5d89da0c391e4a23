"""One row: to be read, changed by a form made of the schema, or deleted; and its history."""

from dataclasses import replace
from functools import cached_property
from http import HTTPStatus
from typing import Any, ClassVar

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from projects import rows
from projects.conditions import Refused
from projects.console import history, places
from projects.console.cells import Cell
from projects.console.row_fields import Field, body_of, cells_of, fields_of, filled, is_as, merged, with_problems
from projects.console.row_pages import DEED, OPENED, REFUSALS, RowsPage, problems_of
from projects.errors import BadRequest, PreconditionFailed, RowNotFound
from projects.filters import whole
from projects.preconditions import Preconditions, Tags, tag_of
from projects.store import rows as stored
from projects.store.connection import get_store
from projects.store.references import references_of
from projects.store.retries import steadily
from schema_registry import rights
from schema_registry.errors import Problem

WHOLE = 1_000_000  # characters of a value that its row's own page shows


class OneRow(RowsPage):
    """One row. A form knows the row that it was made of, and writes only while the row is still so. Raises TableReadOnly."""

    template_name = "console/row.html"
    rights: ClassVar[dict[str, str]] = {"GET": rights.READ_ROWS, "POST": rights.WRITE_ROWS}

    @cached_property
    def key(self) -> str:
        """The key as REST and the change feed spell it. Raises RowNotFound."""
        return stored.key_text(rows.read_key(self.live.schema, self.kwargs["key"]))

    @property
    def title(self) -> str:  # type: ignore[override]  # It is the row's.
        return f"{self.live.name} {self.key}"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            row = self._row()
        except RowNotFound as gone:
            return self._gone(gone)
        return self._shown(row, fields_of(self.live.schema, row))

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        rows.check_writable(self.live.name)
        opened = request.POST.get(OPENED, "")
        if not isinstance(rows.read_json(opened.encode()), dict):
            raise BadRequest(detail="The form is without the row that it was made of; load its page again.")
        return self._delete(opened) if request.POST.get(DEED) == "delete" else self._save(opened)

    def _row(self) -> str:
        """The row's JSON text. Raises RowNotFound."""
        store, key = get_store(), self.kwargs["key"]
        return steadily(store, self.live.name, lambda live: stored.get(store, live.schema, rows.read_key(live.schema, key)))

    def _terms(self, opened: str) -> dict[str, Any]:
        """Who writes, and the row as it has to be still."""
        return {
            "actor": self.request.user.get_username(),
            "wanted": Preconditions(Tags(anything=False, strong=frozenset({tag_of(opened)}))),
        }

    def _save(self, opened: str) -> HttpResponse:
        before = fields_of(self.live.schema, opened)
        mine = filled(before, self.request.POST)
        body, problems = body_of((my for my, old in zip(mine, before, strict=True) if not is_as(my, old)), is_new=False)
        if problems:
            return self._shown(opened, mine, problems)
        if not body:
            messages.info(self.request, "Nothing was changed.")
            return HttpResponseRedirect(self.request.path)
        try:
            rows.patch(get_store(), self.live.name, self.key, body, **self._terms(opened))
        except REFUSALS as refusal:
            return self._shown(opened, mine, problems_of(refusal))
        except RowNotFound as gone:
            return self._gone(gone)
        except PreconditionFailed:
            return self._conflict(mine, before)
        messages.success(self.request, f"Saved {', '.join(body)}.")
        return HttpResponseRedirect(self.request.path)

    def _conflict(self, mine: list[Field], before: list[Field]) -> HttpResponse:
        """The form again, on the row as it is now; where all that I changed stands there already, as after a second click, all is well."""
        try:
            row = self._row()
        except RowNotFound as gone:
            return self._gone(gone)
        now = fields_of(self.live.schema, row)
        if all(is_as(my, old) or is_as(my, new) for my, old, new in zip(mine, before, now, strict=True)):
            return HttpResponseRedirect(self.request.path)
        return self._shown(row, merged(mine, before, now), has_moved=True)

    def _delete(self, opened: str) -> HttpResponse:
        fields = fields_of(self.live.schema, opened)
        try:
            rows.delete(get_store(), self.live.name, self.key, **self._terms(opened))
        except REFUSALS as refusal:
            return self._shown(opened, fields, problems_of(refusal))
        except PreconditionFailed:
            row = self._row()
            return self._shown(row, fields_of(self.live.schema, row), has_moved=True)
        except RowNotFound:
            messages.info(self.request, f"The row {self.key} was deleted already.")
        else:
            messages.success(self.request, f"The row {self.key} was deleted.")
        return HttpResponseRedirect(places.grid_page(self.live.name))

    def _shown(self, row: str, fields: list[Field], problems: list[Problem] | None = None, *, has_moved: bool = False) -> HttpResponse:
        shown, others = with_problems(fields, problems or [])
        cells = cells_of(self.live.schema, row)
        leads = self._leads(cells)
        seen = {"row": row, "others": others, "is_refused": bool(problems), "has_moved": has_moved}
        seen["fields"] = [replace(field, leads=leads.get(field.column.name, "")) for field in shown]
        values = [(c, Cell.of(c, cells[c.name], leads.get(c.name, ""), short=WHOLE)) for c in self.live.schema.columns]
        return self.render_to_response(self.get_context_data(values=values, **seen, **self._history()))

    def _gone(self, gone: RowNotFound) -> HttpResponse:
        """A row that is there no longer still has a history. Raises RowNotFound where it has none."""
        found = self._history()
        if not found["history"].entries:
            raise gone
        return self.render_to_response(self.get_context_data(row="", **found), status=HTTPStatus.NOT_FOUND)

    def _history(self) -> dict[str, Any]:
        try:
            before = whole(text, 1, 2**62) if (text := self.request.GET.get("before")) else None
        except Refused as refused:
            raise BadRequest(detail=f"before {refused}.") from refused
        found = history.of_row(get_store(), self.live, self.key, before)
        return {"key": self.key, "history": found, "is_latest": before is None, "rest": places.rest(self.live.name, self.key)}

    def _leads(self, cells: dict[str, str | None]) -> dict[str, str]:
        """Where each reference of the row leads."""
        store = get_store()
        return {r.column.name: places.referenced(store, r, [cells[r.column.name]])[0] for r in references_of(store, self.live.schema)}
