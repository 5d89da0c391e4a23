"""What a person gives for rows in the way: a constant, an expression, a mapping, a factor; and what is not taken."""

from decimal import Decimal
from typing import Any

import pytest
from rest_framework.test import APIClient

from projects.store.connection import Store
from schema_registry.models import AuditEntry
from tests.projects.ontology import FIRST, SECOND, TURBINES, Ontology, catalogue, everything, send, table, with_column
from tests.projects.planning import act, bring, carry_out, propose, rows_of, sampled

pytestmark = pytest.mark.django_db

COLOUR = with_column(TURBINES, "colour", type="VARCHAR(5)", required=True)
WATTS = with_column(TURBINES, "power", unit="W", maximum=1_000_000)


def column(client: APIClient, name: str) -> list[Any]:
    return [row[name] for row in rows_of(client)]


def refused(client: APIClient, inputs: object) -> list[tuple[str, str]]:
    """What is said of each input that is refused; no plan is kept then."""
    answer = propose(client, inputs, status=422)
    assert (answer["code"], client.get("/admin/plans").json()) == ("inputs-refused", [])
    return [(one["pointer"], one["detail"]) for one in answer["errors"]]


# A constant.


def test_a_constant_is_for_the_rows_in_the_way_and_not_for_new_ones(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    turbines.say(COLOUR)
    assert bring(steward_client, status=202)["steps"][0]["needs"] == "a constant or an expression for colour"
    plan = propose(steward_client, {"Colour": {"constant": "it's"}})
    assert (plan["inputs"], plan["steps"][0]["rows_in_the_way"]) == ({"colour": {"constant": "it's"}}, 0)
    carry_out(steward_client, plan)
    assert column(steward_client, "colour") == ["it's", "it's"]
    assert catalogue(store)["colour"][1:3] in ((False, None), (False, "NULL"))
    assert send(steward_client, "post", "/ops/turbines", {"id": 3, "price": 1}).status_code == 422


def test_a_constant_leaves_the_values_that_are_in_nobodys_way(turbines: Ontology, steward_client: APIClient) -> None:
    send(steward_client, "post", "/ops/turbines", {"id": 3, "price": 1, "power": 160})
    send(steward_client, "post", "/ops/turbines", {"id": 4, "price": 1, "power": None})
    turbines.say(with_column(TURBINES, "power", minimum=150, required=True))
    waiting = bring(steward_client, status=202)
    assert {step["change"]: sampled(step) for step in waiting["steps"]} == {
        "set_required": [("4", None, None)],
        "change_bounds": [("1", "100", "100")],
    }
    done = carry_out(steward_client, propose(steward_client, {"power": {"constant": 151}}))
    assert column(steward_client, "power") == [151, 200, 160, 151]
    assert done["outcome"]["archive"]["rows"] == 2
    act(steward_client, done, "undo")
    assert column(steward_client, "power") == [100, 200, 160, None]


def test_a_constant_has_every_digit(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    digits = "12345678901234567890123456789.123456789"
    turbines.say(with_column(TURBINES, "budget", type="DECIMAL(38,9)", required=True))
    answer = send(steward_client, "post", "/admin/plans", f'{{"table": "turbines", "inputs": {{"budget": {{"constant": {digits}}}}}}}')
    assert answer.status_code == 201
    carry_out(steward_client, answer.json())
    assert store.connection().execute("SELECT DISTINCT budget FROM turbines").fetchall() == [(Decimal(digits),)]


def test_a_constant_for_a_unique_column_is_in_its_own_way(turbines: Ontology, steward_client: APIClient) -> None:
    turbines.say(with_column(TURBINES, "serial", required=True))
    plan = propose(steward_client, {"serial": {"constant": 7}})
    (step,) = plan["steps"]
    assert (step["rows_in_the_way"], sampled(step)) == (2, [("1", "7", "7"), ("2", None, "7")])
    assert step["needs"] == "values of serial that differ from row to row"
    assert act(steward_client, plan, "approve", status=409)["code"] == "rows-in-the-way"
    assert carry_out(steward_client, propose(steward_client, {"serial": {"constant": 8}}))["state"] == "applied"
    assert column(steward_client, "serial") == [7, 8]


# An expression.


def test_an_expression_is_computed_for_each_row_in_the_way(turbines: Ontology, steward_client: APIClient) -> None:
    turbines.say(with_column(COLOUR, "code", required=True))
    given = {
        "colour": {"expression": "CASE status WHEN 'OLD' THEN 'grey' ELSE left(code, 2) END"},
        "code": {"expression": "lower(status) || id"},
    }
    carry_out(steward_client, propose(steward_client, given))
    assert (column(steward_client, "colour"), column(steward_client, "code")) == (["ab", "grey"], ["abc", "old2"])


@pytest.mark.parametrize(
    ("expression", "shown"),
    [("code", None), ("code || ' is long'", None), ("'much too long'", "much too long"), ("NULL", None)],
    ids=["null for a row", "null out of null", "breaks a rule", "null for all"],
)
def test_a_row_for_which_an_expression_has_no_good_value_stays_in_the_way(
    turbines: Ontology, steward_client: APIClient, expression: str, shown: str | None
) -> None:
    turbines.say(COLOUR)
    plan = propose(steward_client, {"colour": {"expression": expression}})
    assert sampled(plan["steps"][0])[-1] == ("2", None, shown)
    assert act(steward_client, plan, "apply", status=409)["code"] == "rows-in-the-way"


@pytest.mark.parametrize("expression", ["code::INTEGER", "1 / (id - 2)::INTEGER", "code::DATE - DATE '2026-01-01'"])
def test_an_expression_that_fails_for_a_row_gives_it_no_value(turbines: Ontology, steward_client: APIClient, expression: str) -> None:
    turbines.say(with_column(TURBINES, "rank", type="INTEGER", required=True))
    plan = propose(steward_client, {"rank": {"expression": expression}})
    assert {becomes for _, _, becomes in sampled(plan["steps"][0])} == {None}
    assert act(steward_client, plan, "approve", status=409)["code"] == "rows-in-the-way"


RULED = with_column(with_column(TURBINES, "code", pattern="^[a-z]+$"), "power", minimum=10)


@pytest.mark.parametrize(
    ("document", "name", "expression", "becomes"),
    [
        (with_column(RULED, "code", required=True), "code", "'B' || id", "B2"),
        (with_column(RULED, "code", required=True), "code", "'toolong'", "toolong"),
        (with_column(RULED, "power", maximum=150), "power", "power / 100", "2"),
        (with_column(RULED, "status", enum=["NEW"]), "status", "'NEWER'", "NEWER"),
        (with_column(RULED, "status", enum=["NEW"]), "status", "NULL", None),
    ],
    ids=["a pattern", "a length", "a bound", "an enum", "a required value"],
)
def test_what_an_expression_gives_keeps_the_rules_that_stay_as_they_are(
    ontology: Ontology, store: Store, steward_client: APIClient, document: dict, name: str, expression: str, becomes: str | None
) -> None:
    ontology.say(RULED)
    send(steward_client, "post", "/ops/initialize")
    for row in (FIRST, SECOND):
        assert send(steward_client, "post", "/ops/turbines", row).status_code == 201
    ontology.say(document)
    before = everything(steward_client, store)
    plan = propose(steward_client, {name: {"expression": expression}})
    assert [(key, one) for key, _, one in sampled(plan["steps"][0])] == [("2", becomes)]
    assert act(steward_client, plan, "apply", status=409)["code"] == "rows-in-the-way"
    assert everything(steward_client, store) == before


NOT_EXPRESSIONS = [
    *("(SELECT 1)", "SELECT 1", "FROM turbines", "VALUES (1)", "TABLE turbines", "WITH x AS (SELECT 1) SELECT * FROM x"),
    *("(SELECT max(power) FROM turbines)", "(FROM sites)", "EXISTS (SELECT 1)", "power IN (SELECT 1)", "1 UNION SELECT 2"),
    *("read_csv('x')", "read_text('/etc/passwd')", "unnest([1, 2])", "query('SELECT 1')"),
    *("max(power)", "count(*)", "any_value(power)", "string_agg(code)", "sum(power) OVER ()", "row_number() OVER ()", "lag(power)"),
    *("nosuch(power)", "getenv('HOME')", "current_setting('threads')", "nextval('x')", "random()", "uuid()", "version()"),
    *("colour", "nonsense", '"old id"', "turbines.power", "main.turbines.power", "turbines", "sites.name", "a.power"),
    *("*", "COLUMNS(*)", "?", "$1", "#1", "power::turbines", "power AS x", "power x", "power ORDER BY 1", "1, 2", "CASE WHEN"),
    *("1) FROM x --", "1); DROP TABLE turbines; --", ")(", "(", ")", "]", "1; SELECT 2", "1;", ";"),
    *("1 -- x", "1 /* x */", "1 /* x", "-- x\n1", "'abc", '"abc', "$$abc", "a\0b", "", "  ", 7, None, ["1"], {"sql": "1"}),
]


def test_what_is_no_scalar_expression_over_the_row_is_refused(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    turbines.say(COLOUR)
    before = everything(steward_client, store)
    for expression in NOT_EXPRESSIONS:
        ((pointer, why),) = refused(steward_client, {"colour": {"expression": expression}})
        assert (pointer, bool(why)) == ("/inputs/colour", True), expression
    assert everything(steward_client, store) == before


@pytest.mark.thinned(2)
@pytest.mark.parametrize("expression", ["'--' || code", "'/*'", "'1) FROM x --'", "[id, power][1]::VARCHAR", "t.status", "$$;$$", "'\\'"])
def test_what_only_looks_dangerous_is_an_expression(turbines: Ontology, steward_client: APIClient, expression: str) -> None:
    turbines.say(with_column(TURBINES, "colour", type="VARCHAR"))
    bring(steward_client)
    turbines.say(with_column(TURBINES, "colour", type="VARCHAR", pattern="^x"))
    assert propose(steward_client, {"colour": {"expression": expression}})["steps"][0]["rows_in_the_way"] == 0


# A mapping.


def test_a_mapping_is_for_the_values_that_it_names(turbines: Ontology, steward_client: APIClient) -> None:
    wider = with_column(TURBINES, "status", enum=["NEW", "OLD", "GONE", "LOST"])
    turbines.say(wider)
    bring(steward_client)
    for number, status in enumerate(("GONE", "LOST", "NEW"), 3):
        send(steward_client, "post", "/ops/turbines", {"id": number, "price": 1, "status": status})
    turbines.say(with_column(wider, "status", enum=["NEW", "AWAY"]))
    plan = propose(steward_client, {"status": {"mapping": {"GONE": "AWAY", "OLD": "NEW"}}})
    found = {(step["change"], step["before"]): sampled(step) for step in plan["steps"]}
    assert found == {
        ("remove_enum_value", "OLD"): [],
        ("remove_enum_value", "GONE"): [],
        ("remove_enum_value", "LOST"): [("4", "LOST", "LOST")],
        ("add_enum_value", None): [],
    }
    assert plan["steps"][2]["needs"] == "a mapping for status: what becomes of LOST"
    assert act(steward_client, plan, "approve", status=409)["code"] == "rows-in-the-way"
    plan = propose(steward_client, {"status": {"mapping": {"GONE": "AWAY", "OLD": "NEW", "LOST": "AWAY", "NEVER": "NEW"}}})
    done = carry_out(steward_client, plan)
    assert column(steward_client, "status") == ["NEW", "NEW", "AWAY", "AWAY", "NEW"]
    act(steward_client, done, "undo")
    assert column(steward_client, "status") == ["NEW", "OLD", "GONE", "LOST", "NEW"]


def test_a_mapping_goes_with_a_cast(turbines: Ontology, steward_client: APIClient) -> None:
    send(steward_client, "patch", "/ops/turbines/2", {"code": "12"})
    turbines.say(with_column(TURBINES, "code", type="INTEGER"))
    done = carry_out(steward_client, propose(steward_client, {"code": {"mapping": {"abc": -1}}}))
    assert column(steward_client, "code") == [-1, 12]
    act(steward_client, done, "undo")
    assert column(steward_client, "code") == ["abc", "12"]


def test_a_mapping_to_null_empties_an_optional_column(turbines: Ontology, steward_client: APIClient) -> None:
    turbines.say(with_column(TURBINES, "code", enum=["x"]))
    carry_out(steward_client, propose(steward_client, {"code": {"mapping": {"abc": None}}}))
    assert column(steward_client, "code") == [None, None]


@pytest.mark.parametrize("spelt", ["12.5", "12.50", "12.500", "+12.5"])
def test_a_mapping_of_numbers_is_by_value(turbines: Ontology, steward_client: APIClient, spelt: str) -> None:
    turbines.say(with_column(TURBINES, "price", maximum=10))
    if spelt.startswith("+"):
        assert refused(steward_client, {"price": {"mapping": {spelt: 10}}})[0][0] == "/inputs/price"
        return
    carry_out(steward_client, propose(steward_client, {"price": {"mapping": {spelt: 10}}}))
    assert column(steward_client, "price") == [10, 0.25]


# A factor and an offset.

UNITS = {
    "kW to W": ("INTEGER", [100, -3, None], {"factor": 1000}, [100_000, -3000, None], []),
    "minutes to hours": ("DECIMAL(10,4)", [90, 1, 45], {"factor": "1/60"}, [1.5, 0.0167, 0.75], ["1"]),
    "minutes to whole hours": ("INTEGER", [90, 120, -90], {"factor": "1/60"}, [2, 2, -2], ["0", "2"]),
    "Celsius to Kelvin": ("DECIMAL(10,2)", [0, 20, -273], {"offset": 273.15}, [273.15, 293.15, 0.15], []),
    "Fahrenheit to Celsius": ("DOUBLE", [212, 32, -40], {"factor": "5/9", "offset": "-160/9"}, [100.0, 0.0, -40.0], []),
    "too large": ("TINYINT", [1, 2, None], {"factor": 100}, [100, None, None], ["1"]),
}


@pytest.mark.thinned(2)
@pytest.mark.parametrize("case", UNITS)
def test_a_factor_is_for_every_row_and_what_it_rounds_is_counted_archived_and_comes_back(
    ontology: Ontology, store: Store, steward_client: APIClient, case: str
) -> None:
    kind, values, given, expected, lost = UNITS[case]
    ontology.say(table("turbines", {"name": "v", "type": "INTEGER", "unit": "a"}))
    send(steward_client, "post", "/ops/initialize")
    for number, value in enumerate(values):
        assert send(steward_client, "post", "/ops/turbines", {"id": number, "v": value}).status_code == 201
    ontology.say(table("turbines", {"name": "v", "type": kind, "unit": "b"}))
    waiting = bring(steward_client, status=202)
    unit = next(step for step in waiting["steps"] if step["change"] == "change_unit")
    assert (unit["class"], unit["rows_broken"]) == ("meaning", sum(value is not None for value in values))
    assert unit["needs"] == "a factor for v, and an offset where there is one"
    plan = propose(steward_client, {"v": given})
    unit = next(step for step in plan["steps"] if step["change"] == "change_unit")
    assert (unit["action"], unit["rows_broken"], any(step["archive"] for step in plan["steps"])) == ("wait", 0, True)
    assert [key for key, _, _ in sampled(unit)] == lost
    assert act(steward_client, plan, "apply", status=409)["code"] == "plan-not-approved"
    done = carry_out(steward_client, plan)
    assert [row["v"] if row["v"] is None else pytest.approx(row["v"], abs=1e-12) for row in rows_of(steward_client)] == expected
    act(steward_client, done, "undo")
    assert rows_of(steward_client) == [{"id": number, "v": value} for number, value in enumerate(values)]


def test_a_factor_that_breaks_a_bound_leaves_the_rows_in_the_way(turbines: Ontology, steward_client: APIClient) -> None:
    turbines.say(with_column(TURBINES, "power", unit="W"))
    plan = propose(steward_client, {"power": {"factor": 1000}})
    assert sampled(plan["steps"][0]) == [("1", "100", "100000"), ("2", "200", "200000")]
    assert act(steward_client, plan, "approve", status=409)["code"] == "rows-in-the-way"


@pytest.mark.parametrize("given", [{"constant": 5}, {"expression": "power * 1000"}, {"mapping": {"100": 100_000, "200": 200_000}}])
def test_only_a_factor_answers_a_change_of_unit(turbines: Ontology, store: Store, steward_client: APIClient, given: dict) -> None:
    turbines.say(with_column(WATTS, "power", minimum=1))
    before = everything(steward_client, store)
    plan = propose(steward_client, {"power": given})
    unit = next(step for step in plan["steps"] if step["change"] == "change_unit")
    assert (unit["rows_in_the_way"], unit["needs"]) == (2, "a factor for power, and an offset where there is one")
    assert act(steward_client, plan, "approve", status=409)["code"] == "rows-in-the-way"
    assert everything(steward_client, store) == before


# What is not taken.

WANTED = with_column(
    with_column(with_column(WATTS, "colour", type="VARCHAR(5)", required=True), "status", enum=["NEW"]), "price", maximum=50
)
REFUSED: list[tuple[str, object, str]] = [
    ("colour", None, "object"),
    ("colour", {}, "object"),
    ("colour", "x", "object"),
    ("colour", {"konstant": "x"}, "konstant"),
    ("colour", {"constant": "x", "expression": "'x'"}, "not 2"),
    ("colour", {"constant": "x", "offset": 1}, "not 2"),
    ("colour", {"constant": None}, "string"),
    ("colour", {"constant": 7}, "string"),
    ("colour", {"constant": "too long"}, "characters"),
    ("colour", {"constant": "a\0b"}, "NUL"),
    ("colour", {"mapping": {"a": "b"}}, "no old single values"),
    ("colour", {"factor": 2}, "only numbers"),
    ("status", {"constant": "OLD"}, "NEW"),
    ("status", {"factor": 2}, "only numbers"),
    ("status", {"mapping": {}}, "mapping"),
    ("status", {"mapping": []}, "mapping"),
    ("status", {"mapping": {"OLD": "OLDER"}}, "OLDER"),
    ("status", {"mapping": {"OLD": 7}}, "string"),
    ("status", {"mapping": {"OLD": None}}, "null"),
    ("price", {"constant": "x"}, "number"),
    ("price", {"constant": True}, "true or false"),
    ("price", {"constant": 50.01}, "50"),
    ("price", {"mapping": {"x": 5}}, "number"),
    ("price", {"factor": 2}, "unit"),
    ("power", {"factor": 0}, "not 0"),
    ("power", {"factor": "0/7"}, "not 0"),
    ("power", {"factor": "1/0"}, "1/0"),
    ("power", {"factor": "abc"}, "abc"),
    ("power", {"factor": True}, "True"),
    ("power", {"factor": None}, "None"),
    ("power", {"factor": 1e300}, "12 digits"),
    ("power", {"factor": "NaN"}, "NaN"),
    ("power", {"factor": 2, "offset": "x"}, "x is no number"),
    ("nosuch", {"constant": 1}, "no column nosuch"),
    ("serial", {"factor": "1/2"}, "does not change"),
    ("serial", {"constant": 1}, "nothing of serial changes"),
    ("id", {"expression": "id + 1"}, "nothing of id changes"),
    ("code", {"mapping": {"abc": "x"}}, "nothing of code changes"),
]


def test_an_input_that_cannot_be_used_is_refused_with_its_place(turbines: Ontology, store: Store, steward_client: APIClient) -> None:
    turbines.say(WANTED)
    before, entries = everything(steward_client, store), AuditEntry.objects.count()
    for name, given, why in REFUSED:
        ((pointer, detail),) = refused(steward_client, {"colour": {"constant": "red"}, name: given})
        assert (pointer, why in detail) == (f"/inputs/{name}", True), (given, detail)
    assert (everything(steward_client, store), AuditEntry.objects.count()) == (before, entries)


@pytest.mark.parametrize("inputs", [[], "x", 7, True])
def test_inputs_are_an_object(turbines: Ontology, steward_client: APIClient, inputs: object) -> None:
    turbines.say(WANTED)
    assert [pointer for pointer, _ in refused(steward_client, inputs)] == ["/inputs"]


def test_every_input_that_is_refused_is_named_at_once(turbines: Ontology, steward_client: APIClient) -> None:
    turbines.say(WANTED)
    given = {"power": {"factor": 0}, "colour": {"constant": 7}, "POWER": {"factor": 2}, "status": {"constant": "NEW"}}
    assert [pointer for pointer, _ in refused(steward_client, given)] == ["/inputs/power", "/inputs/colour"]
    twice = refused(steward_client, {"power": {"factor": 2}, "POWER": {"factor": 2}})
    assert twice == [("/inputs/POWER", "power stands there twice.")]


def test_text_that_is_no_text_is_a_bad_request(turbines: Ontology, steward_client: APIClient) -> None:
    turbines.say(WANTED)
    for given in ('{"constant": "\\ud800"}', '{"expression": "\\ud800"}', '{"mapping": {"\\ud800": "x"}}'):
        answer = send(steward_client, "post", "/admin/plans", f'{{"table": "turbines", "inputs": {{"status": {given}}}}}')
        assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")


@pytest.mark.parametrize("body", [{}, {"table": 7}, {"table": None}, {"table": "turbines", "input": {}}, [], "{"])
def test_a_body_that_is_not_understood_is_a_bad_request(turbines: Ontology, steward_client: APIClient, body: object) -> None:
    assert send(steward_client, "post", "/admin/plans", body).status_code == 400
