"""The last step of a load that updates: the good staged rows with their values, over the table's rows of the same keys."""

import duckdb

from projects.store import sql
from projects.store.books import EntryRelation, LiveTable
from projects.store.sources import ABSENT, ROW, Given, Source, absent
from projects.store.staging import GOOD, MATCHED
from schema_registry.schema import ColumnSchema, TableSchema

FRESH, OLDS, NOTED = "temp.fresh", "temp.olds", "temp.noted"


def write(cursor: duckdb.DuckDBPyConnection, schema: TableSchema, source: Source) -> tuple[int, int]:
    """Updates the rows that are there and inserts the others; gives how many of each. A key that the file lacks is met by none."""
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE {FRESH} AS {_fresh(schema, source)}")
    before = (
        f"SELECT s.{ROW}, {sql.row_json(schema.columns, 't.')} AS before FROM {FRESH} s JOIN {sql.table(schema.name)} t ON {_same(schema)}"
    )
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE {OLDS} AS {before} WHERE s.__matched")
    updated = cursor.execute(f"SELECT count(*) FROM {OLDS}").fetchall()[0][0]
    if updated and (sets := _sets(schema, source)):
        cursor.execute(f"UPDATE {sql.table(schema.name)} AS t SET {', '.join(sets)} FROM {FRESH} s WHERE s.__matched AND {_same(schema)}")
    columns = sql.names(schema.stored_columns)
    inserting = f"INSERT INTO {sql.table(schema.name)} ({columns}) SELECT {columns} FROM {FRESH} WHERE NOT __matched"
    return int(updated), int(cursor.execute(inserting).fetchall()[0][0])


def entries(cursor: duckdb.DuckDBPyConnection, table: LiveTable, *, actor: str, job: str | None) -> EntryRelation:
    """The feed's entries of what `write` did, one for each row that is another now."""
    schema = table.schema
    after = f"{sql.key_text(schema, 't.')} AS key, o.before, {sql.row_json(schema.columns, 't.')} AS after"
    rows = f"{FRESH} s JOIN {sql.table(schema.name)} t ON {_same(schema)} LEFT JOIN {OLDS} o USING ({ROW})"
    changed = f"SELECT key, before, after FROM (SELECT s.{ROW}, {after} FROM {rows}) WHERE before IS DISTINCT FROM after ORDER BY {ROW}"
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE {NOTED} AS {changed}")
    return EntryRelation(source=NOTED, table=table.name, op="load", actor=actor, job=job, schema_version=table.version)


def _fresh(schema: TableSchema, source: Source) -> str:
    """The good rows with every column's value: of a new row what is filled in too, of another only what the file gives."""
    given = {g.column.name: g for g in source.given}
    values = (f"{_fresh_value(c, given.get(c.name), sparse=source.sparse)} AS {sql.quote(c.name)}" for c in schema.stored_columns)
    lacks = f"s.{ABSENT}, " if source.sparse else ""
    return (
        f"SELECT s.{ROW}, {lacks}m.{ROW} IS NOT NULL AS __matched, {', '.join(values)} "
        f"FROM {GOOD} s LEFT JOIN {MATCHED} m ON m.{ROW} = s.{ROW}"
    )


def _fresh_value(column: ColumnSchema, given: Given | None, *, sparse: bool) -> str:
    default = sql.default_of(column)
    if given is None:
        return f"({sql.filled(column, default)})::{column.sql_type}"
    new = given.value if not sparse or column.default is None else f"CASE WHEN {absent(given.called)} THEN {default} ELSE {given.value} END"
    if new == given.value and not column.generated:
        return given.value
    return f"(CASE WHEN m.{ROW} IS NULL THEN {sql.filled(column, new)} ELSE {given.value} END)::{column.sql_type}"


def _same(schema: TableSchema) -> str:
    return " AND ".join(f"t.{name} = s.{name}" for name in (sql.quote(c.name) for c in schema.key_columns))


def _sets(schema: TableSchema, source: Source) -> list[str]:
    """What an update writes: the file's columns but for the key, and the time of the update."""
    given = {g.column.name: g for g in source.given}
    keys = {c.name for c in schema.key_columns}
    written = (c for c in schema.columns if c.name not in keys and (c.name in given or c.generated == "updated"))
    return [f"{sql.quote(c.name)} = {_set(c, given.get(c.name), sparse=source.sparse)}" for c in written]


def _set(column: ColumnSchema, given: Given | None, *, sparse: bool) -> str:
    name = sql.quote(column.name)
    if column.generated == "updated":
        return sql.filled(column, f"s.{name}" if given else "NULL")
    value = f"coalesce(s.{name}, t.{name})" if column.generated else f"s.{name}"
    return f"CASE WHEN {absent(given.called)} THEN t.{name} ELSE {value} END" if sparse and given else value
