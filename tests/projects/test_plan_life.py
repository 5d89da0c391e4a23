"""A plan's life by REST: proposed, approved or rejected, applied; who may do it, and what a policy, a pin or a lock says against it."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group, User
from rest_framework.test import APIClient

from projects.store.connection import Store
from schema_registry.models import AuditEntry
from tests.conftest import client_of
from tests.projects.ontology import TURBINES, Ontology, everything, outcomes, send, with_column, without_column
from tests.projects.planning import act, bring, carry_out, propose, rows_of, seen, states

pytestmark = pytest.mark.django_db

WITHOUT_CODE = without_column(TURBINES, "code")
COLOURED = with_column(TURBINES, "colour", type="VARCHAR")


@pytest.fixture
def waiting(turbines: Ontology, steward_client: APIClient) -> dict:
    """A plan to drop `code`, which waits."""
    turbines.say(WITHOUT_CODE)
    return bring(steward_client, status=202)


def deeds() -> list[tuple[str, str]]:
    """What was done with plans: the deed and by whom, in order."""
    found = AuditEntry.objects.filter(action__startswith="plan.").order_by("seq")
    return [(entry.action, entry.actor) for entry in found]


# From proposed to applied.


def test_a_plan_is_proposed_approved_and_applied(waiting: dict, store: Store, steward_client: APIClient) -> None:
    before = everything(steward_client, store)
    assert (waiting["state"], waiting["created_by"], waiting["approved_by"], waiting["from_version"], waiting["to_version"]) == (
        "proposed",
        "steward",
        None,
        1,
        2,
    )
    approved = act(steward_client, waiting, "approve", reason="Nobody reads it.")
    assert (approved["state"], approved["approved_by"], approved["reason"]) == ("approved", "steward", "Nobody reads it.")
    assert everything(steward_client, store) == before
    applied = act(steward_client, waiting, "apply", confirm="turbines")
    assert (applied["state"], applied["applied_by"], applied["error"], applied["waits_for"]) == ("applied", "steward", "", "")
    assert (applied["outcome"]["rows"], applied["outcome"]["archive"]["rows"]) == (2, 2)
    assert seen(steward_client, waiting) == applied
    page = steward_client.get("/admin/tables/turbines").json()
    assert (page["version"], page["fingerprint"], page["drift"]["state"]) == (2, applied["target_fingerprint"], "in step")
    assert deeds() == [("plan.propose", "steward"), ("plan.approve", "steward")]
    entry = AuditEntry.objects.get(action="table.alter")
    assert (entry.actor, entry.detail["plan"], entry.detail["steps"]) == ("steward", waiting["id"], ["drop_column"])
    assert bring(steward_client)["steps"] == []


def test_a_rejected_plan_is_over_and_the_same_change_is_proposed_again(waiting: dict, steward_client: APIClient) -> None:
    rejected = act(steward_client, waiting, "reject", reason="We need it.")
    assert (rejected["state"], rejected["reason"], bool(rejected["finished_at"])) == ("rejected", "We need it.", True)
    for deed in ("approve", "apply", "reject"):
        assert act(steward_client, waiting, deed, status=409)["code"] == "plan-over"
    assert deeds()[-1] == ("plan.reject", "steward")
    again = bring(steward_client, status=202)
    assert (again["id"] > waiting["id"], again["steps"]) == (True, waiting["steps"])
    act(steward_client, again, "approve")
    assert act(steward_client, again, "reject")["state"] == "rejected"
    assert "code" in rows_of(steward_client)[0]


def test_what_is_over_is_not_done_again(waiting: dict, steward_client: APIClient) -> None:
    act(steward_client, waiting, "approve")
    assert act(steward_client, waiting, "approve", status=409)["code"] == "plan-over"
    act(steward_client, waiting, "apply", confirm="turbines")
    for deed in ("approve", "apply", "reject"):
        problem = act(steward_client, waiting, deed, status=409)
        assert (problem["code"], problem["detail"]) == (
            "plan-over",
            f"The plan {waiting['id']} is applied, so this cannot be done with it.",
        )


def test_what_waits_is_not_applied_without_approval(waiting: dict, store: Store, steward_client: APIClient) -> None:
    before = everything(steward_client, store)
    problem = act(steward_client, waiting, "apply", status=409, confirm="turbines")
    assert problem["code"] == "plan-not-approved"
    assert f"/admin/plans/{waiting['id']}/approve" in problem["detail"]
    assert (everything(steward_client, store), seen(steward_client, waiting)["state"]) == (before, "proposed")


@pytest.mark.parametrize("confirm", [None, "", "turbine", "sites"])
def test_what_takes_data_away_is_confirmed_by_the_tables_name(
    waiting: dict, store: Store, steward_client: APIClient, confirm: str | None
) -> None:
    act(steward_client, waiting, "approve")
    before = everything(steward_client, store)
    problem = act(steward_client, waiting, "apply", status=428, **({} if confirm is None else {"confirm": confirm}))
    assert (problem["code"], "confirm=turbines" in problem["detail"]) == ("confirmation-missing", True)
    assert (everything(steward_client, store), seen(steward_client, waiting)["state"]) == (before, "approved")
    assert act(steward_client, waiting, "apply?confirm=TURBINES")["state"] == "applied"


def test_what_needs_nobody_is_applied_without_approval(turbines: Ontology, steward_client: APIClient) -> None:
    turbines.say(COLOURED)
    plan = propose(steward_client)
    assert (plan["state"], plan["steps"][0]["action"], rows_of(steward_client)[0].get("colour", "none yet")) == (
        "proposed",
        "apply",
        "none yet",
    )
    assert act(steward_client, plan, "apply")["state"] == "applied"
    assert rows_of(steward_client)[0]["colour"] is None


def test_a_fresh_plan_makes_the_older_one_stale(waiting: dict, turbines: Ontology, steward_client: APIClient) -> None:
    act(steward_client, waiting, "approve")
    turbines.say(with_column(WITHOUT_CODE, "price", description="In EUR."))
    fresh = bring(steward_client, status=202)
    assert states(steward_client) == {fresh["id"]: "proposed", waiting["id"]: "stale"}
    assert act(steward_client, waiting, "apply", status=409, confirm="turbines")["code"] == "plan-stale"
    for deed in ("approve", "reject"):
        assert act(steward_client, waiting, deed, status=409)["code"] == "plan-over"
    newest = propose(steward_client)
    assert states(steward_client) == {newest["id"]: "proposed", fresh["id"]: "stale", waiting["id"]: "stale"}


def test_the_same_plan_goes_on_waiting_however_often_it_is_asked_for(waiting: dict, steward_client: APIClient) -> None:
    act(steward_client, waiting, "approve", reason="Mine.")
    for _ in range(2):
        again = bring(steward_client, status=202)
        assert (again["id"], again["state"], again["reason"]) == (waiting["id"], "approved", "Mine.")
        assert outcomes(send(steward_client, "post", "/ops/initialize").json())["turbines"] == "waits"
    assert states(steward_client) == {waiting["id"]: "approved"}


def test_a_plan_that_nobody_needs_any_more_is_stale(waiting: dict, turbines: Ontology, steward_client: APIClient) -> None:
    turbines.say(TURBINES)
    assert bring(steward_client)["steps"] == []
    assert states(steward_client) == {waiting["id"]: "stale"}


# Lists.


def test_plans_are_listed_newest_first_and_narrowed(waiting: dict, turbines: Ontology, steward_client: APIClient) -> None:
    steward_client.delete("/admin/tables/sites?confirm=sites")

    def found(query: str) -> list[tuple[str, str]]:
        return [(plan["table"], plan["state"]) for plan in steward_client.get(f"/admin/plans?{query}").json()]

    assert found("") == [("sites", "applied"), ("turbines", "proposed")]
    assert found("table=Turbines") == found("state=proposed") == found("limit=1&offset=1") == [("turbines", "proposed")]
    assert found("table=turbines&state=applied") == found("table=ghosts") == []
    for query in ("state=open", "colour=red", "limit=0"):
        assert steward_client.get(f"/admin/plans?{query}").status_code == 400


@pytest.mark.parametrize("deed", ["approve", "reject", "apply", "undo", ""])
def test_a_plan_that_is_not_there_is_not_found(turbines: Ontology, steward_client: APIClient, deed: str) -> None:
    path = f"/admin/plans/99/{deed}".rstrip("/")
    answer = send(steward_client, "post" if deed else "get", path)
    assert (answer.status_code, answer.json()["code"]) == (404, "plan-not-found")
    assert propose(steward_client, status=404, table="ghosts")["code"] == "table-not-found"


@pytest.mark.parametrize(
    ("deed", "body"), [("approve", {"reason": 7}), ("approve", {"confirm": "x"}), ("apply", {"confirm": 7}), ("undo", [])]
)
def test_a_body_that_is_not_understood_is_a_bad_request(waiting: dict, steward_client: APIClient, deed: str, body: object) -> None:
    assert send(steward_client, "post", f"/admin/plans/{waiting['id']}/{deed}", body).status_code == 400
    assert seen(steward_client, waiting)["state"] == "proposed"


# Who may.


def test_who_may_not_manage_tables_reads_plans_and_decides_nothing(
    waiting: dict, steward_client: APIClient, viewer_client: APIClient, editor_client: APIClient, operator_client: APIClient
) -> None:
    for client in (viewer_client, editor_client, operator_client):
        assert seen(client, waiting)["id"] == waiting["id"]
        assert send(client, "post", "/admin/plans", {"table": "turbines"}).status_code == 403
        for deed in ("approve", "reject", "apply", "undo"):
            assert act(client, waiting, deed, status=403)["code"] == "forbidden"
    assert states(steward_client) == {waiting["id"]: "proposed"}
    refused = AuditEntry.objects.filter(action="right.refuse", object=f"/admin/plans/{waiting['id']}/approve")
    assert sorted(refused.values_list("actor", flat=True)) == ["editor", "operator", "viewer"]


def test_nobody_without_a_name_sees_a_plan(waiting: dict, anonymous_client: APIClient) -> None:
    assert anonymous_client.get("/admin/plans").status_code == 401
    assert act(anonymous_client, waiting, "approve", status=401)["code"] == "not-authenticated"


def test_a_token_reaches_the_plans_of_its_own_tables(turbines: Ontology, steward_client: APIClient) -> None:
    person = User.objects.get(username="steward")
    sites, both, as_viewer = (client_of(person, **one) for one in ({"scopes": ["Sites"]}, {}, {"role": "viewer"}))
    turbines.say(WITHOUT_CODE)
    plan = bring(both, status=202)
    assert sites.get("/admin/plans").json() == []
    assert sites.get(f"/admin/plans/{plan['id']}").status_code == 403
    assert send(sites, "post", "/admin/plans", {"table": "turbines"}).status_code == 403
    for client in (sites, as_viewer):
        for deed in ("approve", "reject", "apply", "undo"):
            act(client, plan, deed, status=403)
    assert states(both) == {plan["id"]: "proposed"}
    turbines.say(without_column(TURBINES | {"name": "sites", "unique": []}, "serial"))
    assert propose(sites, table="sites")["table"] == "sites"
    assert [one["table"] for one in sites.get("/admin/plans").json()] == ["sites"]


# Four eyes.


@pytest.fixture
def four_eyes(settings, steward_client: APIClient) -> Callable[[str], APIClient]:
    """Another steward of that name."""
    settings.PLAN_FOUR_EYES = True

    def another(name: str) -> APIClient:
        user = User.objects.create_user(name)
        user.groups.add(Group.objects.get(name="steward"))
        return client_of(user)

    return another


def test_who_proposed_a_plan_does_not_approve_it(waiting: dict, steward_client: APIClient, four_eyes: Callable[[str], APIClient]) -> None:
    problem = act(steward_client, waiting, "approve", status=403)
    assert (problem["code"], "steward" in problem["detail"]) == ("plan-needs-other", True)
    assert act(four_eyes("system"), waiting, "approve", status=403)["code"] == "plan-needs-other"
    assert seen(steward_client, waiting)["state"] == "proposed"
    assert act(four_eyes("second"), waiting, "approve")["approved_by"] == "second"
    assert act(steward_client, waiting, "apply", confirm="turbines")["applied_by"] == "steward"


def test_another_token_is_no_other_person(waiting: dict, steward_client: APIClient, four_eyes: Callable[[str], APIClient]) -> None:
    assert act(client_of(User.objects.get(username="steward")), waiting, "approve", status=403)["code"] == "plan-needs-other"


def test_values_that_a_person_gives_are_approved_by_another(
    turbines: Ontology, steward_client: APIClient, four_eyes: Callable[[str], APIClient]
) -> None:
    turbines.say(with_column(TURBINES, "code", required=True))
    plan = propose(steward_client, {"code": {"constant": "x"}})
    assert {step["action"] for step in plan["steps"]} == {"apply"}
    assert act(steward_client, plan, "apply", status=409)["code"] == "plan-not-approved"
    act(four_eyes("second"), plan, "approve")
    assert act(steward_client, plan, "apply")["state"] == "applied"


def test_a_drop_and_an_undo_wait_for_another_person(
    turbines: Ontology, store: Store, steward_client: APIClient, four_eyes: Callable[[str], APIClient]
) -> None:
    second, before = four_eyes("second"), everything(steward_client, store)
    answer = steward_client.delete("/admin/tables/turbines?confirm=turbines")
    plan = answer.json()["plan"]
    assert (answer.status_code, plan["state"], everything(steward_client, store)) == (202, "proposed", before)
    assert act(steward_client, plan, "approve", status=403)["code"] == "plan-needs-other"
    act(second, plan, "approve")
    assert act(steward_client, plan, "apply", status=428)["code"] == "confirmation-missing"
    act(steward_client, plan, "apply", confirm="turbines")
    assert steward_client.get("/ops/turbines").status_code == 404
    back = act(second, plan, "undo", status=202)
    assert act(second, back, "approve", status=403)["code"] == "plan-needs-other"
    act(steward_client, back, "approve")
    assert act(second, back, "apply")["state"] == "applied"
    assert everything(steward_client, store)[:2] == before[:2]


# What a policy, a pin or a lock says.


def set_policy(client: APIClient, **policy: str) -> None:
    answer = send(client, "patch", "/admin/tables/turbines", {"policy": policy})
    assert answer.status_code == 200, answer.content


@pytest.mark.parametrize("by_table", [False, True], ids=["setting", "table"])
def test_a_policy_can_let_a_harmless_change_wait(
    turbines: Ontology, store: Store, steward_client: APIClient, settings, by_table: bool
) -> None:
    if by_table:
        set_policy(steward_client, additive="wait")
    else:
        settings.EVOLUTION_POLICY = settings.EVOLUTION_POLICY | {"additive": "wait"}
    turbines.say(COLOURED)
    before = everything(steward_client, store)
    plan = bring(steward_client, status=202)
    assert (plan["steps"][0]["action"], everything(steward_client, store)) == ("wait", before)
    assert carry_out(steward_client, plan)["state"] == "applied"


@pytest.mark.parametrize("by_table", [False, True], ids=["setting", "table"])
def test_a_policy_can_refuse_a_class_of_changes(
    turbines: Ontology, store: Store, steward_client: APIClient, settings, by_table: bool
) -> None:
    if by_table:
        set_policy(steward_client, destructive="refuse")
    else:
        settings.EVOLUTION_POLICY = settings.EVOLUTION_POLICY | {"destructive": "refuse"}
    turbines.say(WITHOUT_CODE)
    before = everything(steward_client, store)
    plan = bring(steward_client, status=202)
    assert (plan["steps"][0]["action"], "refuses" in plan["waits_for"]) == ("refuse", True)
    for deed in ("approve", "apply"):
        problem = act(steward_client, plan, deed, status=409, **({"confirm": "turbines"} if deed == "apply" else {}))
        assert (problem["code"], "destructive" in problem["detail"]) == ("plan-refused", True)
    assert steward_client.delete("/admin/tables/turbines?confirm=turbines").status_code == 409
    assert everything(steward_client, store) == before


def test_a_tables_own_policy_goes_before_the_setting(turbines: Ontology, steward_client: APIClient, settings) -> None:
    settings.EVOLUTION_POLICY = settings.EVOLUTION_POLICY | {"rename": "refuse"}
    set_policy(steward_client, rename="apply", destructive="apply")
    turbines.say(with_column(WITHOUT_CODE, "serial", name="number", renamed_from="serial") | {"unique": [["number"]]})
    plan = bring(steward_client)
    assert (plan["state"], {step["action"] for step in plan["steps"]}) == ("applied", {"apply"})
    assert plan["outcome"]["archive"]["rows"] == 2


def test_no_policy_applies_what_cannot_be_kept(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    set_policy(steward_client, strengthening="apply", meaning="apply")
    turbines.say(with_column(TURBINES, "power", unit="W"))
    before = everything(steward_client, store)
    assert bring(steward_client, status=202)["steps"][0]["rows_broken"] == 2
    assert everything(steward_client, store) == before


@pytest.mark.parametrize("policy", [{"additive": "maybe"}, {"harmless": "apply"}, {"additive": None}, [], "wait", 7])
def test_a_policy_that_is_not_understood_is_a_bad_request(turbines: Ontology, steward_client: APIClient, policy: object) -> None:
    assert send(steward_client, "patch", "/admin/tables/turbines", {"policy": policy}).status_code == 400


DECISIONS = {"policy": {"rename": "wait"}, "pinned": True, "read_only": True, "compatibility": "FULL"}


@pytest.mark.parametrize("decision", ["policy", "pinned"])
def test_a_change_of_policy_or_pin_voids_an_approval(waiting: dict, steward_client: APIClient, decision: str) -> None:
    act(steward_client, waiting, "approve", reason="Under the old rules.")
    assert send(steward_client, "patch", "/admin/tables/turbines", {decision: DECISIONS[decision]}).status_code == 200
    voided = seen(steward_client, waiting)
    assert (voided["state"], voided["approved_by"], voided["reason"]) == ("proposed", None, "")
    assert act(steward_client, waiting, "apply", status=409, confirm="turbines")["code"] == "plan-not-approved"


def test_what_a_policy_refuses_since_is_not_approved_under_the_old_one(waiting: dict, store: Store, steward_client: APIClient) -> None:
    before = everything(steward_client, store)[:2]
    set_policy(steward_client, destructive="refuse")
    assert act(steward_client, waiting, "approve", status=409)["code"] == "plan-refused"
    assert act(steward_client, waiting, "apply", status=409, confirm="turbines")["code"] == "plan-refused"
    assert everything(steward_client, store)[:2] == before


def test_what_a_policy_lets_wait_since_is_not_applied_without_approval(turbines: Ontology, steward_client: APIClient) -> None:
    turbines.say(COLOURED)
    plan = propose(steward_client)
    set_policy(steward_client, additive="wait")
    assert act(steward_client, plan, "apply", status=409)["code"] == "plan-not-approved"
    act(steward_client, plan, "approve")
    assert act(steward_client, plan, "apply")["state"] == "applied"


def test_a_policy_that_was_loosened_leaves_the_approval_needed(waiting: dict, steward_client: APIClient) -> None:
    set_policy(steward_client, destructive="apply")
    assert act(steward_client, waiting, "apply", status=409, confirm="turbines")["code"] == "plan-not-approved"


@pytest.mark.parametrize(("decision", "code"), [("pinned", "table-pinned"), ("read_only", "table-read-only")])
def test_a_table_that_is_pinned_or_read_only_is_locked(
    waiting: dict, turbines: Ontology, store: Store, steward_client: APIClient, decision: str, code: str
) -> None:
    assert send(steward_client, "patch", "/admin/tables/turbines", {decision: True}).status_code == 200
    before = everything(steward_client, store)
    act(steward_client, waiting, "approve")
    assert act(steward_client, waiting, "apply", status=423, confirm="turbines")["code"] == code
    assert seen(steward_client, waiting)["state"] == "approved"
    turbines.say(COLOURED)
    assert bring(steward_client, status=423)["code"] == code
    assert everything(steward_client, store) == before
    assert send(steward_client, "patch", "/admin/tables/turbines", {decision: False}).status_code == 200
    assert bring(steward_client)["state"] == "applied"


def test_a_read_only_table_is_neither_dropped_nor_taken_back(turbines: Ontology, steward_client: APIClient) -> None:
    turbines.say(COLOURED)
    done = bring(steward_client)
    send(steward_client, "patch", "/admin/tables/turbines", {"read_only": True})
    assert steward_client.delete("/admin/tables/turbines?confirm=turbines").status_code == 423
    assert act(steward_client, done, "undo", status=423)["code"] == "table-read-only"
    assert "colour" in rows_of(steward_client)[0]
    assert set(states(steward_client).values()) == {"applied"}
