"""The write-ahead log is folded into the file beside the work, and nothing is lost by it."""

from pathlib import Path

import pytest

from projects.filters import Listing
from projects.store import checkpoints, lists
from projects.store.connection import Store, get_store, reset_store
from projects.store.rows import Create
from tests.projects.conftest import make_table

pytestmark = pytest.mark.django_db


def test_a_long_log_is_folded_in_once_nobody_writes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    schema = make_table("words", [{"name": "id", "type": "INTEGER", "required": True}])
    log = Path(f"{store.path}.wal")
    store.writer.write(Create(store.table("words").schema, {"id": "1"}, "test", 1))
    assert log.stat().st_size > 0
    assert not checkpoints.fold(store)  # It is not long yet.

    monkeypatch.setattr(checkpoints, "FROM", 1)
    with store.transaction() as transaction:
        transaction.execute("INSERT INTO main.words VALUES (2)")
        checkpoints.fold(store)
        assert lists.page(store, schema, Listing()).rows == ['{"id":1}']
    assert checkpoints.fold(store)
    assert not log.exists() or log.stat().st_size == 0
    assert not checkpoints.fold(store)

    reset_store()
    assert lists.page(get_store(), schema, Listing()).rows == ['{"id":1}', '{"id":2}']
