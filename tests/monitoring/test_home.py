"""The console's first page: what waits for whom, and how the service is."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from monitoring.models import Sample
from projects import one_table, rows
from projects.models import Job, Plan
from schema_registry import audit, snapshots
from schema_registry.models import Snapshot
from tests.conftest import user_with_role
from tests.projects.conftest import by_hand, make_table, projects, store  # noqa: F401 - Fixtures.
from tests.schema_registry.test_audit import tamper

pytestmark = pytest.mark.django_db


@pytest.fixture
def home(client, roles):
    """The page as somebody with the role sees it."""

    def see(role: str, query: str = "") -> str:
        client.force_login(User.objects.filter(username=role).first() or user_with_role(role))
        answer = client.get(f"/console/{query}")
        assert answer.status_code == 200
        return answer.content.decode()

    return see


@pytest.fixture
def in_step(settings, projects):  # noqa: F811
    """The sample tables, and an ontology server that said just that a moment ago."""
    settings.USE_MOCK_ONTO_SERVER = False
    for table in projects.tables():
        snapshots.record(table.schema, {}, provenance="live")
    one_table.reconcile(projects)
    return projects


def waiting(text: str) -> list[str]:
    """What the page says waits, each in words."""
    lines = re.findall(r'<a href="[^"]*">(.*?)</a></li>', text[text.index('id="waiting"') : text.index("</section>")], re.S)
    return [unescape(" ".join(re.sub("<[^>]*>", "", line).split())) for line in lines]


def test_nothing_waits_where_all_is_well(home, in_step):
    for role in ("viewer", "editor", "steward", "operator"):
        assert "Nothing waits for you." in home(role), role


def test_a_steward_sees_plans_and_drift_and_a_viewer_does_not(home, in_step, by_hand):  # noqa: F811
    for state in ("proposed", "proposed", "approved", "applied"):
        Plan.objects.create(table="projects", state=state)
    by_hand("ALTER TABLE portfolios ADD COLUMN extra INTEGER", "DROP TABLE portfolio_projects", "CREATE TABLE stranger (i INTEGER)")
    assert waiting(home("steward")) == [
        "2 plans waiting for a decision",
        "1 plan approved and not applied",
        "1 table altered by hand",
        "1 table missing from the file",
        "1 table in the file that nobody here made",
    ]
    assert waiting(home("viewer")) == []


def test_a_table_that_is_behind_waits_once(home, in_step):
    wider = make_table("things", [{"name": "id", "type": "INTEGER", "required": True}])
    Snapshot.objects.filter(table_name="projects").update(fingerprint="other", schema=wider.as_json() | {"name": "projects"})
    assert waiting(home("steward")) == ["1 table behind the ontology, with no plan yet"]
    Plan.objects.create(table="projects", state="proposed")
    assert waiting(home("steward")) == ["1 plan waiting for a decision"]


def test_people_see_their_own_failed_jobs_and_operators_all(home, in_step):
    home("editor")
    editor, now = User.objects.get(username="editor"), timezone.now()
    for maker, age in ((editor, 0), (None, 0), (None, 2)):
        Job.objects.create(kind="load", state="failed", created_by=maker, finished_at=now - timedelta(days=age))
    assert waiting(home("editor")) == ["1 job failed since yesterday"]
    assert waiting(home("operator")) == ["2 jobs failed since yesterday"]
    assert waiting(home("viewer")) == []


def test_a_source_that_cannot_be_relied_on_is_said(home, in_step, settings):
    Snapshot.objects.update(last_seen_at=timezone.now() - timedelta(days=3))
    assert waiting(home("steward")) == ["The ontology server was last asked for its schemas 3 days ago."]
    Sample.objects.create(at=timezone.now(), seconds=60, troubles={"onto_server": "It does not answer.", "memory": "97 % used"})
    assert waiting(home("steward")) == ["It does not answer."]
    assert waiting(home("operator")) == ["It does not answer.", "Memory: 97 % used"]
    settings.USE_MOCK_ONTO_SERVER = True
    assert waiting(home("steward")) == ["The sample ontology stands in for an ontology server."]
    assert waiting(home("editor")) == []


def test_a_broken_audit_chain_is_said_to_those_who_may_read_it(home, in_step):
    for number in range(3):
        audit.append("table.create", f"table {number}", actor="ada")
    assert waiting(home("steward")) == []
    tamper("actor = 'eve' WHERE seq = 2")
    assert waiting(home("operator")) == ["The audit log's chain is broken: entry 2 was changed."]
    assert waiting(home("viewer")) == []


# How the service is.


def titles(text: str) -> list[str]:
    return re.findall(r'<h3 id="chart-\d+">(.*?)</h3>', text)


def test_there_are_no_charts_before_there_are_samples(home, in_step):
    text = home("operator")
    assert titles(text) == []
    assert "There are no samples of this time yet." in text


def test_each_role_sees_the_charts_that_it_may(home, in_step):
    Sample.objects.create(at=timezone.now(), seconds=60, requests=7)
    for_all = ["Rows written", "Ontology server", "Rows in all tables", "File on disk"]
    assert titles(home("viewer")) == titles(home("steward")) == for_all
    assert set(titles(home("operator"))) == {*for_all, "Requests", "Write latency", "DuckDB&#x27;s memory", "Write-ahead log"}


def test_a_chart_says_in_words_what_its_lines_show(home, in_step):
    now = timezone.now()
    for minutes, seconds, answered in ((30, 0.2, 1), (20, 0.4, 1), (1, 0.0, 0)):
        figures = {"requests": 500, "errors": 1, "commits": 100, "commit_seconds": seconds, "wal_bytes": 1_500_000}
        source = {"source_asked": 1, "source_answered": answered, "source_seconds": 0.003 * answered}
        Sample.objects.create(at=now - timedelta(minutes=minutes), seconds=60, **figures, **source)
    text = home("operator")
    assert "1,500 requests. 0 refused. 3 errors." in text
    assert "Last 4.0 ms, at most 4.0 ms." in text
    assert "It answered 2 of 3 times. Last 3.0 ms, at most 3.0 ms." in text
    assert "Last 1.5 MB, at most 1.5 MB." in text
    assert text.count('data-value="500') == 3
    assert "Each point is what was counted in 2 minutes" in text
    assert "in 2 minutes" in home("operator", "?span=nonsense")


def test_a_chart_begins_with_the_first_sample_of_its_span(home, in_step):
    now = timezone.now()
    Sample.objects.create(at=now - timedelta(hours=12), seconds=60, requests=1)
    Sample.objects.create(at=now - timedelta(minutes=20), seconds=60, requests=10)
    Sample.objects.create(at=now, seconds=60, requests=100)
    hour, day = home("operator"), home("operator", "?span=day")
    assert ("in 2 minutes" in hour, "110 requests." in hour) == (True, True)
    assert ("in 12 minutes" in day, "111 requests." in day) == (True, True)


def test_the_ten_largest_of_many_tables_are_shown(home, store):  # noqa: F811
    for number in range(12):
        make_table(f"t{number}", [{"name": "id", "type": "INTEGER", "required": True}])
    rows.create(store, "t11", {"id": 1}, actor="ada")
    text = home("viewer")
    assert "The 10 largest of 12 tables" in text
    shown = re.findall(r'<th scope="row"><a href="/console/tables/(\w+)/">', text)
    assert len(shown) == 10
    assert shown[0] == "t11"


def test_an_empty_service_says_what_to_do_first(home, store):  # noqa: F811
    assert "There is no table yet." in home("viewer")
    assert '<a href="/console/schemas/">Fetch the schemas</a>' in home("steward")


def test_a_file_that_another_process_holds_is_said_in_words(home, settings):
    settings.DUCKDB_PATH.write_bytes(b"no DuckDB file at all, but long enough to look like one" * 100)
    assert waiting(home("viewer"))[0].startswith("DuckDB cannot be read now.")


def test_a_sync_that_could_not_do_every_table_is_said(home, in_step):
    job = Job.objects.create(kind="sync", state="done", result={"failed": True}, finished_at=timezone.now())
    assert waiting(home("steward")) == ["The last sync could not do every table."]
    assert f"/console/jobs/{job.id}/" in home("steward")
    assert waiting(home("operator")) == []
    Job.objects.create(kind="sync", state="done", result={"failed": False}, finished_at=timezone.now())
    assert waiting(home("steward")) == []
