"""The first rows of a table, for people to look at."""

from projects.filters import Listing
from projects.store import lists, rows, sql
from projects.store.connection import Store
from schema_registry.schema import TableSchema

LONGEST = 1000  # characters of a cell; what is longer ends in an ellipsis


def first_rows(store: Store, schema: TableSchema, limit: int) -> list[list[str | None]]:
    """The first rows in the key's order, each as its cells in the schema's order; a null is None."""
    cells = (sql.cell_of(c, sql.quote(c.name)) for c in schema.columns)
    shortened = (f"CASE WHEN length({c}) > {LONGEST} THEN left({c}, {LONGEST}) || '…' ELSE {c} END" for c in cells)
    statement = lists.select(schema, Listing(), f"[{', '.join(shortened)}]", limit=limit, ordered=True)
    with rows.reader(store, schema) as cursor:
        return [row for (row,) in cursor.execute(statement).fetchall()]
