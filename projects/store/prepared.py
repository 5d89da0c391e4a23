"""Statements that are planned once: a small write is planned for longer than it runs."""

import duckdb

from projects.store.sql import literal

MOST = 200  # statements; those of tables that have changed are left behind


class Prepared:
    """A cursor that is kept, with the statements that it has planned. DuckDB plans one again by itself where its table has changed."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self.cursor = cursor
        self._names: dict[str, str] = {}

    def run(self, statement: str, text: str) -> duckdb.DuckDBPyConnection:
        """Runs the statement, whose one parameter is a text."""
        name = self._names.get(statement) or self._plan(statement)
        return self.cursor.execute(f"EXECUTE {name}({literal(text)})")

    def _plan(self, statement: str) -> str:
        if len(self._names) >= MOST:
            for name in self._names.values():
                self.cursor.execute(f"DEALLOCATE {name}")
            self._names.clear()
        name = f"planned_{len(self._names)}"
        self.cursor.execute(f"PREPARE {name} AS {statement}")
        self._names[statement] = name
        return name
