"""How a table is reached by REST, ready to copy: as command lines, and as Python."""

import json
import shlex
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from schema_registry.schema import ColumnSchema, TableSchema

ROWS = 20  # rows that the examples list


@dataclass(frozen=True, slots=True)
class Example:
    """What somebody wants to do, and the text that does it in each language."""

    wish: str
    curl: str
    python: str


def examples(schema: TableSchema, base: str) -> list[Example]:
    """What people do first with a table; `base` is the service's own address, such as http://localhost:8000."""
    address = f"{base}/ops/{quote(schema.name, safe='')}"
    row = row_of(schema)
    return [
        Example("List rows", curl(f"{address}?limit={ROWS}"), _python(f'rows = api.get("{address}", params={{"limit": {ROWS}}})', "rows")),
        Example("Create a row", curl(address, row), _python(f'made = api.post("{address}", json={row!r})', "made")),
        Example(
            "Follow what changes",
            curl(f"{address}/changes?since=0&limit={ROWS}"),
            _python(f'changes = api.get("{address}/changes", params={{"since": 0, "limit": {ROWS}}})', "changes"),
        ),
    ]


def curl(address: str, body: dict[str, Any] | None = None) -> str:
    """A command line that reads, or that sends `body`."""
    head = 'curl -H "Authorization: Bearer $TOKEN"'
    if body is None:
        return f"{head} {shlex.quote(address)}"
    sent = shlex.quote(json.dumps(body, ensure_ascii=False))
    return f"{head} -H 'Content-Type: application/json' \\\n  -d {sent} \\\n  {shlex.quote(address)}"


_SESSION = """\
import os, requests

api = requests.Session()
api.headers["Authorization"] = "Bearer " + os.environ["TOKEN"]
"""


def _python(statement: str, name: str) -> str:
    return f"{_SESSION}{statement}\n{name}.raise_for_status()\nprint({name}.json())"


def row_of(schema: TableSchema) -> dict[str, Any]:
    """A row to begin with: a value for each column that needs one."""
    needed = (c for c in schema.columns if c.required and c.default is None and not c.generated)
    return {c.name: [_value(c)] if c.multivalued else _value(c) for c in needed}


_VALUES: dict[str, Any] = {
    "BOOLEAN": True,
    "DATE": "2026-01-31",
    "TIME": "12:00:00",
    "TIMESTAMP": "2026-01-31T12:00:00Z",
    "TIMESTAMPTZ": "2026-01-31T12:00:00Z",
    "UUID": "00000000-0000-4000-8000-000000000001",
    "BLOB": "YWJj",
    "JSON": {},
}


def _value(column: ColumnSchema) -> Any:
    cell = column.enum[0] if column.enum else column.minimum or column.maximum
    if cell is not None:
        return _number(cell) if column.type.is_number else cell
    if column.type.is_number:
        return 0 if column.type.base == "DECIMAL" else 1
    return _VALUES.get(column.type.base, "text"[: column.max_length])


def _number(cell: str) -> int | float | str:
    """A number's cell as JSON's number, where that is the same."""
    for kind in (int, float):
        if str(kind(Decimal(cell))) == cell:
            return kind(cell)
    return cell
