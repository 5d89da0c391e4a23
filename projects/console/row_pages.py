"""What the pages of a table's rows have in common."""

from functools import cached_property
from typing import Any

from projects.console import places
from projects.errors import DuplicateKey, RowReferenced, RowRefused, StoreBusy
from projects.models import is_read_only
from projects.store.books import LiveTable
from projects.store.connection import get_store
from schema_registry import rights
from schema_registry.errors import Problem, SpawnError
from schema_registry.pages import Page

OPENED, ONCE, DEED = "__row", "__once", "__deed"  # A form's own fields: no column's name begins so.
REFUSALS = (RowRefused, DuplicateKey, RowReferenced, StoreBusy)  # What a form says, and can be sent again after.


def problems_of(refusal: SpawnError) -> list[Problem]:
    """What is wrong, each with its place where it has one."""
    return list(refusal.problems) or [Problem("", "refused", str(refusal))]


class RowsPage(Page):
    """A page of rows, of one or of many. Raises TableNotFound."""

    @cached_property
    def live(self) -> LiveTable:
        """The table of the address, by the name that it has now or had before."""
        return get_store().table(self.kwargs["table"])

    @property
    def crumbs(self) -> list[tuple[str, str]]:
        name = self.live.name
        return [("Tables", "/console/tables/"), (name, places.table_page(name)), ("Rows", places.grid_page(name))]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        closed = is_read_only(self.live.name)
        seen = {
            "table": self.live,
            "is_read_only": closed,
            "may_write": self.allows(rights.WRITE_ROWS) and not closed,
            "grid_page": places.grid_page(self.live.name),
            "table_page": places.table_page(self.live.name),
        }
        return super().get_context_data(**seen | kwargs)
