"""Old names: what a renamed column or table may still be called, which of them a request used, and how long they last.

A column's own name always goes before an old one, and answers have the present names only.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from projects import audit
from projects.errors import AliasNotFound
from projects.store import books
from projects.store.books import Alias, LiveTable
from projects.store.connection import Store, Transaction
from projects.store.retries import held
from schema_registry.schema import ColumnSchema, TableSchema


@dataclass(frozen=True, slots=True)
class Used:
    """The old names that a request used for a table and its columns; `table` is the table's present name."""

    table: str
    aliases: tuple[Alias, ...] = ()

    @property
    def since(self) -> datetime:
        """When the first of them became an old name."""
        return min(alias.since for alias in self.aliases)


NONE = Used("")


class Names:
    """What a request may call the columns of a live table; it remembers which old names the request did use.

    `asked` is what the request calls the table. `schema` is the shape in which the request has the rows, which is the live one;
    `source` is a relation that has them so, where the table itself has not.
    """

    __slots__ = ("_used", "aliases", "live", "schema", "source")

    def __init__(self, live: LiveTable, asked: str = "") -> None:
        self.live, self.schema, self.aliases = live, live.schema, live.aliases
        self.source = ""
        self._used: dict[Alias, None] = {}
        if live.aliases and asked and (alias := _of_table(live, asked)):
            self._used[alias] = None

    def column(self, name: str) -> ColumnSchema | None:
        """The column that has the name, or that had it before; names are compared without case."""
        found = self.schema.column(name)
        if found is None and self.aliases and (alias := _of_column(self.aliases, name)):
            found = self.schema.column(alias.column or "")
            if found:
                self._used[alias] = None
        return found

    @property
    def used(self) -> Used:
        return Used(self.live.name, tuple(self._used))

    def all_of(self, column: ColumnSchema) -> set[str]:
        """The column's name and its old ones, without case."""
        return {column.name.casefold(), *(a.name.casefold() for a in self.aliases if a.column and _same(a.column, column.name))}

    def clash(self, column: ColumnSchema, given: Iterable[str]) -> str | None:
        """The old name among those that a row or a head gives for one column, where they are not all the column's own."""
        old = self.all_of(column) - {column.name.casefold()}
        return next((name for name in given if name.casefold() in old), None)

    def stored_column(self, column: ColumnSchema) -> ColumnSchema:
        """The live column behind one of `schema`."""
        return column

    def stored_cells(self, cells: dict[str, str | None], *, is_new: bool = False) -> dict[str, str | None]:
        """Cells of `schema` as the table has them; of a row that is new, every one."""
        return cells

    def shown_row(self, row: str) -> str:
        """A stored row's JSON text in the shape of `schema`."""
        return row


def _of_table(live: LiveTable, name: str) -> Alias | None:
    return None if _same(name, live.name) else next((a for a in live.aliases if a.column is None and _same(a.name, name)), None)


def _of_column(aliases: Sequence[Alias], name: str) -> Alias | None:
    return next((a for a in aliases if a.column is not None and _same(a.name, name)), None)


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()


# What becomes of them.


def after(old: Sequence[Alias], *, renamed: Mapping[str, str], wanted: TableSchema, keeps: bool, moment: datetime) -> tuple[Alias, ...]:
    """The old names of a table after a change of its schema.

    `old` are those before it; `renamed` has the new name of every column that stays, by its live name, the same or not. With `keeps`,
    the columns that are renamed are known by their live names since `moment`; an undo leaves none. A name that a column (or the table)
    has now is no old name.
    """
    now = {live.casefold(): name for live, name in renamed.items()}
    kept = [Alias(a.name, a.column and now[a.column.casefold()], a.since) for a in old if a.column is None or a.column.casefold() in now]
    made = [Alias(live, name, moment) for live, name in renamed.items() if keeps and not _same(live, name)]
    replaced = {a.name.casefold() for a in made}
    kept = [a for a in kept if a.column is None or a.name.casefold() not in replaced]
    return tuple(a for a in (*kept, *made) if not _is_present(a, wanted))


def _is_present(alias: Alias, schema: TableSchema) -> bool:
    """Whether a column, or for a table's old name the table, is called so now."""
    return _same(alias.name, schema.name) if alias.column is None else schema.column(alias.name) is not None


def retire(store: Store, table: str, name: str, *, actor: str) -> None:
    """Ends an old name of the table or of a column. Raises TableNotFound, AliasNotFound."""

    def work(transaction: Transaction) -> str:
        live = store.table(table)
        kept = [alias for alias in live.aliases if not _same(alias.name, name)]
        if len(kept) == len(live.aliases):
            raise AliasNotFound(table=live.name, alias=name)
        books.put_aliases(transaction.cursor, live.name, kept)
        transaction.changes_catalogue = True
        return live.name

    with held(store, table):  # A plan, which holds the lock alone, takes over the old names that it has seen.
        present = store.writer.alone(work)
    audit.record("alias.retire", present, actor=actor, detail={"alias": name})
