"""Changes become steps: each with the SQL that does it, or the reason why it needs more than one ALTER."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from projects.errors import ChangesRefused
from projects.store import sql
from schema_registry.diff import Change, diff
from schema_registry.schema import ColumnSchema, TableSchema

AT_ONCE = ("additive", "metadata")  # the classes that are applied without asking anybody


@dataclass(frozen=True, slots=True)
class Step:
    """One change with its SQL. `strategy` is alter, record (our books only) or wait; `why` is a sentence."""

    change: Change
    strategy: str
    why: str
    statements: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "change": self.change.kind,
            "class": self.change.change_class,
            "column": self.change.column,
            "before": self.change.before,
            "after": self.change.after,
            "strategy": self.strategy,
            "why": self.why,
            "sql": list(self.statements),
        }


def steps(live: TableSchema, wanted: TableSchema) -> list[Step]:
    """The steps from the live schema to the wanted one, in order; none where they are the same."""
    return [_step(live, wanted, change) for change in diff(live, wanted)]


def check_applicable(table: str, planned: list[Step]) -> None:
    """Raises ChangesRefused with every change, where one of them cannot be applied at once."""
    if any(step.strategy == "wait" for step in planned):
        raise ChangesRefused(table=table, changes=[step.as_json() for step in planned])


def _step(live: TableSchema, wanted: TableSchema, change: Change) -> Step:
    if change.change_class not in AT_ONCE:
        return Step(change, "wait", f"{change.sentence} A {change.change_class} change waits for a person.")
    column = wanted.column(change.column) if change.column else None
    reason = _hindrance(live, wanted, change, column)
    if reason:
        return Step(change, "wait", f"{change.sentence} {reason}")
    statements = _ALTERATIONS.get(change.kind, lambda *_: [])(wanted, column)
    return Step(change, "alter" if statements else "record", change.sentence, tuple(statements))


def _hindrance(live: TableSchema, wanted: TableSchema, change: Change, column: ColumnSchema | None) -> str:
    """Why DuckDB cannot do an additive change by ALTER, or nothing."""
    if change.kind in ("drop_unique", "change_multivalued"):
        return "DuckDB does this only by a rebuild of the table."
    if change.kind == "change_type" and column and _is_constrained(live, column.name):
        return "The column is part of a key or a unique rule, so the table has to be rebuilt."
    if change.kind == "add_column" and column and column.required and column.default is None:
        return "Each row needs a value of its own, so the table has to be rebuilt."
    return ""


def _is_constrained(schema: TableSchema, name: str) -> bool:
    names = {n.casefold() for columns in (schema.primary_key, *schema.unique) for n in columns}
    return name.casefold() in names


def _added(schema: TableSchema, column: ColumnSchema) -> list[str]:
    return [sql.add_column(schema, column), *([sql.comment(schema, column)] if column.description else [])]


def _retyped(schema: TableSchema, column: ColumnSchema) -> list[str]:
    return [sql.alter_column(schema, column, f"TYPE {column.sql_type}")]


def _optional(schema: TableSchema, column: ColumnSchema) -> list[str]:
    return [sql.alter_column(schema, column, "DROP NOT NULL")]


def _defaulted(schema: TableSchema, column: ColumnSchema) -> list[str]:
    action = "DROP DEFAULT" if column.default is None else f"SET DEFAULT {sql.default_of(column)}"
    return [sql.alter_column(schema, column, action)]


def _described(schema: TableSchema, column: ColumnSchema | None) -> list[str]:
    return [sql.comments(schema)[0] if column is None else sql.comment(schema, column)]


_ALTERATIONS: dict[str, Callable[[TableSchema, Any], list[str]]] = {
    "add_column": _added,
    "change_type": _retyped,
    "set_optional": _optional,
    "set_default": _defaulted,
    "change_description": _described,
}
