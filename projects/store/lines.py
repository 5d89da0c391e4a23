"""Rows as lines of text. DuckDB makes each row one string with its newline, and its buffers go out as they are: Python sees no value."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence

from projects.store.batches import Batch, Chunk, joined
from projects.store.outputs import Output, Style
from projects.store.sql import literal, on_one_line

AT_ONCE = 1 << 18  # bytes of a chunk, at least


def ndjson(outputs: Sequence[Output]) -> str:
    """An expression that is one row as the text of a JSON object, in the order of `outputs`, and a newline."""
    return f"concat({_object(outputs)}, chr(10))"


def json_array(outputs: Sequence[Output]) -> str:
    """An expression that is one row as an element of a JSON array, a comma before it."""
    return f"concat(',', {_object(outputs)})"


def csv(outputs: Sequence[Output]) -> str:
    """An expression that is one row as a line of CSV: null is an empty field, the empty string is `""`."""
    return f"concat({', '.join(_between(map(_csv_field, outputs)))}, chr(10))"


def csv_head(outputs: Iterable[Output]) -> bytes:
    """The names as the first line of CSV."""
    names = (o.name if o.name.isidentifier() else '"' + o.name.replace('"', '""') + '"' for o in outputs)
    return (",".join(names) + "\n").encode()


def chunks(batches: Iterable[Batch], head: bytes = b"") -> Iterator[Chunk]:
    """The lines of batches that have them as their one column, after the head."""
    return joined(((batch.num_rows, text_of(batch)) for batch in batches), AT_ONCE, head)


def array_chunks(batches: Iterable[Batch]) -> Iterator[Chunk]:
    """The elements of batches that have them as their one column, as one JSON array: the first comma makes room for the bracket."""
    opening = b"["
    for chunk in chunks(batches):
        yield Chunk(chunk.rows, b"[" + chunk.data[1:] if opening else chunk.data)
        opening = b""
    yield Chunk(0, opening + b"]")


def text_of(batch: Batch) -> memoryview:
    """The texts of a batch's one column, one after the other; none of them is null."""
    column = batch.column(0)
    _, offsets, data = column.buffers()
    ends = memoryview(offsets).cast("i")
    return memoryview(data)[ends[column.offset] : ends[column.offset + len(column)]] if data else memoryview(b"")


def _object(outputs: Sequence[Output]) -> str:
    names = (json.dumps(o.name, ensure_ascii=False) for o in outputs)
    pieces = (f"{literal(('{' if first else ',') + name + ':')}, {_json_value(o)}" for first, name, o in _marked(names, outputs))
    return f"{', '.join(pieces)}, '}}'" if outputs else "'{}'"


def _marked(names: Iterable[str], outputs: Sequence[Output]) -> Iterator[tuple[bool, str, Output]]:
    for place, (name, output) in enumerate(zip(names, outputs, strict=True)):
        yield place == 0, name, output


def _json_value(output: Output) -> str:
    match output.style:
        case Style.BARE:
            text = f"({output.printed})::VARCHAR"
        case Style.PLAIN:
            text = f"'\"' || ({output.printed})::VARCHAR || '\"'"
        case Style.TEXT:
            text = f"to_json(({output.printed})::VARCHAR)::VARCHAR"
        case Style.JSON:
            text = on_one_line(output.printed)
        case Style.NESTED:
            text = f"to_json({output.printed})::VARCHAR"
    return f"coalesce({text}, 'null')"


def _csv_field(output: Output) -> str:
    """`concat` leaves a null out."""
    if output.style in (Style.BARE, Style.PLAIN):
        return output.printed
    return f"'\"' || replace({text(output)}, '\"', '\"\"') || '\"'"


def text(output: Output) -> str:
    """An expression that is the value as plain text, or null."""
    return f"to_json({output.printed})::VARCHAR" if output.style is Style.NESTED else f"({output.printed})::VARCHAR"


def _between(fields: Iterable[str]) -> Iterator[str]:
    """The fields, with a comma between them."""
    for place, field in enumerate(fields):
        if place:
            yield "','"
        yield field


Expression = Callable[[Sequence[Output]], str]
