"""Changes become steps: each with its SQL, the reason for the way it is done, and its evidence once that is gathered."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from projects.evolution.transition import Transition
from projects.store import sql
from schema_registry.diff import Change
from schema_registry.schema import ColumnSchema, TableSchema

GUARD = "__spawn_guard"  # a column that makes any other writer of a table that is rebuilt fail loudly
REBUILT = "spawn rebuilt"  # what a table is called while it is filled; no document can name a table so


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One row in the way: its key as in an address, its value as a cell, and what that would become."""

    key: str
    value: str | None
    becomes: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change. `strategy` is alter, rebuild, record (our books only) or drop; `why` is a sentence.

    Of `rows_total` rows, `rows_lost` would lose their value and `rows_broken` would break the new schema; `needs` says what such rows need.
    `action` is what the policy says: apply, wait or refuse.
    """

    change: Change
    strategy: str
    why: str
    statements: tuple[str, ...] = ()
    change_class: str = ""
    action: str = ""
    rows_total: int = 0
    rows_lost: int = 0
    rows_broken: int = 0
    sample: tuple[Sample, ...] = ()
    needs: str = ""
    archive: bool = False

    @property
    def rows_in_the_way(self) -> int:
        return self.rows_lost + self.rows_broken

    def as_json(self) -> dict[str, Any]:
        return {
            "change": self.change.kind,
            "class": self.change_class or self.change.change_class,
            "column": self.change.column,
            "before": self.change.before,
            "after": self.change.after,
            "strategy": self.strategy,
            "why": self.why,
            "sql": list(self.statements),
            "rows_total": self.rows_total,
            "rows_in_the_way": self.rows_in_the_way,
            "rows_lost": self.rows_lost,
            "rows_broken": self.rows_broken,
            "sample": [asdict(one) for one in self.sample],
            "needs": self.needs,
            "archive": self.archive,
            "action": self.action,
        }


def steps(way: Transition) -> list[Step]:
    """The steps of a transition, in the order in which they run: each by ALTER, or all that touch the table by one rebuild."""
    reasons = {change: _hindrance(way, change) for change in way.changes}
    if any(reasons.values()):
        return _by_rebuild(way, reasons)
    return sorted((_by_alter(way, change) for change in way.changes), key=lambda step: _ORDER.index(_phase(step.change)))


def statements(planned: Sequence[Step]) -> list[str]:
    """Everything that the steps run, in order."""
    return [statement for step in planned for statement in step.statements]


# By ALTER.

_ORDER = ("set_optional", "change_type", "drop_column", "rename_column", "add_column", "", "rename_table")


def _phase(change: Change) -> str:
    return change.kind if change.kind in _ORDER else ""


def _by_alter(way: Transition, change: Change) -> Step:
    column = way.wanted.column(change.column) if change.column else None
    found = _ALTERATIONS.get(change.kind, lambda *_: [])(way, change, column)
    return Step(change=change, strategy="alter" if found else "record", why=change.sentence, statements=tuple(found))


def _added(way: Transition, change: Change, column: ColumnSchema) -> list[str]:
    """With a constant for the rows that are there, the column is added with that as its default, which then goes."""
    given = way.inputs.get(column.name)
    comment = [sql.comment(way.live, column)] if column.description else []
    if given is None:
        return [sql.add_column(way.live, column), *comment]
    filled = replace(column, default=given.constant)
    return [sql.add_column(way.live, filled), sql.set_default(way.live, column), *comment]


def _dropped(way: Transition, change: Change, _: object) -> list[str]:
    return [sql.alter(way.live, f"DROP COLUMN {sql.quote(change.column or '')}")]


def _renamed(way: Transition, change: Change, _: object) -> list[str]:
    return [sql.alter(way.live, f"RENAME COLUMN {sql.quote(change.before or '')} TO {sql.quote(change.after or '')}")]


def _retyped(way: Transition, change: Change, column: ColumnSchema) -> list[str]:
    """Before any rename, so that it speaks of the live name; a default goes first, for DuckDB would keep the old type's."""
    move = way.move(column.name)
    live = move.live if move and move.live else column
    cast = f"TYPE {column.sql_type} USING TRY_CAST({sql.quote(live.name)} AS {column.sql_type})"
    retype = sql.alter_column(way.live, live, cast)
    if live.default is None and column.default is None:
        return [retype]
    spoken = replace(column, name=live.name)
    return [sql.alter_column(way.live, live, "DROP DEFAULT"), retype, sql.set_default(way.live, spoken)]


def _required(way: Transition, change: Change, column: ColumnSchema) -> list[str]:
    return [sql.alter_column(way.live, column, "SET NOT NULL")]


def _optional(way: Transition, change: Change, column: ColumnSchema) -> list[str]:
    """Before a cast that may leave nulls, so that it too speaks of the live name."""
    move = way.move(column.name)
    return [sql.alter_column(way.live, move.live if move and move.live else column, "DROP NOT NULL")]


def _defaulted(way: Transition, change: Change, column: ColumnSchema) -> list[str]:
    return [sql.set_default(way.live, column)]


def _described(way: Transition, change: Change, column: ColumnSchema | None) -> list[str]:
    return [sql.comment_table(way.live, way.wanted.description) if column is None else sql.comment(way.live, column)]


def _named(way: Transition, change: Change, _: object) -> list[str]:
    return [sql.rename_table(way.live.name, way.wanted.name)]


_ALTERATIONS: dict[str, Callable[[Transition, Change, Any], list[str]]] = {
    "add_column": _added,
    "drop_column": _dropped,
    "rename_column": _renamed,
    "change_type": _retyped,
    "set_required": _required,
    "set_optional": _optional,
    "set_default": _defaulted,
    "change_description": _described,
    "rename_table": _named,
}


# By rebuild.


def _hindrance(way: Transition, change: Change) -> str:
    """Why ALTER cannot do a change, as the end of a sentence that begins "Rebuilt, because", or nothing."""
    column = way.wanted.column(change.column) if change.column and change.kind != "drop_column" else None
    move = way.move(column.name) if column else None
    if way.restored and (way.restored.dropped or way.restored.rewritten):
        return "values come back from the archive"
    if move and move.live and move.wanted.name in way.inputs:
        return "its rows get values that a person gave"
    match change.kind:
        case "change_key":
            return "DuckDB cannot change the columns of a key"
        case "add_unique" | "drop_unique":
            return "DuckDB cannot add or drop a unique rule beside other changes"
        case "change_multivalued":
            return "a single value and a list are stored in different ways"
        case "change_type" if move and move.live:
            return _type_hindrance(way, move.live, move.wanted)
        case "drop_column" if _is_ruled(way.live, change.column or "") or way.live.unique:
            return "a key or a unique rule stands on the column or after it"
        case "rename_column":
            return _name_hindrance(way, change)
        case "add_column" if column:
            return _value_hindrance(way, column)
    return ""


def _type_hindrance(way: Transition, live: ColumnSchema, wanted: ColumnSchema) -> str:
    if _is_ruled(way.live, live.name) or _is_ruled(way.wanted, wanted.name):
        return "a key or a unique rule stands on the column whose type changes"
    if live.multivalued:
        return "the elements of its lists change their type"
    if {live.type.base, wanted.type.base} & {"JSON", "BLOB"} or "VARCHAR" in (live.type.base, wanted.type.base):
        return "its values are read from text, or written as text"
    return "0.1 stays 0.1 by way of its text only" if live.type.base == "FLOAT" and wanted.type.base == "DOUBLE" else ""


def _name_hindrance(way: Transition, change: Change) -> str:
    """A name that another live column has is free only once that column is dropped."""
    holder = way.live.column(change.after or "")
    if holder is None or holder.name == change.before or holder in way.dropped:
        return ""
    return f"{holder.name} is the name of another column until it is renamed itself"


def _value_hindrance(way: Transition, column: ColumnSchema) -> str:
    given = way.inputs.get(column.name)
    own = given.expression is not None if given else column.required and column.default is None
    return "each row needs a value of its own" if own else ""


def _is_ruled(schema: TableSchema, name: str) -> bool:
    names = {n.casefold() for columns in (schema.primary_key, *schema.unique) for n in columns}
    return name.casefold() in names


def _by_rebuild(way: Transition, reasons: dict[Change, str]) -> list[Step]:
    """One rebuild for everything that touches the table; the first step that needs it has its statements."""
    first = next(change for change in way.changes if reasons[change])
    return list(_rebuilding(way, reasons, first))


def _rebuilding(way: Transition, reasons: dict[Change, str], first: Change) -> Iterator[Step]:
    for change in way.changes:
        if reasons[change]:
            why = f"{change.sentence} Rebuilt, because {reasons[change]}."
        elif change.kind in _ALTERATIONS:
            why = f"{change.sentence} Done by the same rebuild."
        else:
            yield Step(change=change, strategy="record", why=change.sentence)
            continue
        yield Step(change=change, strategy="rebuild", why=why, statements=tuple(rebuild(way)) if change is first else ())


def rebuild(way: Transition) -> list[str]:
    """The statements of a rebuild: guard the old table, make the new one, fill it, put it in the old one's place."""
    return [
        sql.alter(way.live, f"ADD COLUMN {sql.quote(GUARD)} INTEGER"),
        sql.create_table(way.wanted, REBUILT),
        filling(way),
        sql.drop_table(way.live.name),
        sql.rename_table(REBUILT, way.wanted.name),
        *sql.comments(way.wanted),
    ]


def filling(way: Transition) -> str:
    """The statement that fills the new table from the old one."""
    values = ", ".join(move.value for move in way.moves)
    return f"INSERT INTO {sql.table(REBUILT)} ({sql.names(m.wanted for m in way.moves)}) SELECT {values} FROM {way.source}"


# Whole tables.


def drop_steps(live: TableSchema) -> list[Step]:
    """The one step of a plan that drops a table."""
    change = Change("drop_table", "destructive", before=live.name)
    return [Step(change=change, strategy="drop", why=change.sentence, statements=(sql.drop_table(live.name),), archive=True)]
