"""What the columns of a table hold: shares of nulls, distinct values, the least and the greatest, by DuckDB's SUMMARIZE."""

from dataclasses import dataclass

from projects.store import sql
from projects.store.books import LiveTable
from projects.store.connection import Store
from projects.store.errors import fitting
from projects.store.watch import Watch

LONGEST = 200  # characters of the least and the greatest value; what is longer ends in an ellipsis


@dataclass(frozen=True, slots=True)
class Summary:
    """One column: how many of the `rows` have no value, about how many distinct values there are, the least and the greatest as text."""

    column: str
    rows: int
    nulls: int
    distinct: int
    least: str | None
    greatest: str | None

    @property
    def null_share(self) -> float:
        """From 0 to 1."""
        return self.nulls / self.rows if self.rows else 0.0

    @property
    def ends(self) -> tuple[str | None, str | None]:
        """The least and the greatest value."""
        return self.least, self.greatest


def summarize(store: Store, table: LiveTable, *, seconds: float) -> list[Summary]:
    """Reads the whole table once more for each call. Raises QueryTimedOut, and SchemaMoved where the table is not as its schema says.

    SUMMARIZE rounds the share of nulls to a hundredth of a percent, so they are counted; its distinct counts are estimates.
    """
    columns = table.schema.columns
    source, names = sql.table(table.name), [sql.quote(column.name) for column in columns]
    ends = ", ".join(sql.shortened(end, LONGEST) for end in ("min", "max"))
    counted = f"SELECT count(*), {', '.join(f'count({name})' for name in names)} FROM {source}"
    with store.read() as cursor, fitting(table.name), Watch(cursor, seconds) as watch:
        cursor.begin()  # Both see the same rows.
        rows, *filled = cursor.execute(counted).fetchall()[0]
        watch.check()
        found = cursor.execute(f"SELECT approx_unique, {ends} FROM (SUMMARIZE SELECT {', '.join(names)} FROM {source})").fetchall()
        cursor.rollback()
    return [
        Summary(column.name, rows, rows - values, min(distinct, values), least, greatest)
        for column, values, (distinct, least, greatest) in zip(columns, filled, found, strict=True)
    ]
