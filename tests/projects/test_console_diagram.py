"""The entity diagram: where its boxes stand, what its arrows join, and what it says in words."""

import re
from itertools import combinations
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projects.console.diagram import MOST
from projects.console.layout import GAP_Y, HEAD, LINE, Arrow, Box, layout
from tests.projects.conftest import make_table

pytestmark = pytest.mark.django_db

SCRIPT = "<script>alert(1)</script>"
DIAGRAM = "/console/diagram/"
ID = {"name": "id", "type": "INTEGER", "required": True}


def svg(text: str) -> ElementTree.Element:
    """The drawing, which is XML whatever the names are."""
    return ElementTree.fromstring(re.search(r"<svg.*?</svg>", text[text.index("spawn-diagram") :], re.S)[0].replace("&nbsp;", " "))


def of_class(drawing: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [one for one in drawing.iter() if one.get("class") == name]


# The layout.


@st.composite
def drawings(draw) -> tuple[list[Box], list[Arrow]]:
    lines = draw(st.lists(st.integers(1, 5), min_size=1, max_size=12))
    boxes = [Box(f"t{place}", draw(st.integers(80, 300)), count) for place, count in enumerate(lines)]
    ends = st.sampled_from(boxes).flatmap(lambda box: st.tuples(st.just(box.name), st.integers(0, box.lines - 1)))
    return boxes, list(dict.fromkeys(Arrow(*draw(ends), *draw(ends)) for _ in range(draw(st.integers(0, 20)))))


@settings(max_examples=150, deadline=None)
@given(drawn=drawings())
def test_boxes_never_overlap_and_every_arrow_joins_its_two_lines(drawn):
    boxes, arrows = drawn
    found = layout(boxes, arrows)
    by_name = {box.name: box for box in boxes}
    for one, other in combinations(boxes, 2):
        (x1, y1), (x2, y2) = found.corners[one.name], found.corners[other.name]
        apart = x1 + one.width < x2 or x2 + other.width < x1 or y1 + one.height + GAP_Y - 2 <= y2 or y2 + other.height + GAP_Y - 2 <= y1
        assert apart, (one, other)
    for box in boxes:
        x, y = found.corners[box.name]
        assert 0 <= x <= found.width - box.width
        assert 0 <= y <= found.height - box.height
    for arrow, path in zip(arrows, found.paths, strict=True):
        numbers = [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?", path)]
        for name, line, (x, y) in ((arrow.source, arrow.source_line, numbers[:2]), (arrow.target, arrow.target_line, numbers[-2:])):
            left, top = found.corners[name]
            assert abs(y - (top + HEAD + LINE * line + LINE / 2)) <= 1
            assert x in (left, left + by_name[name].width)


def test_a_box_stands_left_of_those_that_it_refers_to():
    boxes = [Box(name, 100, 2) for name in "abc"]
    found = layout(boxes, [Arrow("a", 1, "b", 0), Arrow("b", 1, "c", 0), Arrow("a", 1, "c", 0)]).corners
    assert found["a"][0] < found["b"][0] < found["c"][0]


# The page.


def test_tables_are_drawn_with_their_references_and_links(console, kept):
    text = console.get(DIAGRAM)
    drawing = svg(text)
    boxes = of_class(drawing, "spawn-box")
    assert {box.get("href") for box in boxes} == {f"/console/tables/{name}/" for name in ("projects", "portfolios", "portfolio_projects")}
    said = next(box.get("aria-label") for box in boxes if box.get("data-table") == "portfolio_projects")
    assert said == (
        "portfolio_projects: 4 columns, key portfolio_id, project_id; "
        "portfolio_id refers to portfolios.portfolio_id; project_id refers to projects.project_id"
    )
    ends = {(arrow.get("data-from"), arrow.get("data-to")) for arrow in of_class(drawing, "spawn-arrow")}
    assert ends == {("portfolio_projects", "portfolios"), ("portfolio_projects", "projects")}
    assert "portfolio_projects.project_id" in text.partition('id="references"')[2]


def test_hostile_names_are_text_in_the_drawing(console, store):
    make_table("sites", [ID, {"name": SCRIPT, "type": "INTEGER", "references": "sites.id"}])
    text = console.get(DIAGRAM)
    assert SCRIPT not in text
    assert any(SCRIPT.startswith((one.text or "-").strip("…")) for one in svg(text).iter() if one.tag.endswith("text"))


def test_a_reference_that_leads_nowhere_is_said_in_words(console, store):
    make_table("sites", [ID, {"name": "owner", "type": "INTEGER", "references": "people.id"}])
    text = re.sub(r"<[^>]*>", " ", console.get(DIAGRAM))
    assert "people.id, which is not here" in text
    assert "Tables without references 1 sites" in " ".join(text.split())


def test_many_tables_are_narrowed_to_one_and_what_is_next_to_it(console, store):
    columns = [ID, {"name": "hub", "type": "INTEGER", "references": "hub.id"}]
    make_table("hub", [ID])
    for number in range(MOST + 10):
        make_table(f"spoke_{number:02}", columns)
    make_table("alone", [ID])
    text = console.get(DIAGRAM)
    assert len(of_class(svg(text), "spawn-box")) == MOST
    assert f"{MOST} of {MOST + 11} tables are drawn" in text
    assert '<a href="/console/tables/alone/">alone</a>' in text
    near = svg(console.get(f"{DIAGRAM}?q=SPOKE_69"))
    assert {box.get("data-table") for box in of_class(near, "spawn-box")} == {"hub", "spoke_69"}
    assert "No table whose name has “alone” refers to another" in console.get(f"{DIAGRAM}?q=alone")


def test_an_empty_diagram_says_what_to_do(console, store):
    assert "There is no table yet" in console.get(DIAGRAM)
    make_table("alone", [ID])
    assert "No table refers to another." in console.get(DIAGRAM)
