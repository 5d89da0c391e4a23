"""Old names: what was called otherwise before still reads, filters and writes, and the answer says so."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.test import APIClient

from projects.aliases import after
from projects.models import ManagedTable
from projects.store import books
from projects.store.books import Alias
from projects.store.connection import Store, get_store, reset_store
from schema_registry.models import AuditEntry
from schema_registry.schema import ColumnSchema, TableSchema
from schema_registry.types import parse_type
from tests.conftest import client_of, user_with_role
from tests.projects.conftest import make_table
from tests.projects.ontology import send

pytestmark = pytest.mark.django_db

RENAMED = datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC)
EARLIER = RENAMED - timedelta(days=30)
OLD = (
    Alias("dest", "destination", RENAMED),
    Alias("number", "flight", RENAMED),
    Alias("late", "delay", EARLIER),
    Alias("trips", None, EARLIER),
)
ROWS = [
    {"flight": 1, "destination": "IAH", "delay": 5, "tail": "N1"},
    {"flight": 2, "destination": "JFK", "delay": -3, "tail": None},
    {"flight": 3, "destination": "LAX", "delay": None, "tail": "N3"},
]


def at(moment: datetime) -> str:
    """The value of the Deprecation header (RFC 9745)."""
    return f"@{int(moment.timestamp())}"


def call_also(store: Store, table: str, *aliases: Alias) -> None:
    """Gives the table and its columns these old names."""

    def work(transaction) -> None:
        books.put_aliases(transaction.cursor, table, aliases)
        transaction.changes_catalogue = True

    store.writer.alone(work)


@pytest.fixture
def flights(store: Store, editor_client: APIClient) -> APIClient:
    """An editor of flights, where everything had another name before."""
    make_table(
        "flights",
        [
            {"name": "flight", "type": "INTEGER", "required": True},
            {"name": "destination", "type": "VARCHAR", "required": True, "max_length": 3},
            {"name": "delay", "type": "INTEGER"},
            {"name": "tail", "type": "VARCHAR"},
        ],
        primary_key=["flight"],
    )
    call_also(store, "flights", *OLD)
    assert send(editor_client, "post", "/ops/flights", ROWS).json()["inserted"] == 3
    return editor_client


def told(answer) -> tuple[str | None, str | None]:
    """Since when a name is old, and the link that says so; a page's link to the next one may stand before it."""
    links = [link for link in answer.headers.get("Link", "").split(", ") if 'rel="deprecation"' in link]
    return answer.headers.get("Deprecation"), links[0] if links else None


LINK = '</admin/tables/flights>; rel="deprecation"'


# Reading.


@pytest.mark.thinned(2)
@pytest.mark.parametrize(
    ("query", "flights_found"),
    [
        ("dest=IAH", [1]),
        ("DEST=IAH", [1]),
        ("dest__in=IAH,LAX", [1, 3]),
        ("dest__startswith=J", [2]),
        ("sort=-dest", [3, 2, 1]),
        ("sort=dest,-flight", [1, 2, 3]),
        ("destination__ne=IAH&dest__ne=LAX", [2]),
        ("dest__eq=IAH&delay=5", [1]),
        ("number__gte=2", [2, 3]),
    ],
)
def test_an_old_name_still_filters_and_sorts(flights: APIClient, query: str, flights_found: list[int]) -> None:
    answer = flights.get(f"/ops/flights?{query}")
    assert [row["flight"] for row in answer.json()] == flights_found
    assert set(answer.json()[0]) == {"flight", "destination", "delay", "tail"}
    assert told(answer) == (at(RENAMED), LINK)


def test_fields_asked_for_by_an_old_name_come_by_the_present_one(flights: APIClient) -> None:
    answer = flights.get("/ops/flights?fields=dest,number&limit=1")
    assert answer.content == b'[{"destination":"IAH","flight":1}]'
    assert told(answer) == (at(RENAMED), LINK)
    lines = flights.get("/ops/flights?fields=dest&format=csv&sort=number")
    assert b"".join(lines.streaming_content) == b'destination\n"IAH"\n"JFK"\n"LAX"\n'
    assert told(lines) == (at(RENAMED), LINK)


@pytest.mark.parametrize("fields", ["dest,destination", "destination,destination", "dest,DEST"])
def test_one_column_is_not_asked_for_twice(flights: APIClient, fields: str) -> None:
    answer = flights.get(f"/ops/flights?fields={fields}")
    assert (answer.status_code, answer.json()["detail"]) == (400, "fields names destination twice.")


def test_of_several_old_names_the_oldest_is_told(flights: APIClient) -> None:
    assert told(flights.get("/ops/flights?late__isnull=false&dest=IAH")) == (at(EARLIER), LINK)


def test_the_count_of_an_old_names_filter_is_told_too(flights: APIClient) -> None:
    answer = flights.get("/ops/flights?dest__ne=IAH&limit=1", headers={"Prefer": "count=exact"})
    assert (answer.headers["X-Total-Count"], told(answer)) == ("2", (at(RENAMED), LINK))


@pytest.mark.parametrize("address", ["/ops/flights", "/ops/flights?destination=IAH&sort=-delay", "/ops/flights/1", "/ops/flights/schema"])
def test_who_uses_present_names_is_told_nothing(flights: APIClient, address: str) -> None:
    assert told(flights.get(address)) == (None, None)


def test_a_name_that_is_a_column_again_is_the_column(flights: APIClient, store: Store) -> None:
    call_also(store, "flights", *OLD, Alias("tail", "destination", RENAMED))
    answer = flights.get("/ops/flights?tail=N3&fields=tail")
    assert (answer.json(), told(answer)) == ([{"tail": "N3"}], (None, None))


def test_an_old_name_of_a_column_that_is_gone_is_unknown(flights: APIClient, store: Store) -> None:
    call_also(store, "flights", Alias("gate", "terminal", RENAMED))
    assert flights.get("/ops/flights?gate=A").status_code == 400


# Writing.


def test_a_row_is_created_by_old_names_and_answered_by_the_present_ones(flights: APIClient) -> None:
    answer = send(flights, "post", "/ops/flights", {"number": 4, "Dest": "SFO", "tail": "N4"})
    assert (answer.status_code, told(answer)) == (201, (at(RENAMED), LINK))
    assert answer.json() == {"flight": 4, "destination": "SFO", "delay": None, "tail": "N4"}


@pytest.mark.parametrize("body", [{"dest": "SFO"}, {"number": 1, "dest": "SFO"}, {"flight": 1, "dest": "SFO"}])
def test_a_row_is_replaced_by_old_names(flights: APIClient, body: dict) -> None:
    answer = send(flights, "put", "/ops/flights/1", body)
    assert answer.json() == {"flight": 1, "destination": "SFO", "delay": None, "tail": None}
    assert told(answer) == (at(RENAMED), LINK)


def test_a_row_is_patched_by_an_old_name(flights: APIClient) -> None:
    answer = send(flights, "patch", "/ops/flights/1", {"late": 9})
    assert (answer.json()["delay"], told(answer)) == (9, (at(EARLIER), LINK))
    assert told(send(flights, "patch", "/ops/flights/1", {"delay": 8})) == (None, None)


def test_an_array_is_loaded_by_old_and_present_names(flights: APIClient) -> None:
    rows = [{"number": 4, "dest": "SFO"}, {"flight": 5, "destination": "BOS"}]
    answer = send(flights, "post", "/ops/flights", rows)
    assert (answer.json()["inserted"], told(answer)) == (2, (at(RENAMED), LINK))
    assert flights.get("/ops/flights?flight__gte=4&fields=destination").json() == [{"destination": "SFO"}, {"destination": "BOS"}]
    assert told(send(flights, "post", "/ops/flights", [{"flight": 6, "destination": "BOS"}])) == (None, None)


def test_a_files_head_may_have_old_names(flights: APIClient) -> None:
    answer = flights.post("/ops/flights", data="dest,number\nSFO,4\n", content_type="text/csv")
    assert (answer.json(), told(answer)) == (
        {"inserted": 1, "updated": 0, "ignored": 0, "rejected": 0, "rejects": []},
        (at(RENAMED), LINK),
    )
    tried = flights.post("/ops/flights?dry_run=true", data="dest,flight\nSFO,5\n", content_type="text/csv")
    assert (tried.json()["inserted"], told(tried)) == (1, (at(RENAMED), LINK))
    assert flights.get("/ops/flights/4").json()["destination"] == "SFO"


def test_load_rows_takes_old_names(flights: APIClient, tmp_path: Path) -> None:
    file = tmp_path / "flights.csv"
    file.write_text("number,dest\n4,SFO\n")
    call_command("load_rows", "trips", str(file), stdout=StringIO())
    assert flights.get("/ops/flights/4").json()["destination"] == "SFO"


@pytest.mark.parametrize("body", [{"flight": 4, "dest": "SFO", "destination": "BOS"}, {"flight": 4, "destination": "BOS", "dest": "SFO"}])
def test_a_row_with_both_names_is_refused(flights: APIClient, body: dict) -> None:
    for method, address in (("post", "/ops/flights"), ("put", "/ops/flights/1"), ("patch", "/ops/flights/1")):
        answer = send(flights, method, address, body | {"flight": 1} if method != "post" else body)
        assert answer.status_code == 422
        assert answer.json()["errors"] == [
            {"pointer": "/dest", "code": "repeated", "detail": "dest is an old name of destination; give destination alone."}
        ]
    assert flights.get("/ops/flights/1").json() == ROWS[0]


def test_loads_with_both_names_are_refused(flights: APIClient) -> None:
    answer = send(flights, "post", "/ops/flights", [{"flight": 4, "destination": "BOS", "dest": "SFO"}])
    assert answer.status_code == 422
    assert [(r["row"], r["column"], r["code"]) for r in answer.json()["rejects"]] == [(1, "dest", "repeated")]
    answer = flights.post("/ops/flights", data="flight,destination,dest\n4,BOS,SFO\n", content_type="text/csv")
    assert answer.status_code == 422
    assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [("/head/dest", "repeated")]
    answer = flights.post("/ops/flights", data="flight,dest,dest\n4,BOS,SFO\n", content_type="text/csv")
    assert [e["detail"] for e in answer.json()["errors"]] == ["The column 'dest' stands twice in the head."]
    assert len(flights.get("/ops/flights").json()) == 3


def test_a_bad_value_by_an_old_name_is_refused_by_the_columns_rules(flights: APIClient) -> None:
    answer = send(flights, "post", "/ops/flights", {"number": 4, "dest": "LONG"})
    assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [("/destination", "max_length")]


# Tables.


@pytest.mark.parametrize("address", ["/ops/trips", "/ops/TRIPS?limit=2", "/ops/trips/1", "/ops/trips/schema", "/admin/tables/trips"])
def test_a_table_still_answers_to_its_old_name(flights: APIClient, address: str) -> None:
    answer, present = flights.get(address), flights.get(address.replace("trips", "flights").replace("TRIPS", "flights"))
    assert (answer.status_code, answer.content) == (200, present.content)
    assert told(answer) == (at(EARLIER), LINK)
    assert told(present) == (None, None)


def test_a_table_is_written_by_its_old_name(flights: APIClient) -> None:
    created = send(flights, "post", "/ops/trips", {"flight": 4, "destination": "SFO"})
    assert (created.status_code, created.headers["Location"]) == (201, "/ops/flights/4")
    answers = [
        created,
        send(flights, "patch", "/ops/trips/4", {"delay": 1}),
        send(flights, "put", "/ops/trips/4", {"destination": "BOS"}),
        send(flights, "post", "/ops/trips", [{"flight": 5, "destination": "BOS"}]),
        flights.post("/ops/trips", data="flight,destination\n6,BOS\n", content_type="text/csv"),
        flights.delete("/ops/trips/4"),
    ]
    assert [told(answer) for answer in answers] == [(at(EARLIER), LINK)] * 6
    assert [row["flight"] for row in flights.get("/ops/flights?flight__gte=4").json()] == [5, 6]


def test_a_new_table_takes_the_name_from_the_old_one(flights: APIClient) -> None:
    make_table("trips", [{"name": "id", "type": "INTEGER", "required": True}])
    answer = flights.get("/ops/trips")
    assert (answer.json(), told(answer)) == ([], (None, None))


def test_of_two_tables_that_had_a_name_the_latest_answers(flights: APIClient, store: Store) -> None:
    make_table("cruises", [{"name": "id", "type": "INTEGER", "required": True}])
    call_also(store, "cruises", Alias("trips", None, RENAMED))
    answer = flights.get("/ops/trips")
    assert (answer.json(), told(answer)) == ([], (at(RENAMED), '</admin/tables/cruises>; rel="deprecation"'))


@pytest.mark.parametrize(
    ("scopes", "by_old", "by_present"), [(["flights"], 403, 200), (["trips"], 403, 403), (["trips", "flights"], 200, 200), ([], 200, 200)]
)
def test_a_token_reaches_a_table_by_its_present_name(flights: APIClient, scopes: list[str], by_old: int, by_present: int) -> None:
    client = client_of(user_with_role("viewer"), scopes=scopes)
    paths = ("/ops/{}", "/ops/{}/1", "/ops/{}/schema", "/admin/tables/{}", "/openapi.json?table={}")
    assert {client.get(path.format("trips")).status_code for path in paths} == {by_old}
    assert {client.get(path.format("flights")).status_code for path in paths} == {by_present}


# Seen and retired.


def test_a_tables_page_has_its_old_names(flights: APIClient) -> None:
    assert flights.get("/admin/tables/flights").json()["aliases"] == [
        {"name": "late", "column": "delay", "since": "2026-01-30T12:30:15Z"},
        {"name": "trips", "column": None, "since": "2026-01-30T12:30:15Z"},
        {"name": "dest", "column": "destination", "since": "2026-03-01T12:30:15Z"},
        {"name": "number", "column": "flight", "since": "2026-03-01T12:30:15Z"},
    ]


def test_the_document_tells_of_the_header(flights: APIClient) -> None:
    document = flights.get("/openapi.json?table=flights").json()

    def headers(method: str, status: str) -> dict:
        response = document["paths"]["/ops/flights"][method]["responses"][status]
        if reference := response.get("$ref"):
            response = document["components"]["responses"][reference.rpartition("/")[2]]
        return response["headers"]

    assert "Deprecation" in headers("get", "200")
    assert "Deprecation" in headers("post", "201")
    assert "Deprecation" in headers("post", "200")


def test_a_retired_name_is_a_name_no_longer(flights: APIClient, steward_client: APIClient) -> None:
    assert steward_client.delete("/admin/tables/flights/aliases/DEST").status_code == 204
    assert flights.get("/ops/flights?dest=IAH").status_code == 400
    assert send(flights, "patch", "/ops/flights/1", {"dest": "SFO"}).status_code == 422
    assert flights.get("/ops/flights?number=1").json() == [ROWS[0]]
    reset_store()
    assert [alias.name for alias in get_store().table("flights").aliases] == ["late", "trips", "number"]
    entry = AuditEntry.objects.get(action="alias.retire")
    assert (entry.object, entry.actor, entry.detail) == ("flights", "steward", {"alias": "DEST"})


def test_a_tables_own_old_name_is_retired(flights: APIClient, steward_client: APIClient) -> None:
    assert steward_client.delete("/admin/tables/flights/aliases/trips").status_code == 204
    assert flights.get("/ops/trips").status_code == 404


def test_what_is_no_old_name_cannot_be_retired(flights: APIClient, steward_client: APIClient) -> None:
    answer = steward_client.delete("/admin/tables/flights/aliases/destination")
    assert (answer.status_code, answer.json()["code"]) == (404, "alias-not-found")
    assert steward_client.delete("/admin/tables/nothing/aliases/dest").json()["code"] == "table-not-found"
    assert flights.delete("/admin/tables/flights/aliases/dest").status_code == 403
    assert flights.get("/ops/flights?dest=IAH").status_code == 200
    assert not AuditEntry.objects.filter(action="alias.retire").exists()


# After a change of the schema.


def schema(*columns: str, name: str = "t") -> TableSchema:
    made = tuple(ColumnSchema(name=column, type=parse_type("INTEGER").type) for column in columns)
    return TableSchema(name=name, columns=made, primary_key=columns[:1])


A_IS_B = Alias("a", "b", EARLIER)


@pytest.mark.parametrize(
    ("old", "renamed", "wanted", "expected"),
    [
        pytest.param((), {"k": "k", "a": "b"}, schema("k", "b"), (Alias("a", "b", RENAMED),), id="a renamed column keeps its name"),
        pytest.param((A_IS_B,), {"k": "k", "b": "b"}, schema("k", "b"), (A_IS_B,), id="what stays keeps its old names"),
        pytest.param(
            (A_IS_B,),
            {"k": "k", "b": "c"},
            schema("k", "c"),
            (Alias("a", "c", EARLIER), Alias("b", "c", RENAMED)),
            id="old names point to the newest",
        ),
        pytest.param((A_IS_B,), {"k": "k", "b": "b"}, schema("k", "b", "a"), (), id="a new column takes an old name"),
        pytest.param((), {"k": "k", "a": "b"}, schema("k", "b", "A"), (), id="a new column takes the name at once"),
        pytest.param((), {"k": "k", "a": "b", "b": "a"}, schema("k", "a", "b"), (), id="a swap makes none"),
        pytest.param((A_IS_B,), {"k": "k"}, schema("k"), (), id="a dropped column's old names go"),
        pytest.param((A_IS_B,), {"k": "k", "b": "a"}, schema("k", "a"), (Alias("b", "a", RENAMED),), id="back by a rename"),
        pytest.param((), {"k": "k", "a": "A"}, schema("k", "A"), (), id="another case is no other name"),
        pytest.param((A_IS_B,), {"k": "k", "B": "c"}, schema("k", "c"), (Alias("a", "c", EARLIER), Alias("B", "c", RENAMED)), id="case"),
        pytest.param((Alias("o", None, EARLIER),), {"k": "k"}, schema("k"), (Alias("o", None, EARLIER),), id="the table's own stays"),
        pytest.param((Alias("t", None, EARLIER),), {"k": "k"}, schema("k"), (), id="the table's own is its name again"),
        pytest.param(
            (Alias("a", None, EARLIER),),
            {"k": "k", "a": "b"},
            schema("k", "b"),
            (Alias("a", None, EARLIER), Alias("a", "b", RENAMED)),
            id="a column's and the table's are two",
        ),
    ],
)
def test_old_names_after_a_change(
    old: tuple[Alias, ...], renamed: dict[str, str], wanted: TableSchema, expected: tuple[Alias, ...]
) -> None:
    assert after(old, renamed=renamed, wanted=wanted, keeps=True, moment=RENAMED) == expected


def test_an_undo_takes_the_old_name_away_and_leaves_none() -> None:
    assert after((A_IS_B,), renamed={"k": "k", "b": "a"}, wanted=schema("k", "a"), keeps=False, moment=RENAMED) == ()
    chained = (Alias("a", "c", EARLIER), Alias("b", "c", RENAMED))
    assert after(chained, renamed={"k": "k", "c": "b"}, wanted=schema("k", "b"), keeps=False, moment=RENAMED) == (A_IS_B,)


NAMES = st.sampled_from("abcdefAB")
CHANGES = st.lists(st.dictionaries(NAMES, NAMES, max_size=4), max_size=5)


@given(changes=CHANGES, undone=st.booleans())
def test_an_old_name_is_never_a_columns_own_and_stands_for_one_that_is_there(changes: list[dict[str, str]], undone: bool) -> None:
    live, old = schema("k", "a", "b", "c"), ()
    for change in changes:
        renamed = {c.name: change.get(c.name, c.name) for c in live.columns}
        taken = list(map(str.casefold, renamed.values()))
        renamed = {name: new for name, new in renamed.items() if taken.count(new.casefold()) == 1}
        live = schema(*renamed.values())
        old = after(old, renamed=renamed, wanted=live, keeps=not undone, moment=RENAMED)
        names = [alias.name.casefold() for alias in old]
        assert len(names) == len(set(names))
        assert all(live.column(alias.name) is None and live.column(alias.column or "") for alias in old)
    assert not (undone and old)


def test_a_console_page_lists_old_names(flights: APIClient, client) -> None:
    ManagedTable.objects.create(name="flights")
    client.force_login(user_with_role("steward"))
    page = client.get("/console/tables/flights/").content.decode()
    assert '<code>dest</code> still stands for <code>destination</code>, deprecated since <time datetime="2026-03-01T' in page
    assert "<code>trips</code> still stands for this table" in page


def test_a_number_keeps_its_digits_by_an_old_name(store: Store, editor_client: APIClient) -> None:
    make_table("sums", [{"name": "id", "type": "INTEGER", "required": True}, {"name": "total", "type": "DECIMAL(30,10)"}])
    call_also(store, "sums", Alias("amount", "total", RENAMED))
    answer = send(editor_client, "post", "/ops/sums", '{"id": 1, "amount": 12345678901234567890.0123456789}')
    assert answer.content == b'{"id":1,"total":12345678901234567890.0123456789}'
