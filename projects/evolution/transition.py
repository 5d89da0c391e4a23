"""The way from one schema to another: where each wanted column's values come from, and which of them do not survive it.

All of it is SQL over the old row, `t`, and over what an archive kept of it, `a`. `moved` is both sides of every row: each live column
as "old <name>", each wanted one as "new <name>", and, where a value can be lost, whether it is, as "lost <name>".
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from projects.evolution.backfill import Backfill
from projects.fields import condition, pattern_rule, rules_of
from projects.store import sql
from projects.store.archive import keepable, kept
from projects.store.conversion import converted, is_exact, loses, rounds, scaled
from schema_registry.diff import Change, Pair, diff, paired
from schema_registry.schema import ColumnSchema, TableSchema

# Which rules each kind of change can make a value break; a change of type every one that no other change answers for.
RULES_OF = {
    "set_enum": ("enum",),
    "change_bounds": ("minimum", "maximum"),
    "change_length": ("max_length",),
    "change_pattern": ("pattern",),
}


KEPT = '(a."is kept" IS NOT NULL)'  # of a row that the archive has


def old(column: ColumnSchema) -> str:
    return sql.quote(f"old {column.name}")


def new(column: ColumnSchema) -> str:
    return sql.quote(f"new {column.name}")


def lost(column: ColumnSchema) -> str:
    return sql.quote(f"lost {column.name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What an archive gives back: the view that shows it, and the wanted columns that it has values of.

    `dropped` had been taken away; `rewritten` are still there under other values.
    """

    view: str
    dropped: frozenset[str]
    rewritten: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One wanted column: the live one it comes from, its value, and the condition that a value is lost ("" where none can be).

    `rewritten` is the condition, over `moved`, that the way back does not find the old value by itself.
    """

    wanted: ColumnSchema
    live: ColumnSchema | None
    value: str
    lost: str = ""
    rewritten: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether the value is the old one as it stands."""
        return self.live is not None and self.value == f"t.{sql.quote(self.live.name)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """From `live` to `wanted`: the changes, and a move for each wanted column in the order that DuckDB has them.

    `put` says, in an undo, what the plan that is undone had put into the columns it added.
    """

    live: TableSchema
    wanted: TableSchema
    changes: tuple[Change, ...]
    pairs: tuple[Pair, ...]
    moves: tuple[Move, ...]
    inputs: Mapping[str, Backfill] = field(default_factory=dict)
    restored: Restored | None = None
    put: Mapping[str, str] = field(default_factory=dict)

    @property
    def dropped(self) -> tuple[ColumnSchema, ...]:
        """The live columns that nothing wanted comes from."""
        kept = {pair.live.name for pair in self.pairs}
        return tuple(column for column in self.live.columns if column.name not in kept)

    def move(self, name: str | None) -> Move | None:
        """The move of a wanted column."""
        return next((move for move in self.moves if move.wanted.name == name), None)

    @property
    def source(self) -> str:
        """The old rows, each with what the archive kept of it."""
        rows = f"{sql.table(self.live.name)} AS t"
        if self.restored is None:
            return rows
        same = (f"t.{sql.quote(c.name)} = {kept(c, _of_archive('key', c))}" for c in self.live.key_columns)
        return f"{rows} LEFT JOIN {sql.quote(self.restored.view)} AS a ON {' AND '.join(same)}"

    @property
    def moved(self) -> str:
        """The relation of both sides of every row."""
        sides = [f"t.{sql.quote(c.name)} AS {old(c)}" for c in self.live.columns]
        sides += [f"{move.value} AS {new(move.wanted)}" for move in self.moves]
        sides += [f"({move.lost}) AS {lost(move.wanted)}" for move in self.moves if move.lost]
        return f"(SELECT {', '.join(sides)} FROM {self.source})"


def transition(
    live: TableSchema,
    wanted: TableSchema,
    *,
    inputs: Mapping[str, Backfill] | None = None,
    pairs: Sequence[Pair] | None = None,
    restored: Restored | None = None,
    put: Mapping[str, str] | None = None,
) -> Transition:
    """The way from the live schema to the wanted one; `pairs` where it is known which column becomes which."""
    pairs = tuple(paired(live, wanted) if pairs is None else pairs)
    inputs = inputs or {}
    before = {pair.wanted.name: pair.live for pair in pairs}
    moves = (_move(before.get(c.name), c, inputs.get(c.name), restored) for c in wanted.stored_columns)
    return Transition(
        live=live,
        wanted=wanted,
        changes=tuple(diff(live, wanted, pairs)),
        pairs=pairs,
        moves=tuple(moves),
        inputs=inputs,
        restored=restored,
        put=put or {},
    )


def _move(live: ColumnSchema | None, wanted: ColumnSchema, given: Backfill | None, restored: Restored | None) -> Move:
    if live is None:
        return _added(wanted, given, restored)
    x = f"t.{sql.quote(live.name)}"
    value, loss = _kept_value(live, wanted, x, given)
    if restored and wanted.name in restored.rewritten:
        untouched = f"({KEPT} AND {x} IS NOT DISTINCT FROM {kept(live, _of_archive('new', wanted))})"
        value = f"CASE WHEN {untouched} THEN {kept(wanted, _of_archive('old', wanted))} ELSE {value} END"
        loss = f"NOT {untouched} AND {loss}" if loss else ""
    if given and (given.constant is not None or given.expression is not None):
        value = f"CASE WHEN {' OR '.join(_in_the_way(live, wanted, value, loss)) or 'false'} THEN {_fill(wanted, given)} ELSE {value} END"
        loss = ""
    return Move(wanted=wanted, live=live, value=value, lost=loss, rewritten=_rewritten(live, wanted, value, given))


def _rewritten(live: ColumnSchema, wanted: ColumnSchema, value: str, given: Backfill | None) -> str:
    """The condition, over both sides, that the way back does not find the old value, or that the new one is not simply the old one's."""
    if given and given.factor is not None:
        return f"{old(live)} IS NOT NULL"
    is_plain = value == converted(live, wanted, f"t.{sql.quote(live.name)}")
    if is_plain and is_exact(live, wanted):
        return ""
    condition = f"{old(live)} IS DISTINCT FROM {converted(wanted, live, new(wanted))}"
    return condition if is_plain else f"({condition} OR {new(wanted)} IS DISTINCT FROM {converted(live, wanted, old(live))})"


def _kept_value(live: ColumnSchema, wanted: ColumnSchema, x: str, given: Backfill | None) -> tuple[str, str]:
    """A kept column's value in the wanted column, and the condition that it is lost."""
    if given and given.factor is not None:
        way = {"factor": given.factor, "offset": given.offset}
        return scaled(live.type, wanted.type, x, **way), rounds(live.type, wanted.type, x, **way)
    value, loss = converted(live, wanted, x), "" if is_exact(live, wanted) else f"({loses(live, wanted, x)})"
    if not given or not given.mapping:
        return value, loss
    cell = sql.cell_of(live, x)
    cases = (f"WHEN {sql.literal(before)} THEN {_constant(wanted, after)}" for before, after in given.mapping)
    is_mapped = f"coalesce({cell} IN ({', '.join(sql.literal(before) for before, _ in given.mapping)}), false)"
    return f"CASE {cell} {' '.join(cases)} ELSE {value} END", f"NOT {is_mapped} AND {loss}" if loss else ""


def _added(wanted: ColumnSchema, given: Backfill | None, restored: Restored | None) -> Move:
    value = _fill(wanted, given) if given else _constant(wanted, wanted.default)
    if wanted.generated and wanted.required and not given:
        value = sql.filled(wanted, value)
    if restored and wanted.name in restored.dropped:
        value = f"CASE WHEN {KEPT} THEN {kept(wanted, _of_archive('old', wanted))} ELSE {value} END"
    return Move(wanted=wanted, live=None, value=value)


def _of_archive(side: str, column: ColumnSchema) -> str:
    return f"a.{sql.quote(f'{side} {column.name}')}"


def _constant(column: ColumnSchema, cell: str | None) -> str:
    return f"NULL::{column.sql_type}" if cell is None else sql.value_of(column, sql.literal(cell))


def _fill(wanted: ColumnSchema, given: Backfill) -> str:
    if given.expression is None:
        return _constant(wanted, given.constant)
    return f"TRY_CAST(TRY({given.expression}\n) AS {wanted.sql_type})"


# What the way back needs.


def keeping(way: Transition) -> str:
    """The query whose rows an archive has to keep, or "": their keys in the wanted table, and both sides of what is rewritten or goes.

    Where a column goes every row is kept, so that a null that was there is told from a row that was not.
    """
    rewritten = [(move.live, move.wanted, move.rewritten) for move in way.moves if move.live and move.rewritten]
    if not rewritten and not way.dropped:
        return ""
    columns = ['true AS "is kept"']
    columns += [f"{keepable(c, new(c))} AS {sql.quote(f'key {c.name}')}" for c in way.wanted.key_columns]
    columns += [f"{keepable(c, old(c))} AS {old(c)}" for c in (*way.dropped, *(live for live, _, _ in rewritten))]
    columns += [f"{keepable(wanted, new(wanted))} AS {sql.quote(f'new {live.name}')}" for live, wanted, _ in rewritten]
    condition = "true" if way.dropped else " OR ".join(condition for _, _, condition in rewritten)
    return f"SELECT {', '.join(columns)} FROM {way.moved} WHERE {condition}"


# What a value can break.


def _in_the_way(live: ColumnSchema, wanted: ColumnSchema, value: str, loss: str) -> Iterator[str]:
    """The conditions under which a row needs another value than its own."""
    if loss:
        yield f"({loss})"
    if wanted.required:
        yield f"{value} IS NULL"
    if (live.type, _rules(live)) != (wanted.type, _rules(wanted)):
        yield from (f"({broken})" for _, broken in broken_rules(wanted, value))


def _rules(column: ColumnSchema) -> tuple[object, ...]:
    return column.enum, column.minimum, column.maximum, column.max_length, column.pattern


def broken_rules(column: ColumnSchema, value: str) -> Iterator[tuple[str, str]]:
    """Each rule's code, and the condition that a value of the column (null keeps every rule) breaks it."""
    cell, pattern = sql.cell_of(column, value), pattern_rule(column)
    for rule in (*rules_of(column), *([pattern] if pattern else [])):
        yield rule.code, f"{value} IS NOT NULL AND NOT {condition(column, rule, cell)}"
