"""Lists of rows: a page, a count; export.py has whole results. `source` is a relation that has the rows as the schema says, where
that is not the table itself."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from projects.errors import BadRequest
from projects.filters import DEFAULT_LIMIT, Listing
from projects.store import sql
from projects.store.conditions import holds, where
from projects.store.connection import Store
from projects.store.ordering import Place, after, order_by, place, place_of
from projects.store.rows import reader
from schema_registry.schema import TableSchema

LARGE = 50_000  # rows from which it pays to sort the rows' numbers alone, and to fetch the columns of one page afterwards
REMEMBERED = 60.0  # seconds for which a table's size is not asked again


@dataclass(frozen=True, slots=True)
class Page:
    """Rows as JSON texts, and the place of the last one where more come after it."""

    rows: list[str]
    end: Place | None


def page(store: Store, schema: TableSchema, listing: Listing, source: str = "") -> Page:
    """One page, in the order asked for, else in the key's. Raises BadRequest, SchemaMoved."""
    limit = listing.limit or DEFAULT_LIMIT
    expression = ", ".join([sql.row_json(listing.fields or schema.columns), *place(schema, listing.sort)])
    with reader(store, schema) as cursor:
        by_number = not source and is_large(store, cursor, schema)
        statement = select(schema, listing, expression, limit=limit + 1, ordered=True, source=source, by_number=by_number)
        found = execute(cursor, statement).fetchall()
    rows = [row for row, *_ in found[:limit]]
    store.stats.rows_read += len(rows)
    return Page(rows, place_of(found[limit - 1][1:]) if len(found) > limit else None)


def end_of(store: Store, schema: TableSchema, listing: Listing, source: str = "") -> Place | None:
    """The place of the last row of a page, where more come after it. Raises as `page`."""
    last = replace(listing, offset=listing.offset + (listing.limit or DEFAULT_LIMIT) - 1)
    with reader(store, schema) as cursor:
        expression = ", ".join(place(schema, listing.sort)) or "1"
        found = execute(cursor, select(schema, last, expression, limit=2, ordered=True, source=source)).fetchall()
    return place_of(found[0]) if len(found) > 1 else None


def count(store: Store, schema: TableSchema, listing: Listing, source: str = "") -> int:
    """How many rows meet the list's conditions, whatever its page. Raises as `page`."""
    with reader(store, schema) as cursor:
        found = execute(cursor, f"SELECT count(*) FROM {source or sql.table(schema.name)}{where(listing.filter)}").fetchone()
    return int(found[0]) if found else 0


def select(
    schema: TableSchema,
    listing: Listing,
    expression: str,
    *,
    limit: int | None,
    ordered: bool,
    source: str = "",
    by_number: bool = False,
) -> str:
    """The statement of a list: the rows inside, what is made of them outside, else DuckDB would make it of every row and then sort.

    With `by_number`, which pays for a large table, the rows of the page are found by their numbers first: most columns stay unread.
    """
    relation, order = source or sql.table(schema.name), order_by(schema, listing.sort, backward=listing.backward) if ordered else ""
    page = (f" LIMIT {limit}" if limit else "") + (f" OFFSET {listing.offset}" if listing.offset else "")
    rows = f"FROM {relation}{_chosen(schema, listing)}{order}{page}"
    if by_number and limit and schema.column("rowid") is None:
        return f"SELECT {expression} FROM (SELECT * FROM {relation} WHERE rowid IN (SELECT rowid {rows}){order})"
    return f"SELECT {expression} FROM (SELECT * {rows})"


def _chosen(schema: TableSchema, listing: Listing) -> str:
    """The clause that leaves the rows of the list, from its place on, up to its end."""
    if not (listing.after or listing.until):
        return where(listing.filter)
    conditions = [f"({holds(listing.filter)})"]
    conditions += [after(schema, listing.sort, listing.after, backward=listing.backward)] if listing.after else []
    conditions += [f"NOT {after(schema, listing.sort, listing.until)}"] if listing.until else []
    return f" WHERE {' AND '.join(conditions)}"


_sizes: dict[tuple[int, int, str], tuple[float, bool]] = {}  # by store, its generation and the table: until when, and whether it is large


def has_many_rows(store: Store, schema: TableSchema) -> bool:
    """As `is_large`, for who has no cursor yet; no one takes a cursor for what is remembered. Raises SchemaMoved."""
    until, found = _sizes.get((id(store), store.generation, schema.name), (0.0, False))
    if time.monotonic() <= until:
        return found
    with reader(store, schema) as cursor:
        return is_large(store, cursor, schema)


def is_large(store: Store, cursor: duckdb.DuckDBPyConnection, schema: TableSchema) -> bool:
    """Whether the table has so many rows that it pays to find those of a page by their numbers."""
    key, now = (id(store), store.generation, schema.name), time.monotonic()
    until, found = _sizes.get(key, (0.0, False))
    if now > until:
        counted = cursor.execute(f"SELECT count(*) FROM {sql.table(schema.name)}").fetchall()[0][0]
        found = counted > LARGE
        if len(_sizes) > 10_000:
            _sizes.clear()
        _sizes[key] = (now + REMEMBERED, found)
    return found


@contextmanager
def understood() -> Iterator[None]:
    """Two things of a checked list can fail for its caller's sake: a regular expression that RE2 refuses, and a sum without end."""
    try:
        yield
    except duckdb.InvalidInputException as error:
        raise BadRequest(detail=f"The regular expression cannot be used: {str(error).partition(': ')[2]}.") from error
    except duckdb.OutOfRangeException as error:
        raise BadRequest(detail="A sum has more digits than there are; ask for avg, or filter the rows.") from error


def execute(cursor: duckdb.DuckDBPyConnection, statement: str) -> Any:
    """Executes a list's statement. Raises BadRequest."""
    with understood():
        return cursor.execute(statement)
