"""What a plan would do to the live rows, counted and sampled by set-based SQL on the table as it is now."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from projects.evolution.plan import Sample, Step
from projects.evolution.transition import RULES_OF, Move, Transition, broken_rules, lost, new, old
from projects.store import evidence, sql
from projects.store.connection import Cursor
from schema_registry.diff import Change
from schema_registry.schema import ColumnSchema, TableSchema

SAMPLED = 10  # rows shown of those in the way


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one step has to be asked of the rows: conditions over `moved`, "" where there is nothing to ask.

    `lost` rows lose their value, `broken` rows cannot be kept as they are, `rewritten` rows need the archive to come back. `unique` are
    columns whose values must differ. `shown` is what a sample shows: the value and what becomes of it.
    """

    lost: str = ""
    broken: str = ""
    rewritten: str = ""
    unique: tuple[ColumnSchema, ...] = ()
    shown: tuple[str, str] = ("NULL", "NULL")
    needs: str = ""


def gather(cursor: Cursor, way: Transition, planned: Sequence[Step]) -> list[Step]:
    """The steps with their evidence: one pass that counts, then a sample for each step that has rows in the way."""
    findings = [_finding(way, step.change, planned) for step in planned]
    counts = evidence.counts(cursor, way.moved, [c for f in findings for c in (f.lost, f.broken, f.rewritten)])
    return [
        _with_evidence(cursor, way, step, finding, total=counts[0], found=counts[1 + 3 * n : 4 + 3 * n])
        for n, (step, finding) in enumerate(zip(planned, findings, strict=True))
    ]


def gather_dropped(cursor: Cursor, live: TableSchema, planned: Sequence[Step]) -> list[Step]:
    """The evidence of a drop: every row goes."""
    relation = sql.table(live.name)
    total = evidence.counts(cursor, relation, [])[0]
    shown = evidence.sample(cursor, relation, "true", live.key_columns, ("NULL", "NULL"), limit=SAMPLED) if total else []
    return [
        replace(step, rows_total=total, rows_lost=total, sample=tuple(Sample(key=k, value=v, becomes=b) for k, v, b in shown))
        for step in planned
    ]


def _with_evidence(cursor: Cursor, way: Transition, step: Step, finding: Finding, *, total: int, found: Sequence[int]) -> Step:
    lost_rows, broken_rows, rewritten = found
    relation, names = way.moved, [new(column) for column in finding.unique]
    if names and evidence.repeated(cursor, relation, names):
        relation, finding = evidence.with_repeats(relation, names), _with_repeats(step.change, finding)
        lost_rows, broken_rows = evidence.counts(cursor, relation, [finding.lost, finding.broken])[1:]
    condition = " OR ".join(f"({c})" for c in (finding.lost, finding.broken) if c)
    sampled: list[tuple[str, str | None, str | None]] = []
    if lost_rows + broken_rows:
        sampled = evidence.sample(cursor, relation, condition or "true", _keys(way), finding.shown, limit=SAMPLED)
    return replace(
        step,
        rows_total=total,
        rows_lost=lost_rows,
        rows_broken=broken_rows,
        sample=tuple(Sample(key=key, value=value, becomes=becomes) for key, value, becomes in sampled),
        needs=finding.needs if broken_rows else "",
        archive=bool(rewritten) or step.change.kind == "drop_column",
        change_class=_class(way, step.change, lost_rows),
    )


def _with_repeats(change: Change, finding: Finding) -> Finding:
    """The finding where values repeat that must differ: such rows are broken, whatever else they lose."""
    names = ", ".join(column.name for column in finding.unique)
    lost_alone = f"({finding.lost}) AND repeats < 2" if finding.lost else ""
    broken = f"({finding.broken}) OR repeats > 1" if finding.broken else "repeats > 1"
    needs = finding.needs if change.kind in _RULES else f"values of {names} that differ from row to row"
    return replace(finding, lost=lost_alone, broken=broken, needs=needs)


def _keys(way: Transition) -> list[ColumnSchema]:
    """The live key's columns as `moved` has them."""
    return [replace(column, name=f"old {column.name}") for column in way.live.key_columns]


def _class(way: Transition, change: Change, lost_rows: int) -> str:
    """A cast is as bad as what it does: destructive where a row loses by it, a strengthening where none does."""
    if change.kind == "change_type" and change.change_class != "additive":
        return "destructive" if lost_rows else "strengthening"
    return change.change_class


# What each kind of change asks.

_RULES = ("change_key", "add_unique")
_CASTS = ("change_unit", "change_multivalued", "change_type")
# The first of a column's changes, in this order, answers for what none of them does alone: lost and repeated values, nulls, other rules.
_ANSWERS = (*_CASTS, "remove_enum_value", "set_required", "change_bounds", "set_enum", "change_length", "change_pattern")
_CODES = {"type", "range", "enum", "minimum", "maximum", "max_length", "pattern"}


def _finding(way: Transition, change: Change, planned: Sequence[Step]) -> Finding:
    if change.kind == "drop_column":
        return _of_dropped(way, change)
    if change.kind in _RULES:
        return _of_rule(way, change)
    move = way.move(change.column)
    if move is None:
        return Finding()
    of_column = [c for c in way.changes if c.column == change.column and (c.kind, c.change_class) != ("change_unit", "metadata")]
    return _of_column(way, change, move, of_column)


def _of_dropped(way: Transition, change: Change) -> Finding:
    column = way.live.column(change.column or "")
    if column is None:
        return Finding()
    put = way.put.get(column.name)
    written = f"{old(column)} IS DISTINCT FROM {put}" if put else "true"
    return Finding(lost=f"{old(column)} IS NOT NULL AND {written}", shown=(sql.cell_of(column, old(column)), "NULL"))


def _of_rule(way: Transition, change: Change) -> Finding:
    names = (change.after or "").split(", ")
    columns = way.wanted.key_columns if change.kind == "change_key" else tuple(c for c in map(way.wanted.column, names) if c)
    empty = " OR ".join(f"{new(c)} IS NULL" for c in columns) if change.kind == "change_key" else ""
    values = f"concat_ws(',', {', '.join(sql.cell_of(c, new(c)) for c in columns)})"
    needs = f"values of {', '.join(c.name for c in columns)} that are there and differ from row to row"
    return Finding(broken=empty, unique=columns, shown=(values, values), needs=needs)


def _of_column(way: Transition, change: Change, move: Move, of_column: Sequence[Change]) -> Finding:
    """A kept or added column: each of its changes answers for what it alone can break."""
    column, value = move.wanted, new(move.wanted)
    shown = (sql.cell_of(move.live, old(move.live)) if move.live else "NULL", sql.cell_of(column, value))
    broken = list(_broken(way, change, move, of_column))
    loses = bool(move.lost) and change == _answering(of_column)
    first = next(c for c in way.changes if c.column == change.column)
    return Finding(
        lost=f"{lost(column)} AND NOT coalesce(({' OR '.join(broken)}), false)" if loses and broken else lost(column) if loses else "",
        broken=" OR ".join(broken),
        rewritten=move.rewritten if change is first else "",
        unique=_unique(way, move) if change == _answering(of_column) else (),
        shown=shown,
        needs=_needs(way, change, column),
    )


def _answering(of_column: Sequence[Change]) -> Change | None:
    found = [c for c in of_column if c.kind in _ANSWERS]
    return min(found, key=lambda c: _ANSWERS.index(c.kind), default=None)


def _broken(way: Transition, change: Change, move: Move, of_column: Sequence[Change]) -> Iterator[str]:
    value = new(move.wanted)
    given = way.inputs.get(move.wanted.name)
    if change.kind == "change_unit" and change.change_class == "meaning" and not (given and given.factor) and move.live:
        yield f"{old(move.live)} IS NOT NULL"
        return
    if change.kind == "remove_enum_value":
        yield from _broken_enum(move.wanted, value, change.before or "")
    if move.wanted.required and change.kind in ("set_required", "add_column"):
        yield f"{value} IS NULL"
    elif move.wanted.required and move.live and change == _answering(of_column):
        yield f"{value} IS NULL AND {old(move.live)} IS NOT NULL"
    codes = _codes(change, of_column, is_free=bool(given and given.expression))
    yield from (f"({broken})" for code, broken in broken_rules(move.wanted, value) if code in codes)


def _broken_enum(column: ColumnSchema, value: str, gone: str) -> Iterator[str]:
    single = replace(column, multivalued=False)
    removed = sql.tried_value_of(single, sql.literal(gone)) if column.type.base != "BLOB" else sql.literal(gone)
    yield f"coalesce(list_contains({value}, {removed}), false)" if column.multivalued else f"coalesce({value} = {removed}, false)"


def _codes(change: Change, of_column: Sequence[Change], *, is_free: bool) -> set[str]:
    """The rules that a change answers for; a new type or a new column for all that no other change of the column does.

    Where an expression is free to give any value, the rules that stay as they are have to be asked too.
    """
    own = set(RULES_OF.get(change.kind, ()))
    if change.kind == "add_column" or (change == _answering(of_column) and (change.kind in _CASTS or is_free)):
        kinds = {c.kind for c in of_column}
        others = {code for kind in kinds for code in RULES_OF.get(kind, ())}
        return own | _CODES - others - ({"enum"} if "remove_enum_value" in kinds and not is_free else set())
    return own


def _unique(way: Transition, move: Move) -> tuple[ColumnSchema, ...]:
    """The columns of the key or unique rule whose values the move could make equal."""
    if move.live is None or not (move.lost or move.rewritten):
        return ()
    rules = [way.wanted.primary_key, *way.wanted.unique]
    found = next((rule for rule in rules if move.wanted.name.casefold() in {n.casefold() for n in rule}), ())
    return tuple(c for c in map(way.wanted.column, found) if c)


def _needs(way: Transition, change: Change, column: ColumnSchema) -> str:
    """What a person can give for the rows that are broken."""
    given = way.inputs.get(column.name)
    if change.kind == "change_unit" and given and given.factor:
        return f"another factor for {column.name}, or a schema that has room for its new values"
    if change.kind == "change_unit":
        return f"a factor for {column.name}, and an offset where there is one"
    if change.kind == "remove_enum_value":
        return f"a mapping for {column.name}: what becomes of {change.before}"
    return f"a constant or an expression for {column.name}"
