"""Renames that are only suggested: names that look alike, of columns whose types are kindred."""

from schema_registry.similarity import Suggestion, suggestions
from schema_registry.sources.native import parse_document


def schema(**columns: str):
    listed = [{"name": "id", "type": "INTEGER"}, *({"name": name, "type": kind} for name, kind in columns.items())]
    return parse_document({"name": "t", "columns": listed}, "t")


def test_a_name_that_looks_like_one_that_goes_is_suggested() -> None:
    assert suggestions(schema(dep_delay="INTEGER"), schema(departure_delay="BIGINT")) == [Suggestion("departure_delay", "dep_delay", 0.73)]
    assert suggestions(schema(dest="VARCHAR"), schema(destination="VARCHAR")) == [Suggestion("destination", "dest", 0.6)]


def test_what_is_nothing_alike_or_of_another_kind_is_not() -> None:
    assert suggestions(schema(colour="VARCHAR"), schema(weight="VARCHAR")) == []
    assert suggestions(schema(amount="VARCHAR"), schema(amounts="INTEGER")) == []
    assert suggestions(schema(amount="INTEGER"), schema(amounts="INTEGER[]")) == []


def test_what_is_a_rename_already_or_stays_is_not_suggested() -> None:
    assert suggestions(schema(amount="INTEGER"), schema(amount="INTEGER", amounts="INTEGER")) == []


def test_each_column_is_suggested_once_and_the_likeliest_first() -> None:
    found = suggestions(schema(name_1="VARCHAR", name_2="VARCHAR"), schema(name1="VARCHAR", name22="VARCHAR"))
    assert [(s.column, s.renamed_from) for s in found] == [("name1", "name_1"), ("name22", "name_2")]
