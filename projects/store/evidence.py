"""Questions about a relation of rows: how many meet a condition, which ones for example, how many repeat another's values."""

from collections.abc import Sequence

import duckdb

from projects.store import sql
from projects.store.rows import key_text
from schema_registry.schema import ColumnSchema


def counts(cursor: duckdb.DuckDBPyConnection, relation: str, conditions: Sequence[str]) -> list[int]:
    """The rows in all, then those that meet each condition; an empty condition is met by none."""
    asked = [f"count(*) FILTER (WHERE {condition})" if condition else "0" for condition in conditions]
    return [int(n) for n in cursor.execute(f"SELECT {', '.join(['count(*)', *asked])} FROM {relation}").fetchall()[0]]


def sample(
    cursor: duckdb.DuckDBPyConnection, relation: str, condition: str, keys: Sequence[ColumnSchema], shown: tuple[str, str], *, limit: int
) -> list[tuple[str, str | None, str | None]]:
    """Some rows that meet the condition, by key if they have one: the key as in an address, and two expressions as text."""
    cells = [sql.cell_of(column, sql.quote(column.name)) for column in keys]
    order = ", ".join(sql.quote(column.name) for column in keys) or "1"
    columns = ", ".join([f"({shown[0]})::VARCHAR", f"({shown[1]})::VARCHAR", *cells])
    rows = cursor.execute(f"SELECT {columns} FROM {relation} WHERE {condition} ORDER BY {order} LIMIT {limit}").fetchall()
    return [(key_text(key), value, becomes) for value, becomes, *key in rows]


def repeated(cursor: duckdb.DuckDBPyConnection, relation: str, names: Sequence[str]) -> int:
    """The rows whose values for the columns, none of them null, stand in another row too."""
    columns, whole = ", ".join(names), " AND ".join(f"{name} IS NOT NULL" for name in names)
    groups = f"SELECT count(*) AS n FROM {relation} WHERE {whole} GROUP BY {columns} HAVING count(*) > 1"
    return int(cursor.execute(f"SELECT coalesce(sum(n), 0) FROM ({groups})").fetchall()[0][0])


def with_repeats(relation: str, names: Sequence[str]) -> str:
    """The relation with `repeats`: how many rows have the same values for the columns; 0 where one of them is null."""
    columns, whole = ", ".join(names), " AND ".join(f"{name} IS NOT NULL" for name in names)
    return f"(SELECT *, CASE WHEN {whole} THEN count(*) OVER (PARTITION BY {columns}) ELSE 0 END AS repeats FROM {relation})"
