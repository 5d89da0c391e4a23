"""Whoever reads or writes while a table changes gets the table as it is then; only a change by hand stands in their way."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count, cycle

import duckdb
import pytest
from django.db import connections
from rest_framework.test import APIClient

from projects import described
from projects.errors import SchemaMoved, TableAltered
from projects.filters import Listing
from projects.store import books, export, lists, rows, sql
from projects.store.books import Alias, LiveTable
from projects.store.connection import Store
from projects.store.errors import fitting
from projects.store.retries import TRIES, steadily
from schema_registry.schema import TableSchema
from tests.projects.altering import alter
from tests.projects.conftest import make_table
from tests.projects.ontology import send

pytestmark = pytest.mark.django_db

LONG, MOVES = 2.0, 10  # seconds that a table is changed over and over, and how often at least
BY_NAME = ("power", "output")  # what the column is called in turn


@pytest.fixture
def turbines(store: Store, editor_client: APIClient) -> APIClient:
    """An editor of turbines, whose power may be called output as well."""
    columns = [
        {"name": "id", "type": "INTEGER", "required": True},
        {"name": "power", "type": "INTEGER"},
        {"name": "code", "type": "VARCHAR"},
    ]
    make_table("turbines", columns)

    def work(transaction) -> None:
        since = datetime(2026, 1, 1, tzinfo=UTC)
        books.put_aliases(transaction.cursor, "turbines", [Alias(*BY_NAME, since), Alias(*reversed(BY_NAME), since)])
        transaction.changes_catalogue = True

    store.writer.alone(work)
    send(editor_client, "post", "/ops/turbines", [{"id": n, "power": n, "code": f"c{n}"} for n in range(1, 51)])
    return editor_client


def renamed(schema: TableSchema, old: str, new: str) -> TableSchema:
    return replace(schema, columns=tuple(replace(c, name=new) if c.name == old else c for c in schema.columns))


def by_alter(_: TableSchema, old: str, new: str) -> list[str]:
    return [f"ALTER TABLE main.turbines RENAME COLUMN {old} TO {new}"]


def by_rebuild(wanted: TableSchema, old: str, new: str) -> list[str]:
    return [
        "ALTER TABLE main.turbines ADD COLUMN __guard INTEGER",
        sql.create_table(wanted, "__next"),
        f"INSERT INTO main.__next (id, {new}, code) SELECT id, {old}, code FROM main.turbines",
        "DROP TABLE main.turbines",
        "ALTER TABLE main.__next RENAME TO turbines",
    ]


def move(store: Store, statements: Callable[[TableSchema, str, str], Sequence[str]] = by_alter) -> None:
    """Calls the column of turbines by its other name."""
    with store.locks.of("turbines").alone():
        live = store.table("turbines")
        old, new = BY_NAME if live.schema.column("power") else reversed(BY_NAME)
        wanted = renamed(live.schema, old, new)
        alter(store, live, wanted, statements(wanted, old, new), version=live.version + 1, provenance="live", actor="test")


@contextmanager
def moving(store: Store, statements: Callable[[TableSchema, str, str], Sequence[str]]) -> Iterator[threading.Event]:
    """Changes the table over and over until the end; the event is set when its time is over."""
    over, began = threading.Event(), time.monotonic()

    def keep_moving() -> None:
        moves = 0
        try:
            while not over.is_set():
                move(store, statements)
                moves += 1
                if moves > MOVES and time.monotonic() - began > LONG:
                    over.set()
        finally:
            over.set()

    with ThreadPoolExecutor(1) as pool:
        mover = pool.submit(keep_moving)
        try:
            yield over
        finally:
            over.set()
            mover.result()


READS = {
    "page": "/ops/turbines?limit=5",
    "by a name": "/ops/turbines?power__gte=10&sort=-output&fields=id,power&limit=5",
    "lines": "/ops/turbines?format=ndjson&output__gte=0",
    "csv": "/ops/turbines?format=csv",
    "row": "/ops/turbines/7",
    "schema": "/ops/turbines/schema",
    "table": "/admin/tables/turbines",
    "tables": "/admin/tables",
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("statements", [by_alter, by_rebuild])
def test_no_reader_and_no_writer_is_refused_while_a_table_changes(turbines: APIClient, store: Store, statements: Callable) -> None:
    answers: list[tuple[str, int, bytes]] = []

    def ask(method: str, address: str, body: object = None) -> None:
        answer = send(turbines, method, address, body) if body else turbines.get(address, headers={"Prefer": "count=exact"})
        content = b"".join(answer.streaming_content) if answer.streaming else answer.content
        answers.append((address, answer.status_code, content))

    def read() -> None:
        for address in cycle(READS.values()):
            ask("get", address)
            if over.is_set():
                break
        connections.close_all()

    def write() -> None:
        for number in count(1000):
            ask("post", "/ops/turbines", {"id": number, "power": 1})
            ask("patch", "/ops/turbines/7", {"output": number})
            ask("post", "/ops/turbines", [{"id": number + 100_000, "output": 1}])
            if over.is_set():
                break
        connections.close_all()

    with moving(store, statements) as over, ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(read), pool.submit(read), pool.submit(write)]:
            done.result()
    assert [(address, status, content) for address, status, content in answers if status not in (200, 201)] == []
    assert {address for address, _, _ in answers} >= set(READS.values())
    rows_of_seven = [json.loads(content) for address, _, content in answers if address == READS["row"]]
    assert {tuple(sorted(row)) for row in rows_of_seven} <= {("code", "id", "power"), ("code", "id", "output")}


def test_what_was_read_for_another_schema_says_that_the_table_moved(turbines: APIClient, store: Store) -> None:
    before = store.table("turbines").schema
    move(store)
    with pytest.raises(SchemaMoved):
        lists.page(store, before, Listing())
    with pytest.raises(SchemaMoved):
        rows.get(store, before, ("7",))
    with pytest.raises(SchemaMoved):
        next(export.rows(store, before.name, export.sheet(before, Listing()), "ndjson"))


def first_row(store: Store, live: LiveTable) -> str:
    return rows.get(store, live.schema, ("1",))


def test_a_read_whose_table_moves_is_done_anew(turbines: APIClient, store: Store) -> None:
    seen: list[LiveTable] = []

    def read(live: LiveTable) -> str:
        seen.append(live)
        if len(seen) < TRIES:
            move(store)
        return first_row(store, live)

    name = "output" if TRIES % 2 == 0 else "power"
    assert json.loads(steadily(store, "turbines", read)) == {"id": 1, name: 1, "code": "c1"}
    assert len(seen) == TRIES


def test_a_table_that_moves_there_and_back_has_moved(turbines: APIClient, store: Store) -> None:
    tries = []

    def read(live: LiveTable) -> str:
        tries.append(live)
        if len(tries) > 1:
            return first_row(store, live)
        move(store)
        try:
            return first_row(store, live)
        finally:
            move(store)

    assert json.loads(steadily(store, "turbines", read)) == {"id": 1, "power": 1, "code": "c1"}


def test_a_table_that_never_rests_is_held_still_for_its_reader(turbines: APIClient, store: Store) -> None:
    movers: list[threading.Thread] = []

    def read(live: LiveTable) -> str:
        mover = threading.Thread(target=move, args=(store,))
        movers.append(mover)
        mover.start()
        if len(movers) <= TRIES:
            mover.join()
        return first_row(store, live)

    assert json.loads(steadily(store, "turbines", read))["id"] == 1
    for mover in movers:
        mover.join()
    assert len(movers) == TRIES + 1
    assert store.table("turbines").version == 1 + len(movers)


def call_mills(store: Store) -> None:
    """Renames turbines to mills, which keeps the old name."""

    def work(transaction) -> None:
        live = store.table("turbines")
        transaction.execute("ALTER TABLE main.turbines RENAME TO mills")
        books.remove_table(transaction.cursor, "turbines")
        books.put_table(transaction.cursor, replace(live.schema, name="mills"), version=2, provenance="live")
        books.put_aliases(transaction.cursor, "mills", [Alias("turbines", None, datetime(2026, 1, 1, tzinfo=UTC))])
        transaction.changes_catalogue = True

    store.writer.alone(work)


def test_a_read_whose_table_is_renamed_follows_it(turbines: APIClient, store: Store) -> None:
    tries = []

    def read(live: LiveTable) -> str:
        tries.append(live.name)
        if len(tries) == 1:
            call_mills(store)
        return first_row(store, live)

    assert json.loads(steadily(store, "turbines", read))["id"] == 1
    assert tries == ["turbines", "mills"]


@pytest.mark.django_db(transaction=True)
def test_a_load_that_waits_while_its_table_is_renamed_follows_it(turbines: APIClient, store: Store) -> None:
    def load() -> int:
        try:
            return turbines.post("/ops/turbines", data="id,power\n99,1\n", content_type="text/csv").json()["inserted"]
        finally:
            connections.close_all()

    lock = store.locks.of("turbines")
    with ThreadPoolExecutor(1) as pool:
        with lock.alone():
            loading = pool.submit(load)
            while not lock._waiting:
                time.sleep(0.001)
            call_mills(store)
            with store.locks.of("mills").alone():
                assert not loading.done()
        assert loading.result() == 1
    assert turbines.get("/ops/mills/99").json()["power"] == 1


def test_a_fault_of_ours_is_not_blamed_on_anybodys_hands(turbines: APIClient, store: Store) -> None:
    def read(live: LiveTable) -> None:
        with store.read() as cursor, fitting(live.name):
            cursor.execute("SELECT nothing FROM turbines")

    with pytest.raises(duckdb.BinderException):
        steadily(store, "turbines", read)


# By hand.

BY_HAND = {
    "renamed": "ALTER TABLE turbines RENAME COLUMN power TO strength",
    "dropped column": "ALTER TABLE turbines DROP COLUMN power",
    "dropped": "DROP TABLE turbines",
    "odd type": "ALTER TABLE turbines ALTER COLUMN power TYPE STRUCT(a INTEGER) USING {'a': power}",
}


@pytest.mark.parametrize("change", BY_HAND)
def test_a_table_that_was_altered_by_hand_says_so(turbines: APIClient, store: Store, change: str) -> None:
    make_table("sites", [{"name": "id", "type": "INTEGER", "required": True}])
    store.connection().execute(BY_HAND[change])
    answers = [
        turbines.get("/ops/turbines?power=10"),
        turbines.get("/ops/turbines?power=10&format=csv"),
        send(turbines, "post", "/ops/turbines", {"id": 99, "power": 1}),
        send(turbines, "patch", "/ops/turbines/1", {"power": 2}),
        send(turbines, "post", "/ops/turbines", [{"id": 99, "power": 1}]),
        turbines.post("/ops/turbines", data="id,power\n99,1\n", content_type="text/csv"),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(409, "table-altered")] * 6
    assert "turbines was altered by hand" in answers[0].json()["detail"]
    assert send(turbines, "post", "/ops/sites", {"id": 1}).status_code == 201


@pytest.mark.parametrize(
    ("change", "row"),
    [
        ("ALTER TABLE turbines ALTER COLUMN power TYPE TINYINT", {"power": 1000}),
        ("ALTER TABLE turbines ALTER COLUMN code SET NOT NULL", {"power": 1, "code": None}),
    ],
)
def test_a_row_that_only_a_table_altered_by_hand_refuses(turbines: APIClient, store: Store, change: str, row: dict) -> None:
    store.connection().execute(change)
    for body in ({"id": 99, **row}, [{"id": 99, **row}]):
        answer = send(turbines, "post", "/ops/turbines", body)
        assert (answer.status_code, answer.json()["code"]) == (409, "table-altered")


def test_rows_of_other_tables_in_the_group_are_written_all_the_same(turbines: APIClient, store: Store) -> None:
    make_table("sites", [{"name": "id", "type": "INTEGER", "required": True}])
    store.connection().execute(BY_HAND["renamed"])
    live, site = store.table("turbines"), store.table("sites")
    writes = [rows.Create(site.schema, {"id": str(n)}, "test", 1) for n in range(8)]
    writes.insert(3, rows.Create(live.schema, {"id": "99", "power": "1", "code": None}, "test", 1))
    begun, go_on = threading.Event(), threading.Event()

    def hold(_) -> None:
        begun.set()
        go_on.wait(10)

    store.writer.later(hold)
    begun.wait(10)
    futures = [store.writer._put(write) for write in writes]  # They wait for the writer, and so make one group.
    go_on.set()
    outcomes = [future.exception(timeout=10) for future in futures]
    assert [type(outcome) for outcome in outcomes] == [type(None)] * 3 + [SchemaMoved] + [type(None)] * 5
    assert lists.count(store, site.schema, Listing()) == 8


def test_the_list_of_tables_leaves_out_one_that_was_dropped_meanwhile(turbines: APIClient, store: Store) -> None:
    make_table("sites", [{"name": "id", "type": "INTEGER", "required": True}])
    listed = store.tables()

    def drop(transaction) -> None:
        transaction.execute("DROP TABLE main.turbines")
        books.remove_table(transaction.cursor, "turbines")
        transaction.changes_catalogue = True

    store.writer.alone(drop)
    assert [seen["name"] for seen in described.summaries(store, listed)] == ["sites"]


def test_the_list_of_tables_has_one_that_was_dropped_by_hand_without_its_size(turbines: APIClient, store: Store) -> None:
    make_table("sites", [{"name": "id", "type": "INTEGER", "required": True}])
    store.connection().execute("DROP TABLE turbines")
    listed = turbines.get("/admin/tables")
    assert [(t["name"], t["rows"], t["bytes"]) for t in listed.json()] == [("sites", 0, 0), ("turbines", None, None)]
    assert turbines.get("/admin/tables/turbines").json()["code"] == "table-altered"


def test_an_altered_table_is_told_at_once(turbines: APIClient, store: Store) -> None:
    store.connection().execute(BY_HAND["renamed"])
    tries = []

    def read(live: LiveTable) -> str:
        tries.append(live)
        return first_row(store, live)

    with pytest.raises(TableAltered):
        steadily(store, "turbines", read)
    assert len(tries) == 1
