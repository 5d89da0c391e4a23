"""The way back: from the schema that a plan led to, to the one that it was made for, with the values that its archive kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from projects.evolution.backfill import Backfill
from projects.evolution.transition import Restored, Transition, transition
from projects.store import sql
from schema_registry.diff import Pair
from schema_registry.schema import TableSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What an applied plan did: its schemas, which column became which, what was given, and the columns that its archive kept."""

    base: TableSchema
    target: TableSchema
    pairs: Sequence[tuple[str, str]]
    inputs: Mapping[str, Backfill]
    dropped: Sequence[str] = ()
    rewritten: Sequence[str] = ()
    view: str = ""


def way_back(done: Done, *, inputs: Mapping[str, Backfill] | None = None) -> Transition:
    """The transition that undoes a plan; `inputs` are for rows that were written since and do not fit the old schema."""
    names = dict(done.pairs)  # base to target
    pairs = [Pair(target, base) for base in done.base.columns if (target := done.target.column(names.get(base.name, ""))) is not None]
    kept = Restored(view=done.view, dropped=frozenset(done.dropped), rewritten=frozenset(done.rewritten)) if done.view else None
    units = {pair.wanted.name: given.inverse() for pair in pairs if (given := done.inputs.get(pair.live.name)) and given.factor is not None}
    return transition(done.target, done.base, inputs={**units, **(inputs or {})}, pairs=pairs, restored=kept, put=_put(done))


def _put(done: Done) -> dict[str, str]:
    """What the plan had put into the columns that it added, where that is one value for all rows."""
    had = {target for _, target in done.pairs}
    put = {}
    for column in done.target.columns:
        given = done.inputs.get(column.name)
        cell = given.constant if given else column.default
        if column.name not in had and cell is not None and not (given and given.expression is not None):
            put[column.name] = sql.value_of(column, sql.literal(cell))
    return put
