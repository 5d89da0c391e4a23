"""The pages of plans in the console: what a steward reads there, and what becomes of a click, a second click and a late one."""

import re
from collections.abc import Callable
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.test import Client

from projects import jobs
from projects.console import plan_story
from projects.models import Job, ManagedTable, Plan
from projects.store.connection import Store, get_store
from schema_registry.models import AuditEntry
from tests.conftest import user_with_role
from tests.projects.altered import Hand
from tests.projects.ontology import TURBINES, Ontology, send, with_column, without_column
from tests.projects.plan_cases import CASES
from tests.projects.planning import act, bring, propose, rows_of, seen, states

pytestmark = pytest.mark.django_db

SCRIPT = "<script>alert(1)</script>"
PLANS = "/console/plans/"
WITHOUT_CODE = without_column(TURBINES, "code")
Enter = Callable[[str], Client]


@pytest.fixture
def enter(roles) -> Enter:
    """A browser in which somebody of that name, a steward where nothing else is said, is signed in."""

    def entered(name: str, role: str = "steward") -> Client:
        user = User.objects.filter(username=name).first() or user_with_role(role)
        User.objects.filter(pk=user.pk).update(is_staff=True, username=name)
        user.refresh_from_db()
        client = Client()
        client.force_login(user)
        return client

    return entered


@pytest.fixture
def waiting(turbines: Ontology, steward_client) -> dict:
    """A plan to drop `code`, which waits."""
    turbines.say(WITHOUT_CODE)
    return bring(steward_client, status=202)


def text_of(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status
    return said(answer.content.decode())


def said(page: str) -> str:
    """A page's words, without its tags and its sidebar."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page.partition('id="main"')[2])).split())


def page_of(plan: dict | int) -> str:
    return f"{PLANS}{plan if isinstance(plan, int) else plan['id']}/"


def click(client: Client, plan: dict, deed: str, **fields: object) -> str:
    """A button of the plan's page as it is now, and the words of the page that comes."""
    shown = re.search(r'name="seen" value="(\w+)"', client.get(page_of(plan)).content.decode())
    return post(client, page_of(plan), {"deed": deed, "seen": shown[1] if shown else "", **fields})


def post(client: Client, path: str, fields: dict) -> str:
    answer = client.post(path, fields, follow=True)
    assert answer.status_code == 200, answer.content
    return said(answer.content.decode())


# Reading.


def test_a_plans_page_says_what_goes_which_policy_holds_it_and_with_what_sql(enter: Enter, waiting: dict) -> None:
    client = enter("steward")
    text = text_of(client, page_of(waiting))
    assert "Drop the column code (VARCHAR) with all its values." in text
    assert "The policy lets a change of the class destructive wait for a person." in text
    assert "1 row loses its value, archived first." in text
    assert "Row code now becomes After the step 1 abc → null" in text
    assert waiting["steps"][0]["sql"][0] in text
    assert "The values of code are archived first; an undo brings them back by primary key." in text
    assert "type the table's name: turbines" in text
    ManagedTable.objects.filter(name="turbines").update(policy={"destructive": "refuse"})
    assert "The table's own policy refuses every change of the class destructive." in text_of(client, page_of(waiting))


@pytest.mark.parametrize(
    "name", ["rename by hint", "unit changed, rows in the way", "new key, rows in the way", "list to scalar, rows in the way"]
)
def test_every_step_of_a_plan_stands_on_its_page(enter: Enter, ontology: Ontology, store: Store, steward_client, name: str) -> None:
    case = CASES[name]
    ontology.say(case.base)
    send(steward_client, "post", "/ops/initialize")
    for row in case.rows:
        assert send(steward_client, "post", "/ops/turbines", row).status_code == 201
    ontology.say(case.wanted)
    plan = propose(steward_client)
    text = text_of(enter("steward"), page_of(plan))
    for step in plan["steps"]:
        assert step["why"] in text
        for statement in step["sql"]:
            assert " ".join(statement.split()) in text
        assert not step["rows_in_the_way"] or f"In the way {step['rows_in_the_way']} Lose" in text


def test_hostile_names_and_values_are_text(enter: Enter, turbines: Ontology, steward_client) -> None:
    wide = with_column(TURBINES, "note", type="VARCHAR", description=SCRIPT, enum=[SCRIPT, "b"])
    turbines.say(wide)
    bring(steward_client)
    send(steward_client, "patch", "/ops/turbines/1", {"note": SCRIPT})
    turbines.say(with_column(wide, "note", enum=["b"]))
    plan = bring(steward_client, status=202)
    client = enter("steward")
    click(client, plan, "reject", reason=SCRIPT)
    for path in (page_of(plan), PLANS, f"{PLANS}?table={SCRIPT}", f"{PLANS}together/?plans={plan['id']}", f"{PLANS}?state={SCRIPT}"):
        page = client.get(path).content.decode()
        assert SCRIPT not in page
        assert not re.search(r"<script(?![^>]*src=)|\son\w+=", page.partition('id="content"')[2])
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in client.get(page_of(plan)).content.decode()


def test_the_list_has_those_that_wait_first_and_can_be_narrowed(enter: Enter, waiting: dict, turbines: Ontology, steward_client) -> None:
    turbines.say(
        {"name": "sites", "columns": [{"name": "id", "type": "INTEGER", "required": True}, {"name": "name", "type": "VARCHAR(9)"}]}
    )
    other = bring(steward_client, table="sites")
    client = enter("steward")
    assert numbers(client, PLANS) == [waiting["id"], other["id"]]
    assert numbers(client, f"{PLANS}?state=waiting") == [waiting["id"]]
    assert numbers(client, f"{PLANS}?state=applied&table=SITES") == [other["id"]]
    assert "No plan is like that." in text_of(client, f"{PLANS}?state=failed")


def numbers(client: Client, path: str) -> list[int]:
    return [int(number) for number in re.findall(r'<th scope="row"><a href="/console/plans/(\d+)/"', client.get(path).content.decode())]


def test_many_plans_take_pages_and_no_more_queries_than_few(enter: Enter, waiting: dict, django_assert_max_num_queries) -> None:
    ManagedTable.objects.bulk_create(ManagedTable(name=f"table_{n:03}") for n in range(300))
    steps = Plan.objects.get().steps
    Plan.objects.bulk_create(Plan(table=f"table_{n:03}", created_by="ada", steps=steps, state="applied", to_version=1) for n in range(300))
    client = enter("steward")
    with django_assert_max_num_queries(12):
        assert len(numbers(client, PLANS)) == 25
    assert len(numbers(client, f"{PLANS}?page=13")) == 1


# Deciding.


def test_a_steward_approves_and_applies_once_the_tables_name_is_typed(enter: Enter, waiting: dict, steward_client) -> None:
    client = enter("steward")
    text = click(client, waiting, "approve_and_apply", reason="Nobody reads it.", confirm="turbine")
    assert "Type the table's name, turbines: this takes data away." in text
    assert "Nobody reads it." in text
    assert seen(steward_client, waiting)["state"] == "proposed"
    text = click(client, waiting, "approve_and_apply", reason="Nobody reads it.", confirm=" Turbines ")
    assert f"Plan {waiting['id']} is applied to turbines." in text
    assert "Rows archived" in text
    applied = seen(steward_client, waiting)
    assert (applied["state"], applied["approved_by"], applied["reason"]) == ("applied", "steward", "Nobody reads it.")
    assert "code" not in rows_of(steward_client)[0]


def test_approving_alone_changes_nothing_and_rejecting_ends_it(enter: Enter, waiting: dict, steward_client) -> None:
    client = enter("steward")
    assert "Nothing is changed until somebody applies it." in click(client, waiting, "approve", reason="ok")
    assert "code" in rows_of(steward_client)[0]
    assert "is rejected" in click(client, waiting, "reject", reason="On second thoughts.")
    assert seen(steward_client, waiting)["reason"] == "On second thoughts."


def test_a_second_click_is_told_what_the_first_did_and_another_person_what_the_plan_is_now(enter: Enter, waiting: dict) -> None:
    ada, bob = enter("steward"), enter("bob", "operator")
    User.objects.get(username="bob").groups.set(User.objects.get(username="steward").groups.all())
    form = {"deed": "approve", "seen": re.search(r'name="seen" value="(\w+)"', ada.get(page_of(waiting)).content.decode())[1]}
    assert "is approved." in post(ada, page_of(waiting), form)
    assert "is approved already, by you." in post(ada, page_of(waiting), form)
    late = post(bob, page_of(waiting), form)
    assert f"The plan {waiting['id']} is approved, so this cannot be done with it. steward approved it." in late
    assert AuditEntry.objects.filter(action="plan.approve").count() == 1


def test_evidence_that_was_gathered_anew_has_to_be_read_again(enter: Enter, waiting: dict, steward_client) -> None:
    client = enter("steward")
    form = {"deed": "approve", "seen": re.search(r'name="seen" value="(\w+)"', client.get(page_of(waiting)).content.decode())[1]}
    send(steward_client, "patch", "/ops/turbines/2", {"code": "new"})
    bring(steward_client, status=202)
    assert "was gathered anew after you opened its page, so nothing was decided" in post(client, page_of(waiting), form)
    assert seen(steward_client, waiting)["state"] == "proposed"
    assert "is approved." in click(client, waiting, "approve")


def test_four_eyes_are_said_in_words_and_kept(enter: Enter, waiting: dict, settings, steward_client) -> None:
    settings.PLAN_FOUR_EYES = True
    ada = enter("steward")
    assert "Four eyes: another person than steward, who made it, has to approve it." in text_of(ada, page_of(waiting))
    assert 'value="approve"' not in ada.get(page_of(waiting)).content.decode()
    assert "needs the approval of another person than steward" in click(ada, waiting, "approve")
    bob = enter("bob", "operator")
    User.objects.get(username="bob").groups.set(User.objects.get(username="steward").groups.all())
    assert "you are the second person" in text_of(bob, page_of(waiting))
    assert "is applied to turbines" in click(bob, waiting, "approve_and_apply", confirm="turbines")


def test_a_viewer_reads_and_decides_nothing(enter: Enter, waiting: dict, steward_client) -> None:
    vera = enter("vera", "viewer")
    page = vera.get(page_of(waiting)).content.decode()
    assert "abc" in page
    assert 'name="deed"' not in page
    assert "A steward decides on it." in page
    for deed in ("approve", "approve_and_apply", "apply", "reject", "propose", "renew"):
        assert vera.post(page_of(waiting), {"deed": deed, "confirm": "turbines"}).status_code == 403
    assert vera.post(PLANS, {"table": "turbines"}).status_code == 403
    for path in (f"{page_of(waiting)}undo/", f"{PLANS}together/"):
        assert (vera.get(path).status_code, vera.post(path).status_code) == (403, 403)
    assert states(steward_client) == {waiting["id"]: "proposed"}


# Stale, and fresh.


def test_a_stale_plan_says_so_and_offers_a_fresh_one(enter: Enter, waiting: dict, turbines: Ontology, steward_client) -> None:
    client = enter("steward")
    turbines.say(without_column(WITHOUT_CODE, "serial") | {"unique": []})
    fresh = propose(steward_client)
    text = text_of(client, page_of(waiting))
    assert (
        f"This plan is stale. The table, or the schema that it leads to, has moved on since it was made. Plan {fresh['id']} took its place."
        in text
    )
    assert "is stale" in click(client, waiting, "approve_and_apply", confirm="turbines")
    assert "was made, with the evidence of now" in click(client, waiting, "renew")
    assert states(steward_client)[fresh["id"]] == "stale"


def test_a_plan_that_the_ontology_left_behind_warns_before_it_is_refused(
    enter: Enter, waiting: dict, turbines: Ontology, steward_client
) -> None:
    turbines.say(TURBINES | {"description": "Other."})
    steward_client.get("/admin/drift?refresh=true")
    client = enter("steward")
    text = text_of(client, page_of(waiting))
    assert "It would be refused as stale." in text
    assert "version 3 came since" in text
    assert 'value="approve_and_apply"' not in client.get(page_of(waiting)).content.decode()


def test_a_table_that_was_altered_by_hand_is_repaired_by_a_plan_from_the_list(
    enter: Enter, mills: Ontology, by_hand: Hand, steward_client
) -> None:
    by_hand("ALTER TABLE mills ADD COLUMN extra INTEGER DEFAULT 7")
    client = enter("steward")
    text = post(client, PLANS, {"table": "mills", "drift": "repair"})
    assert "what was altered by hand is put back" in text
    made = Plan.objects.get()
    text = click(client, {"id": made.pk}, "approve_and_apply", confirm="mills")
    assert f"Plan {made.pk} is applied to mills." in text
    assert "There is nothing to do: mills is as it should be." in post(client, PLANS, {"table": "mills", "drift": "adopt"})


# What a person gives.

UNFIT = with_column(with_column(TURBINES, "power", unit="W", maximum=1_000_000), "status", enum=["NEW"])


def test_a_factor_and_a_mapping_are_given_in_the_form_and_the_fresh_plan_has_no_row_in_the_way(enter, turbines, steward_client) -> None:
    turbines.say(with_column(UNFIT, "colour", type="VARCHAR", required=True))
    plan = bring(steward_client, status=202)
    client = enter("steward")
    text = text_of(client, page_of(plan))
    assert "Rows cannot be kept as they are, so it cannot be approved yet." in text
    given = {
        "answer.power": "factor",
        "factor.power": "1000",
        "answer.status": "mapping",
        "old.status": ["OLD", ""],
        "new.status": ["NEW", ""],
        "answer.colour": "constant",
        "constant.colour": "",
    }
    text = click(client, plan, "propose", **given)
    assert "Give the value that these rows get; for an empty text, give the expression ''." in text
    assert 'name="factor.power" form="give" value="1000"' in client.post(page_of(plan), {"deed": "propose", **given}).content.decode()
    assert "is no number of at most 12 digits" in click(
        client, plan, "propose", **given | {"factor.power": "much", "constant.colour": "white"}
    )
    assert "was made, with the evidence of now" in click(client, plan, "propose", **given | {"constant.colour": "white"})
    made = Plan.objects.latest("pk")
    assert made.inputs == {
        "power": {"factor": "1000", "offset": "0"},
        "status": {"mapping": {"OLD": "NEW"}},
        "colour": {"constant": "white"},
    }
    assert sum(step["rows_in_the_way"] for step in made.steps) == 0
    assert "status : OLD becomes NEW" in text_of(client, page_of(made.pk))
    click(client, {"id": made.pk}, "approve_and_apply")
    assert [(row["power"], row["status"], row["colour"]) for row in rows_of(steward_client)] == [
        (100000, "NEW", "white"),
        (200000, "NEW", "white"),
    ]


def test_a_column_that_looks_like_one_that_goes_is_renamed_by_a_choice(enter: Enter, turbines: Ontology, steward_client) -> None:
    turbines.say(with_column(WITHOUT_CODE, "codes", type="VARCHAR(5)"))
    plan = bring(steward_client, status=202)
    client = enter("steward")
    assert "Yes: code was renamed, and keeps its values (they look alike)" in text_of(client, page_of(plan))
    click(client, plan, "propose", **{"renamed_from.codes": "code"})
    made = Plan.objects.latest("pk")
    assert [step["change"] for step in made.steps] == ["rename_column"]
    click(client, {"id": made.pk}, "propose", **{"renamed_from.codes": ""})
    assert sorted(step["change"] for step in Plan.objects.latest("pk").steps) == ["add_column", "drop_column"]


# Jobs, and several.


def test_a_long_apply_is_a_job_whose_progress_the_page_shows(
    enter: Enter, waiting: dict, store: Store, monkeypatch, steward_client
) -> None:
    monkeypatch.setattr(plan_story, "LONG_ROWS", 2)
    client = enter("steward")
    text = click(client, waiting, "approve_and_apply", confirm="turbines")
    assert "It waits in the queue of jobs, to be applied." in text
    click(client, waiting, "apply", confirm="turbines")
    job = Job.objects.get()
    part = client.get(page_of(waiting), headers={"HX-Request": "true"}).content.decode()
    assert "It waits in the queue" in part
    assert "<html" not in part
    jobs.run(get_store(), jobs.next_job())
    answer = client.get(f"{page_of(waiting)}?job={job.pk}", headers={"HX-Request": "true"})
    assert answer.headers["HX-Refresh"] == "true"
    assert seen(steward_client, waiting)["state"] == "applied"
    assert "What was done" in text_of(client, f"{page_of(waiting)}?job={job.pk}")
    text = post(client, f"{page_of(waiting)}undo/", {"reason": "Too soon."})
    assert "It waits in the queue of jobs, to be undone." in text
    jobs.run(get_store(), jobs.next_job())
    assert (seen(steward_client, waiting)["state"], Plan.objects.get(kind="undo").reason) == ("undone", "Too soon.")


def test_plans_of_several_tables_are_applied_together_or_not_at_all(
    enter: Enter, waiting: dict, turbines: Ontology, steward_client
) -> None:
    turbines.say({"name": "sites", "columns": [{"name": "id", "type": "INTEGER", "required": True}]})
    other = bring(steward_client, table="sites", status=202)
    client = enter("steward")
    path = f"{PLANS}together/"
    text = text_of(client, f"{path}?plans={waiting['id']}&plans={other['id']}")
    assert "Type the names, with commas between them: turbines, sites" in text
    form = {"plans": [waiting["id"], other["id"]], "confirm": "turbines", "reason": "Both."}
    assert "sites is not among them" in post(client, path, form)
    assert {plan.state for plan in Plan.objects.all()} == {"proposed"}
    assert "2 plans are applied: turbines, sites." in post(client, path, form | {"confirm": "turbines, sites"})
    assert {(plan.state, plan.reason) for plan in Plan.objects.all()} == {("applied", "Both.")}
    assert "These plans are applied already." in post(client, path, form | {"confirm": "turbines, sites"})


# The way back.


def test_an_undo_is_shown_first_and_then_done_with_its_reason(enter: Enter, waiting: dict, steward_client) -> None:
    client = enter("steward")
    click(client, waiting, "approve_and_apply", confirm="turbines")
    text = text_of(client, f"{page_of(waiting)}undo/")
    assert "Nothing has been changed yet." in text
    assert "Add the column code (VARCHAR)." in text
    assert Plan.objects.count() == 1
    text = post(client, f"{page_of(waiting)}undo/", {"reason": "It was read after all."})
    undo = Plan.objects.get(kind="undo")
    assert f"Plan {waiting['id']} is undone, by plan {undo.pk}." in text
    assert (undo.state, undo.reason) == ("applied", "It was read after all.")
    assert [row["code"] for row in rows_of(steward_client)] == ["abc", None]
    assert "cannot be undone: it is undone." in post(client, f"{page_of(waiting)}undo/", {})
    assert f"It was taken back by plan {undo.pk}." in text_of(client, page_of(waiting)).replace(" .", ".")


def test_an_undo_that_takes_values_away_wants_the_tables_name(enter: Enter, turbines: Ontology, steward_client) -> None:
    turbines.say(with_column(TURBINES, "colour", type="VARCHAR"))
    plan = bring(steward_client)
    send(steward_client, "patch", "/ops/turbines/1", {"colour": "red"})
    client = enter("steward")
    path = f"{page_of(plan)}undo/"
    assert "1 row loses its value" in text_of(client, path)
    assert "Type the table's name, turbines: the undo takes values away." in post(client, path, {"reason": "why"})
    assert Plan.objects.count() == 1
    assert "is undone, by plan" in post(client, path, {"confirm": "turbines"})
    assert "colour" not in rows_of(steward_client)[0]


def test_rows_written_since_that_the_old_schema_cannot_hold_are_given_values_in_the_form(
    enter: Enter, turbines: Ontology, steward_client
) -> None:
    turbines.say(with_column(TURBINES, "status", enum=["NEW", "OLD", "GONE"]))
    plan = bring(steward_client)
    send(steward_client, "patch", "/ops/turbines/1", {"status": "GONE"})
    client = enter("steward")
    path = f"{page_of(plan)}undo/"
    assert "It would wait as a plan of its own." in text_of(client, path)
    form = {"answer.status": "mapping", "old.status": "GONE", "new.status": "OLD"}
    assert f"Plan {plan['id']} is undone" in post(client, path, form)
    assert [row["status"] for row in rows_of(steward_client)] == ["OLD", "OLD"]


def test_a_table_that_is_dropped_comes_back_by_the_undo_of_its_plan(enter: Enter, turbines: Ontology, steward_client) -> None:
    dropped = send(steward_client, "delete", "/admin/tables/turbines?confirm=turbines").json()["plan"]
    client = enter("steward")
    text = text_of(client, page_of(dropped))
    assert "the table goes" in text
    assert "1 the whole row → archived, and gone" in text
    assert "Create the table turbines." in text_of(client, f"{page_of(dropped)}undo/")
    assert "is undone, by plan" in post(client, f"{page_of(dropped)}undo/", {})
    assert len(rows_of(steward_client)) == 2


def test_an_undo_under_four_eyes_waits_with_its_reason(enter: Enter, turbines: Ontology, settings, steward_client) -> None:
    turbines.say(with_column(TURBINES, "colour", type="VARCHAR"))
    plan = bring(steward_client)
    settings.PLAN_FOUR_EYES = True
    client = enter("steward")
    assert "Another person has to approve it." in text_of(client, f"{page_of(plan)}undo/")
    text = post(client, f"{page_of(plan)}undo/", {"reason": "Nobody paints them."})
    undo = Plan.objects.get(kind="undo")
    assert f"The undo waits as plan {undo.pk}." in text
    assert "Reason Nobody paints them." in text
    assert f"Plan {undo.pk} , which would undo it, waits." in text_of(client, page_of(plan))


def test_a_plan_that_a_later_one_stands_on_says_why_it_cannot_be_undone(
    enter: Enter, waiting: dict, turbines: Ontology, steward_client
) -> None:
    client = enter("steward")
    click(client, waiting, "approve_and_apply", confirm="turbines")
    turbines.say(with_column(WITHOUT_CODE, "colour", type="VARCHAR"))
    later = bring(steward_client)
    text = text_of(client, page_of(waiting))
    assert f"plan {later['id']} came after it; undo that first." in text
    assert "undo/" not in client.get(page_of(waiting)).content.decode()


def test_a_failed_plan_says_what_went_wrong(enter: Enter, waiting: dict, steward_client) -> None:
    act(steward_client, waiting, "approve")
    Plan.objects.filter(pk=waiting["id"]).update(state="failed", error=f"The disk is full {SCRIPT}.")
    page = enter("steward").get(page_of(waiting)).content.decode()
    assert "Applying it failed, and nothing was changed." in page
    assert SCRIPT not in page


def test_there_is_no_page_of_a_plan_that_there_is_not(enter: Enter, store: Store) -> None:
    assert enter("steward").get(f"{PLANS}99/", headers={"accept": "text/html"}).status_code == 404
    assert "There is no plan yet." in text_of(enter("steward"), PLANS)
