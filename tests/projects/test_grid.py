from itertools import pairwise
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client

from projects import one_table, rows
from projects.aliases import Names
from projects.console import grid_pages
from projects.models import ManagedTable, forget_decided
from projects.store import grid
from projects.store.connection import Store
from tests.conftest import user_with_role
from tests.projects.conftest import make_table
from tests.projects.prepared import begin_with

pytestmark = pytest.mark.django_db
SCRIPT = "<script>alert(1)</script>"
MILLS = [
    {"name": "mill", "type": "INTEGER", "required": True, "description": "Its number."},
    {"name": "town", "type": "VARCHAR", "references": "towns.name"},
    {"name": "power", "type": "DECIMAL(8,2)", "unit": "kW"},
    {"name": "kind", "type": "VARCHAR", "enum": ["wind", "water, old"]},
    {"name": "built", "type": "TIMESTAMP"},
    {"name": "tags", "type": "VARCHAR", "multivalued": True},
    {"name": "page", "type": "VARCHAR"},
]


def signed_in(role: str) -> Client:
    user = User.objects.filter(username=role).first() or user_with_role(role)
    User.objects.filter(pk=user.pk).update(is_staff=True)
    client = Client(HTTP_ACCEPT="text/html")
    client.force_login(user)
    return client


@pytest.fixture
def mills(roles, store: Store) -> Store:
    """Twenty mills; of every four one has no power and one no town."""

    def make() -> None:
        make_table(
            "towns", [{"name": "name", "type": "VARCHAR", "required": True}, {"name": "land", "type": "VARCHAR"}], primary_key=["name"]
        )
        make_table("mills", MILLS, primary_key=["mill"])
        for town in ("Delft", "Ulm, old"):
            rows.create(store, "towns", {"name": town, "land": "here"}, actor="test")
        for n in range(20):
            row = {
                "mill": n,
                "town": ("Delft", "Ulm, old", "Nowhere", None)[n % 4],
                "power": None if n % 4 == 0 else f"{n % 3}.50",
                "kind": ("wind", "water, old")[n % 2],
                "built": "1900-01-01T00:00:00Z",
            }
            rows.create(store, "mills", row, actor="test")

    begin_with(store, "mills of the grid", make, recorded=False)
    one_table.reconcile(store)
    return store


@pytest.fixture
def viewer(mills) -> Client:
    return signed_in("viewer")


def see(client: Client, query: str = "", status: int = 200) -> dict:
    answer = client.get(f"/console/tables/mills/rows/{query}")
    assert answer.status_code == status, answer.content
    return answer.context


def keys(seen: dict) -> list[str]:
    return [key for key, _, _ in seen["rows"]]


def pages(store: Store, step: str, **asked: str) -> list[list[str]]:
    """The keys on each page, from the first one forward by `next`, or from the last one back by `previous`."""
    names, found, cursor = Names(store.table("mills")), [], "" if step == "next" else grid_pages.LAST
    while cursor is not None:
        given = asked | ({"cursor": cursor} if cursor else {})
        page = grid_pages.page(store, names, grid_pages.read(names, given.items()))
        found.append([row.key for row in page.rows])
        cursor = getattr(page, step)
    return found


@pytest.mark.parametrize("sort", ["mill", "-mill", "power", "-power", "town,-power", "-town,mill", "tags", "built,-town"])
def test_the_pages_back_are_the_pages_forward(mills, sort):
    whole = pages(mills, "next", sort=sort, limit="250")[0]
    forward, back = pages(mills, "next", sort=sort, limit="7"), pages(mills, "previous", sort=sort, limit="7")
    assert len(whole) == len(set(whole)) == 20
    assert [key for page in forward for key in page] == whole
    assert back[0] == whole[-7:]
    assert back[-1] == whole[:7]  # The first page is whole, so it may have rows of the second again.
    assert all(later[0] == earlier[0] or whole.index(later[-1]) + 1 == whole.index(earlier[0]) for earlier, later in pairwise(back[:-1]))


def test_the_last_page_is_the_end_of_what_the_filter_leaves(viewer):
    seen = see(viewer, "?kind=wind&sort=-mill&limit=4&cursor=last")
    assert keys(seen) == ["6", "4", "2", "0"]
    assert seen["amount"] == "7 to 10 of 10 rows"
    steps = {words: address for _, words, address in seen["pager"]}
    assert not steps["Next page"] and not steps["Last page"]
    assert keys(see(viewer, steps["Previous page"])) == ["14", "12", "10", "8"]


def test_a_cursor_of_another_list_is_refused_in_words(viewer):
    following = next(address for _, words, address in see(viewer, "?limit=4")["pager"] if words == "Next page")
    seen = see(viewer, following.replace("limit=4", "sort=town"), status=400)
    assert "another sort" in seen["problem"]


@pytest.mark.parametrize(
    ("query", "reason"), [("?power__gte=much", "power__gte"), ("?nothing=1", "no column"), ("?limit=251", "250"), ("?cursor=-", "cursor")]
)
def test_what_cannot_be_understood_is_said_on_the_page(viewer, query, reason):
    assert reason in see(viewer, query, status=400)["problem"]


@pytest.mark.parametrize(
    ("sent", "query"),
    [
        ({"__column": "town", "__op": "icontains", "__value": "del"}, {"town__icontains": ["del"]}),
        ({"__column": "town", "__op": "eq", "__value": ""}, {"town": [""]}),
        ({"__column": "town", "__op": "icontains", "__value": ""}, {}),
        ({"__column": "town", "__op": "null", "__value": "x"}, {"town__isnull": ["true"]}),
        ({"__column": "power", "__op": "range", "__value": "1", "__to": "2"}, {"power__gte": ["1"], "power__lte": ["2"]}),
        ({"__column": "power", "__op": "range", "__value": "1", "__to": "1"}, {"power": ["1"]}),
        ({"__column": "kind", "__op": "among", "__value": ["wind", "water, old"]}, {"kind__in": ['wind,"water, old"']}),
        ({"__column": "kind", "__op": "among", "__value": "water, old"}, {"kind": ["water, old"]}),
        ({"__column": "built", "__op": "range", "__value": "1899-01-01T00:00", "__to": ""}, {"built__gte": ["1899-01-01T00:00"]}),
        ({"__q": " delft "}, {"q": ["delft"]}),
        ({"__fields": ["power", "mill"]}, {"fields": ["mill,power"]}),
    ],
)
def test_a_form_becomes_an_address_of_rests_own_words(viewer, sent, query):
    answer = viewer.get("/console/tables/mills/rows/", {"__state": "sort=-mill&cursor=last&mill__gte=3", **sent})
    asked = parse_qs(urlsplit(answer.url).query, keep_blank_values=True)
    assert asked == {"sort": ["-mill"], "mill__gte": ["3"], **query}
    see(viewer, answer.url)
    assert viewer.get(f"/ops/mills?{urlsplit(answer.url).query}&format=json").status_code == 200


def test_a_columns_form_replaces_what_was_asked_of_it_and_clears_it(viewer):
    form = {"__state": "power__gte=1&power__lte=2&kind=wind", "__column": "power", "__op": "range", "__value": "2", "__to": ""}
    assert parse_qs(urlsplit(viewer.get("/console/tables/mills/rows/", form).url).query) == {"power__gte": ["2"], "kind": ["wind"]}
    form["__op"] = "any"
    assert parse_qs(urlsplit(viewer.get("/console/tables/mills/rows/", form).url).query) == {"kind": ["wind"]}


def test_a_form_shows_what_is_asked_already(viewer):
    heads = {head.column.name: head for head in see(viewer, "?power__gte=1&kind__in=wind&town__isnull=false&sort=-power")["heads"]}
    assert (heads["power"].filter.value, heads["power"].filter.to, heads["power"].sorted) == ("1", "", "descending")
    assert [choice.value for choice in heads["kind"].filter.choices if choice.chosen] == ["wind"]
    assert [one.value for one in heads["town"].filter.operators if one.chosen] == ["notnull"]
    assert not heads["mill"].filter.is_on


def test_a_click_on_a_head_sorts_up_then_down_then_not(viewer):
    def click(query: str) -> str:
        return next(head.click for head in see(viewer, query)["heads"] if head.column.name == "power")

    up = click("")
    down = click(up)
    assert [parse_qs(query[1:]).get("sort") for query in (up, down, click(down))] == [["power"], ["-power"], None]
    also = next(head.also for head in see(viewer, "?sort=-town")["heads"] if head.column.name == "power")
    assert parse_qs(also[1:]) == {"sort": ["-town,power"]}


def test_the_export_has_what_is_seen_on_all_its_pages(viewer):
    seen = see(viewer, "?kind=wind&sort=-mill&fields=mill,town&limit=4&cursor=last")
    addresses = {words.partition(",")[0]: address for words, address, _ in seen["exports"]}
    assert set(addresses) == {"CSV", "Parquet", "NDJSON", "Arrow", "JSON"}
    text = b"".join(viewer.get(addresses["CSV"]).streaming_content).decode()
    assert text.splitlines()[0] == "mill,town"
    assert [line.partition(",")[0] for line in text.splitlines()[1:]] == [str(n) for n in range(18, -1, -2)]
    assert [row["mill"] for row in viewer.get(addresses["JSON"]).json()] == list(range(18, -1, -2))


def test_a_reference_leads_to_its_row_and_other_texts_only_where_they_are_addresses(mills, viewer):
    page = {"page": "https://example.org/a?b=1"}, {"page": "javascript:alert(1)"}, {"page": SCRIPT}
    for key, body in zip("123", page, strict=True):
        rows.patch(mills, "mills", key, body, actor="test")
    seen = see(viewer, "?fields=town,page&limit=25")
    shown = {key: cells for key, _, cells in seen["rows"]}
    assert [cell.href for cell in shown["1"]] == ["/console/tables/towns/rows/Ulm~2C%20old/", "https://example.org/a?b=1"]
    assert shown["2"][1].href == "" and shown["3"][0].href == ""
    text = viewer.get("/console/tables/mills/rows/").content.decode()
    assert SCRIPT not in text and "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert 'href="javascript' not in text


def test_a_row_whose_key_is_called_like_a_page_has_another_address(mills, viewer):
    rows.create(mills, "towns", {"name": "add"}, actor="test")
    answer = viewer.get("/console/tables/towns/rows/")
    assert {key: address for key, address, _ in answer.context["rows"]}["add"] == "/console/tables/towns/rows/~61dd/"


def test_long_texts_are_cut_and_their_title_has_more(mills, viewer):
    rows.patch(mills, "mills", "1", {"page": "x" * 5000, "tags": ["a", "b, c"]}, actor="test")
    page, tags = next(cells for key, _, cells in see(viewer, "?fields=page,tags")["rows"] if key == "1")
    assert (len(page.text), len(page.title)) == (121, 1001)
    assert (tags.text, tags.title) == ("a, b, c", '["a","b, c"]')


def test_a_count_that_takes_too_long_is_reckoned_or_left_out(mills):
    names = Names(mills.table("mills"))
    listing = grid_pages.read(names, [])
    assert grid.count(mills, names.schema, listing, 10.0) == grid.Count(20)
    assert grid.count(mills, names.schema, listing, 0.0) in (
        None,
        grid.Count(20),
        grid.Count(0, is_exact=False),
        grid.Count(2000, is_exact=False),
    )


def test_an_empty_table_says_how_to_fill_it_and_an_empty_search_how_to_go_back(mills, viewer):
    make_table("empty", [{"name": "id", "type": "INTEGER", "required": True}])
    editor = signed_in("editor")
    text = editor.get("/console/tables/empty/rows/").content.decode()
    assert "/console/tables/empty/rows/add/" in text and "/console/tables/empty/import/" in text
    assert "/rows/add/" not in viewer.get("/console/tables/empty/rows/").content.decode()
    assert "No row matches." in viewer.get("/console/tables/mills/rows/?q=zzz").content.decode()


def test_a_read_only_table_has_no_buttons_that_write(mills):
    editor = signed_in("editor")
    assert "Add row" in editor.get("/console/tables/mills/rows/").content.decode()
    ManagedTable.objects.filter(name="mills").update(read_only=True)
    forget_decided()
    assert "Add row" not in editor.get("/console/tables/mills/rows/").content.decode()


def test_a_page_asks_django_no_more_for_more_rows_and_columns(viewer, django_assert_max_num_queries):
    see(viewer)
    with django_assert_max_num_queries(8):
        see(viewer, "?limit=25")


def test_who_is_not_signed_in_signs_in_first_and_there_is_no_other_table(mills, viewer):
    assert Client().get("/console/tables/mills/rows/").status_code == 302
    assert viewer.get("/console/tables/nothing/rows/").status_code == 404


@pytest.mark.thinned(2)
@pytest.mark.parametrize("name", ["q", "limit", "x,y", 'a "b"', "<b>", "mill__gte", "cursor", "&=?#%"])
def test_a_column_of_any_name_is_sorted_filtered_chosen_and_changed(store, roles, name):
    make_table("odd", [{"name": "id", "type": "INTEGER", "required": True}, {"name": name, "type": "VARCHAR"}])
    for n in range(3):
        rows.create(store, "odd", {"id": n, name: f"a, {n}"}, actor="test")
    one_table.reconcile(store)
    editor, page = signed_in("editor"), "/console/tables/odd/rows/"
    head = next(head for head in editor.get(page).context["heads"] if head.column.name == name)
    down = next(head for head in editor.get(page + head.click).context["heads"] if head.column.name == name).click
    assert keys(editor.get(page + down).context) == ["2", "1", "0"]
    for form, left in (
        ({"__column": name, "__op": "eq", "__value": "a, 1"}, ["1"]),
        ({"__column": name, "__op": "icontains", "__value": "A"}, ["2", "1", "0"]),
        ({"__fields": [name]}, ["2", "1", "0"]),
    ):
        seen = editor.get(page, {"__state": down[1:], **form}, follow=True)
        assert (seen.status_code, keys(seen.context)) == (200, left)
        assert len(editor.get(seen.context["exports"][-1][1]).json()) == len(left)
    row = editor.get(f"{page}1/")
    answer = editor.post(f"{page}1/", {"__row": row.context["row"], name: "new"})
    assert answer.status_code == 302
    assert editor.get(f"{page}1/").context["fields"][1].entered.text == "new"
