"""A file that a person brings: it waits in the spool, is looked at and checked, and is loaded once they confirm it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from django.conf import settings
from django.db import IntegrityError, transaction

from projects import jobs, loads
from projects.aliases import Names
from projects.bodies import unzipped
from projects.errors import BadRequest, BodyTooLarge, HeadRefused, UploadGone
from projects.models import Job
from projects.store import spool
from projects.store.books import LiveTable
from projects.store.bulk import Options
from projects.store.connection import Store
from projects.store.ndjson import first_row
from projects.store.preview import FirstOfFile, first_of_file
from projects.store.retries import steadily
from projects.store.sources import Given, csv_head
from projects.store.typed import typed_head
from schema_registry.errors import Problem
from schema_registry.schema import ColumnSchema

SHOWN = 20  # rows of a file that are shown before it is loaded
ENDINGS = {
    "csv": "csv",
    "ndjson": "ndjson",
    "jsonl": "ndjson",
    "json": "json",
    "parquet": "parquet",
    "pq": "parquet",
    "arrow": "arrow",
    "arrows": "arrow",
}
_LOADS = UUID("b1f1c2f0-0a5c-4f0e-9f43-5f1f1c0d7f55")  # the namespace of the ids of loads, each of which is of one upload


# The file.


def format_of(name: str) -> str:
    """The format that a file's name ends in, `.gz` aside. Raises BadRequest."""
    ending = name.lower().removesuffix(".gz").rpartition(".")[2]
    if form := ENDINGS.get(ending):
        return form
    raise BadRequest(
        detail=f"The name of the file does not say what it is. It ends in {', '.join('.' + e for e in ENDINGS)}, or .gz after it."
    )


def place(store: Store, sent: Path, name: str, form: str) -> Path:
    """Makes of an upload, which stands in the spool, the file that a load reads: unzipped, and a JSON array as lines.

    Raises BadRequest, BodyTooLarge for JSON beyond DATA_UPLOAD_MAX_MEMORY_SIZE, DiskFull.
    """
    placed = sent.with_suffix(f".{'ndjson' if form == 'json' else form}")
    is_zipped = name.lower().endswith(".gz")
    if form != "json" and not is_zipped:
        return sent.rename(placed)
    with sent.open("rb") as file:
        pieces: Iterator[bytes] = iter(lambda: file.read(spool.PIECE), b"")
        pieces = unzipped(pieces) if is_zipped else pieces
        spool.write(store, placed, loads.array_pieces(_whole(pieces)) if form == "json" else pieces, lasting=True)
    return placed


def _whole(pieces: Iterator[bytes]) -> bytes:
    """A JSON array is read at once, so that it is bounded."""
    limit, text = settings.DATA_UPLOAD_MAX_MEMORY_SIZE, bytearray()
    for piece in pieces:
        text += piece
        if len(text) > limit:
            raise BodyTooLarge(limit=limit)
    return bytes(text)


def path_of(store: Store, check: Job) -> Path:
    """The file that the job checks. Raises UploadGone."""
    path = store.spool / Path(str(check.inputs.get("upload"))).name
    if not path.is_file():
        raise UploadGone(file=check.inputs.get("file", ""))
    return path


# What it would be in the table.


@dataclass(frozen=True, slots=True)
class Cell:
    """One value as the table would have it, or as it was sent where it is bad; then `fault` says why. None is null."""

    text: str | None
    fault: str = ""
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the file; `fault` is what is wrong with all of it."""

    number: int
    cells: Sequence[Cell]
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a file is to a table: its names with the columns that they mean, the columns that it lacks, and its first rows.

    `problems` are those for which no row of the file can be loaded.
    """

    heads: Sequence[tuple[str, ColumnSchema | None]]
    absent: Sequence[tuple[ColumnSchema, str]]
    columns: Sequence[ColumnSchema] = ()
    lines: Sequence[Line] = ()
    problems: Sequence[Problem] = ()


def preview(store: Store, table: str, path: Path, options: Options) -> Preview:
    """Looks at a file in the spool, of which it reads the beginning. Raises TableNotFound, BadRequest where it cannot be read at all."""
    return steadily(store, table, lambda live: _seen(store, live, path, options))


def _seen(store: Store, live: LiveTable, path: Path, options: Options) -> Preview:
    names = Names(live)
    try:
        head = _head(store, live.name, path)
    except HeadRefused as refused:
        return Preview(heads=(), absent=(), problems=refused.problems)
    heads = [(name, names.column(name)) for name in head]
    found = [column for _, column in heads]
    seen = Preview(heads=heads, absent=[(c, _without(c, options)) for c in live.schema.columns if c not in found])
    try:
        source = loads.source_of(store, names, path, options)
    except HeadRefused as refused:
        return replace(seen, problems=refused.problems)
    first = first_of_file(store, live.schema, source, on_conflict=options.on_conflict, most=SHOWN)
    shown = [place for place, given in enumerate(source.given) if given.column in found or not source.sparse]
    lines = _lines(first, source.given, shown)
    return replace(seen, columns=[source.given[place].column for place in shown], lines=lines)


def _head(store: Store, table: str, path: Path) -> list[str]:
    """The names that the file itself uses: its head, or the keys of its first row. Raises HeadRefused, BadRequest."""
    match path.suffix:
        case ".csv":
            return csv_head(table, path)
        case ".ndjson":
            return list(first_row(path))
    return list(typed_head(store, path, is_arrow=path.suffix == ".arrow"))


def _without(column: ColumnSchema, options: Options) -> str:
    """What becomes of a column that the file lacks."""
    if column.generated:
        return "the server fills it in"
    if column.default is not None:
        return f"new rows get {column.default}"
    if options.on_conflict == "update":
        return "rows that are there keep theirs" + ("; a new row needs it" if column.required else "")
    return "it is required" if column.required else "it stays empty"


def _lines(first: FirstOfFile, given: Sequence[Given], shown: Sequence[int]) -> list[Line]:
    """The rows in the file's order, those that are no rows at all between the others."""
    faults = {(r["row"], r["column"]): r["reason"] for r in first.rejects}
    known = {number: (sent, made) for number, sent, made in first.rows}
    called = {given[at].called for at in shown}
    lines = []
    for number in sorted({*known, *(row for row, _ in faults)})[:SHOWN]:
        sent, made = known.get(number, ([], []))
        cells = [_cell(sent[at], made[at], faults.get((number, given[at].called), ""), given[at].column) for at in shown] if sent else []
        whole = [reason for (row, column), reason in faults.items() if row == number and (not cells or column not in called)]
        lines.append(Line(number, cells, "; ".join(whole)))
    return lines


def _cell(sent: str | None, made: str | None, fault: str, column: ColumnSchema) -> Cell:
    return Cell(sent if fault else made, fault, column.type.is_number and not column.multivalued)


# Checks and loads.


def check(path: Path, table: str, name: str, options: Options, user: Any) -> Job:
    """Leaves the job that checks a file, which stands in the spool, against the table. Raises NotAllowed."""
    inputs = loads.job_inputs(table, "", options) | {"upload": path.name, "file": name[:200], "bytes": path.stat().st_size}
    return jobs.leave("check", {key: value for key, value in inputs.items() if key != "spool"}, user)


def check_again(store: Store, before: Job, options: Options, user: Any) -> Job:
    """As `check`, of the same file with other options. Raises UploadGone, NotAllowed."""
    return check(path_of(store, before), before.inputs["table"], before.inputs["file"], options, user)


def load(store: Store, checked: Job, options: Options, user: Any) -> Job:
    """Leaves the job that loads the file of a check that is done; of one file there is one load, however often it is asked for.

    Raises UploadGone, NotAllowed, BadRequest where the check is not done.
    """
    if job := load_of(checked):
        return job
    if checked.state != Job.State.DONE:
        raise BadRequest(detail="The file is loaded once it was checked; wait for that, or check it again.")
    inputs = loads.job_inputs(checked.inputs["table"], path_of(store, checked).name, options)
    try:
        with transaction.atomic():
            return jobs.leave("load", inputs | {"file": checked.inputs["file"]}, user, id=_load_id(checked))
    except IntegrityError:  # Somebody pressed twice at once.
        return Job.objects.get(id=_load_id(checked))


def load_of(checked: Job) -> Job | None:
    """The load that the checked file was given to, if it was."""
    return Job.objects.filter(id=_load_id(checked)).first()


def _load_id(checked: Job) -> UUID:
    return uuid5(_LOADS, str(checked.inputs.get("upload")))


def discard(store: Store, checked: Job) -> None:
    """Throws away a file that was not given to a load. Raises UploadGone."""
    if load_of(checked) is None:
        path_of(store, checked).unlink(missing_ok=True)
