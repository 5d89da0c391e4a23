"""Many rows on their way out: any statement's result in any format, in chunks, with bounded memory."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from projects.filters import Listing
from projects.store import lines, lists
from projects.store.batches import ROWS, Chunk, Result
from projects.store.connection import Store
from projects.store.errors import fitting, translated, writing
from projects.store.outputs import Output, of_table
from projects.store.watch import Watch, stays
from schema_registry.schema import TableSchema

FORMATS = ("json", "ndjson", "csv", "parquet", "arrow")


@dataclass(frozen=True, slots=True)
class Sheet:
    """What goes out: the columns, the SELECT around an expression of them, its parameters, and what there is to say of the whole."""

    outputs: Sequence[Output]
    select: Callable[[str], str]
    params: Sequence[Any] = ()
    about: Mapping[str, str] = field(default_factory=dict)
    rows_at_once: int = ROWS


def chunks(cursor: duckdb.DuckDBPyConnection, sheet: Sheet, form: str) -> Generator[Chunk]:
    """The rows in a format, whole: `json` is one array. Raises DuckDB's errors."""
    with closing(Result(cursor, sheet.select(_expression(sheet.outputs, form)), sheet.params, sheet.rows_at_once)) as batches:
        match form:
            case "json":
                yield from lines.array_chunks(batches)
            case "ndjson":
                yield from lines.chunks(batches)
            case "csv":
                yield from lines.chunks(batches, lines.csv_head(sheet.outputs))
            case _:
                from projects.store import arrow  # noqa: PLC0415 - pyarrow takes 40 MiB, and most processes never need it.

                schema = arrow.schema_of(batches.schema, sheet.outputs, sheet.about)
                write = arrow.parquet_chunks if form == "parquet" else arrow.stream_chunks
                yield from write(batches, schema)


def _expression(outputs: Sequence[Output], form: str) -> str:
    match form:
        case "json":
            return lines.json_array(outputs)
        case "ndjson":
            return lines.ndjson(outputs)
        case "csv":
            return lines.csv(outputs)
    return ", ".join(f"{o.value} AS c{n}" for n, o in enumerate(outputs))


def sheet(schema: TableSchema, listing: Listing, *, source: str = "", version: int = 0) -> Sheet:
    """The rows of a list: all of them, or one page where it has a limit; sorted only where that is asked for.

    `source` is a relation that has the rows as the schema says, where that is not the table itself.
    """
    ordered = bool(listing.sort or listing.limit or listing.offset or listing.after or listing.until)
    about = {"table": schema.name, "description": schema.description, "id": schema.id or ""}
    about |= {"schema_version": str(version), "fingerprint": schema.fingerprint}
    return Sheet(
        of_table(listing.fields or schema.columns),
        lambda expression: lists.select(
            schema, listing, expression, limit=None if listing.until else listing.limit, ordered=ordered, source=source
        ),
        about={name: text for name, text in about.items() if text},
    )


def rows(store: Store, table: str, sheet: Sheet, form: str, is_gone: Callable[[], bool] = stays) -> Iterator[bytes]:
    """The chunks of a list's file, read with a cursor of their own; to be closed.

    Raises BadRequest, SchemaMoved, OutOfMemory; ClientLeft once the client `is_gone` while DuckDB works.
    """
    with store.read() as cursor, fitting(table), Watch(cursor, is_gone=is_gone), lists.understood():
        for chunk in chunks(cursor, sheet, form):
            store.stats.rows_read += chunk.rows
            yield chunk.data


def write(store: Store, table: str, sheet: Sheet, form: str, path: Path) -> tuple[int, int]:
    """Writes a list's file for the one job that runs, whose progress can be told; gives its rows and bytes.

    Raises BadRequest, SchemaMoved, OutOfMemory, DiskFull; then there is no file.
    """
    found = size = 0
    try:
        with writing("SPOOL_DIR"), path.open("wb") as file, translated(), fitting(table), lists.understood():
            path.chmod(0o600)
            for chunk in chunks(store.measured_cursor(), sheet, form):
                store.room.check()
                file.write(chunk.data)
                found, size = found + chunk.rows, size + len(chunk.data)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    store.stats.rows_read += found
    return found, size
