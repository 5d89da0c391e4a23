import re
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from schema_registry import snapshots
from tests.browser.conftest import HOSTILE
from tests.conftest import PASSWORD
from tests.projects.conftest import sample

pytestmark = pytest.mark.django_db(transaction=True)


def sidebar(page: Page, title: str) -> None:
    """Follows a link of the sidebar."""
    page.locator("#nav-sidebar").get_by_role("link").filter(has_text=title).click()


def test_somebody_signs_in_and_walks_to_a_tables_columns_and_rows(visitor, ada, tables):
    visitor.goto("/console/")
    visitor.get_by_label("Username").fill("ada")
    visitor.get_by_label("Password").fill(PASSWORD)
    visitor.get_by_role("button", name="Log in").click()
    expect(visitor.locator("#content").get_by_role("heading", name="What needs you now")).to_be_visible()
    sidebar(visitor, "Tables")
    expect(visitor).to_have_url(re.compile("/console/tables/$"))
    expect(visitor.locator("#tables tbody tr")).to_have_count(3)
    visitor.locator("#tables").get_by_role("link", name="projects", exact=True).click()
    expect(visitor.locator("#columns").get_by_role("rowheader")).to_have_count(11)
    visitor.get_by_role("button", name="Measure now").click()
    name = visitor.locator("#measured tbody tr").filter(has=visitor.get_by_role("rowheader", name="project_name"))
    expect(name.get_by_text(HOSTILE, exact=True)).to_be_visible()
    expect(name.get_by_text("Wind farm")).to_be_visible()


def test_an_example_is_copied_with_one_click(reader, tables):
    reader.context.grant_permissions(["clipboard-read", "clipboard-write"])
    reader.goto("/console/tables/projects/")
    reader.get_by_role("button", name="Copy “List rows” for curl").click()
    expect(reader.locator("#copied")).to_have_text("Copied.")
    assert "/ops/projects?limit=20" in reader.evaluate("navigator.clipboard.readText()")


def test_the_diagram_is_walked_with_the_keyboard(reader, tables):
    reader.goto("/console/diagram/")
    box = reader.get_by_role("link", name=re.compile("^portfolios: "))
    arrow = reader.locator("path[data-to=portfolios]")
    expect(arrow).not_to_have_class(re.compile("lit"))
    box.focus()
    expect(arrow).to_have_class(re.compile("spawn-lit"))
    reader.keyboard.press("Enter")
    expect(reader).to_have_url(re.compile("/console/tables/portfolios/$"))


def test_a_table_is_pinned_with_two_clicks(reader, tables):
    reader.goto("/console/tables/projects/")
    reader.get_by_label("Pinned").check()
    reader.get_by_role("button", name="Save", exact=True).click()
    expect(reader.get_by_text("What you decided about projects is kept.")).to_be_visible()
    sidebar(reader, "Tables")
    line = reader.locator("#tables tbody tr").filter(has=reader.get_by_role("link", name="projects", exact=True))
    expect(line.get_by_text("pinned")).to_be_visible()


def test_two_versions_of_a_schema_stand_side_by_side(reader, tables):
    snapshots.record(sample("project_schema"), {"note": HOSTILE}, provenance="mock")
    other = replace(sample("project_schema"), description="Something else.", columns=sample("project_schema").columns[:-1])
    snapshots.record(other, {"note": "mended"}, provenance="live")
    reader.goto("/console/")
    sidebar(reader, "Schemas")
    reader.locator("#snapshots").get_by_role("link", name="projects", exact=True).first.click()
    gone = reader.locator("#changes tbody tr").filter(has_text="currency_code")
    expect(gone.get_by_text("dropped", exact=True)).to_be_visible()
    expect(gone.get_by_text("with all its values.")).to_be_visible()
    expect(reader.locator("#documents")).to_contain_text(HOSTILE)
    before = brightness(reader, gone.locator(".spawn-before").evaluate("cell => getComputedStyle(cell).backgroundColor"))
    assert before < 0.97
    reader.get_by_role("link", name="The other way round").click()
    expect(reader.locator("#changes tbody tr").filter(has_text="currency_code").get_by_text("added", exact=True)).to_be_visible()


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_the_console_is_as_light_or_dark_as_its_reader_wants(reader, tables, color_scheme):
    reader.goto("/console/tables/projects/")
    colour_of = "([selector, property]) => getComputedStyle(document.querySelector(selector))[property]"
    ground = brightness(reader, reader.evaluate(colour_of, ["body", "backgroundColor"]))
    ink = brightness(reader, reader.evaluate(colour_of, ["#columns th", "color"]))
    assert (ground < 0.3 and ink > 0.7) if color_scheme == "dark" else (ground > 0.7 and ink < 0.3)


def brightness(page: Page, colour: str) -> float:
    """From 0, black, to 1; the browser itself reads the colour, whatever notation it is in."""
    script = """colour => {
        const canvas = new OffscreenCanvas(1, 1).getContext('2d');
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    }"""
    red, green, blue, opacity = page.evaluate(script, colour)
    assert opacity == 255
    return (red + green + blue) / 765


def test_on_a_telephone_nothing_is_wider_than_the_page(reader, tables):
    reader.set_viewport_size({"width": 390, "height": 800})
    for path in ("/", "/console/", "/console/tables/", "/console/tables/portfolio_projects/", "/console/schemas/"):
        reader.goto(path)
        assert reader.evaluate("document.documentElement.scrollWidth") <= 390, path


def test_the_docs_show_a_tables_operations(reader, tables):
    reader.goto("/docs")
    reader.get_by_role("link", name="projects", exact=True).click()
    expect(reader.locator(".opblock-summary-path").filter(has_text=re.compile("ops.*projects")).first).to_be_visible()
    reader.locator(".opblock-get .opblock-summary-control").first.click()
    expect(reader.locator(".opblock.is-open").get_by_text("Parameters").first).to_be_visible()
