"""One scalar expression over a row's columns, as a person gives it for a backfill: checked as a query is, and narrower still."""

from typing import Any

import duckdb

from projects.errors import QueryRefused
from projects.store import query_guard, sql
from projects.store.connection import Store
from projects.store.query_functions import AGGREGATES, WINDOWS, fold, words
from schema_registry.schema import TableSchema

# What another call would answer otherwise cannot be evidence; what makes rows of one row is no scalar.
_REFUSED = AGGREGATES | WINDOWS | words("random uuid gen_random_uuid uuidv4 uuidv7 unnest generate_subscripts")
_CLASSES = {
    "SUBQUERY": "a subquery",
    "WINDOW": "a window",
    "STAR": "a star",
    "PARAMETER": "a parameter",
    "POSITIONAL_REFERENCE": "a column's number",
}


def check_expression(store: Store, schema: TableSchema, text: str) -> None:
    """Asks the query door's guard, then DuckDB itself, whether the text is one scalar expression over the table's columns.

    Raises QueryRefused with what is not allowed.
    """
    statement = f"SELECT ({text}\n) FROM {sql.table(schema.name)} AS t"  # As a transition calls it, so that no other name of it gets by.
    with store.read() as cursor:
        tree = query_guard.tree(cursor, statement, [schema.name])
        _check_text(text)
        for part in _parts(tree):
            _check_part(part)
        try:
            cursor.execute(f"{statement} LIMIT 0").fetchall()
        except (duckdb.ProgrammingError, duckdb.DataError) as error:
            raise QueryRefused(detail=query_guard.explained(error)) from error


def _check_text(text: str) -> None:
    """The text stands in brackets of ours, which it must not close, is one expression, not two, and has no comment to hide in."""
    if any(kind == duckdb.token_type.comment for _, kind in duckdb.tokenize(text)):
        raise QueryRefused(detail="A backfill's expression cannot have a comment.")
    depth = 0
    for _, character in query_guard.tokens(text):
        depth += (character in "([{") - (character in ")]}")
        if depth < 0 or (depth == 0 and character in ",;"):
            raise QueryRefused(detail="Give one expression, such as coalesce(a, b).")


def _parts(tree: Any) -> Any:
    """Every object of a tree, without recursion."""
    waiting = [tree]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def _check_part(part: dict[str, Any]) -> None:
    if refused := _CLASSES.get(part.get("class", "")):
        raise QueryRefused(detail=f"A backfill's expression cannot have {refused}.")
    if part.get("class") == "FUNCTION":
        name = fold((part.get("qualified_name", {}).get("path") or [""])[-1])
        if name in _REFUSED:
            raise QueryRefused(detail=f"The function {name} is not allowed in a backfill's expression.")
