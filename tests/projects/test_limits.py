"""What takes long never has all threads: heavy requests and writes wait a bounded time or are told to come again; the rest goes on."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.core.exceptions import ImproperlyConfigured
from rest_framework.test import APIClient

from duckspawn_site.environment import engine_size, size
from projects import slots
from projects.errors import StoreBusy, TooManyHeavy
from projects.store.connection import Store, get_store, reset_store
from projects.store.rows import Create
from tests.conftest import client_of, user_with_role
from tests.projects.conftest import WIND_FARM, make_table
from tests.projects.ontology import send

pytestmark = pytest.mark.django_db


class Held:
    """Something that is held until it is let go, by a thread of its own."""

    def __init__(self) -> None:
        self.begun, self.gone = threading.Event(), threading.Event()

    def __call__(self, *_: object) -> None:
        self.begun.set()
        assert self.gone.wait(60)


@contextmanager
def in_threads(count: int, act: Callable[[], object]) -> Iterator[list[object]]:
    """What `act`, done by so many threads at once, gave or raised; they have ended when the block has."""
    found: list[object] = []

    def run() -> None:
        try:
            found.append(act())
        except Exception as error:
            found.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        for thread in threads:
            thread.join(60)


def until(condition: Callable[[], bool]) -> None:
    ended = threading.Event()
    for _ in range(600):
        if condition():
            return
        ended.wait(0.02)
    raise AssertionError("it never came true")


@contextmanager
def stuck_heavy(count: int) -> Iterator[None]:
    """So many heavy requests that do not end."""
    held = [Held() for _ in range(count)]
    waiting = iter(held)

    def run() -> None:
        with slots.heavy():
            next(waiting)()

    with in_threads(count, run):
        for one in held:
            assert one.begun.wait(10)
        try:
            yield
        finally:
            for one in held:
                one.gone.set()


@contextmanager
def stalled_writer(store: Store) -> Iterator[Held]:
    """The writer in the middle of something long, as it is while a plan is applied."""
    held = Held()
    with in_threads(1, lambda: store.writer.alone(held)):
        assert held.begun.wait(10)
        try:
            yield held
        finally:
            held.gone.set()


def test_while_heavy_requests_are_stuck_a_row_is_read_and_written_and_the_next_heavy_ones_are_told_to_come_again(
    projects: Store, editor_client: APIClient, settings
) -> None:
    settings.THREADS = 8
    key = send(editor_client, "post", "/ops/projects", WIND_FARM).json()["project_id"]
    with stuck_heavy(2):
        until(lambda: not is_moving())
        with in_threads(1, wait_its_turn) as waiting:  # An eighth of the threads may wait.
            until(lambda: slots._heavy.waiting == 1)
            for answer in (
                send(editor_client, "post", "/ops/query", {"sql": "SELECT 1 AS one"}),
                send(editor_client, "delete", "/ops/projects?dscr__gt=100"),
                send(editor_client, "post", "/ops/projects", [WIND_FARM]),
            ):
                assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "too-many-heavy", "2")
            assert editor_client.get(f"/ops/projects/{key}").status_code == 200
            assert send(editor_client, "post", "/ops/projects", WIND_FARM).status_code == 201
            assert editor_client.get("/ops/projects?sort=dscr").status_code == 200  # A small table is not heavy.
            assert waiting == []
            let_go_of_one()
            until(lambda: waiting == ["had its turn"])
    assert send(editor_client, "post", "/ops/query", {"sql": "SELECT 1 AS one"}).json() == [{"one": 1}]


def wait_its_turn() -> str:
    with slots.heavy():
        return "had its turn"


def is_moving() -> bool:
    return time.monotonic() - slots._heavy.moved < slots.STUCK


def let_go_of_one() -> None:
    """One heavy request has ended, as far as those who wait can see."""
    with slots._heavy.changed:
        slots._heavy.running -= 1
        slots._heavy.changed.notify()
    until(lambda: slots._heavy.waiting == 0)
    with slots._heavy.changed:
        slots._heavy.running += 1


def test_many_heavy_requests_at_once_that_go_on_are_all_served(settings) -> None:
    settings.THREADS = 8
    with in_threads(40, wait_its_turn) as found:
        pass
    assert found == ["had its turn"] * 40


def test_a_heavy_request_waits_for_no_longer_than_its_patience(settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.THREADS = 8
    monkeypatch.setattr(slots, "PATIENCE", 0.1)
    with stuck_heavy(2), pytest.raises(TooManyHeavy):
        slots._heavy.enter()
    assert (slots._heavy.running, slots._heavy.waiting) == (0, 0)


def test_groups_and_sorted_pages_of_a_large_table_are_heavy_and_its_first_page_is_not(
    store: Store, viewer_client: APIClient, settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.THREADS = 4
    monkeypatch.setattr(slots, "PATIENCE", 0.05)
    make_table("many", [{"name": "id", "type": "INTEGER", "required": True}, {"name": "n", "type": "INTEGER"}])
    with store.transaction() as transaction:
        transaction.execute("INSERT INTO many SELECT range, range % 7 FROM range(60000)")
    with stuck_heavy(1):
        for address in ("aggregate?group_by=n", "?sort=n", "?n=3", "?offset=50000"):
            answer = viewer_client.get(f"/ops/many{address if address[0] == '?' else '/' + address}")
            assert (address, answer.status_code) == (address, 503)
        assert viewer_client.get("/ops/many?limit=2").json() == [{"id": 0, "n": 0}, {"id": 1, "n": 1}]
        assert viewer_client.get("/ops/many/59999").status_code == 200


def a_row(store: Store, number: int) -> Create:
    live = store.table("sites")
    return Create(live.schema, {"id": str(number)}, "test", live.version)


@pytest.fixture
def sites(store: Store) -> Store:
    make_table("sites", [{"name": "id", "type": "INTEGER", "required": True}])
    return store


def test_while_the_writer_is_held_an_eighth_of_the_threads_is_left_and_the_writes_that_wait_are_done(sites: Store, settings) -> None:
    settings.THREADS = 8
    numbers = iter(range(8))
    with stalled_writer(sites) as held, in_threads(8, lambda: sites.writer.write(a_row(sites, next(numbers)))) as found:
        until(lambda: len(found) == 1)  # Of eight threads that wait one is told to come again, and has time for others.
        assert isinstance(found[0], StoreBusy)
        with pytest.raises(StoreBusy):  # Whoever comes now is told so at once.
            sites.writer.write(a_row(sites, 1000))
        held.gone.set()
    assert (len(found), rows_of(sites)) == (8, 7)


def rows_of(store: Store) -> int:
    with store.read() as cursor:
        return cursor.execute("SELECT count(*) FROM sites").fetchall()[0][0]


def test_a_full_queue_refuses_a_row_at_once_and_takes_what_the_store_itself_has_to_do(sites: Store, roles: None, settings) -> None:
    settings.WRITE_QUEUE = 2
    client, numbers, later = client_of(user_with_role("editor")), iter(range(2)), threading.Event()
    with stalled_writer(sites) as held, in_threads(2, lambda: sites.writer.write(a_row(sites, next(numbers)))) as written:
        until(lambda: sites.writer._queue.qsize() == 2)
        answer = send(client, "post", "/ops/sites", {"id": 99})
        assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "store-busy", "1")
        sites.writer.later(lambda _: later.set())
        held.gone.set()
        assert later.wait(10)
    assert {entry.key for entry in written} == {"0", "1"}
    assert [row["id"] for row in client.get("/ops/sites").json()] == [0, 1]


def test_a_query_has_only_the_memory_and_the_temporary_space_that_the_settings_give(
    store: Store, viewer_client: APIClient, settings
) -> None:
    make_table("sites", [{"name": "id", "type": "INTEGER", "required": True}])
    with store.transaction() as transaction:
        transaction.execute("INSERT INTO sites SELECT range FROM range(800000)")
    reset_store()
    settings.DUCKDB_MEMORY_LIMIT, settings.DUCKDB_TEMP_LIMIT, settings.DUCKDB_THREADS = "10MB", "1MB", 1
    sql = "SELECT count(*) AS n FROM (SELECT DISTINCT md5(id::VARCHAR) || md5((id + 1)::VARCHAR) || md5((id + 2)::VARCHAR) AS h FROM sites)"
    answer = send(viewer_client, "post", "/ops/query", {"sql": sql})
    assert (answer.status_code, answer.json()["code"]) == (413, "out-of-memory")
    assert viewer_client.get("/ops/sites?limit=1").json() == [{"id": 0}]
    with get_store().read() as cursor:
        given = cursor.execute("SELECT current_setting('memory_limit'), current_setting('max_temp_directory_size')").fetchone()
    assert given == ("9.5 MiB", "976.5 KiB")


@pytest.mark.parametrize(
    ("read", "given", "wanted"),
    [
        (size, "256MiB", 2**28),
        (size, "1.5 gb", 1_500_000_000),
        (size, "0", 0),
        (size, "lots", "DISK_RESERVE='lots': give bytes, such as 268435456, 256MiB or 1GB."),
        (size, "-1", "DISK_RESERVE='-1': give bytes, such as 268435456, 256MiB or 1GB."),
        (engine_size, "4GB", "4GB"),
        (engine_size, "50%", "DISK_RESERVE='50%': give a size such as 4GB or 512MiB."),
        (engine_size, "4", "DISK_RESERVE='4': give a size such as 4GB or 512MiB."),
        (engine_size, "0GB", "DISK_RESERVE='0GB': give a size such as 4GB or 512MiB."),
    ],
)
def test_a_size_is_read_and_a_bad_one_stops_the_start_and_is_named(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[str, str], object], given: str, wanted: object
) -> None:
    monkeypatch.setenv("DISK_RESERVE", given)
    if isinstance(wanted, str) and "give" in wanted:
        with pytest.raises(ImproperlyConfigured) as refused:
            read("DISK_RESERVE", "1GB")
        assert str(refused.value) == wanted
    else:
        assert read("DISK_RESERVE", "1GB") == wanted
