"""A backup made under load is the store as it was at one moment, which the change feed proves."""

import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from projects import jobs, loads, one_table, restoring, shelves, undoing
from projects.models import Job, Plan
from projects.store import apart, backup, books
from projects.store.connection import Store
from schema_registry import audit as chain
from tests.projects import replayed
from tests.projects.conftest import make_table
from tests.projects.replayed import Life

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE = 30  # seconds


def until(so: Any) -> None:
    end = time.monotonic() + PATIENCE
    while not so():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)


def backed_up(store: Store, shelf: Path) -> shelves.Shelved:
    """What the owner makes for `manage.py backup`, put into a folder as the command does."""
    left = jobs.leave("backup", {"to": "folder"})
    jobs.run(store, jobs.next_job("backups"))
    left.refresh_from_db()
    assert left.state == Job.State.DONE, left.error
    return shelves.place(store.spool / left.result["spool"], shelf)


def check_is_of_its_moment(life: Life, kept: shelves.Shelved, target: Path) -> dict[str, replayed.Rows]:
    """Restores it; it equals what the live store's feed says of the manifest's number. Gives the rows of each table."""
    restoring.restore(kept.path, target)
    restored = replayed.opened(target)
    try:
        assert restored.seq == kept.manifest.seq
        found = replayed.held(restored)
        replayed.check_equal(found, replayed.at(life.store, kept.manifest.seq, life.loaded))
    finally:
        restored.close()
    return found


@pytest.mark.parametrize("rounds", [1, pytest.param(40, marks=pytest.mark.long)])
def test_what_is_restored_equals_the_store_at_one_moment(store: Store, tmp_path: Path, monkeypatch, settings, rounds: int) -> None:
    monkeypatch.setattr(apart, "PART", 1_000)
    monkeypatch.setattr(loads, "LARGE", dict.fromkeys(loads.LARGE, 0))  # While its table is small, a load takes its place at the end.
    settings.CHANGES_KEEP = 10**6
    replayed.make_tables()
    make_table("idle", [{"name": "id", "type": "INTEGER", "required": True}])
    one_table.reconcile(store)
    life, copied = Life(store), backup.contents
    plans: list[threading.Thread] = []

    def drop() -> None:
        undoing.drop(store, "idle", confirm="idle", actor="ada")
        connection.close()

    def busily(cursor: Any) -> Any:
        """The moment is taken: people go on writing, and somebody's plan has to wait."""
        begun = store.seq
        until(lambda: store.seq > begun + 30)
        if not plans:
            plans.append(threading.Thread(target=drop))
            plans[0].start()
            until(lambda: Plan.objects.filter(state=Plan.State.APPLYING).exists())
        assert store.has("idle") is (number == 0)
        return copied(cursor)

    with life.going_on():
        until(lambda: store.seq > 200 and len(life.loaded) > 1)
        kept = []
        for number in range(rounds):  # noqa: B007 - `busily` asks for it.
            with monkeypatch.context() as patch:
                patch.setattr(
                    backup, "contents", lambda cursor: busily(cursor) if cursor is store.gauge("backups").cursor else copied(cursor)
                )
                first = store.seq
                kept.append(backed_up(store, tmp_path / "shelf"))
                assert first <= kept[-1].manifest.seq < store.seq  # A moment between its start and its end.
            plans[0].join()
            assert not store.has("idle")
    for number, one in enumerate(kept):
        found = check_is_of_its_moment(life, one, tmp_path / f"restored{number}")
        assert ("idle" in {table.name for table in one.manifest.tables}) is (number == 0)
        assert all(found.values())


def test_the_two_databases_of_a_backup_agree_while_both_are_written(store: Store, tmp_path: Path, roles: None) -> None:
    """The audit log that Django's has goes at least to the entry that the store remembers."""
    replayed.make_tables()
    one_table.reconcile(store)
    ended = threading.Event()

    def decide() -> None:
        turn = 0
        while not ended.is_set():
            turn += 1
            one_table.decide(store, "ants", {"read_only": turn % 2 == 1}, actor="ada")
        connection.close()

    decider = threading.Thread(target=decide)
    decider.start()
    try:
        until(lambda: chain.head().seq > 20)
        kept = [backed_up(store, tmp_path / "shelf") for _ in range(3)]
    finally:
        ended.set()
        decider.join()
    assert len({one.manifest.seq for one in kept}) == 1  # Nobody wrote a row.
    seen = [remembered_and_logged(one.path) for one in kept]
    assert all(0 < remembered <= logged for remembered, logged in seen)
    assert seen[0][1] < seen[-1][1]


def remembered_and_logged(folder: Path) -> tuple[int, int]:
    """The entry that the copy of the store remembers, which the copy of the log has just so; and the last one of that log."""
    with backup.opened(folder / "store.duckdb") as cursor:
        seq, digest = (books.get(cursor, "audit_head") or "").split()
    log = sqlite3.connect(folder / "app.sqlite3")
    asked = log.execute("SELECT hash FROM schema_registry_auditentry WHERE seq = ?", [int(seq)]).fetchall()
    last = log.execute("SELECT max(seq) FROM schema_registry_auditentry").fetchall()[0][0]
    log.close()
    assert asked == [(digest,)]
    return int(seq), last
