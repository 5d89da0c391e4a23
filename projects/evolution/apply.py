"""A plan becomes what the store does: its statements, what is kept for the way back, and the check that the evidence still holds."""

from collections.abc import Callable, Sequence

from projects.errors import PlanStale, RowsInTheWay
from projects.evolution import evidence
from projects.evolution.plan import Step, drop_steps, filling, statements
from projects.evolution.transition import Transition, keeping
from projects.store.archive import Archive, refilling, whole_table
from projects.store.books import Alias, LiveTable
from projects.store.connection import Cursor
from projects.store.evolve import Evolution, Keeping
from projects.store.tables import creation
from schema_registry.schema import TableSchema


def changing(
    plan: int, base: LiveTable, way: Transition, planned: Sequence[Step], *, actor: str, version: int, provenance: str
) -> Evolution:
    """What the steps of a transition do."""
    return Evolution(
        plan=plan,
        actor=actor,
        base=base,
        wanted=way.wanted,
        statements=statements(planned),
        filling=filling(way),
        version=version,
        provenance=provenance,
        keeping=_keeping(plan, way),
        check=_same_evidence(plan, way, planned),
    )


def _keeping(plan: int, way: Transition) -> Keeping | None:
    """Where nothing is dropped and no row is rewritten the archive has no rows, and is not kept."""
    query = keeping(way)
    if not query:
        return None
    rewritten = [move.live.name for move in way.moves if move.live and move.rewritten]
    described = {
        "plan": plan,
        "base": way.live.as_json(),
        "target": way.wanted.as_json(),
        "dropped": [column.name for column in way.dropped],
        "rewritten": rewritten,
    }
    return Keeping(query=query, described=described, empty=bool(way.dropped))


def _same_evidence(plan: int, way: Transition, planned: Sequence[Step]) -> Callable[[Cursor], None]:
    """The check, with the table at rest, that no more rows are in the way than were when the plan was made."""

    def check(cursor: Cursor) -> None:
        found = evidence.gather(cursor, way, planned)
        broken = [step for step in found if step.rows_broken]
        if broken:
            reasons = "; ".join(f"{step.rows_broken} rows need {step.needs or 'other values'}" for step in broken)
            raise RowsInTheWay(table=way.live.name, reason=f"{reasons}.", changes=[step.as_json() for step in found])
        for before, now in zip(planned, found, strict=True):
            if now.change.kind != "drop_column" and now.rows_lost > before.rows_lost:
                reason = f'{now.rows_lost} rows would lose by "{now.change.sentence}", and {before.rows_lost} did when it was made'
                raise PlanStale(plan=plan, reason=reason)

    return check


def dropping(plan: int, base: LiveTable, *, actor: str) -> Evolution:
    """What a plan that drops a table does."""
    described = {"plan": plan, "base": base.schema.as_json(), "aliases": [[a.name, a.column] for a in base.aliases]}
    return Evolution(
        plan=plan,
        actor=actor,
        base=base,
        wanted=None,
        statements=statements(drop_steps(base.schema)),
        version=base.version,
        provenance=base.provenance,
        keeping=Keeping(query=whole_table(base.schema), described=described, empty=True),
    )


def reviving(
    plan: int, schema: TableSchema, archive: Archive | None, *, actor: str, version: int, provenance: str, aliases: tuple[Alias, ...] = ()
) -> Evolution:
    """What a plan that brings a dropped table back does."""
    view = f"archive of plan {plan}"
    return Evolution(
        plan=plan,
        actor=actor,
        base=None,
        wanted=schema,
        statements=revival(schema, view if archive else ""),
        version=version,
        provenance=provenance,
        aliases=aliases,
        restored=(view, archive) if archive else None,
    )


def revival(schema: TableSchema, view: str) -> list[str]:
    """The statements that make a table and fill it from its archive's view, if there is one."""
    return [*creation(schema), *([refilling(schema, view)] if view else [])]


def view_of(plan: int) -> str:
    """What the archive of a plan is called in SQL."""
    return f"archive of plan {plan}"
