"""Rows as an Arrow stream or a Parquet file, with what their columns mean in the fields' metadata."""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from projects.store.batches import Chunk, joined
from projects.store.outputs import Output

END = b"\xff\xff\xff\xff\0\0\0\0"  # of an Arrow stream
STREAM_BYTES, STREAM_ROWS = 1 << 20, 65_536  # of a record batch, at most
GROUP_BYTES, GROUP_ROWS = 32 << 20, 122_880  # of a row group, at most; DuckDB's own have as many rows


def schema_of(found: pa.Schema, outputs: Sequence[Output], about: Mapping[str, str]) -> pa.Schema:
    """The schema with each column's name and meaning, and what there is to say of the table."""
    fields = [pa.field(o.name, pa.uuid() if o.is_uuid else f.type, metadata=dict(o.meaning)) for o, f in zip(outputs, found, strict=True)]
    return pa.schema(fields, metadata=dict(about))


def _fitted(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    uuids = [place for place, field in enumerate(schema) if field.type == pa.uuid()]
    for batch in batches:
        columns = batch.columns
        for place in uuids:
            columns[place] = pa.uuid().wrap_array(columns[place].cast(pa.binary(16)))
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _gathered(batches: Iterable[pa.RecordBatch], rows: int, size: int) -> Iterator[pa.RecordBatch]:
    """The batches put together to larger ones, of so many rows and bytes at most where more than one went in."""
    group: list[pa.RecordBatch] = []
    have_rows = have_bytes = 0
    for batch in batches:
        batch_bytes = batch.get_total_buffer_size()
        if group and (have_rows + batch.num_rows > rows or have_bytes + batch_bytes > size):
            yield _one(group)
            group, have_rows, have_bytes = [], 0, 0
        group.append(batch)
        have_rows, have_bytes = have_rows + batch.num_rows, have_bytes + batch_bytes
    if group:
        yield _one(group)


def _one(group: list[pa.RecordBatch]) -> pa.RecordBatch:
    return pa.concat_batches(group) if len(group) > 1 else group[0]


def stream_chunks(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[Chunk]:
    """An Arrow IPC stream."""
    return joined(_messages(batches, schema), STREAM_BYTES // 4)


def _messages(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[tuple[int, pa.Buffer]]:
    yield 0, schema.serialize()
    for batch in _fitted(_gathered(batches, STREAM_ROWS, STREAM_BYTES), schema):
        yield batch.num_rows, batch.serialize()
    yield 0, pa.py_buffer(END)


def parquet_chunks(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[Chunk]:
    """A Parquet file, a row group at a time. pyarrow writes it in less time than DuckDB's COPY, and keeps the fields' metadata."""
    written = _Written()
    with pq.ParquetWriter(written, schema, compression="snappy") as writer:
        for batch in _fitted(_gathered(batches, GROUP_ROWS, GROUP_BYTES), schema):
            writer.write_batch(batch, row_group_size=batch.num_rows)
            yield Chunk(batch.num_rows, written.taken())
    yield Chunk(0, written.taken())


class _Written(io.RawIOBase):
    """What a writer wrote, until it is taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: pa.Buffer) -> int:  # type: ignore[override]
        self._pieces.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        data, self._pieces = b"".join(self._pieces), []
        return data
