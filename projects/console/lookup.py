"""What a reference may name: values of the column that it refers to, for a field that offers them."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from projects.console.row_pages import RowsPage
from projects.errors import BadRequest
from projects.store import grid
from projects.store.connection import get_store
from projects.store.references import references_of
from projects.store.retries import steadily

MATCHES = 20
LONGEST = 200  # characters of a text to look for


class Lookup(RowsPage):
    """JSON: `{"matches": [{"value", "label"}]}`, those first that begin with `q`. Raises BadRequest for a column without a reference."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        store, asked = get_store(), request.GET.get("column", "")
        reference = next((r for r in references_of(store, self.live.schema) if r.column.name == asked), None)
        if reference is None:
            raise BadRequest(detail=f"{self.live.name} has no column {asked!r} that refers to another.")
        target, text = reference.target, request.GET.get("q", "")[:LONGEST].replace("\0", "")
        if target is None:
            return JsonResponse({"matches": []})
        found = steadily(store, reference.to, lambda live: grid.matches(store, live.schema, target, text, MATCHES))
        return JsonResponse({"matches": [{"value": value, "label": label} for value, label in found]})
