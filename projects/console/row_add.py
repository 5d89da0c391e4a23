"""A new row, by a form made of the schema."""

from typing import Any, ClassVar
from uuid import uuid4

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from projects import idempotency, rows
from projects.console import places
from projects.console.row_fields import Field, blank_fields, body_of, filled, with_problems
from projects.console.row_pages import DEED, ONCE, REFUSALS, RowsPage, problems_of
from projects.errors import KeyReused
from projects.idempotency import Promise
from projects.store.connection import get_store
from schema_registry import rights
from schema_registry.errors import Problem


class NewRow(RowsPage):
    """The form of a new row. Sent twice, it makes one row. Raises TableReadOnly."""

    template_name = "console/row_add.html"
    rights: ClassVar[dict[str, str]] = {"GET": rights.WRITE_ROWS, "POST": rights.WRITE_ROWS}

    @property
    def title(self) -> str:  # type: ignore[override]  # It is the table's.
        return f"Add a row to {self.live.name}"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        rows.check_writable(self.live.name)
        return self._form(blank_fields(self.live.schema), [])

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        rows.check_writable(self.live.name)
        fields = filled(blank_fields(self.live.schema), request.POST)
        body, problems = body_of(fields, is_new=True)
        if problems:
            return self._form(fields, problems)
        try:
            return self._made(request, body)
        except REFUSALS as refusal:
            return self._form(fields, problems_of(refusal))
        except KeyReused:
            return self._form(fields, [Problem("", "made", "This form has made a row already. Send it again to make another.")])

    def _made(self, request: HttpRequest, body: dict[str, Any]) -> HttpResponse:
        """The answer that leads to the row; the form's own token is its Idempotency-Key, and what stands in it the request."""
        request.META[idempotency.HEADER] = request.POST.get(ONCE) or str(uuid4())
        sent = sorted((name, *values) for name, values in request.POST.lists() if name != "csrfmiddlewaretoken")

        def make(promise: Promise | None) -> HttpResponse:
            if promise:
                promise.note(repr(sent).encode())
                promise.settle()
            keep = (lambda written: promise.keep(self._to(written))) if promise else None
            written = rows.create(get_store(), self.live.name, body, actor=request.user.get_username(), keep=keep)
            messages.success(request, f"The row {written.entry.key} was added.")
            return self._to(written)

        return idempotency.once(get_store(), self.live.name, request, str(request.user.pk), make)

    def _to(self, written: rows.Written) -> HttpResponse:
        grid = places.grid_page(written.entry.table)
        another = self.request.POST.get(DEED) == "another"
        return HttpResponseRedirect(f"{grid}add/" if another else places.row_page(written.entry.table, written.entry.key or ""))

    def _form(self, fields: list[Field], problems: list[Problem]) -> HttpResponse:
        shown, others = with_problems(fields, problems)
        return self.render_to_response(self.get_context_data(fields=shown, others=others, is_refused=bool(problems), once=str(uuid4())))
