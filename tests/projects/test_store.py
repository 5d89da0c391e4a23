"""The store: what it promises when many write, when it is killed in the middle, when it is not alone."""

import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from projects import rows as service
from projects.aliases import Names
from projects.errors import DuplicateKey, RowNotFound, StoreClosed, StoreDamaged, StoreTooNew
from projects.filters import Listing
from projects.store import books, lists, rows
from projects.store.connection import Store, get_store, reset_store
from projects.store.locks import FairLock
from projects.store.rescue import replay_apart
from schema_registry.sources.native import parse_document
from tests.projects.altering import alter
from tests.projects.conftest import WIND_FARM, make_table, sample
from tests.projects.test_rows import ODD_TYPES

pytestmark = pytest.mark.django_db


def create(store: Store, **more: object):
    return service.create(store, "projects", WIND_FARM | more, actor="test").entry


def feed(store: Store) -> list[tuple]:
    with store.read() as cursor:
        return cursor.execute("SELECT seq, op, key FROM _duckspawn.changes ORDER BY seq").fetchall()


@pytest.mark.django_db(transaction=True)
def test_sixty_four_creators_at_once_lose_nothing(projects: Store) -> None:
    with ThreadPoolExecutor(64) as pool:
        entries = list(pool.map(lambda n: create(projects, project_name=str(n)), range(640)))
    assert len({e.key for e in entries}) == 640
    assert lists.count(projects, projects.table("projects").schema, Listing()) == 640
    assert [seq for seq, _, _ in feed(projects)] == list(range(1, 644))
    assert projects.stats.group_sizes.count < 643


@pytest.mark.django_db(transaction=True)
def test_a_bad_row_in_a_group_fails_alone(projects: Store) -> None:
    taken = create(projects).key
    ready = threading.Barrier(32)

    def attempt(number: int) -> object:
        ready.wait()
        try:
            return create(projects, **({"project_id": taken} if number % 8 == 0 else {}))
        except DuplicateKey as error:
            return error

    with ThreadPoolExecutor(32) as pool:
        outcomes = list(pool.map(attempt, range(32)))
    assert sum(isinstance(o, DuplicateKey) for o in outcomes) == 4
    assert lists.count(projects, projects.table("projects").schema, Listing()) == 29
    assert [seq for seq, _, _ in feed(projects)] == list(range(1, 33))


def test_rows_of_two_tables_in_one_group_go_to_their_own_callers(projects: Store) -> None:
    portfolio = {"portfolio_name": "p", "risk_profile": "MODERATE", "total_committed_amount": 1, "inception_date": "2026-01-01"}
    bodies = {"projects": WIND_FARM, "portfolios": portfolio}
    writes = []
    for number in range(20):
        name = ("projects", "portfolios")[number % 2]
        live = projects.table(name)
        cells = service.new_cells(projects, Names(live), bodies[name] | {f"{name[:-1]}_name": str(number)})
        writes.append(rows.Create(live.schema, cells, "test", 1))
    with projects.transaction() as transaction:
        outcomes = projects.writer._run_rows(transaction, writes)
    assert [(o.table, json.loads(o.after)[f"{o.table[:-1]}_name"]) for o in outcomes] == [
        (w.schema.name, w.cells[f"{w.schema.name[:-1]}_name"]) for w in writes
    ]


def test_five_hundred_rows_of_one_group_come_back_in_their_order(projects: Store) -> None:
    live = projects.table("projects")
    writes = []
    for number in range(512):
        cells = service.new_cells(projects, Names(live), WIND_FARM | {"project_name": str(number)})
        writes.append(rows.Create(live.schema, cells, "test", 1))
    with projects.transaction() as transaction:
        entries = writes[0].run(transaction, writes)
    assert [f'"project_name":"{n}"' in (e.after or "") for n, e in enumerate(entries)] == [True] * 512


def test_the_feed_has_each_write_with_what_was_and_what_is(projects: Store) -> None:
    key = create(projects).key
    service.patch(projects, "projects", key, {"status": "ACTIVE"}, actor="other")
    service.delete(projects, "projects", key, actor="test")
    with projects.read() as cursor:
        found = cursor.execute(
            "SELECT op, actor, before->>'status', after->>'status', schema_version FROM _duckspawn.changes WHERE key = ? ORDER BY seq",
            [key],
        ).fetchall()
    assert found == [
        ("create", "test", None, "PROPOSED", 1),
        ("patch", "other", "PROPOSED", "ACTIVE", 1),
        ("delete", "test", "ACTIVE", None, 1),
    ]


def test_what_fails_leaves_no_number_behind(projects: Store) -> None:
    key = create(projects).key
    with pytest.raises(DuplicateKey):
        create(projects, project_id=key)
    with pytest.raises(RowNotFound):
        service.delete(projects, "projects", "0197f0a0-0000-7000-8000-000000000001", actor="test")
    create(projects)
    assert [seq for seq, _, _ in feed(projects)] == [1, 2, 3, 4, 5]


def test_old_entries_of_the_feed_are_forgotten_and_numbers_go_on(projects: Store, settings) -> None:
    settings.CHANGES_KEEP = 10
    live = projects.table("projects")
    for _ in range(3):
        with projects.transaction() as transaction:
            transaction.entries = [books.Entry(table="projects", op="create", actor="test") for _ in range(400)]
    assert feed(projects)[0][0] == 1203 - 10 + 1 or feed(projects)[-1][0] == 1203
    assert len(feed(projects)) < 400
    reset_store()
    service.create(get_store(), live.name, WIND_FARM, actor="test")
    assert feed(get_store())[-1][0] == 1204


def test_rows_and_tables_are_there_after_the_file_was_closed_and_opened(projects: Store) -> None:
    row = create(projects).after
    reset_store()
    store = get_store()
    schema = store.table("projects").schema
    assert schema == sample("project_schema")
    assert lists.page(store, schema, Listing()).rows == [row]
    with pytest.raises(StoreClosed):
        projects.connection()


def test_a_schema_that_moves_under_a_writer_is_asked_anew(projects: Store) -> None:
    live = projects.table("projects")
    stale = rows.Create(live.schema, service.new_cells(projects, Names(live), WIND_FARM), "test", 1)
    document = {"name": "projects", "columns": [c.as_json() for c in live.schema.columns]}
    wider = parse_document(document | {"columns": [*document["columns"], {"name": "extra", "type": "INTEGER"}]}, "project_schema")
    alter(projects, live, wider, ['ALTER TABLE main.projects ADD COLUMN "extra" INTEGER'], version=2, provenance="live", actor="test")
    with pytest.raises(Exception, match="changed meanwhile"):
        projects.writer.write(stale)
    assert '"extra":null' in (create(projects).after or "")


def test_a_table_that_comes_out_otherwise_is_rolled_back(projects: Store) -> None:
    live = projects.table("portfolios")
    with pytest.raises(Exception, match="did not come out as wanted"):
        alter(
            projects,
            live,
            live.schema,
            ["ALTER TABLE main.portfolios ADD COLUMN stray INTEGER"],
            version=2,
            provenance="live",
            actor="test",
        )
    with projects.read() as cursor:
        assert "stray" not in [c[0] for c in cursor.execute("DESCRIBE portfolios").fetchall()]
    assert projects.table("portfolios").version == 1


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "COPY (SELECT 1) TO '/tmp/out.csv'",
        "ATTACH '/tmp/other.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET memory_limit = '1GB'",
        "SET enable_external_access = true",
        "SELECT * FROM read_text('https://example.org/')",
    ],
)
def test_the_instance_is_locked_down(projects: Store, sql: str) -> None:
    with projects.read() as cursor, pytest.raises(duckdb.Error):
        cursor.execute(sql)


def test_times_are_utc_whatever_the_machine_says(projects: Store) -> None:
    with projects.read() as cursor:
        assert cursor.execute("SELECT current_setting('TimeZone')").fetchall() == [("UTC",)]


def test_a_second_process_is_told_who_holds_the_file(projects: Store) -> None:
    script = (
        "import os, django\n"
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'tests.settings'\n"
        "django.setup()\n"
        "from projects.store.connection import get_store\n"
        "try: get_store().connection()\n"
        "except Exception as error: print(type(error).__name__, error.pid)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"DUCKDB_PATH": str(projects.path), "PATH": "/usr/bin:/bin"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == f"StoreHeld {os.getpid()}", done.stderr


def test_a_file_of_a_newer_format_is_refused(projects: Store) -> None:
    with projects.transaction() as transaction:
        books.put(transaction.cursor, "format", "99")
    reset_store()
    with pytest.raises(StoreTooNew, match="99"):
        get_store().connection()


def test_what_is_no_duckdb_file_is_refused_in_words(own_store: Path) -> None:
    (own_store / "data_product.db").write_bytes(b"this is not a database" * 1000)
    with pytest.raises(StoreDamaged, match="no DuckDB file"):
        get_store().connection()


def test_a_log_that_speaks_of_json_is_no_end_of_the_file(own_store: Path) -> None:
    path = own_store / "data_product.db"
    script = (
        "import duckdb, os\n"
        f"c = duckdb.connect({str(path)!r}, config={{'storage_compatibility_version': 'v1.5.0'}})\n"
        "c.execute('CREATE TABLE t (a INTEGER PRIMARY KEY, b JSON)')\n"
        "c.execute('ALTER TABLE t ADD COLUMN l INTEGER[]')\n"
        "c.execute('ALTER TABLE t ALTER l TYPE INTEGER[] USING [a]')\n"
        "c.execute('INSERT INTO t VALUES (1, \\'{}\\', [7])')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=False)
    with get_store().read() as cursor:
        assert cursor.execute("SELECT * FROM t").fetchall() == [(1, "{}", [7])]


def test_the_log_of_a_killed_process_is_replayed_apart(own_store: Path, tmp_path: Path) -> None:
    path = tmp_path / "killed.db"
    script = (
        "import duckdb, os, sys\n"
        "c = duckdb.connect(sys.argv[1], config={'storage_compatibility_version': 'v1.5.0'})\n"
        "c.execute('CREATE TABLE t (a INTEGER PRIMARY KEY)')\n"
        "c.execute('INSERT INTO t SELECT * FROM range(1000)')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    log = path.with_name("killed.db.wal")
    assert log.stat().st_size > 0
    replay_apart(path)
    assert not log.exists() or log.stat().st_size == 0
    with duckdb.connect(str(path)) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchall() == [(1000,)]


def test_a_reader_does_not_hinder_a_writer(projects: Store) -> None:
    create(projects)
    with projects.read() as cursor:
        cursor.execute("SELECT * FROM projects")
        create(projects)
        assert len(cursor.fetchall()) == 1


def test_a_lock_is_given_in_the_order_it_was_asked_for() -> None:
    lock, order = FairLock(), []

    def take(name: str, kind: str) -> None:
        with getattr(lock, kind)():
            order.append(name)
            time.sleep(0.05)

    threads = []
    with lock.shared():
        for name, kind in (("plan", "alone"), ("load", "shared"), ("other load", "shared"), ("last plan", "alone")):
            threads.append(threading.Thread(target=take, args=(name, kind)))
            threads[-1].start()
            time.sleep(0.05)
        assert order == []
    for thread in threads:
        thread.join()
    assert (order[0], set(order[1:3]), order[3]) == ("plan", {"load", "other load"}, "last plan")


HOSTILE = [
    'a"b',
    "a'b",
    "a b",
    "select",
    "order by 1; drop table x; --",
    "é" * 200,
    "行",
    "a\\b",
    "${x}",
    "%s",
    "{0}",
    "a.b",
    "rowid",
    "table",
    "name'); DROP TABLE hostile; --",
    "🦆",
]


def test_hostile_column_names_are_quoted_and_never_run(store: Store) -> None:
    make_table(
        "hostile",
        [
            {"name": "id", "type": "INTEGER", "required": True},
            *({"name": n, "type": "VARCHAR", "default": n, "description": n} for n in HOSTILE),
        ],
    )
    made = service.create(store, "hostile", {"id": 1, **{n: f"it's {n}" for n in HOSTILE}}, actor="test").entry
    assert json.loads(made.after or "") == {"id": 1, **{n: f"it's {n}" for n in HOSTILE}}
    service.create(store, "hostile", {"id": 2}, actor="test")
    defaults = json.loads(rows.get(store, store.table("hostile").schema, ("2",)))
    assert defaults == {"id": 2, **{n: n for n in HOSTILE}}
    service.patch(store, "hostile", "1", dict.fromkeys(HOSTILE), actor="test")
    assert [t.name for t in store.tables()] == ["hostile"]


@pytest.mark.parametrize("name", ["projects; drop table x", 'a"b', "a b", "1a", "", "a" * 64, "a.b", "query", "_duckspawn", "a-b", "ünï/x"])
def test_hostile_table_names_are_refused(store: Store, name: str) -> None:
    with pytest.raises(Exception, match="makes no table"):
        make_table(name, [{"name": "id", "type": "INTEGER", "required": True}])
    assert store.tables() == []


@pytest.mark.parametrize("name", ["select", "Order", "表", "_x", "a" * 63])
def test_odd_table_names_are_quoted(store: Store, name: str) -> None:
    make_table(name, [{"name": "id", "type": "INTEGER", "required": True}])
    service.create(store, name.upper(), {"id": 1}, actor="test")
    assert lists.page(store, store.table(name).schema, Listing()).rows == ['{"id":1}']


def test_a_few_rows_and_many_are_stored_alike(store: Store) -> None:
    columns = [{"name": name, "type": kind} for name, (kind, _) in ODD_TYPES.items()]
    make_table("odd", [{"name": "id", "type": "INTEGER", "required": True}, {"name": "at", "type": "TIMESTAMP"}, *columns])
    live = store.table("odd")
    body = {name: value for name, (_, value) in ODD_TYPES.items()} | {"at": "2026-01-01T02:30:00+02:00"}
    bodies = [{**body, "id": n} if n % 2 else {"id": n} for n in range(20)]
    writes = [rows.Create(live.schema, service.new_cells(store, Names(live), b), "test", 1) for b in bodies]
    with store.transaction() as transaction:
        many = [json.loads(e.after) | {"id": 0} for e in writes[0].run(transaction, writes)]
    with store.transaction() as transaction:
        transaction.execute("DELETE FROM odd")
    with store.transaction() as transaction:
        few = [json.loads(e.after) | {"id": 0} for e in writes[0].run(transaction, writes[:4])]
    assert few[:2] == many[:2] == few[2:] == many[2:4]
    assert few[1]["at"] == "2026-01-01T00:30:00Z"
