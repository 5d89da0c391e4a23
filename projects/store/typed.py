"""Files of typed values: Parquet, and Arrow's stream.

Where every value of the file's type is one of the column's, exactly, the values are taken as they are; of whole numbers also those that
may be too large, for that is told. Anything else is made a text cell first and asked what every cell is asked, so that 1.5 never becomes 2.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from projects.aliases import Names
from projects.errors import BadRequest, HeadRefused
from projects.store import sql
from projects.store.batches import Batch
from projects.store.connection import Store
from projects.store.sources import Given, read_head, stage_relation
from schema_registry.errors import Problem
from schema_registry.schema import ColumnSchema
from schema_registry.types import ColumnType, UnknownType, is_widening, parse_type

_NAME = "arrow_rows"  # what an Arrow file is registered as, on the load's own cursor
_ZONED = "TIMESTAMP WITH TIME ZONE"
_EXACT = {  # the file's type, and the column's
    ("TIMESTAMP_S", "TIMESTAMP"): "({0})::TIMESTAMP",
    ("TIMESTAMP_MS", "TIMESTAMP"): "({0})::TIMESTAMP",
    (_ZONED, "TIMESTAMPTZ"): "{0}",
    (_ZONED, "TIMESTAMP"): "(({0}) AT TIME ZONE 'UTC')",
    ("TIMESTAMP", "TIMESTAMPTZ"): "(({0}) AT TIME ZONE 'UTC')",
}


@dataclass(frozen=True, slots=True)
class TypedFile:
    """A file of typed values in the spool; `scan` gives what stands after FROM while it is open on a cursor."""

    path: Path
    given: tuple[Given, ...]
    head: tuple[tuple[str, str], ...]  # each column's name in the file, and in the table
    is_arrow: bool
    sparse: bool = False
    guard: str = ""

    @contextmanager
    def opened(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[str]:
        with _opened(cursor, self.path, is_arrow=self.is_arrow) as relation:
            columns = ", ".join(f"{sql.quote(name)} AS {sql.quote(own)}" for name, own in self.head)
            yield f"(SELECT {columns} FROM {relation})"

    def stage(self, cursor: duckdb.DuckDBPyConnection, most: int | None = None) -> None:
        with self.opened(cursor) as relation:
            stage_relation(cursor, relation, most)


def read_parquet(store: Store, names: Names, path: Path, *, whole: bool = True) -> TypedFile:
    """The file with its head understood. Raises HeadRefused, and BadRequest for what is no Parquet."""
    return _read(store, names, path, is_arrow=False, whole=whole)


def read_arrow(store: Store, names: Names, path: Path, *, whole: bool = True) -> TypedFile:
    """As `read_parquet`, of Arrow's stream. Every batch is validated when it is read."""
    return _read(store, names, path, is_arrow=True, whole=whole)


def _read(store: Store, names: Names, path: Path, *, is_arrow: bool, whole: bool) -> TypedFile:
    types = typed_head(store, path, is_arrow=is_arrow)
    head = read_head(names, list(types), whole=whole)
    given = tuple(_given(column, called, types[name]) for name, column, called in head)
    problems = tuple(
        Problem(f"/head/{g.called}", "type", f"The column {g.called} is {g.column.sql_type}, which a {types[name]} cannot become.")
        for (name, _, _), g in zip(head, given, strict=True)
        if not g.value
    )
    if problems:
        raise HeadRefused(table=names.schema.name, problems=problems)
    return TypedFile(path, given, tuple((name, column.name) for name, column, _ in head), is_arrow)


def typed_head(store: Store, path: Path, *, is_arrow: bool) -> dict[str, str]:
    """The names of the file's columns, each with its type as DuckDB writes it. Raises BadRequest for what is no such file."""
    with store.read() as cursor, _opened(cursor, path, is_arrow=is_arrow) as relation:
        return {name: kind for name, kind, *_ in cursor.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}


@contextmanager
def _opened(cursor: duckdb.DuckDBPyConnection, path: Path, *, is_arrow: bool) -> Iterator[str]:
    """The file as a relation. Raises BadRequest where it is damaged or no such file."""
    import pyarrow as pa  # noqa: PLC0415 - as in batches.py

    try:
        if is_arrow:
            with _arrow(cursor, path) as name:
                yield name
        else:
            yield f"read_parquet({sql.literal(str(path))})"
    except pa.ArrowException as error:
        raise BadRequest(detail="The body is not an Arrow stream, or it is cut off or damaged.") from error
    except OSError as error:
        if error.errno is not None:  # The disk's own; pyarrow's about what it read has none.
            raise
        raise BadRequest(detail="The body is not an Arrow stream, or it is cut off or damaged.") from error
    except duckdb.Error as error:
        if reason := _is_unreadable(error, is_arrow=is_arrow):
            raise BadRequest(detail=reason) from error
        raise


_OF_FILES = (duckdb.InvalidInputException, duckdb.IOException, duckdb.SerializationException, duckdb.NotImplementedException)
_DAMAGED = ("parquet", "thrift", "snappy", "zstd", "decompress", "gzip", "brotli", "lz4", "corrupt", "footer", "utf8", "utf-8")


def _is_unreadable(error: duckdb.Error, *, is_arrow: bool) -> str:
    """Why a file cannot be read at all, or nothing: bad rows, keys and an interrupt are for others to tell."""
    text = str(error).casefold()
    if not isinstance(error, _OF_FILES):  # A conversion's text may quote a cell, whatever that says.
        return ""
    if is_arrow and any(sign in text for sign in ("arrow", "python exception")):
        return "The body is not an Arrow stream that can be read: it is cut off, damaged, or has a type that is not known here."
    if not is_arrow and any(sign in text for sign in _DAMAGED):
        return "The body is not a Parquet file, or it is cut off, damaged or encrypted."
    return ""


@contextmanager
def _arrow(cursor: duckdb.DuckDBPyConnection, path: Path) -> Iterator[str]:
    import pyarrow as pa  # noqa: PLC0415 - as in batches.py

    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as stream:
        names = stream.schema.names
        if len({n.casefold() for n in names}) < len(names):
            raise BadRequest(detail="A column stands twice in the Arrow stream.")
        cursor.register(_NAME, pa.RecordBatchReader.from_batches(stream.schema, _validated(stream)))
        try:
            yield _NAME
        finally:
            cursor.unregister(_NAME)


def _validated(stream: Iterable[Batch]) -> Iterator[Batch]:
    """A stranger's batch can say that it is longer than its buffers are."""
    for batch in stream:
        batch.validate(full=True)
        yield batch


# Types.


def _given(column: ColumnSchema, called: str, kind: str) -> Given:
    """The column as the file has it; without a value where its type can be no cell of the column's."""
    raw, listed = sql.quote(column.name), kind.endswith("[]")
    element = kind.removesuffix("[]") if column.multivalued else kind
    if listed and column.multivalued:
        if as_is := _exact(column.type, element):
            value, converts = as_is
            made = raw if value("e") == "e" else f"list_transform({raw}, lambda e: {value('e')})"
            return Given(column, called, f"({raw})::VARCHAR", made, raw, converts)
        text = _text(column.type, element)
        return _of_cell(column, called, f"to_json(list_transform({raw}, lambda e: {text('e')}))::VARCHAR" if text else "")
    if column.multivalued:
        return _of_cell(column, called, raw if kind in ("VARCHAR", "JSON", '"NULL"') else "")
    if as_is := _exact(column.type, kind):
        value, converts = as_is
        return Given(column, called, f"({raw})::VARCHAR", value(raw), raw, converts)
    text = _text(column.type, kind)
    return _of_cell(column, called, text(raw) if text else "")


def _of_cell(column: ColumnSchema, called: str, cell: str) -> Given:
    return Given(column, called, cell, sql.value_of(column, f"({cell})") if cell else "")


def _exact(wanted: ColumnType, kind: str) -> tuple[Callable[[str], str], bool] | None:
    """How a value of the file's type becomes the column's, and whether it may be too large; None where that is not exact."""
    if template := _EXACT.get((kind, wanted.base)):
        return template.format, False
    found = _parsed(kind)
    if found is None or wanted.base == "JSON":
        return None
    if found == wanted:
        return str, False
    if is_widening(found, wanted) or (found.is_integer and wanted.is_integer):
        return f"({{0}})::{wanted}".format, not is_widening(found, wanted)
    return None


def _parsed(kind: str) -> ColumnType | None:
    try:
        return parse_type(kind).type
    except UnknownType:
        return None


def _text(wanted: ColumnType, kind: str) -> Callable[[str], str] | None:
    """How a value of the file's type becomes a cell, or None where it cannot."""
    if kind in ("VARCHAR", "JSON", '"NULL"') or kind.startswith("ENUM("):
        return "({0})::VARCHAR".format
    if wanted.base == "JSON":
        return None if kind == "BLOB" else "to_json({0})::VARCHAR".format
    if kind == _ZONED:
        return "(replace((({0}) AT TIME ZONE 'UTC')::VARCHAR, ' ', 'T') || 'Z')".format
    if kind.startswith("TIMESTAMP"):
        # Billionths of a second print nine digits; where the last three say nothing they go.
        return "(regexp_replace(replace(({0})::VARCHAR, ' ', 'T'), '(\\.[0-9]{{6}})0+$', '\\1') || 'Z')".format
    found = _parsed(kind)
    if found and found.is_number and wanted.base not in ("FLOAT", "DOUBLE"):
        return "regexp_replace(({0})::VARCHAR, '\\.0+$', '')".format
    return "({0})::VARCHAR".format if found and found.base not in ("BLOB", "JSON") else None
