"""Rows chosen by an address, changed or deleted together: all of them, or none where they are more than was meant."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from projects import audit, versions
from projects.aliases import Names, Used
from projects.conditions import AllOf, AnyOf, Condition, Filter, Not, Refused
from projects.errors import BadRequest
from projects.filters import Reader, read_address, whole
from projects.rows import check_writable, enforced, patch_cells, stamped
from projects.store import row_sets
from projects.store.books import LiveTable
from projects.store.connection import Store
from projects.store.retries import steadily
from projects.store.row_sets import Chosen

Pairs = Iterable[tuple[str, str]]  # an address's parameters, in their order

USUAL_MOST = 1000  # rows that one request may change where it does not say otherwise
LARGEST_MOST = 100_000  # the writer does nothing else meanwhile


@dataclass(frozen=True, slots=True)
class Done:
    """How many rows were changed or deleted, or would be, and the old names that they were chosen by."""

    rows: int
    used: Used


def change(store: Store, table: str, pairs: Pairs, body: Any, *, actor: str, version: int | None = None) -> Done:
    """Gives every row that the address chooses the values of the body; a row that has them already is left as it is.

    Raises BadRequest, RowRefused, TooManyAffected, DuplicateKey, TableNotFound, TableReadOnly, TableAltered, DiskFull,
    and as `versions.names`.
    """

    def done(live: LiveTable) -> Done:
        names, chosen, dry_run = _chosen(store, live, table, pairs, actor=actor, version=version)
        cells = names.stored_cells(patch_cells(store, names, body))
        if not cells:
            return Done(0, names.used)
        if dry_run:
            return Done(row_sets.count(store, chosen, cells), names.used)
        store.room.check()
        times = {name: cell for name, cell in stamped(live.schema, cells).items() if name not in cells}
        return _recorded("rows.change", chosen, Done(row_sets.change(store, chosen, cells, times), names.used))

    return steadily(store, table, done)


def delete(store: Store, table: str, pairs: Pairs, *, actor: str, version: int | None = None) -> Done:
    """Deletes every row that the address chooses. Raises as `change`."""

    def done(live: LiveTable) -> Done:
        names, chosen, dry_run = _chosen(store, live, table, pairs, actor=actor, version=version)
        if dry_run:
            return Done(row_sets.count(store, chosen), names.used)
        store.room.check(frees=True)
        return _recorded("rows.delete", chosen, Done(row_sets.delete(store, chosen), names.used))

    return steadily(store, table, done)


def _recorded(action: str, chosen: Chosen, done: Done) -> Done:
    if done.rows:
        audit.record(action, chosen.live.name, actor=chosen.actor, detail={"rows": done.rows})
    return done


def _chosen(store: Store, live: LiveTable, table: str, pairs: Pairs, *, actor: str, version: int | None) -> tuple[Names, Chosen, bool]:
    """What the address calls things, the rows that it chooses, and whether they are only counted."""
    check_writable(live.name)
    names = versions.names(live, table, version, reads=True, writes=True)
    readers: dict[str, Reader] = {"max_affected": lambda text: whole(text, 1, LARGEST_MOST), "dry_run": _truth}
    filter_, given = read_address(names, pairs, readers)
    if not _asks(filter_):
        key = names.schema.key_columns[0].name
        detail = f"Say which rows are meant, as a list does; {key}__isnull=false means every row."
        raise BadRequest(detail=detail)
    most = given.get("max_affected", USUAL_MOST)
    return names, Chosen(live, _stored(names, filter_), actor, most, enforced(store)), given.get("dry_run", False)


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise Refused(f"is true or false, not {text!r}")
    return text.lower() == "true"


def _asks(filter_: Filter) -> bool:
    """Whether there is any condition in it: an empty tree means every row, and is seldom meant so."""
    match filter_:
        case Condition():
            return True
        case Not(part):
            return _asks(part)
        case AllOf(parts) | AnyOf(parts):
            return any(map(_asks, parts))


def _stored(names: Names, filter_: Filter) -> Filter:
    """The filter by the live columns' names."""
    match filter_:
        case Condition(column, operator, values):
            return Condition(names.stored_column(column), operator, values)
        case Not(part):
            return Not(_stored(names, part))
        case AllOf(parts):
            return AllOf(tuple(_stored(names, part) for part in parts))
        case AnyOf(parts):
            return AnyOf(tuple(_stored(names, part) for part in parts))
