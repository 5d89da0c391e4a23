"""The grid: the rows of a table of any size, a page at a time, as its address asks for them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from projects.aliases import Names
from projects.console import grid_pages, places
from projects.console.cells import Cell, kind_of
from projects.console.grid_filters import ColumnFilter, chips, filter_of
from projects.console.grid_state import State, joined, sent
from projects.console.row_pages import RowsPage
from projects.errors import BadRequest
from projects.filters import Listing
from projects.formats import FORMATS
from projects.list_answers import turn
from projects.store import grid
from projects.store.books import LiveTable
from projects.store.connection import Store, get_store
from projects.store.references import references_of
from projects.store.retries import steadily
from schema_registry.schema import ColumnSchema, TableSchema

COUNTED = 0.2  # seconds that a page waits for the number of all rows
MOST_JSON = 10_000  # rows that REST gives as one JSON array
SUFFIXES = {"csv": "CSV", "parquet": "Parquet", "ndjson": "NDJSON", "arrow": "Arrow", "json": f"JSON, the first {MOST_JSON:,} rows"}


class Grid(RowsPage):
    """The rows of a table. The whole state is in the address, in REST's own words."""

    template_name = "console/grid.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        store, live = get_store(), self.live
        if asked := sent(Names(live), request.GET):
            return HttpResponseRedirect(asked.address if asked.pairs else request.path)
        state = State.of(request.META.get("QUERY_STRING", ""))
        seen = steadily(store, live.name, lambda now: seen_rows(store, now, state))
        return self.render_to_response(self.get_context_data(**seen), status=400 if seen["problem"] else 200)

    @property
    def title(self) -> str:  # type: ignore[override]  # It is the table's.
        return f"Rows of {self.live.name}"

    @property
    def crumbs(self) -> list[tuple[str, str]]:
        return super().crumbs[:-1]


def seen_rows(store: Store, live: LiveTable, state: State) -> dict[str, Any]:
    """Everything that the grid shows of a table in a state; what cannot be understood is the `problem`, in words. Raises SchemaMoved."""
    names = Names(live)
    listing, found, problem = Listing(), grid_pages.NOTHING, ""
    try:
        listing = grid_pages.read(names, state.pairs)
        with turn(store, names, listing):
            found = grid_pages.page(store, names, listing)
    except BadRequest as refused:
        problem = str(refused)
    counted = None if found.is_whole else grid.count(store, live.schema, listing, COUNTED)
    columns = listing.fields or live.schema.columns
    return {
        "table": live,
        "problem": problem,
        "state": state,
        "heads": [Head.of(names, state, listing, column) for column in columns],
        "rows": rows_of(store, live.schema, columns, found.rows),
        "pager": pager(state, found),
        "amount": "" if problem else amount(found, counted),
        "chips": list(chips(names, state)),
        "clear": State(tuple(pair for pair in state.unpaged().pairs if pair not in state.selecting.pairs)).address,
        "searches": any(c.type.base == "VARCHAR" and not c.multivalued for c in live.schema.columns),
        "columns": [(c, c in columns) for c in live.schema.columns],
        "sizes": [(size, state.put("limit", str(size)).address, size == listing.limit) for size in grid_pages.SIZES],
        "exports": list(exports(live, state)),
        "q": state.get("q"),
    }


@dataclass(frozen=True, slots=True)
class Head:
    """A column's head: how the list is sorted by it (aria's words), and what a click makes of that, alone and beside the other columns.

    `rank` is its place among the columns of the sort, 0 where it is the only one or none.
    """

    column: ColumnSchema
    kind: str
    sorted: str
    click: str
    also: str
    rank: int
    filter: ColumnFilter
    is_key: bool

    @classmethod
    def of(cls, names: Names, state: State, listing: Listing, column: ColumnSchema) -> "Head":
        now = next(("descending" if down else "ascending" for c, down in listing.sort if c.name == column.name), "none")
        others = [("-" if down else "") + c.name for c, down in listing.sort if c.name != column.name]
        own = {"none": [column.name], "ascending": [f"-{column.name}"], "descending": []}[now]
        click, also = (state.put("sort", joined(names_) if names_ else "").address for names_ in (own, [*others, *own]))
        rank = 0 if now == "none" or not others else 1 + [c.name for c, _ in listing.sort].index(column.name)
        is_key = column.name in names.schema.primary_key
        return cls(column, kind_of(column), now, click, also, rank, filter_of(names, state, column), is_key)

    @property
    def words(self) -> str:
        """What a column's values are, for its head: the type, the unit, and that times are UTC."""
        unit = self.column.unit or ("UTC" if self.column.type.base in ("TIMESTAMP", "TIMESTAMPTZ") else "")
        return " · ".join(filter(None, (self.column.sql_type, unit, "key" if self.is_key else "")))


def rows_of(
    store: Store, schema: TableSchema, columns: Sequence[ColumnSchema], rows: Sequence[grid.Shown]
) -> list[tuple[str, str, list[Cell]]]:
    """Each row's key, the address of its page, and its cells."""
    leads = {
        r.column.name: places.referenced(store, r, [row.cells[columns.index(r.column)] for row in rows])
        for r in references_of(store, schema)
        if r.column in columns
    }
    return [
        (
            row.key,
            places.row_page(schema.name, row.key),
            [Cell.of(c, value, leads[c.name][n] if c.name in leads else "") for c, value in zip(columns, row.cells, strict=True)],
        )
        for n, row in enumerate(rows)
    ]


def pager(state: State, found: grid_pages.Paged) -> list[tuple[str, str, str]]:
    """The icon, the words and the address of each way to another page; no address where there is no such page."""
    first = state.unpaged()
    return [
        ("first_page", "First page", "" if found.is_first else first.address or "?"),
        ("chevron_left", "Previous page", first.at(found.previous).address if found.previous else ""),
        ("chevron_right", "Next page", first.at(found.next).address if found.next else ""),
        ("last_page", "Last page", "" if found.is_last else first.at(grid_pages.LAST).address),
    ]


def amount(found: grid_pages.Paged, counted: grid.Count | None) -> str:
    """Which rows of how many are seen."""
    shown = len(found.rows)
    if found.is_whole:
        return f"{shown:,} row{'' if shown == 1 else 's'}"
    if counted is None:
        return f"{shown:,} rows; counting them all takes too long"
    total = f"{counted.rows:,}" if counted.is_exact else f"about {counted.rows:,}"
    if found.is_first:
        return f"1 to {shown:,} of {total} rows"
    if found.is_last and counted.is_exact:
        return f"{counted.rows - shown + 1:,} to {total} of {total} rows"
    return f"{shown:,} of {total} rows"


def exports(live: LiveTable, state: State) -> Iterator[tuple[str, str, str]]:
    """The words, the address and the file's name of what is seen, all its pages, in each format."""
    whole = state.unpaged().without("limit", "format")
    for name, words in SUFFIXES.items():
        bounded = [("limit", str(MOST_JSON))] if name == "json" else []
        yield words, f"{places.rest(live.name)}{whole.adding([*bounded, ('format', name)]).address}", f"{live.name}.{FORMATS[name].suffix}"
