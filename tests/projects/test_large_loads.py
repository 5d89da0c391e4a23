"""Large loads are made in a table apart, which takes the place of the one they go to: no row is lost by it, nothing is half done."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from rest_framework.test import APIClient

from projects import drift, jobs, loads, owner, rows
from projects.errors import DuplicateKeys, RowsRefused
from projects.models import Job
from projects.store import apart, tables
from projects.store.bulk import Options
from projects.store.connection import Store, get_store, reset_store
from projects.store.locks import FairLock
from tests.projects.conftest import make_table
from tests.projects.test_killed_applies import before_statement, die_in_a_child

pytestmark = pytest.mark.django_db(transaction=True)

COLUMNS = [
    {"name": "id", "type": "INTEGER", "required": True, "description": "The number."},
    {"name": "code", "type": "VARCHAR"},
    {"name": "kind", "type": "VARCHAR", "default": "plain", "enum": ["plain", "fancy"]},
    {"name": "made", "type": "TIMESTAMP", "generated": "created"},
]
PART = 500
ROWS = 4 * PART + 7


@pytest.fixture
def things(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A table of two rows, in a store to which every file is large."""
    monkeypatch.setattr(apart, "PART", PART)
    monkeypatch.setattr(loads, "LARGE", dict.fromkeys(loads.LARGE, 0))
    make_table("things", COLUMNS, primary_key=["id"], unique=[["code"]])
    for key in ("-1", "-2"):
        create(store, key)
    return store


def create(store: Store, key: str, code: str | None = None) -> None:
    rows.create(store, "things", {"id": key, "code": code}, actor="ada")


def file_of(store: Store, lines: list[str]) -> Path:
    path = store.spool / "given.csv"
    path.write_text("id,code\n" + "".join(f"{line}\n" for line in lines))
    return path


def lines(*, but: dict[int, str] | None = None) -> list[str]:
    return [(but or {}).get(number, f"{number},c{number}") for number in range(ROWS)]


def ask(store: Store, sql: str) -> list[Any]:
    with store.read() as cursor:
        return cursor.execute(sql).fetchall()


def left(store: Store) -> list[Any]:
    """The names of the tables in the file."""
    return [name for (name,) in ask(store, "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main'")]


def load(store: Store, given: list[str], **more: Any) -> Any:
    return loads.load_file(store, "things", file_of(store, given), Options(), actor="ada", **more)


def test_a_large_load_brings_its_rows_beside_those_that_were_there(things: Store, viewer_client: APIClient) -> None:
    mark = things.mark_of("things")
    assert load(things, lines()).inserted == ROWS
    assert ask(things, "SELECT count(*), sum(id), count(DISTINCT code), count(made), min(kind) FROM things") == [
        (ROWS + 2, sum(range(ROWS)) - 3, ROWS, ROWS + 2, "plain")
    ]
    assert left(things) == ["things"]
    with things.read() as cursor:
        assert tables.agree(tables.shape(cursor, "things"), tables.wanted_shape(things.table("things").schema))
    assert ask(things, "SELECT comment FROM duckdb_columns() WHERE column_name = 'id' AND table_name = 'things'") == [("The number.",)]
    assert things.mark_of("things") != mark
    entries = viewer_client.get("/ops/things/changes").json()
    assert [(entry["op"], entry["rows"]) for entry in entries[-1:]] == [("load", ROWS)]
    assert viewer_client.get(f"/ops/things/{ROWS - 1}").json()["code"] == f"c{ROWS - 1}"


def test_its_keys_and_unique_values_are_kept_apart_afterwards(things: Store) -> None:
    load(things, lines())
    for key, code in (("3", None), ("-1", None), (str(ROWS), "c3")):
        with pytest.raises(Exception, match=r"already|has the"):
            create(things, key, code)
    create(things, str(ROWS), "new")
    reset_store()
    with pytest.raises(Exception, match=r"already|has the"):
        create(get_store(), "3")
    assert ask(get_store(), "SELECT count(*) FROM things") == [(ROWS + 3,)]


def test_rows_that_others_write_meanwhile_stay(things: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ended, written = threading.Event(), []

    def write() -> None:
        while not ended.is_set():
            create(things, str(-10 - len(written)))
            written.append(len(written))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert load(things, lines()).inserted == ROWS
    finally:
        ended.set()
        writer.join()
    assert written
    assert ask(things, "SELECT count(*) FROM things") == [(ROWS + 2 + len(written),)]


@pytest.mark.parametrize(("fault", "error"), [("7,again", DuplicateKeys), ("-1,known", DuplicateKeys), ("x,y", RowsRefused)])
def test_a_bad_row_is_named_and_nothing_is_loaded(things: Store, fault: str, error: type[Exception]) -> None:
    with pytest.raises(error) as refused:
        load(things, lines(but={ROWS - 1: fault}))
    assert [reject["row"] for reject in refused.value.rejects] == [ROWS]
    assert ask(things, "SELECT count(*) FROM things") == [(2,)]
    assert left(things) == ["things"]


def test_a_table_with_many_rows_takes_them_in_itself(things: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    load(things, lines())
    made: list[Any] = []
    monkeypatch.setattr(apart, "insert", lambda *given: made.append(given))
    assert load(things, [f"{number}," for number in range(ROWS, ROWS + 9)]).inserted == 9
    assert made == []


def test_a_table_that_grew_meanwhile_takes_them_in_itself(things: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    real = apart._swap

    def grow(*given: Any) -> Any:
        with things.transaction() as transaction:
            transaction.execute(f"INSERT INTO things (id) SELECT -10 - range FROM range({PART})")
        return real(*given)

    monkeypatch.setattr(apart, "_swap", grow)
    assert load(things, lines()).inserted == ROWS
    assert ask(things, "SELECT count(*) FROM things") == [(ROWS + 2 + PART,)]
    assert left(things) == ["things"]


def test_a_column_that_somebody_added_by_hand_is_not_lost(things: Store) -> None:
    with things.transaction() as transaction:
        transaction.execute("ALTER TABLE things ADD COLUMN note VARCHAR DEFAULT 'kept'")
    load(things, lines())
    assert ask(things, "SELECT note, count(*) FROM things GROUP BY ALL") == [("kept", ROWS + 2)]


def test_a_job_is_done_with_its_rows_and_one_that_is_cancelled_leaves_none(things: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    real = things.stretch
    monkeypatch.setattr(things, "stretch", lambda low, high: (real(low, high), seen.append(things.progress())))
    done = jobs.leave("load", loads.job_inputs("things", file_of(things, lines()).name, Options()))
    jobs.run(things, jobs.next_job())
    done.refresh_from_db()
    assert (done.state, done.result["inserted"]) == (Job.State.DONE, ROWS)
    assert seen[-1] == 0
    assert sorted(seen[:-1]) == seen[:-1]

    real_part = apart._part
    more = [f"{number}," for number in range(ROWS, 2 * ROWS)]
    other = jobs.leave("load", loads.job_inputs("others", file_of(things, more).name, Options()))
    make_table("others", COLUMNS, primary_key=["id"])

    def cancel_in_the_second(made: apart.Apart, first: int) -> str:
        if first == PART:
            jobs.cancel(Job.objects.get(pk=other.pk), actor="ada")
            return "SELECT count(*) FROM range(1_000_000_000) a, range(1_000) b"
        return real_part(made, first)

    monkeypatch.setattr(apart, "_part", cancel_in_the_second)
    jobs.run(things, jobs.next_job())
    other.refresh_from_db()
    assert other.state == Job.State.CANCELLED
    assert ask(things, "SELECT count(*) FROM others") == [(0,)]
    assert sorted(left(things)) == ["others", "things"]


@pytest.mark.parametrize("beginning", ['INSERT INTO main."spawn load', "DROP TABLE", 'ALTER TABLE main."spawn load'])
def test_a_server_that_is_killed_in_it_keeps_the_table_as_it_was(things: Store, beginning: str) -> None:
    path = file_of(things, lines())
    die_in_a_child(lambda: before_statement(beginning), lambda: loads.load_file(get_store(), "things", path, Options(), actor="ada"))
    store = get_store()
    assert any(name.startswith("spawn load") for name in left(store))
    assert drift.foreign(store) == {}
    owner.take_over(store)
    assert left(store) == ["things"]
    assert ask(store, "SELECT count(*) FROM things") == [(2,)]


def test_who_shares_a_lock_has_it_alone_before_those_who_wait() -> None:
    lock, order = FairLock(), []
    waits = threading.Event()

    def plan() -> None:
        waits.set()
        with lock.alone():
            order.append("plan")

    with lock.shared():
        thread = threading.Thread(target=plan)
        thread.start()
        waits.wait()
        with lock.raised():
            order.append("load")
        assert lock.is_shared
        order.append("shared again")
    thread.join()
    assert order == ["load", "shared again", "plan"]


@pytest.fixture(autouse=True)
def nothing_is_left(own_store: Path) -> Iterator[None]:
    yield
    reset_store()
    for file in own_store.glob("data_product.db"):
        with duckdb.connect(str(file)) as connection:
            assert connection.execute("SELECT count(*) FROM duckdb_tables() WHERE starts_with(table_name, 'spawn load')").fetchall() == [
                (0,)
            ]
