import pytest
from playwright.sync_api import expect

from tests.browser.conftest import HOSTILE

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_query_is_written_with_the_keyboard_and_a_click_mended_and_found_again(reader, tables):
    reader.goto("/console/query/#sql=SELECT%20nme%20%0A")
    editor = reader.get_by_label("One SELECT over the tables")
    expect(editor).to_have_value("SELECT nme \n")
    expect(reader.get_by_role("heading", name="Result")).to_have_count(0)
    reader.locator("summary").filter(has_text="projects").last.click()
    editor.press("Control+End")
    editor.press("Tab")
    editor.press_sequentially("FROM ")
    reader.get_by_role("button", name="Insert the table projects", exact=True).click()
    expect(editor).to_have_value("SELECT nme \n  FROM projects")
    editor.press("Control+Enter")
    expect(reader.get_by_text("Line 1, character 8.")).to_be_visible()
    reader.get_by_role("button", name="Show it").click()
    assert editor.evaluate("e => [e.selectionStart, e.selectionEnd]") == [7, 8]
    editor.evaluate("e => e.setSelectionRange(7, 10)")
    reader.get_by_role("button", name="Insert the column project_name").click()
    expect(editor).to_be_focused()
    editor.press("Control+Enter")
    expect(reader.get_by_role("cell", name=HOSTILE, exact=True)).to_be_visible()
    expect(reader.get_by_text("2 rows.")).to_be_visible()
    editor.press("Escape")
    editor.press("Tab")
    expect(editor).not_to_be_focused()
    reader.get_by_role("link", name="SELECT nme FROM projects").click()
    expect(editor).to_have_value("SELECT nme \n  FROM projects")
    with reader.expect_download() as got:
        reader.get_by_role("button", name="Export").click()
    assert sorted(got.value.path().read_text().splitlines()) == [f'"{HOSTILE}"', '"Wind farm"', "project_name"]
