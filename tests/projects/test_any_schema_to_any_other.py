"""Any schema to any other and back: what was applied is what was wanted, a second plan is empty, and the undo gives every value back."""

import json
import random
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction

import pytest

from projects import rows as doors
from projects.errors import DuplicateKey, RowRefused
from projects.evolution import apply, evidence, undo
from projects.evolution.backfill import Backfill
from projects.evolution.plan import Step, steps
from projects.evolution.transition import Transition, transition
from projects.fields import cell_of
from projects.store import sql, tables
from projects.store.archive import Archive, opened
from projects.store.connection import Store
from projects.store.evolve import evolve
from schema_registry.errors import DocumentRefused
from schema_registry.schema import ColumnSchema, TableSchema
from tests.projects import drawn

pytestmark = pytest.mark.django_db

CASES, PARTS = 30, 2  # drawn cases in the suite, and the tests that they are spread over
LONG_CASES, LONG_PARTS = 5000, 20


@dataclass
class Case:
    """One table on its way: what is drawn, what a person gave, what the apply did."""

    rng: random.Random
    store: Store
    number: int
    live: TableSchema
    wanted: TableSchema
    inputs: dict[str, Backfill] = field(default_factory=dict)
    tally: Counter[str] = field(default_factory=Counter)

    def fill(self, schema: TableSchema, count: int) -> None:
        """Rows by the same door that everybody uses; those that break a rule stay out."""
        for text in drawn.rows(self.rng, schema, count):
            try:
                doors.create(self.store, schema.name, doors.read_json(text.encode()), actor="test")
            except (RowRefused, DuplicateKey):
                self.tally["rows refused"] += 1

    def rows(self, schema: TableSchema) -> dict[str, str]:
        """Every row by its key, each value as DuckDB's own text."""
        pairs = ", ".join(f"{sql.literal(c.name)}: {sql.quote(c.name)}::VARCHAR" for c in schema.columns)
        key = ", ".join(f"{sql.quote(c.name)}::VARCHAR" for c in schema.key_columns)
        with self.store.read() as cursor:
            found = cursor.execute(
                f"SELECT to_json([{key}])::VARCHAR, to_json({{{pairs}}})::VARCHAR FROM {sql.table(schema.name)}"
            ).fetchall()
        return dict(found)

    def resolved(self) -> tuple[Transition, list[Step]] | None:
        """The way with values given for the rows in the way, or None where two rows would come to have one key."""
        for _ in range(6):
            way = transition(self.live, self.wanted, inputs=self.inputs)
            with self.store.read() as cursor:
                found = evidence.gather(cursor, way, steps(way))
            broken = [step for step in found if step.rows_broken]
            if not broken:
                return way, found
            for step in broken:
                column = self.wanted.column(step.change.column or "")
                if column is None:
                    return None
                self.inputs[column.name] = self._given(step, column)
        return None

    def _given(self, step: Step, column: ColumnSchema) -> Backfill:
        if step.change.kind == "change_unit" and column.type.is_number and not column.multivalued and column.name not in self.inputs:
            return Backfill(factor=Fraction(self.rng.choice(("1000", "1/60", "1"))))
        value = json.loads(drawn.value_json(self.rng, column), parse_float=Decimal)
        return Backfill(constant=cell_of(column, value))

    def apply(self, way: Transition, planned: list[Step]) -> undo.Done:
        evolution = apply.changing(self.number, self.store.table(way.live.name), way, planned, actor="test", version=2, provenance="live")
        done = evolve(self.store, evolution)[0]
        self.archive = Archive(**done["archive"]) if done["archive"] else None
        self.view = apply.view_of(self.number)
        kept = evolution.keeping.described if evolution.keeping and self.archive else {}
        return undo.Done(
            base=way.live,
            target=way.wanted,
            pairs=[(pair.live.name, pair.wanted.name) for pair in way.pairs],
            inputs=self.inputs,
            dropped=kept.get("dropped", ()),
            rewritten=kept.get("rewritten", ()),
            view=self.view if self.archive else "",
        )

    def back(self, done: undo.Done) -> tuple[Transition, list[Step]]:
        way = undo.way_back(done)
        with self.store.read() as cursor, opened(self.store, cursor, self.archive, self.view) if self.archive else nullcontext():
            return way, evidence.gather(cursor, way, steps(way))

    def apply_back(self, way: Transition, planned: list[Step]) -> None:
        live = self.store.table(way.live.name)
        evolution = apply.changing(self.number + 10**6, live, way, planned, actor="test", version=1, provenance="live")
        evolve(self.store, replace(evolution, restored=(self.view, self.archive) if self.archive else None))


def draw(store: Store, seed: int) -> Case | None:
    """A case, with its table made and filled; None where the schemas that were drawn make no table."""
    rng = random.Random(seed)
    columns, key, unique = drawn.table(rng)
    try:
        live = drawn.schema_of(f"t{seed}", columns, key, unique)
        wanted = drawn.schema_of(f"t{seed}", *drawn.changed(rng, columns, key, unique))
    except DocumentRefused:
        return None
    tables.create(store, live, version=1, provenance="live", actor="test")
    case = Case(rng, store, seed, live, wanted)
    case.fill(live, rng.choice((0, 1, 6, 12)))
    return case


def walk(store: Store, seed: int, tally: Counter[str]) -> bool:
    """One case there and back; False where it was none."""
    case = draw(store, seed)
    ready = case.resolved() if case else None
    if case is None or ready is None:
        return False
    before, (way, planned) = case.rows(case.live), ready
    done = case.apply(way, planned)
    assert store.table(case.live.name).schema == case.wanted, seed
    with store.read() as cursor:
        assert tables.agree(tables.shape(cursor, case.wanted.name), tables.wanted_shape(case.wanted)), seed
    assert steps(transition(store.table(case.live.name).schema, case.wanted)) == [], seed
    there = case.rows(case.wanted)
    assert len(there) == len(before), seed
    if case.rng.random() < 0.5:
        _back_unwritten(case, done, before)
    else:
        _back_written(case, done, before)
    strategies = {step.strategy for step in planned}
    tally.update({"cases": 1, "rebuilds": "rebuild" in strategies, "archives": case.archive is not None, "rows": len(before)})
    return True


def _back_unwritten(case: Case, done: undo.Done, before: dict[str, str]) -> None:
    """Where nobody wrote, nothing is in the way, and every value comes back."""
    way, planned = case.back(done)
    assert [step for step in planned if step.rows_in_the_way] == [], case.number
    case.apply_back(way, planned)
    assert case.store.table(case.live.name).schema == case.live, case.number
    assert case.rows(case.live) == before, case.number


def _back_written(case: Case, done: undo.Done, before: dict[str, str]) -> None:
    """Where rows came and went since, those that nobody touched have every value back, and no other comes back."""
    case.fill(case.wanted, 2)
    names = dict(done.pairs)
    gone = case.rng.choice(sorted(before)) if before and all(c.name in names for c in case.live.key_columns) else None
    deleted = 0
    if gone is not None:
        values = zip(case.live.key_columns, json.loads(gone), strict=True)
        key = " AND ".join(f"{sql.quote(names[c.name])}::VARCHAR = {sql.literal(value)}" for c, value in values)
        with case.store.transaction() as transaction:
            deleted = transaction.execute(f"DELETE FROM {sql.table(case.wanted.name)} WHERE {key}").fetchall()[0][0]
    left = len(case.rows(case.wanted))
    way, planned = case.back(done)
    if any(step.rows_broken for step in planned):
        return
    case.apply_back(way, planned)
    after = case.rows(case.live)
    assert len(after) == left, case.number
    untouched = {key: row for key, row in before.items() if not deleted or key != gone}
    assert {key: after.get(key) for key in untouched} == untouched, case.number


@pytest.mark.parametrize("part", range(PARTS))
def test_any_schema_becomes_any_other_and_comes_back(store: Store, part: int) -> None:
    tally: Counter[str] = Counter()
    seed = part * 100_000
    while tally["cases"] < CASES // PARTS:
        walk(store, seed, tally)
        seed += 1
    assert tally["rebuilds"] and tally["archives"] and tally["rows"]


@pytest.mark.long
@pytest.mark.parametrize("part", range(LONG_PARTS))
def test_five_thousand_drawn_cases(store: Store, part: int, capsys: pytest.CaptureFixture[str]) -> None:
    tally: Counter[str] = Counter()
    seed = 10_000_000 + part * 100_000
    while tally["cases"] < LONG_CASES // LONG_PARTS:
        walk(store, seed, tally)
        seed += 1
    with capsys.disabled():
        print(f"\n{dict(tally)}")
    assert tally["rebuilds"] > tally["cases"] // 10
