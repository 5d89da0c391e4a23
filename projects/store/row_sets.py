"""Rows that meet a condition, changed or deleted together: set by set inside DuckDB, one transaction, an entry of the feed for each row."""

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from projects.conditions import Filter
from projects.errors import SchemaMoved, TooManyAffected
from projects.store import sql
from projects.store.books import EntryRelation, LiveTable
from projects.store.conditions import holds
from projects.store.connection import Store, Transaction
from projects.store.errors import MISFITS, DuplicateSeen
from projects.store.lists import execute
from projects.store.references import Enforced
from projects.store.rows import Cells, reader
from projects.store.writer import as_told

_MET = "temp._duckspawn_met"  # the rows that are about to change, as they were


@dataclass(frozen=True, slots=True)
class Chosen:
    """The rows of a live table that meet a filter, who touches them, and how many they may be at most."""

    live: LiveTable
    filter: Filter
    actor: str
    most: int
    enforced: Enforced | None = None

    @property
    def table(self) -> str:
        return sql.table(self.live.name)


def change(store: Store, chosen: Chosen, cells: Cells, times: Cells) -> int:
    """Gives the rows these cells, and those that are another row by it the update `times` too; gives how many they were.

    Raises TooManyAffected, DuplicateKey, BadRequest, SchemaMoved; then nothing was changed.
    """
    given = _values(chosen, cells)
    condition = _differs(chosen, given)
    sets = ", ".join(f"{name} = {value}" for name, value in {**given, **_values(chosen, times)}.items())
    schema = chosen.live.schema
    same = " AND ".join(f"t.{sql.quote(c.name)} = m.k{place}" for place, c in enumerate(schema.key_columns))
    changed = f"(SELECT m.key, m.before, {sql.row_json(schema.columns, 't.')} AS after FROM {_MET} m JOIN {chosen.table} t ON {same})"
    return _done(store, chosen, condition, f"UPDATE {chosen.table} SET {sets} WHERE {condition}", ("patch", changed), cells=cells)


def delete(store: Store, chosen: Chosen) -> int:
    """Deletes the rows; gives how many they were. Raises TooManyAffected, BadRequest, SchemaMoved; then nothing was deleted."""
    condition = holds(chosen.filter)
    gone = f"(SELECT key, before, NULL::VARCHAR AS after FROM {_MET})"
    return _done(store, chosen, condition, f"DELETE FROM {chosen.table} WHERE {condition}", ("delete", gone))


def count(store: Store, chosen: Chosen, cells: Cells | None = None) -> int:
    """How many rows `change` with these cells, or else `delete`, would touch. Raises BadRequest, SchemaMoved."""
    condition = holds(chosen.filter) if cells is None else _differs(chosen, _values(chosen, cells))
    with reader(store, chosen.live.schema) as cursor:
        met = int(execute(cursor, f"SELECT count(*) FROM {chosen.table} WHERE {condition}").fetchall()[0][0])
        if met:
            _check_kept(cursor, chosen, condition, cells)
        return met


def _check_kept(cursor: duckdb.DuckDBPyConnection, chosen: Chosen, condition: str, cells: Cells | None) -> None:
    """Raises what the enforced references have against it."""
    if chosen.enforced and (refusal := chosen.enforced.of_change(cursor, chosen.live.schema, condition, cells)):
        raise refusal


def _values(chosen: Chosen, cells: Cells) -> Mapping[str, str]:
    """The new values by column, both as SQL."""
    columns = (c for c in chosen.live.schema.columns if c.name in cells)
    texts = ((c, cells[c.name]) for c in columns)
    return {sql.quote(c.name): "NULL" if cell is None else sql.value_of(c, sql.literal(cell)) for c, cell in texts}


def _differs(chosen: Chosen, given: Mapping[str, str]) -> str:
    """The condition that a row is chosen, and is another one with the values."""
    return f"({holds(chosen.filter)}) AND ({' OR '.join(f'{name} IS DISTINCT FROM {value}' for name, value in given.items())})"


def _done(store: Store, chosen: Chosen, condition: str, statement: str, entries: tuple[str, str], *, cells: Cells | None = None) -> int:
    """Runs the statement on the writer's thread; `entries` are the op, and the relation that has each row as it was and is."""
    name = chosen.live.name

    def work(transaction: Transaction) -> int:
        if not store.has(name) or store.table(name).schema is not chosen.live.schema:
            raise SchemaMoved(table=name)
        met = _meet(transaction, chosen, condition)
        if met:
            _check_kept(transaction.cursor, chosen, condition, cells)
            op, source = entries
            transaction.execute(statement)
            version = chosen.live.version
            transaction.entry_relations.append(EntryRelation(source=source, table=name, op=op, actor=chosen.actor, schema_version=version))
        return met

    try:
        met: int = store.writer.alone(work)
    except (DuplicateSeen, *MISFITS) as error:
        raise as_told(name, error) from error
    store.stats.rows_written += met
    return met


def _meet(transaction: Transaction, chosen: Chosen, condition: str) -> int:
    """Sets the rows that meet the condition aside as they are; gives their number. Raises TooManyAffected, BadRequest."""
    met = int(execute(transaction.cursor, f"SELECT count(*) FROM {chosen.table} WHERE {condition}").fetchall()[0][0])
    if met > chosen.most:
        raise TooManyAffected(table=chosen.live.name, count=met, most=chosen.most)
    schema = chosen.live.schema
    keys = (f"{sql.quote(c.name)} AS k{place}" for place, c in enumerate(schema.key_columns))
    columns = ", ".join([*keys, f"{sql.key_text(schema)} AS key", f"{sql.row_json(schema.columns)} AS before"])
    transaction.execute(f"CREATE TEMP TABLE {_MET.partition('.')[2]} AS SELECT {columns} FROM {chosen.table} WHERE {condition}")
    return met
