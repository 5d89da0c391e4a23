"""A table that tests alter by hand, what they do to it, and how they look at it."""

from collections.abc import Callable
from typing import Any

from rest_framework.test import APIClient

from tests.projects.ontology import outcomes, send, table

MILLS = table(
    "mills",
    {"name": "name", "type": "VARCHAR(20)", "required": True},
    {"name": "height", "type": "DECIMAL(6,2)", "minimum": 0, "maximum": 500, "description": "In metres."},
    {"name": "note", "type": "VARCHAR"},
    {"name": "colour", "type": "VARCHAR", "enum": ["white", "grey"], "default": "white"},
)
ROWS = [
    {"id": 1, "name": "north", "height": 100.5, "note": "a", "colour": "white"},
    {"id": 2, "name": "south", "height": 80, "note": None, "colour": "grey"},
]
Hand = Callable[..., None]


def drift(client: APIClient, name: str = "mills", query: str = "") -> dict[str, Any]:
    found = client.get(f"/admin/drift{query}")
    assert found.status_code == 200, found.content
    return next(one for one in found.json() if one["table"] == name)


def plan(client: APIClient, way: str, inputs: dict | None = None, name: str = "mills", status: int = 201) -> dict[str, Any]:
    body = {"table": name, "drift": way} | ({"inputs": inputs} if inputs else {})
    answer = send(client, "post", "/admin/plans", body)
    assert answer.status_code == status, answer.content
    return answer.json()


def decided(client: APIClient, made: dict[str, Any]) -> dict[str, Any]:
    """The plan approved and applied."""
    approved = send(client, "post", f"/admin/plans/{made['id']}/approve", {"reason": "seen"})
    assert approved.status_code == 200, approved.content
    applied = send(client, "post", f"/admin/plans/{made['id']}/apply", {"confirm": made["table"]})
    assert applied.status_code == 200, applied.content
    return applied.json()


def changes(made: dict[str, Any]) -> list[tuple[str, str, int]]:
    return [(step["change"], step["class"], step["rows_in_the_way"]) for step in made["steps"]]


def rows(client: APIClient, name: str = "mills") -> list[dict]:
    return client.get(f"/ops/{name}").json()


def synced(client: APIClient, name: str = "mills") -> str:
    return outcomes(send(client, "post", "/ops/initialize").json())[name]


RENAMED = 'Perhaps note was renamed to remark: a repair with the inputs {"note": {"renamed_from": "remark"}} keeps its values.'
KEYLESS = (
    "CREATE TABLE other AS SELECT * FROM mills",
    "DROP TABLE mills",
    "ALTER TABLE other RENAME TO mills",
    "ALTER TABLE mills ALTER COLUMN colour SET DEFAULT 'white'",
)

# What somebody did: the statements, what drift says of the file, what a repair does, and the rows after it.
ALTERED = {
    "a column added": (
        ["ALTER TABLE mills ADD COLUMN extra INTEGER DEFAULT 7"],
        ["The file has a column extra (INTEGER) that the schema does not have."],
        [("drop_column", "destructive", 2)],
        {},
    ),
    "an optional column dropped": (
        ["ALTER TABLE mills DROP COLUMN note"],
        ["The file has no column note (VARCHAR)."],
        [("add_column", "additive", 0)],
        {"note": None},
    ),
    "a column retyped": (
        ["ALTER TABLE mills ALTER COLUMN height TYPE DOUBLE"],
        ["In the file height is DOUBLE, not DECIMAL(6,2)."],
        [("change_type", "strengthening", 0), ("change_bounds", "additive", 0)],
        {},
    ),
    "a column that became text": (
        ["ALTER TABLE mills ALTER COLUMN height TYPE VARCHAR"],
        ["In the file height is VARCHAR, not DECIMAL(6,2)."],
        [("change_type", "strengthening", 0), ("change_bounds", "strengthening", 0)],
        {},
    ),
    "a column renamed": (
        ["ALTER TABLE mills RENAME COLUMN note TO remark"],
        ["The file has no column note (VARCHAR).", "The file has a column remark (VARCHAR) that the schema does not have.", RENAMED],
        [("drop_column", "destructive", 1), ("add_column", "additive", 0)],
        {"note": None},
    ),
    "NOT NULL dropped": (
        ["ALTER TABLE mills ALTER COLUMN name DROP NOT NULL"],
        ["In the file name may be empty."],
        [("set_required", "strengthening", 0)],
        {},
    ),
    "NOT NULL set": (
        ["ALTER TABLE mills ALTER COLUMN height SET NOT NULL"],
        ["In the file height is required."],
        [("set_optional", "additive", 0)],
        {},
    ),
    "another default": (
        ["ALTER TABLE mills ALTER COLUMN colour SET DEFAULT 'grey'"],
        ["In the file the default of colour is grey, not white."],
        [("set_default", "metadata", 0)],
        {},
    ),
    "a default that is no constant": (
        ["ALTER TABLE mills ALTER COLUMN note SET DEFAULT upper('x')"],
        ["In the file the default of note is expression: upper('x'), not nothing."],
        [("set_default", "metadata", 0)],
        {},
    ),
    "a unique rule": (
        ["ALTER TABLE mills ADD UNIQUE (name)"],
        ["In the file no two rows may have the same name."],
        [("drop_unique", "additive", 0)],
        {},
    ),
    "other letters": (
        ["ALTER TABLE mills RENAME COLUMN note TO NOTE"],
        ["The file spells the column note as NOTE."],
        [("rename_column", "rename", 0)],
        {},
    ),
    "made anew without its rules": (
        list(KEYLESS),
        ["In the file id may be empty.", "In the file name may be empty.", "In the file the key is nothing, not id."],
        [("set_required", "strengthening", 0), ("set_required", "strengthening", 0), ("change_key", "strengthening", 0)],
        {},
    ),
}
