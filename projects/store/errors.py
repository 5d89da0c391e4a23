"""DuckDB's errors become ours here, once; nothing above the store sees one of DuckDB's."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from projects import errors
from projects.store.rescue import why_unreadable

_DUPLICATE = re.compile(r"Duplicate key \"(?P<pairs>.*?)\" violates|duplicate key \"(?P<other>.*?)\"", re.DOTALL)
_HOLDER = re.compile(r"\(PID (\d+)\)")
_FULL = ("No space left", "disk full", "Disk quota", "not enough space", "File too large")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


# How a statement of ours fails on a table that is not as its schema says: a name or a type is another, a rule is not known here.
MISFITS = (duckdb.BinderException, duckdb.CatalogException, duckdb.ConversionException, duckdb.ConstraintException)


class DuplicateSeen(Exception):
    """A key or a unique column was met twice; the pairs are DuckDB's text, such as `id: 3`."""

    # Inside the store only: whoever catches it knows the table and raises DuplicateKey.

    def __init__(self, pairs: str) -> None:
        super().__init__(pairs)
        self.pairs = pairs


class RowsMoved(Exception):
    """What a transaction took for granted of another table is so no longer; it is done anew."""


def translate(error: duckdb.Error) -> Exception:
    """Our error for one of DuckDB's, or the error itself where it is a fault of ours."""
    text = str(error)
    if isinstance(error, duckdb.FatalException):
        return errors.StoreReopening()
    if "PRIMARY KEY or UNIQUE constraint" in text or "violates primary key" in text or "violates unique" in text:
        match = _DUPLICATE.search(text)
        return DuplicateSeen((match["pairs"] or match["other"] or "") if match else "")
    if "Corrupt database file" in text:
        return errors.StoreDamaged(reason=why_unreadable(text))
    if isinstance(error, duckdb.OutOfMemoryException):
        return errors.OutOfTempSpace() if "max_temp_directory_size" in text else errors.OutOfMemory()
    if any(sign in text for sign in _FULL):
        return errors.DiskFull()
    if "Could not set lock" in text:
        holder = _HOLDER.search(text)
        return errors.StoreHeld(pid=int(holder[1]) if holder else None)
    if isinstance(error, duckdb.TransactionException) and "onflict" in text:
        return errors.StoreBusy()
    return error


@contextmanager
def fitting(table: str) -> Iterator[None]:
    """Runs statements that were made for the table's live schema; raises SchemaMoved where the table is not so."""
    try:
        yield
    except MISFITS as error:
        raise errors.SchemaMoved(table=table) from error


@contextmanager
def translated() -> Iterator[None]:
    """Runs what it encloses; an error of DuckDB leaves it as ours."""
    try:
        yield
    except duckdb.Error as error:
        ours = translate(error)
        if ours is error:
            raise
        raise ours from error


@contextmanager
def writing(folder: str) -> Iterator[None]:
    """Runs what writes files of ours into the folder of that setting. Raises DiskFull where there is no room, else FolderUnusable."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise errors.DiskFull() from error
        raise errors.FolderUnusable(folder=folder, reason=(error.strerror or "it cannot be written").lower()) from error
