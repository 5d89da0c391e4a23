import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from schema_registry import snapshots
from schema_registry.errors import DocumentRefused, MockRefused, NoSnapshot, OntologyUnavailable, UnknownSchema, UnknownVersion
from schema_registry.models import Snapshot
from schema_registry.sources.native import parse_document
from tests.schema_registry.documents import client_of, column, save, table

pytestmark = pytest.mark.django_db

NOWHERE = "http://127.0.0.1:1"


def schema(*columns: dict, **more: object):
    return parse_document(table(*columns, **more), "doc")


def test_versions_are_numbered_and_kept():
    for columns in ([], [column("a")], [column("a"), column("b")]):
        snapshots.record(schema(*columns), table(*columns), provenance="live")
    assert [s.number for s in snapshots.versions("THINGS")] == [3, 2, 1]
    assert snapshots.latest("things").as_schema() == schema(column("a"), column("b"))
    assert snapshots.version("things", 2).as_schema() == schema(column("a"))
    with pytest.raises(UnknownVersion):
        snapshots.version("things", 10**30)
    with pytest.raises(NoSnapshot):
        snapshots.versions("nope")


def test_the_same_schema_is_seen_again_and_not_numbered_again():
    early = timezone.now() - timedelta(hours=1)
    first = snapshots.record(schema(), "{}", provenance="live", fetched_at=early)
    again = snapshots.record(schema(), "{ }", provenance="live")
    assert again.id == first.id
    assert again.fetched_at == early
    assert again.last_seen_at > early
    assert Snapshot.objects.count() == 1


def test_sources_do_not_confirm_each_other():
    for provenance in ("mock", "request", "live", "live"):
        snapshots.record(schema(), "{}", provenance=provenance)
    assert [(s.number, s.provenance) for s in snapshots.versions("things")] == [(3, "live"), (2, "request"), (1, "mock")]


@pytest.mark.django_db(transaction=True)
def test_threads_that_record_at_once_get_different_numbers():
    def work(number: int) -> None:
        snapshots.record(schema(column(f"c{number}")), "{}", provenance="live")
        connection.close()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(s.number for s in snapshots.versions("things")) == [1, 2, 3, 4]


def test_a_refresh_records_every_document(ontology, server):
    answer = snapshots.refresh(None, ontology)
    assert [(w.schema.name, w.provenance, w.age_seconds) for w in answer.wanted] == [("items", "live", 0.0), ("things", "live", 0.0)]
    assert answer.listed == ("item_schema", "thing_schema")
    assert (answer.refused, answer.orphaned, answer.shrunk) == ((), (), False)
    kept = snapshots.latest("things")
    assert (kept.number, kept.provenance, kept.document_id) == (1, "live", "thing_schema")
    assert kept.url == f"{server.url}/schemas/thing_schema"
    assert kept.etag


def test_a_second_refresh_records_nothing_new(ontology):
    snapshots.refresh(None, ontology)
    snapshots.refresh(None, ontology)
    assert Snapshot.objects.count() == 2


@pytest.mark.parametrize("name", ["things", "THINGS", "thing_schema"])
@pytest.mark.parametrize("known", [True, False])
def test_one_table_is_refreshed_by_its_name_or_its_documents_id(ontology, name, known):
    if known:
        snapshots.refresh(None, ontology)
    answer = snapshots.refresh([name], ontology)
    assert [w.schema.name for w in answer.wanted] == ["things"]
    assert snapshots.wanted(name, ontology).schema.name == "things"


def test_a_table_that_moved_to_another_document_is_found(ontology, folder):
    snapshots.refresh(None, ontology)
    (folder / "thing_schema.json").unlink()
    save(folder, "item_schema", table(name="things"))
    assert snapshots.wanted("things", ontology).schema.document_id == "item_schema"


def test_a_name_that_the_ontology_does_not_have_is_told_with_those_it_has(ontology):
    with pytest.raises(UnknownSchema, match="it has items, things"):
        snapshots.wanted("nope", ontology)


def test_a_broken_document_stops_no_other(ontology, folder):
    save(folder, "thing_schema", {"name": "things"})
    answer = snapshots.refresh(None, ontology)
    assert [w.schema.name for w in answer.wanted] == ["items"]
    assert [r.document_id for r in answer.refused] == ["thing_schema"]
    with pytest.raises(DocumentRefused):
        snapshots.wanted("things", ontology)


def test_two_documents_of_one_name_are_refused_even_when_one_is_asked_for(ontology, folder):
    snapshots.refresh(None, ontology)
    save(folder, "rival_schema", table(column("other"), name="Things"))
    answer = snapshots.refresh(["things"], ontology)
    assert answer.wanted == ()
    assert sorted(r.document_id for r in answer.refused) == ["rival_schema", "thing_schema"]
    assert Snapshot.objects.filter(table_key="things").count() == 1


def test_without_an_answer_the_last_good_snapshot_stands_marked_with_its_age(ontology):
    snapshots.refresh(None, ontology)
    Snapshot.objects.update(last_seen_at=timezone.now() - timedelta(hours=1))
    found = snapshots.wanted("things", client_of(NOWHERE))
    assert (found.schema.name, found.provenance) == ("things", "cached")
    assert 3600 <= found.age_seconds < 3700
    everything = snapshots.refresh_or_cached(None, client_of(NOWHERE))
    assert {w.schema.name for w in everything.wanted} == {"items", "things"}
    assert everything.unavailable is not None


def test_without_an_answer_and_without_a_snapshot_there_is_an_error(ontology):
    with pytest.raises(OntologyUnavailable):
        snapshots.wanted("things", client_of(NOWHERE))
    with pytest.raises(OntologyUnavailable):
        snapshots.refresh(None, client_of(NOWHERE))
    snapshots.record(schema(), "{}", provenance="mock")
    snapshots.record(schema(), "{}", provenance="request")
    with pytest.raises(OntologyUnavailable):
        snapshots.wanted("things", client_of(NOWHERE))


def test_a_document_that_went_is_an_orphan_and_its_snapshots_stay(ontology, folder):
    snapshots.refresh(None, ontology)
    (folder / "thing_schema.json").unlink()
    answer = snapshots.refresh(None, ontology)
    assert (answer.orphaned, answer.missing, answer.shrunk) == (("things",), ("thing_schema",), False)
    assert snapshots.latest("things") is not None


def test_a_renamed_table_leaves_its_old_name_an_orphan(ontology, folder):
    snapshots.refresh(None, ontology)
    save(folder, "thing_schema", table(name="objects"))
    assert snapshots.refresh(None, ontology).orphaned == ("things",)


def test_a_list_shorter_by_more_than_half_waits_for_a_person(ontology, folder):
    save(folder, "third_schema", table(name="thirds"))
    snapshots.refresh(None, ontology)
    for gone in ("thing_schema", "third_schema"):
        (folder / f"{gone}.json").unlink()
    save(folder, "item_schema", table(column("new"), name="items"))
    for _ in range(2):
        answer = snapshots.refresh(None, ontology)
        assert (answer.shrunk, answer.missing, answer.wanted) == (True, ("thing_schema", "third_schema"), ())
    assert snapshots.latest("items").number == 1
    accepted = snapshots.refresh(None, ontology, accept_shrunk=True)
    assert [w.snapshot.number for w in accepted.wanted] == [2]
    assert accepted.orphaned == ("things", "thirds")
    assert not snapshots.refresh(None, ontology).shrunk


def test_an_empty_list_is_no_answer(ontology, folder):
    snapshots.refresh(None, ontology)
    for file in folder.iterdir():
        file.unlink()
    with pytest.raises(OntologyUnavailable):
        snapshots.refresh(None, ontology)


def test_the_mock_gives_the_sample_tables():
    answer = snapshots.refresh(None, client_of(NOWHERE, use_mock=True))
    assert [(w.schema.name, w.provenance, w.snapshot.provenance) for w in answer.wanted] == [
        ("portfolio_projects", "mock", "mock"),
        ("portfolios", "mock", "mock"),
        ("projects", "mock", "mock"),
    ]


@pytest.mark.parametrize("real", ["live", "request"])
def test_the_mock_never_stands_over_a_real_schema(real):
    snapshots.record(schema(name="Projects"), "{}", provenance=real)
    mock = client_of(NOWHERE, use_mock=True)
    with pytest.raises(MockRefused):
        snapshots.wanted("projects", mock)
    answer = snapshots.refresh(None, mock)
    assert [r.document_id for r in answer.refused] == ["project_schema"]
    assert [w.schema.name for w in answer.wanted] == ["portfolio_projects", "portfolios"]
    assert snapshots.latest("projects").provenance == real


def test_a_real_schema_stands_over_the_mock(folder, ontology):
    snapshots.refresh(None, client_of(NOWHERE, use_mock=True, mock_folder=folder))
    snapshots.refresh(None, ontology)
    assert [(s.number, s.provenance) for s in snapshots.versions("things")] == [(2, "live"), (1, "mock")]
