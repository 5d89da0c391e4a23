"""A plan before anybody has decided on it: the way, the steps with their evidence, what they need. Nothing is changed by drawing one up."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from projects.errors import TableAltered
from projects.evolution import apply, evidence, undo
from projects.evolution.backfill import Backfill, read_inputs
from projects.evolution.plan import Step, drop_steps, steps
from projects.evolution.transition import Transition, transition
from projects.models import Plan
from projects.store import catalogue, tables
from projects.store.archive import Archive, opened
from projects.store.books import LiveTable
from projects.store.connection import Store
from schema_registry.diff import Change, Pair
from schema_registry.schema import TableSchema

CELLS_A_SECOND = 8_000_000  # that a rebuild moves, its evidence and archive included; two cores did 8 to 17 million


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """`way` is None where a table goes or comes back whole; `live` is None where it comes back."""

    kind: str
    table: str
    live: LiveTable | None
    wanted: TableSchema | None
    way: Transition | None
    steps: Sequence[Step]
    inputs: Mapping[str, Backfill] = field(default_factory=dict)
    renames: Mapping[str, str] = field(default_factory=dict)
    estimate: Mapping[str, float] = field(default_factory=dict)


def to_schema(store: Store, live: LiveTable, wanted: TableSchema, *, inputs: Any = None, kind: str = Plan.Kind.CHANGE) -> Draft:
    """From the live schema to another. Raises InputsRefused, PatternRefused, and TableAltered where the file has another table."""
    check_unaltered(store, live)
    with store.read() as cursor:
        tables.check_patterns(cursor, wanted)
    given = read_inputs(store, live.schema, wanted, inputs)
    draft = of_way(store, live, transition(live.schema, wanted, inputs=given.values, pairs=given.pairs), kind)
    return replace(draft, renames=given.renames)


def check_unaltered(store: Store, live: LiveTable) -> None:
    """Raises TableAltered where DuckDB's catalogue has the table otherwise than its live schema says."""
    with store.read() as cursor:
        if catalogue.altered(cursor, live):
            raise TableAltered(table=live.name)


def of_way(store: Store, live: LiveTable, way: Transition, kind: str, archive: tuple[str, Archive] | None = None) -> Draft:
    """The steps of a way, with their evidence; `archive` is what the way reads, by the name of its view."""
    with store.read() as cursor, opened(store, cursor, archive[1], archive[0]) if archive else nullcontext():
        found = evidence.gather(cursor, way, steps(way))
    estimate = _estimate(store, live, found)
    return Draft(kind=kind, table=live.name, live=live, wanted=way.wanted, way=way, steps=found, inputs=way.inputs, estimate=estimate)


def _estimate(store: Store, live: LiveTable, found: Sequence[Step]) -> dict[str, float]:
    """What a rebuild needs: seconds, and bytes on disk beside the table's own."""
    if not any(step.strategy == "rebuild" for step in found):
        return {}
    size = tables.size(store, live.name)
    return {"seconds": round(size.rows * len(live.schema.columns) / CELLS_A_SECOND, 1), "bytes": size.bytes}


def to_nothing(store: Store, live: LiveTable) -> Draft:
    """The table goes."""
    with store.read() as cursor:
        found = evidence.gather_dropped(cursor, live.schema, drop_steps(live.schema))
    return Draft(kind=Plan.Kind.DROP, table=live.name, live=live, wanted=None, way=None, steps=found)


def back(store: Store, plan: Plan, *, inputs: Any = None) -> Draft:
    """To before an applied plan. Raises InputsRefused, ArchiveDamaged, TableNotFound."""
    archive = archive_of(plan)
    if plan.kind == Plan.Kind.DROP:
        return _revived(plan, archive)
    live = store.table(schema_of(plan.target).name)
    check_unaltered(store, live)
    base = schema_of(plan.base)
    given = read_inputs(store, live.schema, base, inputs, way_back(plan, {}).pairs)
    way = way_back(plan, given.values)
    return of_way(store, live, way, Plan.Kind.UNDO, (apply.view_of(plan.pk), archive) if archive else None)


def way_back(plan: Plan, inputs: Mapping[str, Backfill]) -> Transition:
    """The way back from what an applied plan led to."""
    archive = plan.outcome.get("archive")
    kept = plan.outcome.get("kept", {}) if archive else {}
    done = undo.Done(
        base=schema_of(plan.base),
        target=schema_of(plan.target),
        pairs=[(live, wanted) for live, wanted in plan.pairs],
        inputs=inputs_of(plan),
        dropped=kept.get("dropped", ()),
        rewritten=kept.get("rewritten", ()),
        view=apply.view_of(plan.pk) if archive else "",
    )
    return undo.way_back(done, inputs=inputs)


def _revived(plan: Plan, archive: Archive | None) -> Draft:
    schema = schema_of(plan.base)
    change = Change("create_table", "additive", after=schema.name)
    rows = archive.rows if archive else 0
    why = f"{change.sentence} Its {rows} rows come back from the archive."
    made = apply.revival(schema, apply.view_of(plan.pk) if archive else "")
    step = Step(change=change, strategy="create", why=why, statements=tuple(made), change_class=change.change_class)
    return Draft(kind=Plan.Kind.UNDO, table=schema.name, live=None, wanted=schema, way=None, steps=[step])


def schema_of(plain: dict[str, Any] | None) -> TableSchema:
    """A schema as a plan keeps it; only a plan that changes a table has both."""
    if plain is None:
        raise ValueError("this plan has no such schema")
    return TableSchema.from_json(plain)


def archive_of(plan: Plan) -> Archive | None:
    """What an applied plan archived."""
    found = plan.outcome.get("archive")
    return Archive(found["file"], found["rows"], found["sha256"]) if found else None


def inputs_of(plan: Plan) -> dict[str, Backfill]:
    """What a person gave, as values."""
    given = {name: {key: value for key, value in one.items() if key != "renamed_from"} for name, one in plan.inputs.items()}
    return {name: Backfill.from_json(one) for name, one in given.items() if one}


def way_of(plan: Plan) -> Transition:
    """The way of a plan that changes a table, as it was drafted."""
    if plan.undoes and plan.kind == Plan.Kind.UNDO:
        return way_back(plan.undoes, inputs_of(plan))
    live, wanted = schema_of(plan.base), schema_of(plan.target)
    names = {after: before for before, after in plan.pairs}
    pairs = [Pair(before, c) for c in wanted.columns if (before := live.column(names.get(c.name, ""))) is not None]
    return transition(live, wanted, inputs=inputs_of(plan), pairs=pairs)
