"""What people do with a table while its schema changes: it is done anew with the new schema, so that nobody is refused."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from projects.errors import SchemaMoved, TableAltered
from projects.store import catalogue
from projects.store.books import LiveTable
from projects.store.connection import Store

T = TypeVar("T")

TRIES = 5  # a schema that changes more often than this while somebody looks is waited for


def steadily(store: Store, table: str, act: Callable[[LiveTable], T]) -> T:
    """What `act` makes of the live table; again where the schema moves under it, at last with the table's lock held.

    Raises TableNotFound, and TableAltered where the table is not as its schema says. The caller holds no lock of the table.
    """
    for _ in range(TRIES):
        live = store.table(table)
        try:
            with told_apart(store, live):
                return act(live)
        except SchemaMoved:
            continue
    with held(store, table) as live, told_apart(store, live):
        return act(live)


@contextmanager
def held(store: Store, table: str) -> Iterator[LiveTable]:
    """The live table, which no plan changes meanwhile. A lock goes by the present name, that a plan may have changed while we waited."""
    while True:
        name = store.table(table).name
        with store.locks.of(name).shared():
            live = store.table(table)
            if live.name.casefold() == name.casefold():
                yield live
                return


@contextmanager
def told_apart(store: Store, live: LiveTable) -> Iterator[None]:
    """Lets SchemaMoved go on where the table did move; raises TableAltered, or a fault of ours as DuckDB told it, where it did not."""
    try:
        yield
    except SchemaMoved as moved:
        is_whole = _is_whole(store, live)
        if not store.is_live(live):
            raise
        if is_whole:
            raise moved.__cause__ or moved from None
        raise TableAltered(table=live.name) from moved


def _is_whole(store: Store, live: LiveTable) -> bool:
    """Whether the table in the file is as its schema says."""
    with store.read() as cursor:
        return not catalogue.altered(cursor, live)
