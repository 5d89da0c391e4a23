"""Every statement's text. Identifiers are quoted here and nowhere else; values are bound or written by `literal`.

A *cell* is a value as text, in the one form that a CSV field, a URL and a row's JSON share; `value_of` turns a cell
into a column's value, `json_of` turns a value into JSON. Both are SQL, so one row and a million go the same way.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence

from schema_registry.schema import ColumnSchema, TableSchema

BOOKS = "_duckspawn"  # the schema of our own bookkeeping
LOADING = "spawn load "  # what the names of tables begin with that a large load makes for its time; no document can name one so


def quote(name: str) -> str:
    """An identifier, whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str | None) -> str:
    """A string literal, or NULL."""
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"


def table(name: str) -> str:
    return f"main.{quote(name)}"


def names(columns: Iterable[ColumnSchema]) -> str:
    return ", ".join(quote(c.name) for c in columns)


# Cells to values.


def value_of(column: ColumnSchema, cell: str) -> str:
    """The column's value of a cell (an SQL expression of type VARCHAR) that is known to be good."""
    if not column.multivalued:
        return _scalar(column, cell)
    return f"list_transform({elements(cell)}, lambda e: {_scalar(column, 'e')})"


def elements(cell: str) -> str:
    """The cells inside a list's cell. DuckDB reads a JSON number as a double, unless a decimal is asked for beside it."""
    return f"""from_json('{{"e":' || {cell} || '}}', '{{"e":["VARCHAR"],"exact":"DECIMAL(1,0)"}}').e"""


def tried_value_of(column: ColumnSchema, cell: str) -> str:
    """The value of a cell that may be bad, then null; of a column that holds no lists, nor BLOBs.

    `TRY` around the plain cast does not do: DuckDB computes a cast that stands twice once, outside of it.
    """
    if column.type.base == "TIMESTAMP":
        zoned = f"(TRY_CAST({cell} AS TIMESTAMPTZ) AT TIME ZONE 'UTC')"
        return f"CASE WHEN ends_with({cell}, 'Z') THEN TRY_CAST({cell} AS TIMESTAMP) ELSE {zoned} END"
    return f"TRY_CAST({cell} AS {column.type})"


def _scalar(column: ColumnSchema, cell: str) -> str:
    match column.type.base:
        case "VARCHAR":
            return cell
        case "TIMESTAMP":  # A cast to TIMESTAMP drops an offset; by way of TIMESTAMPTZ it counts, and takes three times as long.
            zoned = f"(({cell})::TIMESTAMPTZ AT TIME ZONE 'UTC')"
            return f"CASE WHEN ends_with({cell}, 'Z') THEN ({cell})::TIMESTAMP ELSE {zoned} END"
        case "BLOB":
            return f"from_base64({cell})"
    return f"({cell})::{column.type}"


def filled(column: ColumnSchema, value: str) -> str:
    """The value, or what a generated column is filled with where it is null."""
    return f"coalesce({value}, {_fresh(column)})" if column.generated else value


def _fresh(column: ColumnSchema) -> str:
    """What a generated column is filled with; keys in the order of their making are found sooner."""
    if column.generated == "uuid":
        return f"uuidv7()::{column.type}"
    return "now()" if column.type.base == "TIMESTAMPTZ" else f"(now() AT TIME ZONE 'UTC')::{column.type}"


def default_of(column: ColumnSchema) -> str:
    """The default's value as a constant: DuckDB adds a required column to rows that are there with nothing else."""
    if column.default is None:
        return "NULL"
    if not column.multivalued:
        return _constant(column, column.default)
    elements = (e if isinstance(e, str) else json.dumps(e) for e in json.loads(column.default))
    return f"[{', '.join(_constant(column, e) for e in elements)}]::{column.sql_type}"


def _constant(column: ColumnSchema, cell: str) -> str:
    """A literal of the schema, whose times are in UTC already."""
    if column.type.base == "BLOB":
        cell = "".join(f"\\x{byte:02X}" for byte in base64.b64decode(cell))
    return f"({literal(cell)})::{column.type}"


# Values to JSON and back to cells.


def json_of(column: ColumnSchema, value: str) -> str:
    """What `to_json` prints of a value as API.md wants it: ISO 8601 times in UTC, base64, no NaN."""
    if not column.multivalued:
        return _printed(column, value)
    return f"list_transform({value}, lambda e: {_printed(column, 'e')})"


def _printed(column: ColumnSchema, value: str) -> str:
    match column.type.base:
        case "TIMESTAMP":
            return f"(replace(({value})::VARCHAR, ' ', 'T') || 'Z')"
        case "TIMESTAMPTZ":
            return f"(replace((({value}) AT TIME ZONE 'UTC')::VARCHAR, ' ', 'T') || 'Z')"
        case "BLOB":
            return f"to_base64({value})"
        case "DECIMAL" if column.type.precision == column.type.scale:  # DuckDB prints .5, which is no JSON; a wider one is 0.5.
            return f"({value})::DECIMAL(38,{column.type.scale})"
        case "DOUBLE":
            return f"(CASE WHEN isfinite({value}) THEN {value} END)"
        case "FLOAT":  # As text it has its own few digits, not those of the double beside it.
            return f"(CASE WHEN isfinite({value}) THEN ({value})::VARCHAR::DOUBLE END)"
    return value


def json_text(column: ColumnSchema, value: str) -> str:
    """An expression that is a value's JSON as text, on one line, null where the value is.

    A JSON value stands there as it was written: `to_json` takes its numbers by way of a double, and digits are lost.
    """
    if column.type.base != "JSON":
        return f"to_json({json_of(column, value)})::VARCHAR"
    if not column.multivalued:
        return on_one_line(value)
    return f"'[' || array_to_string(list_transform({value}, lambda e: coalesce({on_one_line('e')}, 'null')), ',') || ']'"


def on_one_line(value: str) -> str:
    """A JSON value as text: within its strings no line ends, and between its parts a space is as good."""
    return f"translate(({value})::VARCHAR, chr(10) || chr(13), '  ')"


def row_json(columns: Iterable[ColumnSchema], prefix: str = "") -> str:
    """An expression that is one row as the text of a JSON object, in the order of `columns`."""
    parts = [(c, prefix + quote(c.name)) for c in columns]
    if all(c.type.base != "JSON" for c, _ in parts):
        return f"to_json({{{', '.join(f'{literal(c.name)}: {json_of(c, value)}' for c, value in parts)}}})::VARCHAR"
    named = (f"{literal(json.dumps(c.name, ensure_ascii=False) + ':')} || coalesce({json_text(c, value)}, 'null')" for c, value in parts)
    between = " || ',' || "
    return f"'{{' || {between.join(named)} || '}}'"


def cell_of(column: ColumnSchema, value: str) -> str:
    """A value as a cell: what `value_of` undoes."""
    return json_text(column, value) if column.multivalued else f"({_printed(column, value)})::VARCHAR"


SHOWN = 1000  # characters of a cell that people look at


def shortened(cell: str, most: int = SHOWN) -> str:
    """A cell for people to look at: what is longer than so many characters ends in an ellipsis."""
    return f"CASE WHEN length({cell}) > {most} THEN left({cell}, {most}) || '…' ELSE {cell} END"


# Rows.


# A relation of rows out of one JSON parameter: an array of rows, each an array of its cells, which `cells` names by their places.
CELL_ROWS = """(SELECT unnest(from_json(?::VARCHAR, '[["VARCHAR"]]')) AS cells)"""


def cells(count: int) -> list[str]:
    """The cells of a row of CELL_ROWS."""
    return [f"cells[{place}]" for place in range(1, count + 1)]


def insert_rows(schema: TableSchema) -> str:
    """The rows of one JSON parameter into the table, their cells in the order of the stored columns; a generated one is filled."""
    stored = schema.stored_columns
    values = (filled(c, value_of(c, cell)) for c, cell in zip(stored, cells(len(stored)), strict=True))
    return f"INSERT INTO {table(schema.name)} ({names(stored)}) SELECT {', '.join(values)} FROM {CELL_ROWS}"


def insert(schema: TableSchema, relation: str, *, given: Sequence[ColumnSchema] | None = None) -> str:
    """Rows of cells into the table; a column that is not `given` takes its default, a generated one is filled."""
    present = schema.columns if given is None else given
    return insert_values(schema, {c.name: value_of(c, quote(c.name)) for c in present}, relation)


def insert_values(schema: TableSchema, values: Mapping[str, str], relation: str) -> str:
    """Rows of a relation into the table: `values` has the SQL of each column that they have."""
    all_values = (filled(c, values.get(c.name) or default_of(c)) for c in schema.stored_columns)
    return f"INSERT INTO {table(schema.name)} ({names(schema.stored_columns)}) SELECT {', '.join(all_values)} FROM {relation}"


def returning(schema: TableSchema, selected: str) -> str:
    """The clause that hands back of each written row what is `selected`, then its key's cells."""
    keys = (cell_of(c, quote(c.name)) for c in schema.key_columns)
    return f" RETURNING {', '.join([selected, *keys])}"


def key_is(schema: TableSchema, key: Sequence[str]) -> str:
    """The condition that a row has this key, given as cells; literals plan twice as fast as parameters."""
    pairs = zip(schema.key_columns, key, strict=True)
    return " AND ".join(f"{quote(c.name)} = {value_of(c, literal(cell))}" for c, cell in pairs)


RESERVED_KEYS = ("aggregate", "schema", "changes", ".", "..")  # of one column: an address would be read as something else


def key_text(schema: TableSchema, prefix: str = "") -> str:
    """An expression that is a row's key as `rows.key_text` writes it."""
    parts = [_escaped(cell_of(c, prefix + quote(c.name))) for c in schema.key_columns]
    if len(parts) > 1:
        return f"concat_ws(',', {', '.join(parts)})"
    reserved = " ".join(f"WHEN {literal(word)} THEN {literal(f'~{ord(word[0]):02X}{word[1:]}')}" for word in RESERVED_KEYS)
    return f"CASE {parts[0]} {reserved} ELSE {parts[0]} END"


def _escaped(cell: str) -> str:
    return f"coalesce(nullif(replace(replace(replace({cell}, '~', '~7E'), ',', '~2C'), '/', '~2F'), ''), '~')"


def get(schema: TableSchema, key: Sequence[str], selected: str, source: str = "") -> str:
    return f"SELECT {selected} FROM {source or table(schema.name)} WHERE {key_is(schema, key)}"


def get_any(schema: TableSchema, cells: Iterable[str], selected: str) -> str:
    """Rows by the cells of their keys, of a table whose key is one column."""
    (column,) = schema.key_columns
    values = [value_of(column, literal(cell)) for cell in cells]
    condition = f"= {values[0]}" if len(values) == 1 else f"IN ({', '.join(values)})"
    return f"SELECT {selected} FROM {table(schema.name)} WHERE {quote(column.name)} {condition}"


def update(schema: TableSchema, key: Sequence[str], changed: Sequence[ColumnSchema]) -> str:
    """One row's columns to new values: one parameter, a cell or NULL, for each of `changed`."""
    sets = (f"{quote(c.name)} = {value_of(c, f'(${n})::VARCHAR')}" for n, c in enumerate(changed, 1))
    return f"UPDATE {table(schema.name)} SET {', '.join(sets)} WHERE {key_is(schema, key)}"


def delete(schema: TableSchema, key: Sequence[str]) -> str:
    return f"DELETE FROM {table(schema.name)} WHERE {key_is(schema, key)}"


# Structure.


def create_table(schema: TableSchema, name: str | None = None) -> str:
    """The key comes first: a column that stands before it could never be dropped."""
    parts = [_column(c) for c in schema.stored_columns]
    parts.append(f"PRIMARY KEY ({names(schema.key_columns)})")
    parts += [f"UNIQUE ({', '.join(quote(n) for n in columns)})" for columns in schema.unique]
    return f"CREATE TABLE {table(name or schema.name)} ({', '.join(parts)})"


def _column(column: ColumnSchema) -> str:
    return f"{quote(column.name)} {column.sql_type}{_default(column)}{' NOT NULL' if column.required else ''}"


def _default(column: ColumnSchema) -> str:
    return f" DEFAULT {default_of(column)}" if column.default is not None else ""


def comments(schema: TableSchema) -> list[str]:
    """The descriptions, where any DuckDB client finds them."""
    return [comment_table(schema, schema.description), *(comment(schema, c) for c in schema.columns if c.description)]


def comment_table(schema: TableSchema, description: str) -> str:
    return f"COMMENT ON TABLE {table(schema.name)} IS {literal(description or None)}"


def comment(schema: TableSchema, column: ColumnSchema) -> str:
    return f"COMMENT ON COLUMN {table(schema.name)}.{quote(column.name)} IS {literal(column.description or None)}"


def drop_table(name: str) -> str:
    return f"DROP TABLE {table(name)}"


def rename_table(name: str, new_name: str) -> str:
    return f"ALTER TABLE {table(name)} RENAME TO {quote(new_name)}"


def alter(schema: TableSchema, action: str) -> str:
    return f"ALTER TABLE {table(schema.name)} {action}"


def add_column(schema: TableSchema, column: ColumnSchema) -> str:
    return alter(schema, f"ADD COLUMN {_column(column)}")


def alter_column(schema: TableSchema, column: ColumnSchema, action: str) -> str:
    return alter(schema, f"ALTER COLUMN {quote(column.name)} {action}")


def set_default(schema: TableSchema, column: ColumnSchema) -> str:
    return alter_column(schema, column, "DROP DEFAULT" if column.default is None else f"SET DEFAULT {default_of(column)}")
