"""The query page: an editor for one SELECT, the tables beside it, the first rows of the result, and what one asked before."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from projects import queries, query_history, rows
from projects.errors import BadRequest, ClientLeft, ProjectsError
from projects.formats import FORMATS
from projects.load_answers import one_of
from projects.store.connection import get_store
from projects.store.query import First
from schema_registry import rights
from schema_registry.pages import Page

SHOWN_HISTORY = 50


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a query: its first rows and the seconds that they took, or why there are none."""

    found: First | None = None
    seconds: float = 0.0
    error: str = ""
    place: tuple[int, int] | None = None

    @property
    def rows(self) -> Iterator[list[tuple[str | None, bool]]]:
        """Each row as (text, whether it is a number)."""
        if self.found:
            numbers = [is_number for _, is_number in self.found.columns]
            yield from (list(zip(row, numbers, strict=True)) for row in self.found.rows)


class Query(Page):
    """The editor. A query is run by POST alone; an address may bring one, to be looked at first."""

    title = "Query"
    template_name, part_name = "console/query.html", "console/query_result.html"
    rights = {"GET": rights.READ_ROWS, "POST": rights.READ_ROWS}

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if table := request.GET.get("columns"):
            return self._columns(table)
        return self._page(request.GET.get("sql", ""), request.GET.get("params", ""))

    def post(self, request: HttpRequest) -> HttpResponseBase:
        statement, parameters = request.POST.get("sql", ""), request.POST.get("params", "")
        match request.POST.get("deed"):
            case "clear":
                query_history.clear(request.user)
                messages.info(request, "Your queries were forgotten.")
                return redirect(request.path)
            case "export":
                return self._exported(statement, parameters)
        return self._page(statement, parameters, self._run(statement, parameters))

    def _run(self, statement: str, parameters: str) -> Answer:
        began = time.monotonic()
        answer = self._asked(statement, parameters)
        answer = replace(answer, seconds=time.monotonic() - began)
        if statement.strip():
            shown = len(answer.found.rows) if answer.found else None
            query_history.note(self.request.user, statement, seconds=answer.seconds, rows=shown)
        return answer

    def _asked(self, statement: str, parameters: str) -> Answer:
        try:
            return Answer(queries.first_rows(self.request, _statement(statement), read_parameters(parameters)))
        except ClientLeft:
            return Answer(error="It was stopped, for its page was left.")
        except ProjectsError as error:
            return Answer(error=str(error), place=getattr(error, "place", None))

    def _exported(self, statement: str, parameters: str) -> HttpResponseBase:
        try:
            form = FORMATS[one_of(self.request.POST, "format", tuple(FORMATS))]
            return queries.as_file(self.request, _statement(statement), read_parameters(parameters), form)
        except ProjectsError as error:
            return self._page(statement, parameters, Answer(error=str(error), place=getattr(error, "place", None)))

    def _columns(self, table: str) -> HttpResponse:
        """A table's columns, for the list beside the editor. Raises TableNotFound."""
        columns = get_store().table(table).schema.columns
        written = queries.as_written([column.name for column in columns])
        named = [(column, inserted) for column, (_, inserted) in zip(columns, written, strict=True)]
        return self.response_class(self.request, ["console/query_columns.html"], {"columns": named})

    def _page(self, statement: str, parameters: str, answer: Answer | None = None) -> HttpResponse:
        """All of it, or for htmx what changes once a query was run."""
        is_part = bool(self.request.headers.get("HX-Request"))
        context: dict[str, Any] = {"request": self.request} if is_part else self.get_context_data()
        context |= {
            "sql": statement,
            "params": parameters,
            "answer": answer,
            "formats": FORMATS,
            "history": query_history.of(self.request.user)[:SHOWN_HISTORY],
        }
        if is_part:
            return self.response_class(self.request, [self.part_name], context)
        return self.render_to_response(context)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        tables = sorted(get_store().tables(), key=lambda table: table.name.casefold())
        return super().get_context_data(**kwargs) | {"tables": queries.as_written([table.name for table in tables])}


def _statement(text: str) -> str:
    if not text.strip():
        raise BadRequest(detail="Write a SELECT first.")
    return text


def read_parameters(text: str) -> Sequence[Any]:
    """The values for `?` or `$1`, as a JSON array. Raises BadRequest."""
    if not text.strip():
        return []
    try:
        found = rows.read_json(text.encode())
        json.dumps(found, ensure_ascii=False, default=str).encode()
    except (BadRequest, UnicodeEncodeError):
        found = None
    if not isinstance(found, list):
        raise BadRequest(detail='The parameters are a JSON array, such as ["ACTIVE", 2024].')
    return found
