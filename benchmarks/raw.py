"""The same work by DuckDB alone, in this process: the same tables with the same keys, each commit as durable as ours."""

import time
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import duckdb
import pyarrow as pa

from benchmarks.callers import Outcome, Step, repeat
from benchmarks.files import types
from projects.store import sql
from schema_registry.schema import TableSchema

# Literals: with parameters DuckDB plans a statement in about twice the time.
ROW = "(uuidv7(), 'Solar park', NULL, 1250000.50, 15, 7.25, 1.35, 'ACTIVE', current_date, now() AT TIME ZONE 'UTC', 'USD')"
BATCH = 100_000  # rows of an Arrow batch
COPIES = {"CSV": "FORMAT csv, HEADER", "NDJSON": "FORMAT json", "Parquet": "FORMAT parquet"}


class Raw:
    """A DuckDB file with the tables of the same documents."""

    def __init__(self, path: Path, schemas: Sequence[TableSchema]) -> None:
        self.schemas = {schema.name: schema for schema in schemas}
        self.connection = duckdb.connect(str(path))
        self.connection.execute("SET GLOBAL TimeZone = 'UTC'")
        for schema in schemas:
            self.connection.execute(sql.create_table(schema))

    def close(self) -> None:
        self.connection.close()

    def create(self, clients: int, seconds: float) -> Outcome:
        """A row, a commit, by each of so many threads with a cursor each."""
        return repeat([self._step(f"INSERT INTO projects VALUES {ROW}") for _ in range(clients)], seconds)

    def read(self, keys: Sequence[str], clients: int, seconds: float) -> Outcome:
        """One row by its key, as JSON."""
        return repeat([self._read(keys[n::clients]) for n in range(clients)], seconds)

    def _read(self, keys: Sequence[str]) -> Step:
        cursor, waiting = self.connection.cursor(), cycle(keys)
        return lambda: cursor.execute(f"SELECT to_json(p) FROM projects p WHERE project_id = '{next(waiting)}'").fetchall()

    def ask(self, statement: str, seconds: float) -> Outcome:
        """One statement again and again, its rows fetched."""
        return repeat([self._step(statement)], seconds)

    def place(self, table: str, key: str, row: int) -> list[str]:
        """The values of the key in the row of that number (from 0) in its order, as literals."""
        relation = self.connection.sql(f"SELECT {key} FROM {table} ORDER BY {key} LIMIT 1 OFFSET {row}")
        found = relation.fetchall()[0]
        return [f"'{value}'::{type_}" for value, type_ in zip(found, relation.types, strict=True)]

    def _step(self, statement: str) -> Step:
        cursor = self.connection.cursor()
        return lambda: cursor.execute(statement).fetchall()

    def count(self, file: Path, kind: str) -> int:
        """The rows of a file."""
        if kind == "Arrow":
            with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as reader:
                return sum(batch.num_rows for batch in reader)
        return int(self.connection.execute(f"SELECT count(*) FROM {self._file('flights', file, kind)}").fetchall()[0][0])

    def renew(self, table: str) -> None:
        """The table again, without rows."""
        self.connection.execute(f"DROP TABLE {table}")
        self.connection.execute(sql.create_table(self.schemas[table]))

    def load(self, table: str, file: Path, kind: str) -> Outcome:
        """A file into an empty table, typed by hand."""
        started = time.perf_counter()
        if kind == "Arrow":
            with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as reader:
                self.connection.register("stream", reader)
                rows = self._insert(table, "stream")
                self.connection.unregister("stream")
        else:
            rows = self._insert(table, self._file(table, file, kind))
        return Outcome(rows, time.perf_counter() - started)

    def _file(self, table: str, file: Path, kind: str) -> str:
        if kind == "Parquet":
            return f"read_parquet('{file}')"
        columns = f"columns = {types(self.schemas[table])}"
        if kind == "CSV":
            return f"read_csv('{file}', header = true, {columns})"
        return f"read_json('{file}', format = '{'array' if kind == 'JSON' else 'newline_delimited'}', {columns})"

    def _insert(self, table: str, relation: str) -> int:
        return int(self.connection.execute(f"INSERT INTO {table} BY NAME FROM {relation}").fetchall()[0][0])

    def export(self, table: str, file: Path, kind: str) -> Outcome:
        """All rows into a file on the disk."""
        started = time.perf_counter()
        if kind == "Arrow":
            reader = self.connection.sql(f"FROM {table}").to_arrow_reader(BATCH)
            with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, reader.schema) as stream:
                rows = 0
                for batch in reader:
                    stream.write_batch(batch)
                    rows += batch.num_rows
        else:
            rows = int(self.connection.execute(f"COPY {table} TO '{file}' ({COPIES[kind]})").fetchall()[0][0])
        return Outcome(rows, time.perf_counter() - started)
