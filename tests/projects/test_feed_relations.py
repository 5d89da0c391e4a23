"""Many entries of the change feed at once: they stand in a relation and are numbered in one statement."""

from collections.abc import Callable

import pytest

from projects.store import rows, sql
from projects.store.books import Entry, EntryRelation
from projects.store.connection import Store, Transaction
from tests.projects.conftest import make_table

pytestmark = pytest.mark.django_db

KEYS = ["a", "schema", "..", "", "x,y", "~2C", "p/q", "ünï", "aggregates"]


def noted(schema: object) -> Callable[[Transaction], None]:
    """Writes an entry by itself, and one for each row that stands in a temporary table."""

    def work(transaction: Transaction) -> None:
        made = f"SELECT {sql.key_text(schema)} AS key, NULL::VARCHAR AS before, {sql.row_json(schema.columns)} AS after FROM words"
        transaction.execute(f"CREATE OR REPLACE TEMP TABLE noted AS {made}")
        transaction.entries.append(Entry(table="words", op="load", actor="ann", rows=1))
        transaction.entry_relations.append(EntryRelation(source="noted", table="words", op="patch", actor="ann", schema_version=1))

    return work


def feed(store: Store) -> list[tuple]:
    with store.read() as cursor:
        return cursor.execute("SELECT seq, op, key, after->>'word', schema_version FROM _duckspawn.changes ORDER BY seq").fetchall()


def test_entries_of_a_relation_are_numbered_after_the_single_ones(store: Store, settings) -> None:
    schema = make_table("words", [{"name": "word", "type": "VARCHAR"}], primary_key=["word"])
    with store.transaction() as transaction:
        for key in KEYS:
            transaction.execute("INSERT INTO words VALUES (?)", [key])
    before = len(feed(store))
    store.writer.alone(noted(schema))
    found = feed(store)[before:]
    assert [seq for seq, *_ in found] == list(range(before + 1, before + len(KEYS) + 2))
    assert found[1:] == [(before + 2 + place, "patch", rows.key_text((key,)), key, 1) for place, key in enumerate(KEYS)]

    settings.CHANGES_KEEP = 5  # It is looked at whenever the numbers pass a thousand.
    store._seq = 995
    store.writer.alone(noted(schema))
    assert [seq for seq, *_ in feed(store)] == list(range(1001, 1006))


def test_a_work_that_fails_writes_none_of_its_entries(store: Store) -> None:
    schema = make_table("words", [{"name": "word", "type": "VARCHAR"}], primary_key=["word"])
    before = feed(store)

    def failing(transaction: Transaction) -> None:
        noted(schema)(transaction)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.writer.alone(failing)
    assert feed(store) == before
