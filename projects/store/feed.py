"""The change feed as one table's readers get it: its entries in the order of their commits, each as the text of a JSON object.

Rows stand in it as they were answered then, so their text is put in as it is: no number is read and printed again.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from projects.errors import ChangesForgotten
from projects.store import books
from projects.store.books import LiveTable
from projects.store.connection import Store
from projects.store.sql import BOOKS, literal


@dataclass(frozen=True, slots=True)
class Told:
    """One entry: its number, its op, and all of it as JSON text."""

    seq: int
    op: str
    text: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """Entries that follow each other. The next stretch is what comes after `last`, which `is_whole` when all was told that there is."""

    entries: list[Told]
    last: int
    is_whole: bool


def stretch(store: Store, live: LiveTable, since: int | None, limit: int) -> Stretch:
    """At most `limit` entries of the table after the number `since`, or from the oldest that is kept.

    Raises ChangesForgotten where some after `since` are kept no longer.
    """
    latest = store.seq  # Read first: what is numbered up to it is there to be read.
    with store.read() as cursor:
        entries = f"SELECT * FROM {BOOKS}.changes WHERE seq > {since or 0} AND ({of_table(store, live)}) ORDER BY seq LIMIT {limit}"
        found = [Told(*row) for row in cursor.execute(f"SELECT seq, op, {_JSON} FROM ({entries}) ORDER BY seq").fetchall()]
        forgotten = books.forgotten(cursor)
    if since is not None and since < forgotten:
        raise ChangesForgotten(table=live.name, since=since, oldest=forgotten, last=latest)
    is_whole = len(found) < limit
    seen = max(since or 0, found[-1].seq if found else 0)
    return Stretch(found, max(seen, latest) if is_whole else seen, is_whole)


def of_row(store: Store, live: LiveTable, key: str, before: int | None, limit: int) -> tuple[list[Told], int]:
    """At most `limit` entries of the row of that key, the latest first, before a number where one is given; and the last one forgotten."""
    earlier = f" AND seq < {before}" if before is not None else ""
    with store.read() as cursor:
        entries = f"SELECT * FROM {BOOKS}.changes WHERE key = ?{earlier} AND ({of_table(store, live)}) ORDER BY seq DESC LIMIT {limit}"
        found = cursor.execute(f"SELECT seq, op, {_JSON} FROM ({entries}) ORDER BY seq DESC", [key]).fetchall()
        return [Told(*row) for row in found], books.forgotten(cursor)


def check_kept(store: Store, table: str, since: int) -> None:
    """Raises ChangesForgotten where entries after `since` are kept no longer."""
    with store.read() as cursor:
        forgotten = books.forgotten(cursor)
    if since < forgotten:
        raise ChangesForgotten(table=table, since=since, oldest=forgotten, last=store.seq)


def _text(name: str, value: str) -> str:
    return f"""',"{name}":' || coalesce({value}, 'null')"""


_JSON = " || ".join(
    [
        """'{"seq":' || seq""",
        """',"at":"' || replace(changed_at::VARCHAR, ' ', 'T') || 'Z"'""",
        *(_text(name, f"to_json({name})::VARCHAR") for name in ("actor", "op", "key")),
        *(_text(name, name) for name in ("before", "after")),
        *(_text(name, f"{name}::VARCHAR") for name in ("schema_version", "rows")),
        _text("job", "to_json(job)::VARCHAR"),
        "'}'",
    ]
)


# Whose an entry is.


def of_table(store: Store, live: LiveTable) -> str:
    """The condition that an entry is the table's: under a name that it has or had, from when it got the name until it got the next."""
    return " OR ".join([_present(store, live), *_past(live)])


def _present(store: Store, live: LiveTable) -> str:
    others = (other for other in store.tables() if other is not live)
    begun = (renamed for other in others for name, renamed in _names(other) if name.casefold() == live.name.casefold())
    return " AND ".join([_is_named(live.name), *(f"seq > coalesce({renamed}, 0)" for renamed in begun)])


def _past(live: LiveTable) -> Iterator[str]:
    for name, renamed in _names(live):
        yield f"({_is_named(name)} AND seq < {renamed})"


def _names(live: LiveTable) -> Iterator[tuple[str, str]]:
    """The table's earlier names, each with the number under which it got the next one, as SQL."""
    earlier = sorted((alias for alias in live.aliases if alias.column is None), key=lambda alias: alias.since)
    following = [*(alias.name for alias in earlier), live.name][1:]
    for alias, name in zip(earlier, following, strict=True):
        since = f"{literal(books.utc_cell(alias.since))}::TIMESTAMP"
        yield alias.name, f"(SELECT min(seq) FROM {BOOKS}.changes WHERE op = 'schema' AND {_is_named(name)} AND changed_at >= {since})"


def _is_named(name: str) -> str:
    return f"lower(table_name) = lower({literal(name)})"
