"""Plans as a steward handles them by REST, and their SQL run by hand with plain DuckDB on a copy of the file."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from django.conf import settings
from rest_framework.test import APIClient

from projects.store.connection import get_store, reset_store
from tests.projects.ontology import send

PLAIN = duckdb.connect()
Plan = dict[str, Any]
Table = dict[str, Any]


def bring(client: APIClient, *, status: int = 200, body: object = None, query: str = "", table: str = "turbines") -> Plan:
    """PUT /admin/tables/{name}: the plan, or the whole answer where it is an error."""
    answer = send(client, "put", f"/admin/tables/{table}{query}", body)
    assert answer.status_code == status, answer.content
    return answer.json().get("plan") or answer.json()


def propose(client: APIClient, inputs: object = None, *, status: int = 201, table: str = "turbines") -> Plan:
    """POST /admin/plans."""
    answer = send(client, "post", "/admin/plans", {"table": table} | ({} if inputs is None else {"inputs": inputs}))
    assert answer.status_code == status, answer.content
    return answer.json()


def act(client: APIClient, plan: Plan | int, deed: str, *, status: int = 200, **body: object) -> Plan:
    """POST /admin/plans/{id}/{deed}: the plan, or the whole answer where it is an error."""
    number = plan if isinstance(plan, int) else plan["id"]
    answer = send(client, "post", f"/admin/plans/{number}/{deed}", body or None)
    assert answer.status_code == status, answer.content
    return answer.json().get("plan") or answer.json()


def seen(client: APIClient, plan: Plan | int) -> Plan:
    """GET /admin/plans/{id}."""
    answer = client.get(f"/admin/plans/{plan if isinstance(plan, int) else plan['id']}")
    assert answer.status_code == 200, answer.content
    return answer.json()


def carry_out(client: APIClient, plan: Plan) -> Plan:
    """Approves a plan that waits, and applies it with the table's name as confirmation."""
    if any(step["action"] == "wait" for step in plan["steps"]):
        assert act(client, plan, "approve")["state"] == "approved"
    return act(client, plan, "apply", confirm=plan["table"])


def states(client: APIClient, table: str = "turbines") -> dict[int, str]:
    """The state of each plan of a table, by its number."""
    return {plan["id"]: plan["state"] for plan in client.get(f"/admin/plans?table={table}").json()}


def rows_of(client: APIClient, table: str = "turbines") -> list[dict[str, Any]]:
    answer = client.get(f"/ops/{table}")
    assert answer.status_code == 200, answer.content
    return answer.json()


def sampled(step: Mapping[str, Any]) -> list[tuple[str, str | None, str | None]]:
    """A step's sample as (key, value, becomes)."""
    return [(one["key"], one["value"], one["becomes"]) for one in step["sample"]]


# The file itself.


def copied(path: Path) -> Path:
    """The DuckDB file as it is now, beside it; the store is closed for that, and opened anew by whoever asks next."""
    reset_store()
    assert not Path(f"{settings.DUCKDB_PATH}.wal").exists()
    return Path(shutil.copyfile(settings.DUCKDB_PATH, path))


@contextmanager
def opened_by_hand(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The file in a DuckDB that knows nothing of us. A process has one, for a new one costs more than what it is asked."""
    with PLAIN.cursor() as plain:
        plain.execute("SET TimeZone = 'UTC'")
        plain.execute(f"ATTACH '{path}' AS by_hand")
        plain.execute("USE by_hand")
        try:
            yield plain
        finally:
            plain.execute("USE memory")
            plain.execute("DETACH by_hand")


def run_by_hand(path: Path, plan: Plan, *, undone: Plan | None = None) -> None:
    """Runs the SQL that a plan shows on a copy of the file, in one transaction, by a DuckDB that knows nothing of us.

    `undone` is the plan that it takes back, whose archive it reads.
    """
    with opened_by_hand(path) as plain:
        if undone and undone["outcome"]["archive"]:
            kept = get_store().archive / undone["outcome"]["archive"]["file"]
            plain.execute(f"CREATE TEMP VIEW \"archive of plan {undone['id']}\" AS SELECT * FROM read_parquet('{kept}')")
        plain.begin()
        for statement in (statement for step in plan["steps"] for statement in step["sql"]):
            plain.execute(statement)
        plain.commit()


def table_in(path: Path, name: str = "turbines") -> Table | None:
    with opened_by_hand(path) as plain:
        return _table(plain, name)


def live_table(name: str = "turbines") -> Table | None:
    return _table(get_store().connection(), name)


def _table(connection: duckdb.DuckDBPyConnection, name: str) -> Table | None:
    """Everything of a table that DuckDB's catalogue knows, and its rows as text; None where there is no table of that name."""

    def asked(columns: str, catalogue: str) -> list[tuple[Any, ...]]:
        of_table = "database_name = current_database() AND schema_name = 'main' AND table_name = ?"
        return connection.execute(f"SELECT {columns} FROM {catalogue} WHERE {of_table}", [name]).fetchall()

    columns = asked("column_index, column_name, data_type, is_nullable, column_default, comment", "duckdb_columns()")
    if not columns:
        return None
    rules = asked("constraint_type, constraint_column_names", "duckdb_constraints()")
    quoted = name.replace('"', '""')
    rows = connection.execute(f'SELECT COLUMNS(*)::VARCHAR FROM main."{quoted}" ORDER BY ALL').fetchall()
    return {
        "columns": [tuple(rest) for _, *rest in sorted(columns)],
        "rules": sorted((kind, tuple(names)) for kind, names in rules),
        "comment": asked("comment", "duckdb_tables()"),
        "rows": rows,
    }


def without_order(table: Table | None, leaving_out: Sequence[str] = ()) -> Table | None:
    """The table without what an undo need not bring back, which is the order of its columns."""
    if table is None:
        return None
    names = [name for name, *_ in table["columns"]]
    rows = [{n: v for n, v in zip(names, row, strict=True) if n not in leaving_out} for row in table["rows"]]
    columns = [(n, t, null, None if default == "NULL" else default, said) for n, t, null, default, said in table["columns"]]
    return table | {"columns": sorted(columns), "rows": sorted(rows, key=lambda row: [str(row[n]) for n in sorted(row)])}
