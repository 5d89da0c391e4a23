"""The query page: runs by POST alone, shows the first rows or the error with its place, exports, and remembers for its owner alone."""

import csv
import io
import json
import re

import pyarrow.parquet as parquet
import pytest

from projects import query_history
from projects.models import AskedQuery
from projects.rows import create
from tests.projects.conftest import WIND_FARM, make_table
from tests.projects.signed import Person

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("roles")]

HERE = "/console/query/"
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def viewer(projects) -> Person:
    for name in ("Wind farm", SCRIPT):
        create(projects, "projects", {n: str(v) for n, v in WIND_FARM.items()} | {"project_name": name}, actor="ada")
    return Person("viewer")


def run(person: Person, sql: str, **more: str) -> str:
    return person.post(HERE, {"sql": sql, **more}, 200).content.decode()


def words(text: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


def test_a_query_shows_its_rows_as_text_with_their_number(viewer):
    text = run(viewer, "SELECT project_name, total_amount, description, [1, 2] AS list FROM projects ORDER BY 1")
    assert SCRIPT not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; 1250000.50 null [1,2]" in words(text)
    assert '<td class="spawn-number">1250000.50</td>' in text
    assert "2 rows. " in words(text)


def test_an_address_brings_a_query_and_does_not_run_it(viewer):
    text = viewer.get(f"{HERE}?sql=SELECT%201%20%2B%201%20AS%20{SCRIPT}")
    assert "SELECT 1 + 1 AS &lt;script&gt;" in text
    assert "<h2>Result</h2>" not in text
    assert not AskedQuery.objects.exists()


def test_a_long_result_is_cut_in_its_order_and_says_so(viewer):
    text = run(viewer, "SELECT i FROM range(100000) t(i) ORDER BY i DESC")
    assert "These are the first 500 rows. There are more" in words(text)
    assert re.findall(r'<td class="spawn-number">(\d+)</td>', text)[:500] == [str(n) for n in range(99_999, 99_499, -1)]
    assert "500 rows. " in words(run(viewer, "SELECT i FROM range(500) t(i)"))


def test_wide_cells_cut_a_result_before_its_rows_do(viewer):
    wide = ", ".join(f"repeat('x', 900) AS a{n}" for n in range(9))
    text = run(viewer, f"SELECT {wide}, repeat('y', 1900) AS b FROM range(500)")
    assert "These are the first 256 rows" in text
    assert len(text) < 5_000_000
    assert "y" * 1000 + "…" in text
    assert "y" * 1001 not in text


def test_parameters_stand_for_values(viewer):
    assert "1 row. " in words(run(viewer, "SELECT project_name FROM projects WHERE project_name = ?", params='["Wind farm"]'))
    for bad in ('{"a": 1}', "[1", '["\\ud800"]'):
        assert "The parameters are a JSON array" in run(viewer, "SELECT 1", params=bad)


@pytest.mark.parametrize(
    ("sql", "said", "place"),
    [
        ("SELECT 1\nFROM projects\nWHERE nme = 1", "nme", "Line 3, character 7."),
        ("SELECT 1\n  FORM projects x", "syntax error", "Line 2, character 8."),
        ("SELECT 1 +\n\n  sqrt('a')", "Could not convert", "Line 3, character 8."),
        ("DELETE FROM projects", "one SELECT statement", ""),
        ("SELECT * FROM duckdb_settings()", "duckdb_settings", ""),
        ("  ", "Write a SELECT first.", ""),
    ],
)
def test_an_error_is_said_in_words_with_its_place_where_that_is_known(viewer, sql, said, place):
    text = words(run(viewer, sql))
    assert said in text
    assert place in text
    assert bool(place) == ("Show it" in text)


def test_the_place_is_found_in_a_long_line_too(viewer):
    sql = "SELECT " + ", ".join(f"{n} AS column_{n}" for n in range(40)) + ", nme FROM projects"
    assert f"Line 1, character {sql.index('nme') + 1}." in words(run(viewer, sql))


@pytest.mark.parametrize("form", ["json", "ndjson", "csv", "parquet", "arrow"])
def test_all_rows_are_exported_in_every_format(viewer, form):
    answer = viewer.post(HERE, {"sql": "SELECT i FROM range(700) t(i)", "deed": "export", "format": form}, 200)
    content = b"".join(answer) if answer.streaming else answer.content
    assert answer["Content-Disposition"].startswith('attachment; filename="query.')
    if form == "json":
        assert len(json.loads(content)) == 700
    if form == "csv":
        assert len(list(csv.reader(io.StringIO(content.decode())))) == 701
    if form == "parquet":
        assert parquet.read_table(io.BytesIO(content)).num_rows == 700
    assert not AskedQuery.objects.exists()


def test_an_export_that_is_refused_is_the_page_with_the_reason(viewer, settings):
    settings.QUERY_MAX_ROWS = 10
    text = viewer.post(HERE, {"sql": "SELECT i FROM range(700) t(i)", "deed": "export", "format": "csv"}, 200).content.decode()
    assert "The result is larger than 10 rows" in text
    assert "range(700) t(i)</textarea>" in text


def test_what_was_asked_is_remembered_for_its_owner_alone_and_can_be_forgotten(viewer):
    other = Person("editor")
    run(viewer, f"SELECT '{SCRIPT}' AS secret")
    assert "failed" in run(viewer, "SELECT nothing")
    text = viewer.get(HERE)
    assert "#sql=SELECT%20nothing" in text
    assert SCRIPT not in text
    assert "SELECT nothing" not in other.get(HERE)
    other.post(HERE, {"deed": "clear"})
    assert query_history.of(viewer.user).count() == 2
    viewer.post(HERE, {"deed": "clear"})
    assert not AskedQuery.objects.exists()


def test_the_newest_two_hundred_are_kept_of_each_person(viewer):
    other = Person("editor")
    AskedQuery.objects.bulk_create(
        AskedQuery(user=person.user, sql=f"{n}", seconds=0, rows=1, ok=True) for n in range(205) for person in (viewer, other)
    )
    query_history.note(viewer.user, "last", seconds=0.1, rows=None)
    kept = [asked.sql for asked in query_history.of(viewer.user)]
    assert kept == ["last", *(str(n) for n in range(204, 5, -1))]
    assert query_history.of(other.user).count() == 205


def test_a_part_of_the_page_is_enough_for_htmx(viewer):
    text = run(viewer, "SELECT 1") and viewer.post(HERE, {"sql": "SELECT 42 AS n"}, 200, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in text
    assert ">42</td>" in text
    assert "csrfmiddlewaretoken" in text


def test_names_are_inserted_as_a_query_needs_them(store):
    make_table(
        "Größe", [{"name": "order", "type": "INTEGER", "required": True}, {"name": "plain", "type": "VARCHAR", "description": SCRIPT}]
    )
    viewer = Person("viewer")
    text = viewer.get(HERE)
    assert 'data-insert="&quot;Größe&quot;"' in text
    text = viewer.get(f"{HERE}?columns=Gr%C3%B6%C3%9Fe")
    assert 'data-insert="&quot;order&quot;"' in text
    assert 'data-insert="plain"' in text
    assert SCRIPT not in text
    viewer.get(f"{HERE}?columns=none", 404)
    assert run(viewer, 'SELECT "order" FROM "Größe"').count("<th") >= 1


def test_a_query_that_takes_too_long_is_stopped_in_words(viewer, settings):
    settings.QUERY_TIMEOUT = 0.3
    sql = "SELECT count(*) FROM range(100000000) a, range(10000) b WHERE (a.range + b.range) % 7 = 3"
    assert "did not end within 0.3 seconds" in run(viewer, sql)


def test_who_may_not_read_rows_has_no_query_page(viewer):
    viewer.user.groups.clear()
    assert viewer.client.get(HERE).status_code == 403
    assert viewer.client.post(HERE, {"sql": "SELECT 1"}).status_code == 403
    assert viewer.client.get(f"{HERE}?columns=projects").status_code == 403


def test_an_empty_history_and_no_tables_say_what_to_do(store):
    text = Person("viewer").get(HERE)
    assert "There is no table yet" in text
    assert "Nothing yet" in text
