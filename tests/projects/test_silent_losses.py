"""What DuckDB's own casts lose without a word is counted to the row, shown, archived, and comes back."""

from dataclasses import dataclass
from typing import Any

import pytest
from rest_framework.test import APIClient

from projects.store.connection import get_store
from tests.projects.ontology import Ontology, everything, send, table
from tests.projects.planning import act, bring, carry_out, live_table, rows_of, sampled

pytestmark = pytest.mark.django_db


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A cast, the values that come through it as they are, and those that do not: (sent, shown as, becomes)."""

    old: str
    new: str
    kept: tuple[Any, ...]
    lost: tuple[tuple[Any, str, str | None], ...]

    @property
    def values(self) -> list[Any]:
        """Kept and lost ones by turns, and a null."""
        sent = [value for value, _, _ in self.lost]
        return [*sent[:1], *self.kept, *sent[1:], None]

    @property
    def lost_keys(self) -> list[int]:
        return [0, *range(len(self.kept) + 1, len(self.values) - 1)]


LOSSES = {
    "DECIMAL to fewer digits": Loss(
        old="DECIMAL(10,3)",
        new="DECIMAL(10,1)",
        kept=(0, 12.5, -7.0, 1234567.9),
        lost=((12.55, "12.550", "12.6"), (0.001, "0.001", "0.0"), (-0.05, "-0.050", "-0.1")),
    ),
    "DECIMAL to fewer digits before the point": Loss(
        old="DECIMAL(10,2)", new="DECIMAL(4,2)", kept=(99.99, -99.99, 0), lost=((100, "100.00", None), (-1e7, "-10000000.00", None))
    ),
    "DECIMAL to INTEGER": Loss(old="DECIMAL(10,2)", new="INTEGER", kept=(3, -4, 0), lost=((2.5, "2.50", "3"), (-0.01, "-0.01", "0"))),
    "DOUBLE to INTEGER": Loss(
        old="DOUBLE",
        new="INTEGER",
        kept=(3.0, -2147483648.0, 0),
        lost=((2.75, "2.75", "3"), (-0.25, "-0.25", "0"), (1e300, "1e+300", None), (2147483648.0, "2147483648.0", None)),
    ),
    "DOUBLE to DECIMAL": Loss(
        old="DOUBLE", new="DECIMAL(6,2)", kept=(0.25, -9999.99, 3), lost=((0.125, "0.125", "0.13"), (10000.0, "10000.0", None))
    ),
    "DOUBLE to FLOAT": Loss(old="DOUBLE", new="FLOAT", kept=(0.5, 3.0), lost=((16777217.0, "16777217.0", "16777216.0"),)),
    "BIGINT to DOUBLE": Loss(
        old="BIGINT",
        new="DOUBLE",
        kept=(1, -9007199254740992, 9007199254740994),
        lost=(
            (9007199254740993, "9007199254740993", "9007199254740992.0"),
            (9223372036854775807, "9223372036854775807", "9.223372036854776e+18"),
        ),
    ),
    "TIMESTAMP to DATE": Loss(
        old="TIMESTAMP",
        new="DATE",
        kept=("2026-01-31T00:00:00Z", "1969-12-31T00:00:00Z"),
        lost=(
            ("2026-01-31T12:30:00Z", "2026-01-31T12:30:00Z", "2026-01-31"),
            ("2026-01-31T00:00:00.000001Z", "2026-01-31T00:00:00.000001Z", "2026-01-31"),
        ),
    ),
    "TIMESTAMPTZ to DATE": Loss(
        old="TIMESTAMPTZ",
        new="DATE",
        kept=("2026-01-31T01:00:00+01:00",),
        lost=(("2026-01-31T00:30:00+01:00", "2026-01-30T23:30:00Z", "2026-01-30"),),
    ),
    "VARCHAR to INTEGER": Loss(
        old="VARCHAR",
        new="INTEGER",
        kept=("12", "-7", "0"),
        lost=(("12.7", "12.7", "13"), ("1e3", "1e3", "1000"), (" 5", " 5", "5"), ("007", "007", "7"), ("abc", "abc", None), ("", "", None)),
    ),
    "VARCHAR to DATE": Loss(
        old="VARCHAR", new="DATE", kept=("2026-01-31",), lost=(("2026-1-31", "2026-1-31", "2026-01-31"), ("2026-02-30", "2026-02-30", None))
    ),
    "VARCHAR to BOOLEAN": Loss(
        old="VARCHAR", new="BOOLEAN", kept=("true", "false"), lost=(("yes", "yes", "true"), ("0", "0", "false"), ("maybe", "maybe", None))
    ),
}


@pytest.fixture
def loss(request: pytest.FixtureRequest, ontology: Ontology, steward_client: APIClient) -> Loss:
    """A table `turbines` whose column `v` has the values, under the keys 0, 1, 2; and an ontology that wants the other type."""
    chosen = LOSSES[request.param]
    ontology.say(table("turbines", {"name": "v", "type": chosen.old}))
    assert send(steward_client, "post", "/ops/initialize").status_code == 200
    for number, value in enumerate(chosen.values):
        answer = send(steward_client, "post", "/ops/turbines", {"id": number, "v": value})
        assert answer.status_code == 201, answer.content
    ontology.say(table("turbines", {"name": "v", "type": chosen.new}))
    return chosen


each_loss = pytest.mark.parametrize("loss", LOSSES, indirect=True)


def cells() -> dict[str, str | None]:
    """The values of `v` as text, by key."""
    return dict(get_store().connection().execute("SELECT id::VARCHAR, v::VARCHAR FROM turbines").fetchall())


@pytest.mark.thinned(2)
@each_loss
def test_every_row_that_would_lose_is_counted_and_shown_and_the_plan_waits(loss: Loss, steward_client: APIClient) -> None:
    before = everything(steward_client, get_store())
    plan = bring(steward_client, status=202)
    (step,) = plan["steps"]
    assert (step["class"], step["action"], step["archive"]) == ("destructive", "wait", True)
    assert (step["rows_total"], step["rows_in_the_way"], step["rows_lost"], step["rows_broken"]) == (
        len(loss.values),
        len(loss.lost),
        len(loss.lost),
        0,
    )
    assert sampled(step) == [(str(key), shown, becomes) for key, (_, shown, becomes) in zip(loss.lost_keys, loss.lost, strict=True)]
    assert act(steward_client, plan, "apply", status=409)["code"] == "plan-not-approved"
    act(steward_client, plan, "approve", reason="I have seen it.")
    assert act(steward_client, plan, "apply", status=428)["code"] == "confirmation-missing"
    assert everything(steward_client, get_store()) == before


@each_loss
def test_what_comes_out_is_what_the_sample_said_and_the_undo_has_every_value(loss: Loss, steward_client: APIClient) -> None:
    before, rows = live_table(), rows_of(steward_client)
    plan = bring(steward_client, status=202)
    done = carry_out(steward_client, plan)
    assert done["outcome"]["archive"]["rows"] == len(loss.lost)
    after = cells()
    assert {one["key"]: after[one["key"]] for one in plan["steps"][0]["sample"]} == {
        one["key"]: one["becomes"] for one in plan["steps"][0]["sample"]
    }
    kept = rows_of(steward_client)[1 : len(loss.kept) + 1]
    assert [row["v"] for row in kept] == [_as_sent(loss, value) for value in loss.kept]

    back = act(steward_client, done, "undo")
    assert (back["state"], [one["rows_in_the_way"] for one in back["steps"]]) == ("applied", [0])
    assert (live_table(), rows_of(steward_client)) == (before, rows)


def _as_sent(loss: Loss, value: Any) -> Any:
    """A kept value as the new type's JSON."""
    if loss.new == "DATE":
        return {"2026-01-31T01:00:00+01:00": "2026-01-31"}.get(value, value[:10])
    if loss.old == "VARCHAR":
        return {"true": True, "false": False}[value] if loss.new == "BOOLEAN" else int(value)
    return value


@pytest.mark.thinned(2, others=True)
@each_loss
def test_without_such_rows_the_same_change_is_applied_at_once(loss: Loss, steward_client: APIClient) -> None:
    for key in loss.lost_keys:
        assert steward_client.delete(f"/ops/turbines/{key}").status_code == 204
    plan = bring(steward_client)
    assert [(one["class"], one["rows_in_the_way"], one["action"]) for one in plan["steps"]] == [("strengthening", 0, "apply")]
    assert [row["v"] for row in rows_of(steward_client)] == [*(_as_sent(loss, value) for value in loss.kept), None]
