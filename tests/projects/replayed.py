"""Tables that people write meanwhile, and what the change feed says that they held at one of its numbers."""

import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import connections

from projects import loads, rows
from projects.store import sql
from projects.store.bulk import Options
from projects.store.connection import Store
from tests.projects.conftest import make_table

Rows = dict[str, dict[str, Any]]  # by the key's text
COLUMNS = [
    {"name": "id", "type": "INTEGER", "required": True},
    {"name": "code", "type": "VARCHAR"},
    {"name": "amount", "type": "DECIMAL(20,2)"},
    {"name": "tags", "type": "VARCHAR", "multivalued": True},
    {"name": "made", "type": "TIMESTAMP", "generated": "created"},
    {"name": "seen", "type": "TIMESTAMP", "generated": "updated"},
]
TABLES = ("ants", "bees", "cats")  # Loads go to the last.
IN_A_LOAD = 200  # rows


def make_tables() -> None:
    for name in TABLES:
        make_table(name, COLUMNS, primary_key=["id"], unique=[["code"]])


class Life:
    """Threads that create, change and delete rows, and load files, until they are told to stop; what failed is in `failed`."""

    def __init__(self, store: Store, writers: int = 4) -> None:
        self.store, self.failed = store, []
        self.loaded: dict[str, list[str]] = {}  # the keys that each loader's file had, by its name in the feed
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(self._write, number)) for number in range(writers)]
        self._threads.append(threading.Thread(target=self._work, args=(self._load, 0)))

    @contextmanager
    def going_on(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            for thread in self._threads:
                thread.join()
        assert self.failed == []

    def _work(self, deed: Callable[[int, int], None], number: int) -> None:
        try:
            turn = 0
            while not self._ended.is_set():
                turn += 1
                deed(number, turn)
        except Exception as error:
            self.failed.append(error)
        finally:
            connections.close_all()

    def _write(self, number: int, turn: int) -> None:
        chance, table = random.Random(number * 1_000_003 + turn), TABLES[(number + turn) % len(TABLES)]
        key, actor = 1_000_000 * (number + 1) + turn, f"writer {number}"
        body = {"id": key, "code": f"c{key}", "amount": f"{chance.randrange(10**6)}.25", "tags": ["a", 'b"'] if turn % 3 else None}
        rows.create(self.store, table, body, actor=actor)
        if chance.random() < 0.5:
            rows.patch(self.store, table, str(key), {"amount": f"-{turn}.5", "code": None}, actor=actor)
        if chance.random() < 0.3:
            rows.delete(self.store, table, str(key), actor=actor)

    def _load(self, number: int, turn: int) -> None:
        path, actor = self.store.spool / f"given{turn}.csv", f"loader {turn}"
        keys = [str(-turn * IN_A_LOAD - place) for place in range(IN_A_LOAD)]
        path.write_text("id,code,amount\n" + "".join(f"{key},l{key},{turn}.5\n" for key in keys))
        self.loaded[actor] = keys
        loads.load_file(self.store, TABLES[-1], path, Options(), actor=actor)
        path.unlink()


def at(store: Store, seq: int, loaded: dict[str, list[str]]) -> dict[str, Rows]:
    """What the feed up to a number makes of empty tables. Of a load it has no rows: only the key, the code and the amount are known."""
    made: dict[str, Rows] = {name: {} for name in TABLES}
    with store.read() as cursor:
        asked = "SELECT seq, table_name, op, actor, key, after, rows FROM _duckspawn.changes WHERE seq <= ? ORDER BY seq"
        entries = cursor.execute(asked, [seq]).fetchall()
    assert [entry[0] for entry in entries] == list(range(1, seq + 1))  # without gaps
    for _, table, op, actor, key, after, count in entries:
        if op == "delete":
            del made[table][key]
        elif op == "load":
            assert count == len(loaded[actor])
            turn = actor.split()[1]
            made[table] |= {one: {"id": int(one), "code": f"l{one}", "amount": f"{turn}.50"} for one in loaded[actor]}
        elif table in made and after is not None:
            made[table][key] = _plain(after)
    return made


def held(store: Store) -> dict[str, Rows]:
    """What the tables have."""
    found = {}
    for name in TABLES:
        live = store.table(name)
        with store.read() as cursor:
            texts = cursor.execute(f"SELECT {sql.row_json(live.schema.columns)} FROM {sql.table(name)}").fetchall()
        found[name] = {str(row["id"]): row for (text,) in texts if (row := _plain(text))}
    return found


def check_equal(found: dict[str, Rows], wanted: dict[str, Rows]) -> None:
    """Every row of every table, value by value; of a row that was loaded what its file had."""
    assert {name: set(table) for name, table in found.items()} == {name: set(table) for name, table in wanted.items()}
    for name, table in wanted.items():
        for key, row in table.items():
            assert {column: found[name][key][column] for column in row} == row


def opened(folder: Path) -> Store:
    """The store of a restored folder, beside the one that goes on."""
    return Store(folder / "store.duckdb", folder / "spool", folder / "archives")


def _plain(text: str) -> dict[str, Any]:
    return json.loads(text, parse_float=str)
