"""What a person asked in the console, the newest first: theirs alone, bounded, and theirs to forget."""

from typing import Any

from django.db.models import QuerySet

from projects.models import AskedQuery
from projects.store.query_guard import LONGEST_SQL

KEPT = 200  # queries of one person


def of(user: Any) -> QuerySet[AskedQuery]:
    return AskedQuery.objects.filter(user=user)


def note(user: Any, sql: str, *, seconds: float, rows: int | None) -> None:
    """Keeps a query that was run, its rows None where it failed, and forgets those beyond the newest 200."""
    text = sql[:LONGEST_SQL].replace("\0", "\ufffd")  # PostgreSQL keeps no null character.
    AskedQuery.objects.create(user=user, sql=text, seconds=seconds, rows=rows, ok=rows is not None)
    last = of(user).values_list("id", flat=True)[KEPT : KEPT + 1]
    if found := list(last):
        of(user).filter(id__lte=found[0]).delete()


def clear(user: Any) -> int:
    """Forgets all of a person's queries; gives their number."""
    return of(user).delete()[0]
