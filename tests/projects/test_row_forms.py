import json
import re
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.test import Client

from projects import one_table, rows
from projects.models import ManagedTable, forget_decided
from projects.store import rows as stored
from projects.store.connection import Store
from tests.conftest import user_with_role
from tests.projects.conftest import make_table
from tests.projects.prepared import begin_with

pytestmark = pytest.mark.django_db
SCRIPT = "<script>alert(1)</script>"
THINGS = [
    {"name": "thing_id", "type": "UUID", "generated": "uuid", "required": True},
    {"name": "name", "type": "VARCHAR(20)", "required": True, "description": "What people call it.", "id": "https://example.org/name"},
    {"name": "note", "type": "VARCHAR"},
    {"name": "colour", "type": "VARCHAR", "enum": ["red", SCRIPT]},
    {"name": "is_on", "type": "BOOLEAN"},
    {"name": "is_good", "type": "BOOLEAN", "required": True},
    {"name": "power", "type": "DECIMAL(12,3)", "unit": "kW", "minimum": 0},
    {"name": "large", "type": "HUGEINT"},
    {"name": "seen", "type": "TIMESTAMP"},
    {"name": "tags", "type": "VARCHAR", "multivalued": True},
    {"name": "extra", "type": "JSON"},
    {"name": "town", "type": "VARCHAR", "references": "towns.name"},
    {"name": "currency", "type": "CHAR(3)", "required": True, "default": "USD"},
    {"name": "changed", "type": "TIMESTAMP", "generated": "updated"},
]
FULL = {
    "name": "First",
    "note": "one\ntwo",
    "colour": "red",
    "is_on": False,
    "is_good": True,
    "power": "10.500",
    "large": "123456789012345678901234567890",
    "seen": "2024-03-01T12:00:00.123456Z",
    "tags": ["a", 'b"'],
    "extra": {"a": [1.50, None]},
    "town": "Delft",
}
ADD = "/console/tables/things/rows/add/"


@pytest.fixture
def things(roles, store: Store) -> str:
    """A table with a column of every kind and one row, whose key this is; and the towns that it refers to."""

    def make() -> None:
        make_table(
            "towns", [{"name": "name", "type": "VARCHAR", "required": True}, {"name": "land", "type": "VARCHAR"}], primary_key=["name"]
        )
        make_table("things", THINGS)
        for name, land in (("Delft", "Netherlands"), ("Delhi", "India"), ("Ulm", "Deltaland")):
            rows.create(store, "towns", {"name": name, "land": land}, actor="test")
        rows.create(store, "things", FULL, actor="test")

    begin_with(store, "things of the forms", make, recorded=False)
    one_table.reconcile(store)
    with store.read() as cursor:
        return str(cursor.execute("SELECT thing_id FROM things").fetchone()[0])


def signed_in(role: str) -> Client:
    user = User.objects.filter(username=role).first() or user_with_role(role)
    User.objects.filter(pk=user.pk).update(is_staff=True)
    client = Client(HTTP_ACCEPT="text/html")
    client.force_login(user)
    return client


@pytest.fixture
def editor(things) -> Client:
    return signed_in("editor")


def page_of(key: str) -> str:
    return f"/console/tables/things/rows/{key}/"


def row_of(store: Store, key: str) -> dict:
    return json.loads(stored.get(store, store.table("things").schema, (key,)))


def form_of(client: Client, address: str) -> dict[str, object]:
    """What a browser would send of the form as it stands."""
    answer = client.get(address)
    assert answer.status_code == 200
    fields = [f for f in answer.context["fields"] if not f.is_fixed]
    form: dict[str, object] = {f.column.name: f.entered.text.replace("\n", "\r\n") for f in fields}
    form["__empty"] = [f.column.name for f in fields if f.entered.is_empty]
    return form | ({"__row": answer.context["row"]} if "row" in answer.context else {"__once": answer.context["once"]})


def fields_of(answer) -> dict:
    return {field.column.name: field for field in answer.context["fields"]}


def test_a_form_that_nobody_touched_changes_nothing(store, things, editor):
    before = row_of(store, things)
    for touched in ({}, {"power": "10.5"}):  # The same number is the same value, however it is written.
        answer = editor.post(page_of(things), form_of(editor, page_of(things)) | touched, follow=True)
        assert "Nothing was changed." in answer.content.decode()
    assert row_of(store, things) == before


def test_what_is_changed_is_written_and_nothing_else(store, things, editor):
    before = row_of(store, things)
    editor.post(page_of(things), form_of(editor, page_of(things)) | {"power": " 11.25 ", "is_on": "=true", "note": "one\r\nthree"})
    after = row_of(store, things)
    assert {name for name in before if before[name] != after[name]} == {"power", "is_on", "note", "changed"}
    assert (after["power"], after["is_on"], after["note"]) == (11.25, True, "one\nthree")


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        ({"note": ""}, None),
        ({"note": "", "__empty": ["note"]}, ""),
        ({"note": "kept", "__empty": ["note"]}, "kept"),
        ({"note": " "}, " "),
        ({"colour": ""}, None),
        ({"colour": f"={SCRIPT}"}, SCRIPT),
        ({"is_on": ""}, None),
        ({"power": ""}, None),
        ({"large": "-170141183460469231731687303715884105727"}, -170141183460469231731687303715884105727),
        ({"seen": "2024-03-01T12:00"}, "2024-03-01T12:00:00Z"),
        ({"tags": "[]"}, []),
        ({"tags": ""}, None),
        ({"extra": '{"a": 1.50}'}, {"a": 1.5}),
        ({"town": ""}, None),
    ],
)
def test_null_and_empty_are_told_apart_and_every_kind_is_read(store, things, editor, sent, value):
    answer = editor.post(page_of(things), form_of(editor, page_of(things)) | sent)
    assert answer.status_code == 302, answer.context["others"]
    assert row_of(store, things)[next(iter(sent))] == value


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ({"name": ""}, "required"),
        ({"name": "x" * 21}, "longer than 20"),
        ({"power": "-1"}, "less than 0"),
        ({"power": "many"}, "not a number"),
        ({"colour": "=blue"}, "not one of"),
        ({"tags": "a, b"}, "not a list in JSON"),
        ({"tags": '{"a": 1}'}, "not a list"),
        ({"extra": "{"}, "not JSON"),
        ({"seen": "yesterday"}, "not a time"),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_nothing_is_lost(store, things, editor, sent, reason):
    before = row_of(store, things)
    name, text = next(iter(sent.items()))
    answer = editor.post(page_of(things), form_of(editor, page_of(things)) | sent | {"note": "mine"})
    shown = fields_of(answer)
    assert reason in shown[name].problems[0]
    assert (shown[name].entered.text, shown["note"].entered.text) == (text, "mine")
    assert row_of(store, things) == before


def test_a_new_row_takes_its_defaults_and_what_is_generated(store, things, editor):
    form = form_of(editor, ADD)
    assert form["currency"] == "USD"
    answer = editor.post(ADD, form | {"name": "Second", "is_good": "true"})
    made = row_of(store, answer.url.split("/")[-2])
    assert (made["name"], made["currency"], made["note"], made["is_good"]) == ("Second", "USD", None, True)
    assert made["changed"]


def test_a_new_row_without_what_is_required_is_refused_beside_the_field(editor):
    answer = editor.post(ADD, form_of(editor, ADD))
    assert fields_of(answer)["name"].problems == ("name is required.",)
    assert "The row was not added." in answer.content.decode()


def test_a_form_that_is_sent_twice_makes_one_row(store, things, editor):
    form = form_of(editor, ADD) | {"name": "Second", "is_good": "true"}
    first, second = editor.post(ADD, form), editor.post(ADD, form)
    assert first.status_code == second.status_code == 302
    assert first["Location"] == second["Location"]
    answer = editor.post(ADD, form | {"name": "Third"})
    assert "has made a row already" in answer.context["others"][0]
    assert editor.post(ADD, form_of(editor, ADD) | {"name": "Third", "is_good": "true"})["Location"] != first["Location"]


def test_a_key_that_is_taken_is_said(editor, things):
    answer = editor.post(ADD, form_of(editor, ADD) | {"thing_id": things, "name": "Again", "is_good": "true"})
    assert "already has a row" in answer.context["others"][0]


def test_two_people_keep_what_each_changed_and_see_what_both_did(store, things, editor):
    mine = form_of(editor, page_of(things)) | {"note": "mine", "power": "1"}
    rows.patch(store, "things", things, {"note": "theirs", "currency": "EUR"}, actor="somebody else")
    answer = editor.post(page_of(things), mine)
    shown = fields_of(answer)
    assert answer.context["has_moved"]
    assert row_of(store, things)["note"] == "theirs"
    assert (shown["note"].entered.text, shown["note"].theirs) == ("mine", "theirs")
    assert (shown["power"].entered.text, shown["power"].theirs) == ("1", None)
    assert shown["currency"].entered.text == "EUR"
    again = {f.column.name: f.entered.text for f in shown.values() if not f.is_fixed} | {"__row": answer.context["row"]}
    assert editor.post(page_of(things), again).status_code == 302
    assert [row_of(store, things)[name] for name in ("note", "power", "currency")] == ["mine", 1.0, "EUR"]


def test_a_second_click_on_save_and_on_delete_does_no_harm(store, things, editor):
    form = form_of(editor, page_of(things)) | {"note": "mine"}
    assert [editor.post(page_of(things), form).status_code for _ in range(2)] == [302, 302]
    entries = editor.get(page_of(things)).context["history"].entries
    assert [entry.words for entry in entries] == ["changed", "created"]
    form = form_of(editor, page_of(things)) | {"__deed": "delete"}
    assert [editor.post(page_of(things), form).status_code for _ in range(2)] == [302, 302]


def test_a_row_that_somebody_changed_is_not_deleted_unseen(store, things, editor):
    form = form_of(editor, page_of(things)) | {"__deed": "delete"}
    rows.patch(store, "things", things, {"note": "precious"}, actor="somebody else")
    answer = editor.post(page_of(things), form)
    assert answer.context["has_moved"]
    assert row_of(store, things)["note"] == "precious"


def test_the_history_tells_who_changed_which_field_and_outlives_the_row(store, things, editor):
    editor.post(page_of(things), form_of(editor, page_of(things)) | {"note": "", "power": "1"})
    latest = editor.get(page_of(things)).context["history"].entries[0]
    told = {field.name: (field.before.text, field.after.text) for field in latest.fields}
    assert (latest.actor, latest.words) == ("editor", "changed")
    assert told.pop("changed")
    assert told == {"note": ("one\ntwo", "null"), "power": ("10.500", "1.000")}
    editor.post(page_of(things), form_of(editor, page_of(things)) | {"__deed": "delete"})
    gone = editor.get(page_of(things))
    assert gone.status_code == 404
    assert [entry.words for entry in gone.context["history"].entries] == ["deleted", "changed", "created"]
    assert editor.get(page_of("00000000-0000-4000-8000-000000000000")).status_code == 404


def test_a_long_history_is_shown_in_parts(store, things, editor):
    for n in range(25):
        rows.patch(store, "things", things, {"power": str(n)}, actor="test")
    seen = editor.get(page_of(things)).context["history"]
    older = editor.get(f"{page_of(things)}?before={seen.older}").context["history"]
    assert (len(seen.entries), len(older.entries), older.older) == (20, 6, None)
    assert editor.get(f"{page_of(things)}?before=x").status_code == 400


def test_a_viewer_sees_no_buttons_and_writes_nothing_by_hand(store, things, editor):
    viewer, before = signed_in("viewer"), row_of(store, things)
    form = form_of(editor, page_of(things)) | {"note": "mine"}
    text = viewer.get(page_of(things)).content.decode()
    assert "<textarea" not in text and "__deed" not in text
    assert "one\ntwo" in text
    assert [viewer.post(page_of(things), form | {"__deed": deed}).status_code for deed in ("save", "delete")] == [403, 403]
    assert [viewer.get(ADD).status_code, viewer.post(ADD, {"name": "x"}).status_code] == [403, 403]
    assert row_of(store, things) == before


def test_a_read_only_table_is_written_by_nobody(store, things, editor):
    form, before = form_of(editor, page_of(things)) | {"note": "mine"}, row_of(store, things)
    ManagedTable.objects.filter(name="things").update(read_only=True)
    forget_decided()
    assert "__deed" not in editor.get(page_of(things)).content.decode()
    assert [editor.post(page_of(things), form).status_code, editor.get(ADD).status_code, editor.post(ADD, form).status_code] == [423] * 3
    assert row_of(store, things) == before


def test_a_form_that_was_made_up_is_refused(things, editor):
    assert [editor.post(page_of(things), {"__row": made}).status_code for made in ("", "[]", "{")] == [400, 400, 400]


def test_hostile_values_stand_as_text(store, things, editor):
    rows.patch(store, "things", things, {"note": SCRIPT, "name": '"><b>', "colour": SCRIPT}, actor=SCRIPT)
    for client in (editor, signed_in("viewer")):
        text = client.get(page_of(things)).content.decode()
        assert SCRIPT not in text and '"><b>' not in text
        assert SCRIPT in unescape(text)


def test_a_references_field_offers_values_by_their_beginning_and_then_by_their_texts(things, editor):
    def offered(text: str) -> list[tuple[str, str]]:
        answer = editor.get("/console/tables/things/lookup/", {"column": "town", "q": text})
        return [(match["value"], match["label"]) for match in answer.json()["matches"]]

    assert offered("del") == [("Delft", "Netherlands"), ("Delhi", "India"), ("Ulm", "Deltaland")]
    assert offered("neth") == [("Delft", "Netherlands")]
    assert len(offered("")) == 3
    assert offered("%'") == []
    assert editor.get("/console/tables/things/lookup/?column=note").status_code == 400


def test_a_reference_leads_to_its_row(things, editor):
    assert 'href="/console/tables/towns/rows/Delft/"' in editor.get(page_of(things)).content.decode()


def test_the_fields_say_what_the_ontology_says(things, editor):
    text = re.sub(r"\s+", " ", editor.get(ADD).content.decode())
    for said in (
        "What people call it.",
        'href="https://example.org/name"',
        "DECIMAL(12,3) · kW",
        "TIMESTAMP · UTC",
        "By default USD.",
        "Refers to towns.name.",
    ):
        assert said in text


def test_a_row_of_any_key_has_its_page(store, roles):
    make_table("odd", [{"name": "code", "type": "VARCHAR", "required": True}, {"name": "note", "type": "VARCHAR"}], primary_key=["code"])
    found = ["", " ", "add", "aggregate", ".", "..", "a/b", "a,b", "~", "~2C", "%2F", "?a=b&c#d", "ü\n", '"<b>']
    for code in found:
        rows.create(store, "odd", {"code": code}, actor="test")
    one_table.reconcile(store)
    editor = signed_in("editor")
    listed = editor.get("/console/tables/odd/rows/").context["rows"]
    assert len(listed) == len(found)
    for _, address, _ in listed:
        seen = editor.get(address)
        assert seen.status_code == 200, address
        assert editor.post(address, {"__row": seen.context["row"], "note": "seen"}).status_code == 302
        assert editor.get(seen.context["rest"], HTTP_ACCEPT="application/json").json()["note"] == "seen"
        assert [entry.words for entry in editor.get(address).context["history"].entries] == ["changed", "created"]
