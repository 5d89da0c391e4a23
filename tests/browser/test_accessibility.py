"""axe-core on every page of the console, with hostile content, light and dark."""

from types import SimpleNamespace

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from monitoring.models import Sample
from tests.site.conftest import shown  # noqa: F401 - A fixture.
from tests.site.console_pages import pages_of_ours

pytestmark = pytest.mark.django_db(transaction=True)

GRAVE = ("serious", "critical")
PHONE = 390  # pixels
STILL = "*, *::before, *::after { transition: none !important; animation: none !important; }"
ALL = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}  # WCAG 2.2 has it, axe-core leaves it off
LIGHT = {"resultTypes": ["violations"]}
DARK = {"resultTypes": ["violations"], "runOnly": ["color-contrast"]}  # All else is the same in the dark.


def faults(page: Page, options: dict[str, object] = ALL) -> list[str]:
    """What axe-core finds that is serious or critical: the rule, and the place of each element."""
    found = Axe().run(page, options=options).response["violations"]
    return [f"{one['id']}: {node['target']} {node['html'][:120]}" for one in found if one["impact"] in GRAVE for node in one["nodes"]]


def darken(page: Page) -> None:
    """As somebody's browser that wants the dark: the pages that are not unfold's ask it, unfold's script sets a class."""
    page.emulate_media(color_scheme="dark")
    page.evaluate("document.documentElement.classList.replace('light', 'dark') || document.documentElement.classList.add('dark')")


def width_on_a_telephone(page: Page) -> int:
    """How wide the page is where the window is 390 pixels wide."""
    page.set_viewport_size({"width": PHONE, "height": 800})
    width = page.evaluate("document.documentElement.scrollWidth")
    page.set_viewport_size({"width": 1440, "height": 900})
    return int(width)


@pytest.mark.parametrize("half", [0, 1])  # Two that may run side by side.
def test_axe_finds_nothing_serious_on_any_page_and_none_is_too_wide_for_a_telephone(
    reader: Page,
    shown: SimpleNamespace,  # noqa: F811
    half: int,
):
    Sample.objects.create(at=shown.entry.at, seconds=60, requests=5, file_bytes=10**6)
    found, widths = {}, {}
    for address in ["/", *pages_of_ours(shown)][half::2]:
        reader.emulate_media(color_scheme="light")
        reader.goto(address)
        reader.add_style_tag(content=STILL)
        found[f"{address} light"] = faults(reader)
        darken(reader)
        found[f"{address} dark"] = faults(reader, DARK)
        widths[address] = width_on_a_telephone(reader)
    assert {address: one for address, one in found.items() if one} == {}
    assert {address: width for address, width in widths.items() if width > PHONE} == {}


def test_axe_finds_nothing_serious_on_the_login(visitor: Page):
    for scheme in ("light", "dark"):
        visitor.emulate_media(color_scheme=scheme)
        visitor.goto("/console/")
        visitor.add_style_tag(content=STILL)
        assert faults(visitor) == [], scheme
