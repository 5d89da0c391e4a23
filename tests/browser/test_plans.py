"""A steward's day with plans, in a real browser: read the evidence, approve, apply, look at what came of it, undo."""

from types import SimpleNamespace

import pytest
from playwright.sync_api import Page, expect
from rest_framework.test import APIClient

from projects.store.connection import Store
from schema_registry.models import AuditEntry
from tests.conftest import PASSWORD, client_of, user_with_role
from tests.projects.conftest import make_by_rest, ontology, ontology_server  # noqa: F401 - Fixtures.
from tests.projects.ontology import FIRST, SECOND, TURBINES, Ontology, send, with_column, without_column
from tests.projects.planning import bring, rows_of

pytestmark = pytest.mark.django_db(transaction=True)

HOSTILE = "<i>x"  # Five letters, which `code` has room for.


@pytest.fixture
def farm(live_server, roles, ontology: Ontology, store: Store) -> SimpleNamespace:  # noqa: F811
    """Turbines with two rows, the ontology that they come from, and a steward who may change them by REST too."""
    client = client_of(user_with_role("steward"))
    make_by_rest(ontology, store, client, "turbines", (FIRST, SECOND))
    assert send(client, "patch", "/ops/turbines/1", {"code": HOSTILE}).status_code == 200
    return SimpleNamespace(ontology=ontology, client=client)


def sign_in(page: Page) -> None:
    page.goto("/console/")
    page.get_by_label("Username").fill("steward")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


def waiting(farm: SimpleNamespace, document: dict) -> int:
    """The number of the plan that waits once the ontology says this of turbines."""
    farm.ontology.say(document)
    return bring(farm.client, status=202)["id"]


def codes(client: APIClient) -> list[str | None]:
    return [row.get("code", "no such column") for row in rows_of(client)]


def test_a_steward_finds_a_plan_that_waits_reads_its_evidence_applies_it_and_undoes_it(visitor: Page, farm: SimpleNamespace):
    plan = waiting(farm, without_column(TURBINES, "code"))
    sign_in(visitor)
    visitor.locator("#content").get_by_role("link", name="1 plan waiting for a decision").click()
    visitor.get_by_role("link", name=f"Plan {plan}", exact=True).click()
    step = visitor.locator("#step-1")
    expect(step.get_by_role("heading")).to_contain_text("Drop the column code (VARCHAR) with all its values.")
    expect(step).to_contain_text("The policy lets a change of the class destructive wait for a person.")
    expect(step.get_by_role("row", name="1 <i>x")).to_be_visible()
    step.get_by_text("SQL that runs").click()
    expect(step.locator("pre")).to_contain_text("INSERT INTO")
    visitor.get_by_label("Reason").fill("Nobody reads it any more.")
    visitor.get_by_role("button", name="Approve and apply").click()
    expect(visitor.locator("#confirm-error")).to_contain_text("Type the table's name, turbines")
    visitor.get_by_label("type the table's name").fill("turbines")
    visitor.get_by_role("button", name="Approve and apply").click()
    expect(visitor.get_by_text(f"Plan {plan} is applied to turbines.")).to_be_visible()
    expect(visitor.get_by_text("Nobody reads it any more.")).to_be_visible()
    assert codes(farm.client) == ["no such column"] * 2

    visitor.locator(".plan-facts").get_by_role("link", name="turbines").click()
    expect(visitor.locator("#columns").get_by_role("rowheader", name="price")).to_be_visible()
    expect(visitor.locator("#columns").get_by_role("rowheader", name="code")).to_have_count(0)
    visitor.go_back()
    visitor.get_by_role("region", name="In the audit log").get_by_role("link").last.click()
    expect(visitor.locator("#content")).to_contain_text("table.alter")
    expect(visitor.locator("#content")).to_contain_text("Its hash is right")
    expect(visitor.get_by_role("row", name="Drop the column code")).to_be_visible()

    visitor.get_by_role("link", name=f"Plan {plan}").click()
    visitor.get_by_role("link", name="Undo…").click()
    expect(visitor.get_by_text("Nothing has been changed yet.")).to_be_visible()
    visitor.get_by_label("Reason").fill("Somebody does.")
    visitor.get_by_role("button", name="Undo", exact=True).click()
    expect(visitor.get_by_text(f"Plan {plan} is undone")).to_be_visible()
    assert codes(farm.client) == [HOSTILE, None]
    visitor.locator("#nav-sidebar").get_by_role("link").filter(has_text="Audit log").click()
    expect(visitor.get_by_text("The chain verifies", exact=True)).to_be_visible()
    visitor.get_by_role("link", name="table.undo").click()
    expect(visitor.locator("#content tbody tr")).to_have_count(1)


def test_values_for_rows_in_the_way_are_given_in_the_page_and_a_double_click_applies_once(visitor: Page, farm: SimpleNamespace):
    document = with_column(TURBINES, "power", unit="W", maximum=1_000_000)
    plan = waiting(farm, with_column(document, "status", enum=["NEW"]))
    sign_in(visitor)
    visitor.goto(f"/console/plans/{plan}/")
    expect(visitor.get_by_role("button", name="Approve and apply")).to_have_count(0)
    power = visitor.get_by_role("group", name="What power gets")
    power.get_by_label("Factor, such as").fill("1000")
    status = visitor.get_by_role("group", name="What status gets")
    expect(status.get_by_label("Old value 1")).to_have_value("OLD")
    visitor.get_by_role("button", name="Make a fresh plan with these values").click()
    expect(visitor.locator("#content")).to_contain_text("What was given cannot be used.")
    expect(power.get_by_label("Factor, such as")).to_have_value("1000")
    status.get_by_label("New value 1").select_option("NEW")
    visitor.get_by_role("button", name="Make a fresh plan with these values").click()
    expect(visitor.get_by_text("was made, with the evidence of now")).to_be_visible()
    visitor.get_by_role("button", name="Approve and apply").dblclick()
    expect(visitor.get_by_text("What was done")).to_be_visible()
    assert [(row["power"], row["status"]) for row in rows_of(farm.client)] == [(100_000, "NEW"), (200_000, "NEW")]
    assert AuditEntry.objects.filter(action="table.alter").count() == 1
