"""A table that somebody altered by hand: put back as our books say, or taken as it is in the file; both by a plan.

Such a plan is bound to what the file has, so that one more alteration makes it stale. A table that is gone from the file is made anew,
empty, or forgotten.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from django.utils import timezone

from projects import aliases
from projects.errors import AdoptRefused, BadRequest, SchemaMoved, TableUnreadable
from projects.evolution import apply, drafts
from projects.evolution.backfill import read_inputs
from projects.evolution.drafts import Draft
from projects.evolution.plan import Step, steps
from projects.evolution.transition import transition
from projects.fields import faults
from projects.models import Plan
from projects.store import catalogue, evidence, sql, tables
from projects.store.books import LiveTable
from projects.store.connection import Store
from projects.store.evolve import Evolution
from schema_registry import names
from schema_registry.diff import Change, Pair, diff
from schema_registry.schema import ColumnSchema, TableSchema
from schema_registry.sources.native import MAX_COLUMNS, unkeyable

KINDS = (Plan.Kind.REPAIR, Plan.Kind.ADOPT)
WHOLE = ("create_table", "drop_table")  # the one change of a plan for a table that is gone

# Drafting.


def draft(store: Store, live: LiveTable, kind: Any, *, inputs: Any = None) -> Draft | None:
    """A plan that repairs or adopts, or None where file and books agree.

    Raises BadRequest, TableUnreadable, AdoptRefused and InputsRefused.
    """
    if kind not in [str(known) for known in KINDS]:
        raise BadRequest(detail=f"drift is {' or '.join(KINDS)}.")
    if kind == Plan.Kind.ADOPT and inputs:
        raise BadRequest(detail="Inputs are for a repair; what is adopted stays as it is.")
    with store.read() as cursor:
        if not catalogue.altered(cursor, live):
            return None
        found = catalogue.found(cursor, live)
    if not found.columns:
        return _of_missing(live, kind)
    if kind == Plan.Kind.ADOPT:
        return _adopt(store, live, found)
    given = read_inputs(store, found, live.schema, inputs)
    way = transition(found, live.schema, inputs=given.values, pairs=given.pairs)
    return replace(drafts.of_way(store, live, way, Plan.Kind.REPAIR), renames=given.renames)


def _of_missing(live: LiveTable, kind: str) -> Draft:
    name = live.name
    if kind == Plan.Kind.REPAIR:
        change, made = Change("create_table", "additive", after=name), tuple(tables.creation(live.schema))
        why = f"The table {name} is gone from the DuckDB file. It is made anew, and empty: its rows went with it."
        step, wanted = Step(change=change, strategy="create", why=why, statements=made), live.schema
        return Draft(kind=kind, table=name, live=live, wanted=wanted, way=None, steps=[step])
    change = Change("drop_table", "destructive", before=name)
    why = f"The table {name} is gone from the DuckDB file. It is forgotten, as if it had been dropped by name."
    return Draft(kind=kind, table=name, live=live, wanted=None, way=None, steps=[Step(change=change, strategy="record", why=why)])


def _adopt(store: Store, live: LiveTable, found: TableSchema) -> Draft:
    """Only the books change."""
    if reasons := list(misfits(found)):
        raise AdoptRefused(table=live.name, reason=" ".join(reasons))
    with store.read() as cursor:
        total = evidence.counts(cursor, sql.table(live.name), [])[0]
    pairs = [Pair(before, after) for after in found.columns if (before := live.schema.column(after.name))]
    planned = [
        Step(change=change, strategy="record", why=f"{change.sentence} It is so in the file.", rows_total=total)
        for change in diff(live.schema, found, pairs)
    ]
    way = transition(found, found)
    return Draft(kind=Plan.Kind.ADOPT, table=live.name, live=live, wanted=found, way=way, steps=planned)


# What no document could have said.


def misfits(schema: TableSchema) -> Iterator[str]:
    """Why a schema that was found in the file breaks our own rules, in sentences."""
    if not schema.primary_key:
        yield "It has no primary key."
    if len(schema.columns) > MAX_COLUMNS:
        yield f"It has more than {MAX_COLUMNS} columns."
    for column in schema.columns:
        if fault := names.column_fault(column.name):
            yield f"The column {column.name}: {fault[1]}."
        if reason := _default_misfit(column):
            yield reason
    rules = [(schema.primary_key, "the key"), *((rule, "a unique rule") for rule in schema.unique)]
    for rule, what in rules:
        yield from (f"{reason}." for name in rule if (reason := unkeyable(schema.column(name), what)))


def _default_misfit(column: ColumnSchema) -> str | None:
    if column.default is None:
        return None
    if column.default.startswith(catalogue.EXPRESSION):
        return f"The default of {column.name} is no constant: {column.default.removeprefix(catalogue.EXPRESSION)}."
    if column.generated:
        return f"The server fills in {column.name}, so that it has no default."
    rule = faults(column, column.default)
    return f"The default {column.default} of {column.name} {rule.detail}." if rule else None


def why_not_back(plan: Plan) -> str:
    """Why such a plan that is applied cannot be undone, or nothing: a repair can, where what it found makes a schema."""
    if plan.kind == Plan.Kind.ADOPT:
        return "it changed nothing in the file; repair or change the table by another plan."
    if _is_of_missing(plan):
        return "the table was gone before it; DELETE drops it again."
    if reasons := list(misfits(drafts.schema_of(plan.base))):
        return f"what it repaired makes no schema. {' '.join(reasons)}"
    return ""


def _is_of_missing(plan: Plan) -> bool:
    return plan.steps[0]["change"] in WHOLE


# Applying.


def evolution(store: Store, plan: Plan, *, actor: str) -> Evolution:
    """What the store has to do. Raises SchemaMoved where file or books are not as they were when the plan was made."""
    live = store.table(plan.table)
    found = _found(store, live)
    base = live.schema if _is_of_missing(plan) else found
    if base.fingerprint != plan.base_fingerprint or bool(found.columns) == _is_of_missing(plan):
        raise SchemaMoved(table=plan.table)
    if plan.kind == Plan.Kind.ADOPT or _is_of_missing(plan):
        return _of_books(plan, live, found, actor)
    if live.schema.fingerprint != plan.target_fingerprint:
        raise SchemaMoved(table=plan.table)
    way = drafts.way_of(plan)
    planned = [replace(step, rows_lost=shown["rows_lost"]) for step, shown in zip(steps(way), plan.steps, strict=False)]
    made = apply.changing(plan.pk, live, way, planned, actor=actor, version=plan.to_version or 0, provenance=plan.provenance)
    return replace(made, found=found, aliases=live.aliases)


def _found(store: Store, live: LiveTable) -> TableSchema:
    with store.read() as cursor:
        try:
            return catalogue.found(cursor, live)
        except TableUnreadable as unreadable:
            raise SchemaMoved(table=live.name) from unreadable


def _of_books(plan: Plan, live: LiveTable, found: TableSchema, actor: str) -> Evolution:
    """What adopts a table, or makes one anew: no row is there to be changed."""
    wanted = drafts.schema_of(plan.target) if plan.target else None
    kept = {column.name: column.name for column in live.schema.columns if wanted and wanted.column(column.name)}
    old = aliases.after(live.aliases, renamed=kept, wanted=wanted, keeps=False, moment=timezone.now()) if wanted else ()
    return Evolution(
        plan=plan.pk,
        actor=actor,
        base=live,
        wanted=wanted,
        statements=[statement for step in plan.steps for statement in step["sql"]],
        version=plan.to_version or 0,
        provenance=plan.provenance,
        found=found,
        aliases=old,
    )
