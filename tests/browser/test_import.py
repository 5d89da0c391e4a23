import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Page, expect

from projects import owner
from projects.store import tables as stored
from tests.browser.conftest import HOSTILE
from tests.conftest import user_with_role

pytestmark = pytest.mark.django_db(transaction=True)

HEAD = "project_name,total_amount,maturity_years,expected_tri,dscr,status\n"
GOOD = "Sea breeze,1250000.50,20,8.25,1.35,ACTIVE\n"
BAD = f'"{HOSTILE}",a lot,20,8.25,1.35,{HOSTILE}\n'
MENDED = f'"{HOSTILE}",5,20,8.25,1.35,PROPOSED\n'


@pytest.fixture
def owned(tables):
    """The sample tables in a process that does jobs."""
    owner.start_owner()
    yield tables
    owner.stop_owner()


@pytest.fixture
def editor(visitor: Page, roles, live_server) -> Page:
    """A page where an editor is signed in already."""
    person = user_with_role("editor")
    User.objects.filter(pk=person.pk).update(is_staff=True)
    client = Client()
    client.force_login(person)
    visitor.context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])
    return visitor


def drop(page: Page, file: Path) -> None:
    """Lets a file fall onto the form, as somebody's hand would."""
    made = "([name, text]) => { const held = new DataTransfer(); held.items.add(new File([text], name)); return held; }"
    held = page.evaluate_handle(made, [file.name, file.read_text()])
    for event in ("dragover", "drop"):
        page.locator("#drop").dispatch_event(event, {"dataTransfer": held})


def test_an_editor_imports_a_file_with_bad_rows_reads_the_rejects_mends_it_and_loads_it(editor, owned, tmp_path: Path):
    file = tmp_path / f"{HOSTILE.replace('/', '')}.csv"
    file.write_text(HEAD + GOOD + BAD)
    editor.goto("/console/tables/projects/import/")
    editor.get_by_label("The file", exact=True).set_input_files(file)
    expect(editor.get_by_label("Texts that mean null")).to_have_value("")
    editor.get_by_role("button", name="Look at it").click()
    shown = editor.locator("#rows tbody tr")
    expect(shown).to_have_count(2)
    expect(shown.nth(1)).to_contain_text("is not")
    expect(editor.locator("#verdict")).to_contain_text("1 row would be added. 1 row does not fit. All or nothing was asked for")
    rejects = editor.locator("#rejects tbody tr")
    expect(rejects).to_have_count(2)
    expect(rejects.filter(has_text="total_amount")).to_contain_text("a lot")
    expect(rejects.filter(has_text="status")).to_contain_text(HOSTILE)
    with editor.expect_download() as got:
        editor.get_by_role("link", name=re.compile("^Download all")).click()
    assert got.value.path().read_text().startswith("row,column,value,code,reason\n2,status,")
    assert stored.size(owned, "projects").rows == 2

    file.write_text(HEAD + GOOD + MENDED)
    editor.get_by_role("link", name="choose it again").click()
    drop(editor, file)
    editor.get_by_role("button", name="Look at it").click()
    expect(editor.locator("#verdict")).to_contain_text("2 rows would be added.")
    editor.get_by_role("button", name="Load 2 rows").click()
    expect(editor.get_by_text("2 rows were added.", exact=True)).to_be_visible()
    expect(editor.get_by_role("link", name="See the rows of projects")).to_be_visible()
    assert stored.size(owned, "projects").rows == 4
