"""An ontology that a test edits: a folder of documents behind a real HTTP server."""

import json
from copy import deepcopy
from pathlib import Path

from rest_framework.response import Response
from rest_framework.test import APIClient

from projects.store.connection import Store

NOWHERE = "http://127.0.0.1:1"  # nothing listens there
TURBINES = {
    "name": "turbines",
    "description": "Wind turbines.",
    "columns": [
        {"name": "id", "type": "INTEGER", "required": True},
        {"name": "power", "type": "INTEGER", "unit": "kW", "minimum": 0, "maximum": 1000},
        {"name": "price", "type": "DECIMAL(10,2)", "required": True},
        {"name": "code", "type": "VARCHAR(5)"},
        {"name": "status", "type": "VARCHAR", "required": True, "enum": ["NEW", "OLD"], "default": "NEW"},
        {"name": "serial", "type": "INTEGER"},
    ],
    "unique": [["serial"]],
}
FIRST = {"id": 1, "power": 100, "price": 12.5, "code": "abc", "serial": 7}
SECOND = {"id": 2, "power": 200, "price": 0.25, "status": "OLD"}


class Ontology:
    """What `url` serves: the documents in `folder`, each named after its table."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url

    def say(self, document: dict, document_id: str = "") -> None:
        (self.folder / f"{document_id or document['name'] + '_schema'}.json").write_text(json.dumps(document))

    def said(self) -> list[tuple[str, str]]:
        """Every document, after its name."""
        return sorted((path.name, path.read_text()) for path in self.folder.iterdir())

    def forget(self, document_id: str) -> None:
        (self.folder / f"{document_id}.json").unlink()


def table(name: str, *columns: dict, **more: object) -> dict:
    """A document of a table with the key `id`."""
    return {"name": name, "columns": [{"name": "id", "type": "INTEGER", "required": True}, *columns], **more}


def with_column(document: dict, name: str, /, **more: object) -> dict:
    """The document with a column's fields changed, or with a new column; a field that is None goes."""
    changed = deepcopy(document)
    found = next((c for c in changed["columns"] if c["name"] == name), None)
    if found is None:
        found = {"name": name}
        changed["columns"].append(found)
    found |= more
    for key in [key for key, value in found.items() if value is None]:
        del found[key]
    return changed


def without_column(document: dict, name: str) -> dict:
    return document | {"columns": [c for c in document["columns"] if c["name"] != name]}


def send(client: APIClient, method: str, path: str, body: object = None) -> Response:
    """A request with a JSON body, or with none."""
    data = "" if body is None else body if isinstance(body, str) else json.dumps(body)
    return getattr(client, method)(path, data=data, content_type="application/json")


def outcomes(report: dict) -> dict[str, str]:
    """What became of each table, by its name."""
    return {one["table"]: one["outcome"] for one in report["tables"]}


def everything(client: APIClient, store: Store, name: str = "turbines") -> tuple:
    """All of a table that a person could see changed: its rows, DuckDB's own catalogue, and its page."""
    page = client.get(f"/admin/tables/{name}").json()
    facts = [page[fact] for fact in ("fingerprint", "version", "columns", "changed_at", "pinned")]
    return client.get(f"/ops/{name}").json(), catalogue(store, name), facts


def catalogue(store: Store, name: str = "turbines") -> dict[str, tuple]:
    """What DuckDB itself says of each column: type, whether it may be null, default, comment."""
    found = store.connection().execute(
        "SELECT column_name, data_type, is_nullable, column_default, comment FROM duckdb_columns() "
        "WHERE schema_name = 'main' AND table_name = ?",
        [name],
    )
    return {column: tuple(rest) for column, *rest in found.fetchall()}


def put(client: APIClient, body: object = None, query: str = "") -> dict:
    """The plan that bringing turbines up to date answered."""
    answer = send(client, "put", f"/admin/tables/turbines{query}", body)
    assert answer.status_code == 200, answer.content
    return answer.json()["plan"]


def kinds(plan: dict) -> list[tuple[str, str, str]]:
    return [(step["change"], step["class"], step["strategy"]) for step in plan["steps"]]
