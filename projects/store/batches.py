"""A statement's result as Arrow record batches, a few rows at a time: what every format is made from, and what bounds its memory."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import duckdb

Batch = Any  # a pyarrow.RecordBatch; pyarrow takes 40 MiB, so only what needs it imports it

ROWS = 2048  # rows of a batch: DuckDB works on as many at once; more are little faster, and wide rows would take too much memory

# A result that fails midway fails as an OSError of pyarrow's, whose text begins with DuckDB's own name for it.
_FAILURES: dict[str, type[duckdb.Error]] = {
    "INTERRUPT Error": duckdb.InterruptException,
    "Out of Memory Error": duckdb.OutOfMemoryException,
    "Invalid Input Error": duckdb.InvalidInputException,
    "Conversion Error": duckdb.ConversionException,
    "Out of Range Error": duckdb.OutOfRangeException,
    "IO Error": duckdb.IOException,
    "INTERNAL Error": duckdb.InternalException,
    "FATAL Error": duckdb.FatalException,
}


class Chunk(NamedTuple):
    """A piece of what goes out, and how many rows end in it."""

    rows: int
    data: bytes


class Result:
    """The batches of one SELECT on a cursor; to be closed, which ends the statement. Raises DuckDB's errors."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, statement: str, params: Sequence[Any] = (), rows: int = ROWS) -> None:
        self._reader = cursor.sql(statement, params=list(params) or None).to_arrow_reader(rows)

    @property
    def schema(self) -> Any:
        return self._reader.schema

    def __iter__(self) -> Iterator[Batch]:
        with _as_duckdbs_own():
            yield from self._reader

    def close(self) -> None:
        self._reader.close()


@contextmanager
def _as_duckdbs_own() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = _FAILURES.get(str(error).partition(":")[0], duckdb.OperationalError)
        raise kind(str(error)) from error


def joined(pieces: Iterable[tuple[int, Any]], at_once: int, head: bytes = b"") -> Iterator[Chunk]:
    """The pieces (rows and their bytes) put together until there are `at_once` bytes; the head comes with the first."""
    waiting: list[Any] = [head] if head else []
    rows, size = 0, len(head)
    for count, data in pieces:
        waiting.append(data)
        rows, size = rows + count, size + len(data)
        if size >= at_once:
            yield Chunk(rows, b"".join(waiting))
            waiting, rows, size = [], 0, 0
    if waiting:
        yield Chunk(rows, b"".join(waiting))
