import threading
import uuid
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import connection, transaction

from schema_registry import audit
from schema_registry.audit import GENESIS, Head
from schema_registry.errors import AppendOnly
from schema_registry.models import AuditEntry

pytestmark = pytest.mark.django_db


def written(count: int) -> list[AuditEntry]:
    return [audit.append("table.create", f"t{n}", actor="ada", detail={"version": n}) for n in range(1, count + 1)]


def tamper(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA ignore_check_constraints = ON")  # Whoever tampers with the file does not ask it.
        cursor.execute(f"UPDATE schema_registry_auditentry SET {sql}" if not sql.startswith("DELETE") else sql)
        cursor.execute("PRAGMA ignore_check_constraints = OFF")


def test_an_empty_log_is_whole():
    assert audit.head() == Head(0, GENESIS)
    assert audit.verify(None).ok
    assert audit.verify(Head(0, GENESIS)).ok


def test_entries_are_numbered_and_linked():
    entries = written(3)
    assert [e.seq for e in entries] == [1, 2, 3]
    assert [e.previous_hash for e in entries] == [GENESIS, entries[0].hash, entries[1].hash]
    assert audit.head() == Head(3, entries[2].hash)
    verdict = audit.verify(Head(2, entries[1].hash))
    assert (verdict.ok, verdict.entries, verdict.broken_at) == (True, 3, None)


@pytest.mark.parametrize(
    ("sql", "at"),
    [
        ("actor = 'eve' WHERE seq = 2", 2),
        ("action = 'x' WHERE seq = 1", 1),
        ("detail = '{\"version\": 9}' WHERE seq = 3", 3),
        ("detail = '{broken' WHERE seq = 3", 3),
        ("detail = '{\"n\": 99999999999999999999}' WHERE seq = 3", 3),
        ("at = '2001-01-01 00:00:00' WHERE seq = 2", 2),
        ("at = 'yesterday' WHERE seq = 2", 2),
        ("hash = 'x' WHERE seq = 4", 4),
        ("previous_hash = 'x' WHERE seq = 4", 4),
        ("seq = 9 WHERE seq = 4", 9),
        ("DELETE FROM schema_registry_auditentry WHERE seq = 1", 2),
        ("DELETE FROM schema_registry_auditentry WHERE seq = 3", 4),
    ],
)
def test_a_change_to_the_past_is_found_where_it_is(sql, at):
    written(4)
    tamper(sql)
    verdict = audit.verify(None)
    assert (verdict.ok, verdict.broken_at) == (False, at)
    assert verdict.detail


def test_a_log_that_was_cut_is_found_by_the_witness():
    entries = written(4)
    witness = audit.head()
    tamper("DELETE FROM schema_registry_auditentry WHERE seq > 2")
    assert audit.verify(None).ok
    assert audit.verify(witness).broken_at == 3
    for _ in range(4):
        audit.append("forged", "x", actor="eve")
    assert audit.verify(witness).broken_at == witness.seq
    assert audit.verify(Head(2, entries[1].hash)).ok


def test_an_entry_is_never_changed_or_taken_away():
    entry = written(1)[0]
    entry.actor = "eve"
    for act in (entry.save, entry.delete, AuditEntry.objects.all().delete, lambda: AuditEntry.objects.update(actor="eve")):
        with pytest.raises(AppendOnly):
            act()
    assert audit.verify(audit.head()).ok


def test_any_detail_reads_back_as_it_was_hashed():
    detail = {
        "decimal": Decimal("1.10"),
        "large": 2**70,
        "seconds": 0.1,
        "infinite": float("inf"),
        "who": uuid.UUID(int=1),
        "when": datetime(2024, 1, 1, tzinfo=UTC),
        "set": {"b", "a"},
        "text": "a\0\ud800é",
        5: [None, True, ("x",)],
    }
    audit.append("a" * 500, "o" * 500, actor="é" * 500, detail=detail)
    assert audit.verify(audit.head()).ok
    assert AuditEntry.objects.get().detail["decimal"] == "1.10"


def test_an_entry_falls_with_its_transaction():
    with pytest.raises(RuntimeError), transaction.atomic():
        audit.append("a", "b", actor="ada")
        raise RuntimeError
    assert audit.head().seq == 0


@pytest.mark.django_db(transaction=True)
def test_threads_that_write_at_once_make_one_chain():
    def work(number: int) -> None:
        for _ in range(5):
            if number % 2:
                audit.append("single", str(number), actor="ada")
            else:
                with transaction.atomic():
                    audit.append("first", str(number), actor="ada")
                    audit.append("second", str(number), actor="ada")
        connection.close()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    verdict = audit.verify(audit.head())
    assert (verdict.ok, verdict.entries) == (True, 30)
