"""The same work by DuckDB alone, in this process: the same tables with the same keys, each commit as durable as ours."""

import json
import time
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import duckdb
from callers import Outcome, Step, repeat

from projects.store import sql
from schema_registry.schema import TableSchema

GROUP = 16  # rows in a group commit
# Literals: with parameters DuckDB plans a statement in about twice the time.
ROW = "(uuidv7(), 'Solar park', NULL, 1250000.50, 15, 7.25, 1.35, 'ACTIVE', current_date, now() AT TIME ZONE 'UTC', 'USD')"
CELLS = {
    "project_name": "Solar park",
    "description": None,
    "total_amount": "1250000.50",
    "maturity_years": "15",
    "expected_tri": "7.25",
    "dscr": "1.35",
    "status": "ACTIVE",
    "currency_code": "USD",
}


class Raw:
    """A DuckDB file with the projects and flights of the same documents."""

    def __init__(self, path: Path, projects: TableSchema, flights: Sequence[TableSchema]) -> None:
        self.projects, self.flights = projects, {schema.name: schema for schema in flights}
        self.connection = duckdb.connect(str(path))
        self.connection.execute("SET GLOBAL TimeZone = 'UTC'")
        for schema in (projects, *flights):
            self.connection.execute(sql.create_table(schema))
        self._group = _group_insert(projects)

    def close(self) -> None:
        self.connection.close()

    def create(self, clients: int, seconds: float) -> Outcome:
        """A row, a commit, by each of so many threads with a cursor each."""
        return repeat([self._step(f"INSERT INTO projects VALUES {ROW}") for _ in range(clients)], seconds)

    def create_groups(self, seconds: float) -> Outcome:
        """Sixteen rows, a commit: what a queue in front of DuckDB could reach if all else were free."""
        cursor = self.connection.cursor()

        def step() -> None:
            cursor.execute(self._group, [json.dumps([CELLS] * GROUP)]).fetchall()

        return repeat([step], seconds, rows=GROUP)

    def read(self, keys: Sequence[str], clients: int, seconds: float) -> Outcome:
        """One row by its key, as JSON."""
        return repeat([self._read(keys[n::clients]) for n in range(clients)], seconds)

    def _read(self, keys: Sequence[str]) -> Step:
        cursor, waiting = self.connection.cursor(), cycle(keys)
        return lambda: cursor.execute(f"SELECT to_json(p) FROM projects p WHERE project_id = '{next(waiting)}'").fetchall()

    def page(self, seconds: float) -> Outcome:
        """The first hundred rows by the key, as JSON; written over all rows, to_json would be made of each of them."""
        key = ", ".join(self.flights["flights"].primary_key)
        return repeat([self._step(f"SELECT to_json(f) FROM (FROM flights ORDER BY {key} LIMIT 100) f")], seconds)

    def load(self, table: str, file: Path, rows: int) -> Outcome:
        """A CSV file into an empty table, typed by hand."""
        schema = self.projects if table == "projects" else self.flights[table]
        shape = ", ".join(f"'{name}': '{_type(schema, name)}'" for name in _head(file))
        source = f"read_csv('{file}', header = true, nullstr = ['NA', ''], columns = {{{shape}}})"
        started = time.perf_counter()
        self.connection.execute(f"INSERT INTO {table} BY NAME FROM {source}").fetchall()
        return Outcome(rows, time.perf_counter() - started)

    def _step(self, statement: str) -> Step:
        cursor = self.connection.cursor()
        return lambda: cursor.execute(statement).fetchall()


def _head(file: Path) -> list[str]:
    with file.open() as lines:
        return next(lines).strip().split(",")


def _type(schema: TableSchema, name: str) -> str:
    column = schema.column(name)
    assert column
    return column.sql_type


def _group_insert(schema: TableSchema) -> str:
    shape = json.dumps([{c.name: c.sql_type for c in schema.columns if c.name in CELLS}])
    made = "SELECT uuidv7() AS project_id, current_date AS creation_date, now() AT TIME ZONE 'UTC' AS last_updated"
    return f"INSERT INTO projects BY NAME {made}, * FROM (SELECT unnest(from_json(?, '{shape}'), recursive := true))"
