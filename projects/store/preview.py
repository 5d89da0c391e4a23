"""The first rows of a file that somebody means to load, for people to look at."""

from dataclasses import dataclass
from typing import Any

from projects.store import sql, staging
from projects.store.bulk import present
from projects.store.connection import Store
from projects.store.errors import fitting
from projects.store.sources import REJECTED, ROW, ROWS, Source
from schema_registry.schema import TableSchema


@dataclass(frozen=True, slots=True)
class FirstOfFile:
    """The first rows of a file by their numbers, each with its cells as they were sent and as the table would have them.

    `rejects` says what is wrong with them, as far as that is known without the rows of the table.
    """

    rows: list[tuple[int, list[str | None], list[str | None]]]
    rejects: list[dict[str, Any]]


def first_of_file(store: Store, schema: TableSchema, source: Source, *, on_conflict: str, most: int) -> FirstOfFile:
    """Reads no more of the file than it must. Raises BadRequest for a file that cannot be read, and SchemaMoved."""
    sent = [sql.shortened(g.cell) for g in source.given]
    made = [sql.shortened(sql.cell_of(g.column, present(g, staging.tried_value(g), sparse=source.sparse))) for g in source.given]
    lists_ = f"[{', '.join(sent)}]::VARCHAR[], [{', '.join(made)}]::VARCHAR[]"
    with store.read() as cursor, fitting(schema.name):
        staging.stage(cursor, source, schema, on_conflict, most)
        found = cursor.execute(f"SELECT {ROW}, {lists_} FROM {ROWS} ORDER BY {ROW} LIMIT {most}").fetchall()
        bad = cursor.execute(f'SELECT * FROM {REJECTED} WHERE "row" <= {most} ORDER BY ALL').fetchall()
    return FirstOfFile(found, [staging.reject(*row) for row in bad])
