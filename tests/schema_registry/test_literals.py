import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema_registry import documents
from schema_registry.literals import BadLiteral, cell, items, ordered
from schema_registry.types import parse_type


def typed(text: str):
    return parse_type(text).type


@pytest.mark.parametrize(
    ("kind", "text", "wanted"),
    [
        ("INTEGER", "5", "5"),
        ("INTEGER", "5.0", "5"),
        ("HUGEINT", "170141183460469231731687303715884105727", "170141183460469231731687303715884105727"),
        ("BIGINT", '"9223372036854775807"', "9223372036854775807"),
        ("DECIMAL(20,2)", "1.5", "1.50"),
        ("DECIMAL(38,10)", "1234567890123456789012345678.0123456789", "1234567890123456789012345678.0123456789"),
        ("DECIMAL(5,2)", "-0.0", "0.00"),
        ("DECIMAL(5,2)", "1e2", "100.00"),
        ("DOUBLE", "0.1", "0.1"),
        ("DOUBLE", "1e20", "1e+20"),
        ("BOOLEAN", "true", "true"),
        ("VARCHAR", '""', ""),
        ("UUID", '"AAAAAAAA-AAAA-4AAA-8AAA-AAAAAAAAAAAA"', "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"),
        ("DATE", '"2024-02-29"', "2024-02-29"),
        ("TIME", '"12:30"', "12:30:00"),
        ("TIME", '"12:30:00.500"', "12:30:00.5"),
        ("TIMESTAMP", '"2024-01-31"', "2024-01-31T00:00:00Z"),
        ("TIMESTAMP", '"2024-01-31 12:00:00"', "2024-01-31T12:00:00Z"),
        ("TIMESTAMPTZ", '"2024-01-31T12:00:00.25+02:00"', "2024-01-31T10:00:00.25Z"),
        ("BLOB", '"AAE="', "AAE="),
        ("JSON", '{"a": [1.10, "é"]}', '{"a":[1.10,"é"]}'),
    ],
)
def test_a_literal_has_one_text(kind, text, wanted):
    assert cell(typed(kind), documents.read(text)) == wanted


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("INTEGER", True),
        ("INTEGER", "five"),
        ("INTEGER", Decimal("1.5")),
        ("TINYINT", 128),
        ("UTINYINT", -1),
        ("INTEGER", Decimal("1e4000")),
        ("INTEGER", float("nan")),
        ("DECIMAL(5,2)", Decimal("1.234")),
        ("DECIMAL(5,2)", 1000),
        ("DECIMAL(5,2)", Decimal("1e4000")),
        ("DECIMAL(5,2)", Decimal("1e-4000")),
        ("DOUBLE", Decimal("1e400")),
        ("FLOAT", Decimal("1e39")),
        ("DOUBLE", float("inf")),
        ("BOOLEAN", "true"),
        ("BOOLEAN", 1),
        ("VARCHAR", 5),
        ("UUID", "x"),
        ("DATE", "2023-02-29"),
        ("DATE", "20240101"),
        ("DATE", "0000-01-01"),
        ("TIME", "25:00:00"),
        ("TIMESTAMP", "now"),
        ("TIMESTAMP", "2024-01-01T00:00:00.1234567Z"),
        ("TIMESTAMPTZ", "0001-01-01T00:00:00+14:00"),
        ("BLOB", "not base64!"),
        ("JSON", float("nan")),
        ("VARCHAR", None),
    ],
)
def test_what_is_none_of_the_type_is_refused_with_a_reason(kind, value):
    with pytest.raises(BadLiteral) as refusal:
        cell(typed(kind), value)
    assert str(refusal.value)


def test_a_lists_literal_is_a_json_array():
    text = cell(typed("DECIMAL(5,2)"), [1, Decimal("2.5")], multivalued=True)
    assert text == '["1.00","2.50"]'
    assert items(typed("DECIMAL(5,2)"), text, multivalued=True) == ["1.00", "2.50"]
    assert cell(typed("VARCHAR"), ['a"', "b"], multivalued=True) == '["a\\"","b"]'


def test_times_compare_by_moment_and_not_by_text():
    kind = typed("TIMESTAMP")
    assert ordered(kind, "2024-01-01T12:00:00Z") < ordered(kind, "2024-01-01T12:00:00.5Z")


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-999, max_value=999))
def test_a_decimal_keeps_its_digits(value):
    text = cell(typed("DECIMAL(5,2)"), value)
    assert Decimal(text) == value
    assert cell(typed("DECIMAL(5,2)"), text) == text


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"a":1,"a":2}', "NaN", "1e99999999999999999999", "1" * 5000, "\ufeff1", b"\xff"])
def test_text_that_is_no_json_document_is_refused(text):
    with pytest.raises(documents.NotJson):
        documents.read(text)


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=6
)


@given(_values)
def test_a_written_document_reads_back_the_same(value):
    assert json.loads(documents.write(value)) == value
    assert json.loads(documents.pretty(value)) == value


def test_a_number_is_written_with_the_digits_it_was_read_with():
    assert documents.write(documents.read("[1.10, 1E+5, 100000000000000000000.01]")) == "[1.10,1E+5,100000000000000000000.01]"
