"""What the console's grid shows of a table: a page of cells with each row's key, how many rows there are, and what a reference may name."""

from collections.abc import Sequence
from dataclasses import dataclass

from projects.errors import QueryTimedOut
from projects.filters import DEFAULT_LIMIT, Listing
from projects.store import lists, sql
from projects.store.conditions import where
from projects.store.connection import Store
from projects.store.ordering import Place, place, place_of
from projects.store.rows import reader
from projects.store.watch import Watch
from schema_registry.schema import ColumnSchema, TableSchema

LONGEST = 1000  # characters of a cell; of what is longer one more comes, so that it is seen to be cut
LOOKS = 2.0  # seconds that a look for what a reference may name may take
SAMPLED = 1  # percent of a table whose rows are counted where counting all takes too long
_UNCUT = ("BOOLEAN", "DATE", "TIME", "TIMESTAMP", "TIMESTAMPTZ", "UUID")


@dataclass(frozen=True, slots=True)
class Shown:
    """A row: its key as in its address, its cells in the order of the columns asked for (a null is None), and its place in the list."""

    key: str
    cells: list[str | None]
    place: Place


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows in the order in which they were read, and whether more come after them."""

    rows: list[Shown]
    more: bool


def page(store: Store, schema: TableSchema, listing: Listing) -> Stretch:
    """One page of a list by one statement. Raises BadRequest, SchemaMoved."""
    limit = listing.limit or DEFAULT_LIMIT
    cells = ", ".join(_cell(c) for c in listing.fields or schema.columns)
    expression = ", ".join([sql.key_text(schema), f"[{cells}]", *place(schema, listing.sort)])
    with reader(store, schema) as cursor:
        by_number = lists.is_large(store, cursor, schema)
        statement = lists.select(schema, listing, expression, limit=limit + 1, ordered=True, by_number=by_number)
        found = lists.execute(cursor, statement).fetchall()
    store.stats.rows_read += min(len(found), limit)
    return Stretch([Shown(key, cells, place_of(values)) for key, cells, *values in found[:limit]], len(found) > limit)


def _cell(column: ColumnSchema) -> str:
    cell = sql.cell_of(column, sql.quote(column.name))
    is_short = not column.multivalued and (column.type.is_number or column.type.base in _UNCUT)
    return cell if is_short else f"left({cell}, {LONGEST + 1})"


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows there are; not `is_exact` where that was reckoned from a part of them."""

    rows: int
    is_exact: bool = True


def count(store: Store, schema: TableSchema, listing: Listing, seconds: float) -> Count | None:
    """How many rows a list has, counted for so many seconds and else reckoned from a sample; None where that takes as long again.

    Raises BadRequest, SchemaMoved.
    """
    table, condition = sql.table(schema.name), where(listing.filter)
    sample = f"(SELECT * FROM {table} TABLESAMPLE SYSTEM ({SAMPLED} PERCENT))"
    counted = _counted(store, schema, f"SELECT count(*) FROM {table}{condition}", seconds)
    if counted is not None:
        return Count(counted)
    reckoned = _counted(store, schema, f"SELECT count(*) * {100 // SAMPLED} FROM {sample}{condition}", seconds)
    return None if reckoned is None else Count(reckoned, is_exact=False)


def _counted(store: Store, schema: TableSchema, statement: str, seconds: float) -> int | None:
    try:
        with reader(store, schema) as cursor, lists.understood(), Watch(cursor, seconds) as watch:
            watch.check()
            return int(cursor.execute(statement).fetchall()[0][0])
    except QueryTimedOut:
        return None


def matches(store: Store, schema: TableSchema, column: ColumnSchema, text: str, limit: int) -> list[tuple[str, str]]:
    """Values of a column that begin with the text, then those of rows that have it in one of their texts; each with its row's first text.

    There are none where that takes too long. Raises SchemaMoved.
    """
    value, wanted = sql.cell_of(column, sql.quote(column.name)), sql.literal(text)
    texts = [c for c in schema.columns if c.type.base == "VARCHAR" and not c.multivalued and c.name != column.name]
    begins = f"starts_with(lower({value}), lower({wanted}))"
    has = " OR ".join([begins, *_containing(texts, wanted)])
    label = f"left({sql.quote(texts[0].name)}, 80)" if texts else "NULL"
    found = f"SELECT {value} AS value, any_value({label}) AS label, bool_or({begins}) AS begins"
    rows = f"FROM {sql.table(schema.name)} WHERE {sql.quote(column.name)} IS NOT NULL AND ({has}) GROUP BY ALL"
    try:
        with reader(store, schema) as cursor, Watch(cursor, LOOKS) as watch:
            watch.check()
            values = cursor.execute(f"SELECT value, label FROM ({found} {rows} ORDER BY begins DESC, value LIMIT {limit})").fetchall()
    except QueryTimedOut:
        return []
    return [(value, label or "") for value, label in values]


def _containing(columns: Sequence[ColumnSchema], wanted: str) -> list[str]:
    return [f"contains(lower({sql.quote(c.name)}), lower({wanted}))" for c in columns]
