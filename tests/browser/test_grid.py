import csv
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Page, expect

from projects import rows
from tests.browser.conftest import HOSTILE
from tests.conftest import roles, user_with_role  # noqa: F401 - A fixture.
from tests.projects.conftest import WIND_FARM

pytestmark = pytest.mark.django_db(transaction=True)
ROWS = "/console/tables/projects/rows/"


def enter(page: Page, live_server, role: str) -> None:
    """Signs somebody in with the role."""
    user = user_with_role(role)
    User.objects.filter(pk=user.pk).update(is_staff=True)
    client = Client()
    client.force_login(user)
    page.context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])


@pytest.fixture
def farms(roles, tables):  # noqa: F811
    """Thirty more projects, every third of them active."""
    for n in range(30):
        body = {name: str(value) for name, value in WIND_FARM.items()} | {"project_name": f"Farm {n:02}", "maturity_years": n}
        rows.create(tables, "projects", body | {"status": "PROPOSED" if n % 3 else "ACTIVE"}, actor="ada")
    return tables


def names(page: Page) -> list[str]:
    return page.locator("tbody tr td:nth-child(3)").all_inner_texts()


def test_an_editor_filters_edits_a_row_sees_its_history_and_exports(visitor, live_server, farms, tmp_path: Path):
    enter(visitor, live_server, "editor")
    visitor.goto(ROWS)
    expect(visitor.get_by_text("32 rows", exact=True)).to_be_visible()
    expect(visitor.get_by_role("cell", name=HOSTILE, exact=True)).to_be_visible()

    visitor.get_by_role("button", name="Filter status").click()
    visitor.get_by_label("ACTIVE").check()
    visitor.get_by_role("button", name="Filter", exact=True).click()
    expect(visitor.get_by_text("10 rows", exact=True)).to_be_visible()
    visitor.get_by_role("button", name="Filter maturity_years").click()
    visitor.get_by_role("spinbutton", name="from").fill("9")
    visitor.keyboard.press("Enter")
    expect(visitor.get_by_text("7 rows", exact=True)).to_be_visible()
    visitor.get_by_role("link", name="project_name").click()
    visitor.get_by_role("link", name="project_name").click()
    expect(visitor.get_by_role("columnheader", name="project_name")).to_have_attribute("aria-sort", "descending")
    assert names(visitor)[0] == "Farm 27"

    with visitor.expect_download() as downloading:
        visitor.get_by_role("button", name="Export").click()
        visitor.get_by_role("link", name="CSV").click()
    downloading.value.save_as(tmp_path / "seen.csv")
    with (tmp_path / "seen.csv").open(newline="") as file:
        assert [row["project_name"] for row in csv.DictReader(file)] == names(visitor)

    visitor.locator("tbody tr").first.get_by_role("link").first.click()
    visitor.get_by_label("dscr", exact=True).fill("2.5")
    visitor.get_by_label("project_name", exact=True).fill(HOSTILE)
    visitor.get_by_role("button", name="Save").click()
    history = visitor.locator("#history article").first
    expect(history).to_contain_text("editor changed it")
    expect(history.locator("dd").filter(has_text="2.50")).to_contain_text("1.35")
    expect(history.get_by_text(HOSTILE, exact=True)).to_be_visible()

    visitor.go_back()
    visitor.go_back()
    expect(visitor.get_by_text("7 rows", exact=True)).to_be_visible()
    visitor.get_by_role("link", name="Remove the filter: status is ACTIVE").click()
    expect(visitor.get_by_text("23 rows", exact=True)).to_be_visible()


def test_an_editor_adds_a_row_is_told_what_is_wrong_with_it_and_deletes_it(visitor, live_server, farms):
    enter(visitor, live_server, "editor")
    visitor.goto("/console/tables/portfolio_projects/rows/")
    visitor.get_by_role("link", name="Add a row").click()
    visitor.get_by_label("project_id").press_sequentially("farm 07")
    offered = visitor.locator("datalist option")
    expect(offered).to_have_count(1)
    project = offered.get_attribute("value")
    visitor.get_by_label("project_id").fill(project)
    visitor.get_by_label("portfolio_id").fill("no portfolio")
    visitor.get_by_label("allocation_percentage").fill("12.5")
    visitor.get_by_label("entry_date").fill("2026-01-31")
    visitor.get_by_role("button", name="Add row").click()
    expect(visitor.locator(".row-field").filter(has_text="portfolio_id").locator(".spawn-bad")).to_contain_text("is not a UUID")
    expect(visitor.get_by_label("project_id")).to_have_value(project)
    visitor.get_by_label("portfolio_id").fill("00000000-0000-4000-8000-000000000001")
    visitor.get_by_role("button", name="Add row").click()
    expect(visitor.get_by_text("was added")).to_be_visible()
    visitor.get_by_role("button", name="Delete", exact=True).click()
    visitor.get_by_role("button", name="Delete row").click()
    expect(visitor.get_by_text("portfolio_projects has no rows yet.")).to_be_visible()


def test_a_viewer_sees_no_buttons_and_gets_403_when_posting_by_hand(visitor, live_server, farms):
    enter(visitor, live_server, "viewer")
    visitor.goto(f"{ROWS}?limit=25")
    for name in ("Add row", "Import"):
        expect(visitor.get_by_role("link", name=name)).to_have_count(0)
    visitor.get_by_role("link", name="Last page").click()
    expect(visitor.get_by_text("8 to 32 of 32 rows")).to_be_visible()
    visitor.locator("tbody tr").first.get_by_role("link").first.click()
    expect(visitor.get_by_role("heading", name="History")).to_be_visible()
    for name in ("Save", "Delete"):
        expect(visitor.get_by_role("button", name=name)).to_have_count(0)
    token = next(cookie["value"] for cookie in visitor.context.cookies() if cookie["name"] == "csrftoken")
    for address in (visitor.url, f"{live_server.url}{ROWS}add/"):
        answer = visitor.request.post(
            address, form={"csrfmiddlewaretoken": token, "__deed": "delete", "__row": "{}"}, headers={"Referer": address}
        )
        assert answer.status == 403
        assert "Your role here does not allow it." in answer.text()


@pytest.mark.parametrize("color_scheme", ["dark"])
def test_on_a_telephone_the_grid_and_a_row_are_no_wider_than_the_page(visitor, live_server, farms):
    enter(visitor, live_server, "editor")
    visitor.set_viewport_size({"width": 390, "height": 800})
    visitor.goto(ROWS)
    assert visitor.evaluate("document.documentElement.scrollWidth") <= 390
    visitor.locator("tbody tr").first.get_by_role("link").first.click()
    expect(visitor.get_by_role("heading", name="History")).to_be_visible()
    assert visitor.evaluate("document.documentElement.scrollWidth") <= 390
