"""Addresses of the console's pages of tables and rows."""

from collections.abc import Sequence
from urllib.parse import quote, urlencode

from projects.store.connection import Store
from projects.store.references import Reference
from projects.store.rows import key_text

OWN = ("add",)  # what stands in the place of a row's key, and is none


def table_page(table: str) -> str:
    return f"/console/tables/{quote(table, safe='')}/"


def grid_page(table: str) -> str:
    return f"{table_page(table)}rows/"


def row_page(table: str, key: str) -> str:
    """The page of the row whose key is spelled so; one that is spelled like a page of ours has its first letter as a code."""
    spelled = f"~{ord(key[0]):02X}{key[1:]}" if key in OWN else key
    return f"{grid_page(table)}{quote(spelled, safe=',~')}/"


def rest(table: str, key: str = "") -> str:
    """Where REST has the rows, or the row."""
    return f"/ops/{quote(table, safe='')}" + (f"/{quote(key, safe=',~')}" if key else "")


def referenced(store: Store, reference: Reference, cells: Sequence[str | None]) -> list[str]:
    """Where each cell of a column that refers to the table leads: to the row, or to the rows that have the value."""
    if reference.target is None:
        return [""] * len(cells)
    target = store.table(reference.to).schema
    if [c.name for c in target.key_columns] == [reference.target.name]:
        return ["" if cell is None else row_page(target.name, key_text([cell])) for cell in cells]
    name = f"{reference.target.name}__eq"
    return ["" if cell is None else f"{grid_page(target.name)}?{urlencode({name: cell})}" for cell in cells]
