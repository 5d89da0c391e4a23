"""Loads as people ask for them: many rows by a file, all of it or nothing, or all that is good."""

import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from projects import audit, rejects, versions
from projects.aliases import Names
from projects.errors import BadRequest, DuplicateKeys, RowsRefused
from projects.fields import json_text
from projects.rows import check_writable, enforced, read_json, read_row
from projects.store import books, bulk, spool
from projects.store.books import Kept, LiveTable
from projects.store.bulk import Load, Loaded, Options
from projects.store.connection import Store, Transaction
from projects.store.ndjson import Cells, Faults, read_ndjson
from projects.store.retries import held, told_apart
from projects.store.sources import Source, read_csv
from projects.store.typed import read_arrow, read_parquet

ON_ERROR = ("abort", "skip")
FORMATS = ("csv", "ndjson", "parquet", "arrow")  # of files
# Bytes from which a file has a million rows or more, so that its load is made apart (store/apart.py).
LARGE = {"csv": 128 << 20, "ndjson": 384 << 20, "parquet": 24 << 20, "arrow": 128 << 20}


@dataclass(frozen=True, slots=True)
class Keeping:
    """A load that is done once: `settle` raises where it was done before, `keep` makes its answer one that is kept."""

    settle: Callable[[], None]
    keep: Callable[[Loaded], Kept]


def load_upload(
    store: Store,
    table: str,
    pieces: Iterable[bytes],
    form: str,
    options: Options,
    *,
    actor: str,
    version: int | None = None,
    keeping: Keeping | None = None,
) -> Loaded:
    """An upload in a format, by way of the spool, in a version's shape where one is given.

    Raises what `keeping` raises once the upload is read; RowsRefused, DuplicateKeys, RowReferenced, HeadRefused, TableNotFound,
    TableReadOnly, TableAltered, DiskFull, and as `versions.names`.
    """
    check(store, table, version)
    with spool.spooled(store, pieces, f".{form}") as path:
        if keeping:
            keeping.settle()
        keep = keeping.keep if keeping else None
        return load_file(store, table, path, options, actor=actor, version=version, keep=keep)


def check(store: Store, table: str, version: int | None) -> None:
    """Refuses a load that can only fail before it is read. Raises DiskNearlyFull, TableNotFound, TableReadOnly, and as `versions.names`."""
    store.room.check()
    live = store.table(table)
    check_writable(live.name)
    versions.names(live, table, version, writes=True)


def array_pieces(text: bytes) -> Iterator[bytes]:
    """The rows of a JSON array as lines, each as it was written; one object is a row too. Raises BadRequest for what is neither."""
    try:
        rest = text.decode().strip(_SPACE)
        if not rest:
            raise ValueError(rest)
        if not rest.startswith("["):
            rest = f"[{rest}]"
        place = _past(rest, 1)
        while rest[place] != "]":
            _, end = _ROWS.raw_decode(rest, place)
            yield (rest[place:end].replace("\n", " ").replace("\r", " ") + "\n").encode()  # No line ends within a JSON text.
            place = _past(rest, end)
            if rest[place] == ",":
                place = _past(rest, place + 1)
                if rest[place] == "]":
                    raise ValueError(rest[place])
            elif rest[place] != "]":
                raise ValueError(rest[place])
        if place + 1 < len(rest):
            raise ValueError(rest[place])
    except (ValueError, IndexError, RecursionError) as error:
        raise BadRequest(detail="The body is not JSON in UTF-8.") from error


_SPACE = " \t\n\r"
_ROWS = json.JSONDecoder(parse_int=str, parse_float=str)


def _past(text: str, place: int) -> int:
    """The first place from there on that is no space."""
    while text[place] in _SPACE:
        place += 1
    return place


def load_file(
    store: Store,
    table: str,
    path: Path,
    options: Options,
    *,
    actor: str,
    job: str | None = None,
    version: int | None = None,
    keep: Callable[[Loaded], Kept] | None = None,
) -> Loaded:
    """A file that stands in the spool, whose ending names its format.

    Raises as `load_upload`; with `dry_run`, what a load would refuse is told and not raised.
    """
    store.room.check()
    number = job or str(uuid.uuid4())
    refused, where = rejects.path_of(store, number), rejects.address_of(number)
    try:
        with held(store, table) as live, told_apart(store, live):
            check_writable(live.name)
            names = versions.names(live, table, version, writes=True)
            source = source_of(store, names, path, options)
            also = _keeping(keep, names) if keep else None
            is_large = path.stat().st_size >= LARGE[path.suffix.removeprefix(".")]
            done = bulk.run(Load(store, live, source, options, actor, refused, where, job, also, enforced(store), is_large))
        done = replace(done, used=names.used)
    except (RowsRefused, DuplicateKeys) as refusal:
        if job is None:
            rejects.keep(number, table, options, actor=actor, error=refusal)
        if not options.dry_run:
            raise
        return Loaded(0, rejected=refusal.rejected, rejects=tuple(refusal.rejects), rejects_file=refusal.rejects_file)
    if job is None and done.rejected:
        rejects.keep(number, table, options, actor=actor, result=done.as_json())
    _record(done, live, options, actor=actor, job=job)
    return done


def _keeping(keep: Callable[[Loaded], Kept], names: Names) -> Callable[[Transaction, Loaded], None]:
    """Keeps the answer to a load in the load's own transaction."""
    return lambda transaction, loaded: books.put_kept(transaction.cursor, [keep(replace(loaded, used=names.used))])


def _record(done: Loaded, live: LiveTable, options: Options, *, actor: str, job: str | None) -> None:
    if (done.inserted or done.updated) and not options.dry_run:
        more = {"updated": done.updated} if done.updated else {}
        audit.record("rows.load", live.name, actor=actor, detail={"rows": done.inserted, "job": job or "", **more})


def source_of(store: Store, names: Names, path: Path, options: Options) -> Source:
    """The file with its head understood. Rows that are there may be given in part. Raises HeadRefused, BadRequest."""
    whole = options.on_conflict != "update"
    match form := path.suffix.removeprefix("."):
        case "csv":
            return read_csv(names, path, read_nulls(options.nulls), whole=whole)
        case "parquet":
            return read_parquet(store, names, path, whole=whole)
        case "arrow":
            return read_arrow(store, names, path, whole=whole)
        case "ndjson":
            return read_ndjson(names, path, _reading(names, whole=whole))
    raise BadRequest(detail=f"A file's format is one of {', '.join(FORMATS)}, not {form!r}.")


def read_nulls(texts: Iterable[str]) -> tuple[str, ...]:
    """The texts that mean null. Raises BadRequest for one that CSV itself would read otherwise."""
    found = tuple(texts)
    if unfit := next((text for text in found if '"' in text or "," in text), None):
        raise BadRequest(detail=f"null is a text such as NA, without quotes and commas, not {unfit!r}.")
    return found


def _reading(names: Names, *, whole: bool) -> Callable[[str], tuple[Cells, Faults]]:
    """Reads a line as the door of one row reads a body."""

    def read(line: str) -> tuple[Cells, Faults]:
        try:
            body = read_json(line.encode(errors="surrogatepass"))
        except BadRequest as error:
            return {}, [("", line[:200].replace("\0", ""), "malformed", str(error).replace("The body", "it").rstrip("."))]
        cells, problems = read_row(names, body, is_new=whole)
        return names.stored_cells(cells), [(_column(p.pointer), _value(body, p.pointer), p.code, p.detail) for p in problems]

    return read


def _column(pointer: str) -> str:
    return pointer.removeprefix("/")


def _value(body: Any, pointer: str) -> str | None:
    value = body.get(_column(pointer)) if isinstance(body, dict) else body
    return value if value is None or isinstance(value, str) else json_text(value)


# Loads as jobs.


def job_inputs(table: str, spooled: str, options: Options, version: int | None = None) -> dict[str, Any]:
    """A load as a job keeps it."""
    return {
        "table": table,
        "spool": spooled,
        "nulls": list(options.nulls),
        "on_conflict": options.on_conflict,
        "on_error": ON_ERROR[options.skips],
        "dry_run": options.dry_run,
        "version": version,
    }


def options_of(inputs: Mapping[str, Any]) -> Options:
    """The inverse of `job_inputs`; a job that an older version left says less."""
    return Options(
        on_conflict=inputs.get("on_conflict", bulk.ON_CONFLICT[0]),
        skips=inputs.get("on_error") == "skip",
        nulls=tuple(inputs.get("nulls", ())),
        dry_run=bool(inputs.get("dry_run")),
    )
