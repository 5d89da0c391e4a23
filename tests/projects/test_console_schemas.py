"""The schemas in the console: the snapshots, two of them side by side, and fetching now."""

import re
from dataclasses import replace

import pytest
from django.contrib.auth.models import User
from hypothesis import given, settings
from hypothesis import strategies as st

from projects.console.comparison import compared, lines
from projects.models import Job
from schema_registry import snapshots
from tests.projects.conftest import sample
from tests.schema_registry.documents import column, parsed

pytestmark = pytest.mark.django_db

SCRIPT = "<script>alert(1)</script>"
SCHEMAS = "/console/schemas/"


def said(text: str) -> str:
    """A page's words without its tags."""
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


def listed(text: str) -> list[tuple[str, str]]:
    """The table and version of each line of the list."""
    body = text.partition('<table id="snapshots">')[2].partition("</table>")[0]
    return re.findall(r'schemas/(\w+)/\?from=(\d+)&amp;to=\d+"', body)


# The list.


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {("things", "1"), ("things", "2"), ("projects", "1")}),
        ("q=PROJECT_sch", {("projects", "1")}),
        ("table=things", {("things", "1"), ("things", "2")}),
        ("table=things&provenance=live", {("things", "2")}),
        ("provenance=mock", {("things", "1"), ("projects", "1")}),
        ("q=nowhere", set()),
    ],
)
def test_snapshots_can_be_searched_and_narrowed(console, query, found):
    snapshots.record(parsed(), "{}", provenance="mock")
    snapshots.record(parsed(column("more")), "{}", provenance="live")
    snapshots.record(sample("project_schema"), "{}", provenance="mock")
    assert set(listed(console.get(f"{SCHEMAS}?{query}"))) == found


def test_an_empty_list_says_how_schemas_come_about(console):
    assert "No schema was fetched yet" in console.get(SCHEMAS)


def test_the_version_that_a_table_has_is_told(console, kept):
    snapshots.record(kept.table("projects").schema, "{}", provenance="mock")
    assert "mock the table has it" in said(console.get(SCHEMAS))


def test_where_schemas_come_from_is_told(console, turbines):
    text = said(console.get(SCHEMAS))
    assert f"The ontology server at {turbines.url} last listed 2 documents" in text


# Fetching.


@pytest.mark.parametrize(("deed", "dry_run"), [("sync", False), ("look", True)])
def test_fetching_now_is_one_job_however_often_it_is_clicked(console, deed, dry_run):
    user = console.enter("steward")
    answers = {console.post(SCHEMAS, {"deed": deed}).headers["Location"] for _ in range(2)}
    job = Job.objects.get()
    assert answers == {f"/console/jobs/{job.pk}/"}
    assert (job.kind, job.inputs, job.created_by) == ("sync", {"names": [], "dry_run": dry_run}, user)


def test_a_viewer_cannot_fetch(console):
    assert "Fetch now" not in console.get(SCHEMAS)
    assert console.post(SCHEMAS, {"deed": "sync"}).status_code == 403
    assert not Job.objects.exists()


def test_only_those_who_may_read_rows_see_schemas(client, roles):
    snapshots.record(parsed(), "{}", provenance="live")
    client.force_login(User.objects.create_user("nobody", is_staff=True))
    for address in (SCHEMAS, f"{SCHEMAS}things/"):
        assert client.get(address).status_code == 403


# Side by side.


def test_one_snapshot_is_shown_whole_and_everything_is_escaped(console):
    schema = parsed(column(SCRIPT, description=SCRIPT, enum=["a", SCRIPT], unit=SCRIPT))
    snapshots.record(schema, '{"note": "<script>alert(1)</script>", "n": 1.10}', provenance="live", url=SCRIPT)
    text = console.schema("things")
    assert SCRIPT not in text
    assert text.count("&lt;script&gt;") >= 5
    assert "1.10" in text


def test_each_change_is_told_with_its_class_in_words(console):
    old = parsed(column("size", unit="kW", type="DOUBLE"), column("gone"), column("note", description=SCRIPT))
    new = parsed(column("size", unit="W", type="DOUBLE"), column("note", required=True), column("fresh"))
    snapshots.record(old, {"a": 1, "b": SCRIPT}, provenance="live")
    snapshots.record(new, {"a": 2, "b": SCRIPT}, provenance="live")
    text = console.get(f"{SCHEMAS}things/?from=1&to=2")
    words = said(text)
    assert SCRIPT not in text
    assert "changed meaning Change the unit of size from kW to W. size DOUBLE" in words
    assert "dropped destructive Drop the column gone (VARCHAR) with all its values." in words
    assert "added additive Add the column fresh (VARCHAR). not there yet fresh VARCHAR" in words
    assert "<del>unit kW</del>" in text
    assert "<ins>unit W</ins>" in text
    assert "<ins>required</ins>" in text
    assert "1 strengthening" in words
    assert "not there yet" in said(console.get(f"{SCHEMAS}things/?from=2&to=1"))


def test_without_a_choice_the_tables_version_stands_beside_the_newest(console, kept):
    live = kept.table("projects").schema
    for number in (1, 2, 3):
        snapshots.record(replace(live, description=f"As of {number}."), {"n": number}, provenance="live")
    assert "From version 1 to 3" in console.schema("projects")


@pytest.mark.parametrize("query", ["from=9", "to=0", "from=x", "to=%C2%B2", "from=1&to=99999999999999999999"])
def test_a_version_that_is_not_there_is_not_found(console, query):
    snapshots.record(parsed(), "{}", provenance="live")
    assert console.client.get(f"{SCHEMAS}things/?{query}").status_code == 404
    assert console.client.get(f"{SCHEMAS}nothing/").status_code == 404


def test_dropped_columns_stand_where_they_stood():
    old, new = parsed(column("a"), column("b"), column("c"), column("d")), parsed(column("x"), column("c"), column("e"))
    found = [(one.after or one.before).name + {"added": "+", "dropped": "-"}.get(one.state, "") for one in compared(old, new).columns]
    assert found == ["id", "a-", "b-", "x+", "c", "d-", "e+"]


TEXTS = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=12)


@settings(max_examples=60, deadline=None)
@given(before=TEXTS, after=TEXTS)
def test_lines_side_by_side_tell_both_texts(before, after):
    found, more = lines("\n".join(before), "\n".join(after))
    assert more == 0
    left, right = "\n".join(before).split("\n"), "\n".join(after).split("\n")
    for line in found:
        if line.number_before:
            assert left[line.number_before - 1] == line.before
        if line.number_after:
            assert right[line.number_after - 1] == line.after
        assert (line.state == "same") == (line.number_before is not None and line.number_after is not None and line.before == line.after)
    assert (found == []) == (left == right)
    shown = [line.number_before for line in found if line.number_before]
    assert len(shown) + sum(line.hidden for line in found) == max(shown, default=0)
