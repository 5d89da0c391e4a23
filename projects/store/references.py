"""References that hold: the rows of a table that enforces them refer to what is there, and that stays while they refer to it.

Asked within the transaction that writes; of single rows and of sets of them on the writer's thread, so that none slips between.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb

from projects.aliases import Names
from projects.errors import RowReferenced, RowRefused, TableAltered, TableNotFound
from projects.store import sql
from projects.store.books import LiveTable
from projects.store.connection import Store
from projects.store.errors import MISFITS
from projects.store.rows import Cells
from schema_registry.errors import Problem
from schema_registry.schema import ColumnSchema, TableSchema


@dataclass(frozen=True, slots=True)
class Reference:
    """A column of a table, and the column whose values its own have to be; without `target` there is no such column."""

    table: str
    column: ColumnSchema
    to: str = ""
    target: ColumnSchema | None = None

    @property
    def is_own(self) -> bool:
        """Whether a table refers to itself."""
        return self.to.casefold() == self.table.casefold()

    @property
    def value(self) -> str:
        """The column's value of a row `u`."""
        return f"u.{sql.quote(self.column.name)}"

    def common(self, value: str) -> str:
        """A value of either column as what the two are compared by: itself where the types allow, else its text."""
        one, other = self.column.type, self.target.type if self.target else None
        are_exact = other is not None and all(t.is_integer or t.base == "DECIMAL" for t in (one, other))
        is_list = self.target is not None and self.target.multivalued
        return value if other and not is_list and (are_exact or one.base == other.base) else f"({value})::VARCHAR"

    def has(self, value: str) -> str:
        """The condition that a value of the column stands in the other table."""
        if self.target is None:
            return "false"
        name = "r." + sql.quote(self.target.name)
        return f"EXISTS (SELECT 1 FROM {sql.table(self.to)} r WHERE {self.common(name)} = {self.common(value)})"


def references_of(store: Store, schema: TableSchema) -> Iterator[Reference]:
    """The table's references but for those of columns that hold lists; an old name of what they refer to is followed."""
    for column in schema.columns:
        if column.references and not column.multivalued:
            table, _, wanted = column.references.rpartition(".")
            live = _live(store, table)
            target = Names(live).column(wanted) if live else None
            yield Reference(schema.name, column, live.name if live else "", target)


def _live(store: Store, name: str) -> LiveTable | None:
    try:
        return store.table(name)
    except TableNotFound:
        return None


@contextmanager
def as_it_is(table: str) -> Iterator[None]:
    """Asks a table that is not the one that is written; raises TableAltered where it is not as its schema says."""
    try:
        yield
    except MISFITS as error:
        raise TableAltered(table=table) from error


@dataclass(frozen=True, slots=True)
class Enforced:
    """The tables, by their names without case, that enforce their references."""

    store: Store
    tables: frozenset[str]

    def own(self, schema: TableSchema) -> list[Reference]:
        """The references that the table's own rows have to keep."""
        return list(references_of(self.store, schema)) if schema.name.casefold() in self.tables else []

    def to(self, schema: TableSchema) -> list[Reference]:
        """The references that hold on to the table's rows."""
        others = [self.store.table(name).schema for name in self.tables if self.store.has(name)]
        found = (reference for other in others for reference in references_of(self.store, other) if reference.target)
        return [reference for reference in found if reference.to.casefold() == schema.name.casefold()]

    def of_new(
        self, cursor: duckdb.DuckDBPyConnection, schema: TableSchema, rows: Sequence[Cells], but: str = ""
    ) -> list[RowRefused | None]:
        """For each of the rows what stands against it, or None; the stored rows that meet `but` are about to become such a row."""
        problems: list[list[Problem]] = [[] for _ in rows]
        for reference in self.own(schema):
            for place in _dangling(cursor, reference, rows, but):
                problems[place].append(_problem(reference, rows[place][reference.column.name]))
        return [RowRefused(table=schema.name, problems=tuple(found)) if found else None for found in problems]

    def of_change(self, cursor: duckdb.DuckDBPyConnection, schema: TableSchema, chosen: str, cells: Cells | None) -> Exception | None:
        """What stands against giving the cells to the rows that meet the condition `chosen`; without cells, against deleting them."""
        if cells is not None and (refused := self.of_new(cursor, schema, [cells], chosen)[0]):
            return refused
        for reference in self.to(schema):
            target = reference.target
            if target and (cells is None or target.name in cells):
                with as_it_is(reference.table):
                    found = cursor.execute(_users(reference, target, schema, chosen, cells)).fetchall()
                if found:
                    return _referenced(schema, target, reference)
        return None

    @contextmanager
    def keeping(self, cursor: duckdb.DuckDBPyConnection, schema: TableSchema, columns: Collection[str]) -> Iterator[None]:
        """Runs an update of these columns. Raises RowReferenced where a value that others refer to was there, and is no longer."""
        found = [(reference, target) for reference in self.to(schema) if (target := reference.target) and target.name in columns]
        for place, (reference, _) in enumerate(found):
            held = f"SELECT DISTINCT {reference.common(reference.value)} AS v FROM {sql.table(reference.table)} u"
            cursor.execute(f"CREATE OR REPLACE TEMP TABLE held_{place} AS {held} WHERE {reference.has(reference.value)}")
        yield
        for place, (reference, target) in enumerate(found):
            lost = f"SELECT 1 FROM {sql.table(reference.table)} u JOIN temp.held_{place} h ON h.v = {reference.common(reference.value)}"
            if cursor.execute(f"{lost} WHERE NOT {reference.has(reference.value)} LIMIT 1").fetchall():
                raise _referenced(schema, target, reference)
            cursor.execute(f"DROP TABLE temp.held_{place}")


def _referenced(schema: TableSchema, target: ColumnSchema, reference: Reference) -> RowReferenced:
    return RowReferenced(table=schema.name, column=target.name, other=reference.table, by=reference.column.name)


def _problem(reference: Reference, cell: str | None) -> Problem:
    name, said = reference.column.name, reference.column.references
    why = f"which has no {cell}" if reference.target else "which is no column of a table here"
    return Problem(f"/{name}", "reference", f"{name} refers to {said}, {why}.")


def _dangling(cursor: duckdb.DuckDBPyConnection, reference: Reference, rows: Sequence[Cells], but: str) -> Sequence[int]:
    """The places of the rows whose reference does not hold. Literals, for which DuckDB looks into the key's index."""
    column, target = reference.column, reference.target
    given = {place: cell for place, cells in enumerate(rows) if (cell := cells.get(column.name)) is not None}
    if not given or target is None:
        return list(given)
    values = {place: reference.common(sql.value_of(column, sql.literal(cell))) for place, cell in given.items()}
    own = {place: rows[place].get(target.name) for place in given} if reference.is_own else {}
    same = {place: reference.common(sql.value_of(target, sql.literal(cell))) for place, cell in own.items() if cell is not None}
    asked = ", ".join(f"({place}, {value}, {f'{value} = {same[place]}' if place in same else 'false'})" for place, value in values.items())
    name = reference.common(sql.quote(target.name))
    kept = f" AND ({but}) IS NOT TRUE" if but and any(target.name in rows[place] for place in own) else ""
    there = f"SELECT {name} AS v FROM {sql.table(reference.to)} WHERE {name} IN ({', '.join(dict.fromkeys(values.values()))}){kept}"
    statement = (
        f"WITH there AS MATERIALIZED ({there}) SELECT place FROM (VALUES {asked}) a(place, v, is_own) "
        "WHERE NOT is_own AND NOT EXISTS (SELECT 1 FROM there WHERE there.v = a.v)"
    )
    with as_it_is(reference.to):
        return [place for (place,) in cursor.execute(statement).fetchall()]


def _users(reference: Reference, target: ColumnSchema, schema: TableSchema, chosen: str, cells: Cells | None) -> str:
    """The statement that finds a row that refers to a value which goes with the chosen rows, or out of them."""
    table, name, going = sql.table(schema.name), sql.quote(target.name), f"({chosen})"
    value, users, more = reference.common(reference.value), sql.table(reference.table), ""
    if cells is not None:
        new = sql.value_of(target, sql.literal(cells[target.name]))
        going += f" AND {name} IS DISTINCT FROM {new}"
        more = f" AND {value} IS DISTINCT FROM {reference.common(new)}"
    if reference.is_own and (cells is None or reference.column.name in cells):
        users = f"(SELECT * FROM {users} WHERE ({chosen}) IS NOT TRUE)"

    def among(rows: str) -> str:
        return f"EXISTS (SELECT 1 FROM (SELECT {name} AS v FROM {table} WHERE {rows}) g WHERE {reference.common('g.v')} = {value})"

    if [target.name] not in map(list, (schema.primary_key, *schema.unique)):
        more += f" AND NOT {among(f'({going}) IS NOT TRUE')}"
    return f"SELECT 1 FROM {users} u WHERE {among(going)}{more} LIMIT 1"
