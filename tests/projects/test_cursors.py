"""Pages that go on where the last one ended, whatever is written in between."""

import json
import random
import zipfile
from collections import Counter
from urllib.parse import urlencode

import pytest
from rest_framework.test import APIClient

from projects.store.connection import Store, get_store
from tests.flights import DATA, EXAMPLES
from tests.projects.conftest import make_table
from tests.projects.test_lists import people, text_of

__all__ = ["people"]
pytestmark = pytest.mark.django_db

ORDERS = ("", "dep_delay", "-dep_delay,carrier", "tailnum,-distance", "-time_hour,dest")  # ties in each, nulls in three
RNG = random.Random(11)
KEY = ("time_hour", "carrier", "flight", "origin")


def next_of(answer) -> str:
    """The address of the next page, or nothing."""
    link = answer.headers.get("Link", "")
    return link[1 : link.index(">")] if 'rel="next"' in link else ""


def make_flights(editor_client: APIClient, rows: int) -> None:
    document = json.loads((EXAMPLES / "flights.json").read_text())
    make_table(document.pop("name"), document.pop("columns"), **document)
    with zipfile.ZipFile(DATA / "flights.csv.zip") as archive, archive.open(archive.namelist()[0]) as file:
        lines = [next(file) for _ in range(rows + 1)]
    answer = editor_client.post("/ops/flights?null=NA", data=b"".join(lines), content_type="text/csv")
    assert answer.json()["inserted"] == rows, answer.content


def walk(client: APIClient, sort: str, limit: int, gone: set[tuple]) -> list[tuple]:
    """The keys of every row that a walk meets, while after each page rows are deleted before its end and after it, and others made."""
    met: list[tuple] = []
    address = f"/ops/flights?limit={limit}&fields={','.join(KEY)}" + (f"&sort={sort}" if sort else "")
    while address:
        answer = client.get(address)
        assert answer.status_code == 200, answer.content
        met += [tuple(row.values()) for row in answer.json()]
        address = next_of(answer)
        for victim in {RNG.choice(met), *RNG.sample(keys(get_store()), 2)} - gone:
            replace(client, victim)
            gone.add(victim)
        with get_store().read() as cursor:
            cursor.execute("CHECKPOINT")  # It folds deleted rows away, and the others move.
    return met


def replace(client: APIClient, key: tuple) -> None:
    """Deletes the row and makes one like it, with another key."""
    address = f"/ops/flights/{','.join(map(str, key))}"
    row = client.get(address).json()
    fresh = row | {"flight": RNG.randint(10**6, 10**9), "time_hour": RNG.choice((row["time_hour"], "2013-06-01T05:00:00Z"))}
    assert client.delete(address).status_code == 204
    assert client.post("/ops/flights", data=json.dumps(fresh), content_type="application/json").status_code == 201


def keys(store: Store) -> list[tuple]:
    with store.read() as cursor:
        statement = "SELECT strftime(time_hour, '%Y-%m-%dT%H:%M:%SZ'), carrier, flight, origin FROM main.flights ORDER BY ALL"
        return cursor.execute(statement).fetchall()


def check_walks(client: APIClient, store: Store, *, rows: int, limit: int) -> None:
    for sort in ORDERS:
        there, gone = set(keys(store)), set[tuple]()
        assert len(there) == rows
        met = Counter(walk(client, sort, limit, gone))
        assert [key for key, times in met.items() if times > 1] == []
        assert there - gone <= set(met)
        assert gone


def test_a_walk_meets_every_row_that_stays_once_while_others_come_and_go(editor_client: APIClient, store: Store) -> None:
    make_flights(editor_client, 500)
    check_walks(editor_client, store, rows=500, limit=110)


@pytest.mark.long
def test_a_walk_over_every_flight_meets_each_once_while_others_come_and_go(editor_client: APIClient, store: Store) -> None:
    make_flights(editor_client, 336_776)
    check_walks(editor_client, store, rows=336_776, limit=5_000)


def test_page_after_page_is_the_list_itself(store: Store, editor_client: APIClient) -> None:
    kinds = {"name": "VARCHAR", "amount": "DECIMAL(38,2)", "day": "DATE", "tags": "VARCHAR[]", "flag": "BOOLEAN", "ratio": "DOUBLE"}
    columns = [{"name": name, "type": kind} for name, kind in (kinds | {"blob": "BLOB"}).items()]
    make_table("odd", [{"name": "id", "type": "HUGEINT", "required": True}, *columns])
    rng, rows = random.Random(3), []
    for number in range(23):
        row = {"name": rng.choice(("", "it's", 'a "b"', "é", "x" * 50)), "amount": f"{rng.randint(0, 3)}.50", "day": "1969-07-20"}
        row |= {
            "tags": rng.choice(([], ["a,b"], ["a", ""])),
            "flag": rng.random() < 0.5,
            "ratio": rng.choice((0.1, -2.5e300)),
            "blob": "AP8=",
        }
        rows.append({"id": 2**100 + number} | {name: None if rng.random() < 0.3 else value for name, value in row.items()})
    assert editor_client.post("/ops/odd", data=json.dumps(rows), content_type="application/json").status_code == 200
    for sort in ("", "id", "-id", "name", "-name", "amount,name", "-tags", "flag,-day", "ratio", "-ratio", "blob"):
        chosen = {"sort": sort} if sort else {}
        whole = editor_client.get("/ops/odd", chosen).json()
        paged, address = [], f"/ops/odd?{urlencode(chosen | {'limit': 4})}"
        while address:
            answer = editor_client.get(address)
            file = editor_client.get(f"{address}&format=ndjson")
            assert [json.loads(line) for line in text_of(file).splitlines()] == answer.json()
            assert next_of(file).replace("&format=ndjson", "") == next_of(answer)
            paged += answer.json()
            address = next_of(answer)
        assert paged == whole, sort
        assert len(paged) == 23


def test_the_last_page_has_no_next(people: APIClient) -> None:
    assert next_of(people.get("/ops/people")) == ""
    assert next_of(people.get("/ops/people?limit=4")) == ""
    assert next_of(people.get("/ops/people?limit=3")) != ""


def test_the_next_page_keeps_what_was_asked(people: APIClient) -> None:
    answer = people.get('/ops/people?filter={"id__gt":1}&fields=id&sort=-id&limit=2')
    assert [row["id"] for row in answer.json()] == [4, 3]
    assert people.get(next_of(answer)).json() == [{"id": 2}]


def test_a_cursor_is_good_for_its_own_list_alone(people: APIClient) -> None:
    address = next_of(people.get("/ops/people?sort=name&limit=2"))
    assert people.get(address).status_code == 200
    cursor = address.partition("cursor=")[2]
    for other in ("sort=-name", "sort=name&flag=true", "sort=name&q=a"):
        answer = people.get(f"/ops/people?limit=2&{other}&cursor={cursor}")
        assert answer.status_code == 400, answer.content
        assert "ursor" in answer.json()["detail"]
    for forged in ("x", cursor[:-1], "A" + cursor[1:], "", cursor.partition("%3A")[0]):
        assert people.get(f"/ops/people?sort=name&cursor={forged}").status_code == 400


def test_rows_whose_sorted_texts_are_too_long_for_an_address_are_passed_by_offset(people: APIClient) -> None:
    noise = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=9000))
    for number, name in ((9, "a"), (10, "z1"), (11, "z2")):
        assert people.post("/ops/people", data={"id": number, "name": name + noise}, format="json").status_code == 201
    address, walked, links = "/ops/people?sort=name&limit=1&fields=id", [], []
    while address:
        page = people.get(address)
        walked += [row["id"] for row in page.json()]
        address = next_of(page)
        links.append(("cursor=" in address, "offset=" in address))
    assert walked == [row["id"] for row in people.get("/ops/people?sort=name&fields=id").json()]
    assert len(walked) == 7
    assert {(True, False), (True, True)} <= set(links)


def test_a_list_that_did_not_change_is_not_sent_again(people: APIClient) -> None:
    make_table("others", [{"name": "id", "type": "INTEGER", "required": True}])
    first = people.get("/ops/people?sort=name")
    again = people.get("/ops/people?sort=name", HTTP_IF_NONE_MATCH=first["ETag"])
    assert (again.status_code, again.content) == (304, b"")
    assert people.get("/ops/people?sort=-name", HTTP_IF_NONE_MATCH=first["ETag"]).status_code == 200
    assert people.post("/ops/others", data={"id": 1}, format="json").status_code == 201
    assert people.get("/ops/people?sort=name", HTTP_IF_NONE_MATCH=first["ETag"]).status_code == 304
    assert people.patch("/ops/people/1", data={"amount": 11}, format="json").status_code == 200
    after = people.get("/ops/people?sort=name", HTTP_IF_NONE_MATCH=f'"x", {first["ETag"]}')
    assert (after.status_code, after.json()[1]["amount"]) == (200, 11.0)
