"""`sync_schemas`, `undo_plan`, `apply_plan` and `plans` with the DuckDB file free: what they do, print, and end with."""

import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from projects import jobs
from projects.models import ManagedTable, Plan
from projects.store.connection import get_store
from schema_registry.models import AuditEntry, Listing
from tests.conftest import user_with_role
from tests.projects.ontology import NOWHERE, TURBINES, Ontology, everything, send, table, with_column, without_column

pytestmark = pytest.mark.django_db

DONE, FAILED, WAITS = 0, 1, 2
WITHOUT_CODE = without_column(TURBINES, "code")
WITH_COLOUR = with_column(TURBINES, "colour", type="VARCHAR")
WITH_REQUIRED_CODE = with_column(TURBINES, "code", required=True)  # The second turbine has none.


class Ended:
    """How a command ended: its exit code, and what it printed."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def flat(self) -> str:
        """What it printed, with every run of blanks as one: a statement is in it however it was folded."""
        return " ".join(self.out.split())


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]):
    """Runs a command to its end."""

    def run(*words: str) -> Ended:
        capsys.readouterr()
        try:
            call_command(*words)
            code = DONE
        except SystemExit as end:
            code = int(end.code or 0)
        return Ended(code, *capsys.readouterr())

    return run


def kept() -> tuple[Any, ...]:
    """What a dry run must leave as it was."""
    return list(Plan.objects.values()), list(AuditEntry.objects.values()), list(Listing.objects.values()), get_store().tables()


def codes(client: APIClient) -> list[str | None]:
    return [row.get("code", "gone") for row in client.get("/ops/turbines").json()]


def shown(ended: Ended, plan: Plan) -> bool:
    """Whether each statement of the plan was printed whole."""
    statements = [statement for step in plan.steps for statement in step["sql"]]
    return bool(statements) and all(" ".join(statement.split()) + ";" in ended.flat for statement in statements)


# What there is to do.


def test_a_first_sync_makes_the_tables_and_a_second_has_nothing_to_do(ontology: Ontology, run) -> None:
    dry = run("sync_schemas", "--dry-run")
    assert (dry.code, dry.out.count("created")) == (DONE, 2)
    assert "would be" in dry.out
    assert 'CREATE TABLE main."sites" ("id" INTEGER NOT NULL, "name" VARCHAR, PRIMARY KEY ("id"));' in dry.flat
    assert get_store().tables() == []
    assert [(ended.code, ended.out.count(word)) for word in ("created", "unchanged") if (ended := run("sync_schemas"))] == [(0, 2), (0, 2)]


def test_what_policy_allows_is_applied_and_printed_with_its_sql(turbines: Ontology, run) -> None:
    turbines.say(WITH_COLOUR)
    done = run("sync_schemas")
    assert done.code == DONE
    assert "1. additive: Add the column colour (VARCHAR)." in done.out
    assert "Rows in the way: 0 of 2." in done.out
    assert shown(done, Plan.objects.get(state="applied"))


def test_a_dry_run_shows_the_rows_in_the_way_and_changes_nothing(turbines: Ontology, run, steward_client: APIClient) -> None:
    document = with_column(with_column(WITH_REQUIRED_CODE, "price", type="INTEGER"), "serial", type="BIGINT")
    turbines.say(document)
    before = everything(steward_client, get_store()), kept()
    dry = run("sync_schemas", "--dry-run")
    assert dry.code == WAITS
    assert "destructive, waits: Change the type of price from DECIMAL(10,2) to INTEGER. Done by the same rebuild." in dry.flat
    assert "Rows in the way: 2 of 2. 2 would lose a value, which is archived first." in dry.out
    assert "1    12.50" in dry.out
    assert "Rows in the way: 1 of 2. 1 cannot be kept without a constant or an expression for code." in dry.out
    assert "Rebuilt, because a key or a unique rule stands on the column whose type changes." in dry.out
    assert "The rebuild takes about 0.0 s" in dry.out
    assert (everything(steward_client, get_store()), kept()) == before
    assert run("sync_schemas").code == WAITS
    assert shown(dry, Plan.objects.get())  # What was shown is what is kept to be run.


def test_what_waits_says_the_number_of_its_plan(turbines: Ontology, run, steward_client: APIClient) -> None:
    turbines.say(WITHOUT_CODE)
    assert run("sync_schemas").code == WAITS
    plan = Plan.objects.get()
    again = run("sync_schemas", "turbines")
    assert (again.code, Plan.objects.get()) == (WAITS, plan)
    assert f"turbines, version 1 to 2: plan {plan.pk}, proposed, change" in again.out
    assert codes(steward_client) == ["abc", None]


# Approving.


def test_what_waits_is_approved_and_applied(turbines: Ontology, run, steward_client: APIClient) -> None:
    ManagedTable.objects.update(policy={"additive": "wait"})
    turbines.say(WITH_COLOUR)
    assert run("sync_schemas").code == WAITS
    assert run("sync_schemas", "--approve", "--reason", "for the painters").code == DONE
    plan = Plan.objects.get()
    assert (plan.state, plan.approved_by, plan.applied_by, plan.reason) == ("applied", "system", "system", "for the painters")
    assert [row["colour"] for row in steward_client.get("/ops/turbines").json()] == [None, None]
    assert AuditEntry.objects.get(action="plan.approve").detail["reason"] == "for the painters"


def test_what_takes_data_away_has_to_be_allowed_too(turbines: Ontology, run, steward_client: APIClient) -> None:
    turbines.say(WITHOUT_CODE)
    for words in (["--dry-run"], []):
        ended = run("sync_schemas", "--approve", *words)
        assert (ended.code, "--allow-destructive" in ended.out, codes(steward_client)) == (WAITS, True, ["abc", None])
    assert Plan.objects.get().state == "proposed"
    before = kept()
    dry = run("sync_schemas", "--approve", "--allow-destructive", "--dry-run")
    assert (dry.code, "altered" in dry.out, kept()) == (DONE, True, before)
    done = run("sync_schemas", "--approve", "--allow-destructive")
    assert (done.code, codes(steward_client)) == (DONE, ["gone", "gone"])
    assert Plan.objects.get().outcome["archive"]["rows"] == 2


def test_broken_rows_cannot_be_approved_away_until_a_person_gives_values(turbines: Ontology, run, steward_client: APIClient) -> None:
    turbines.say(WITH_REQUIRED_CODE)
    ended = run("sync_schemas", "--approve", "--allow-destructive")
    assert (ended.code, "1 cannot be kept without a constant or an expression for code" in ended.out) == (WAITS, True)
    inputs = {"table": "turbines", "inputs": {"code": {"constant": "none"}}}
    given = send(steward_client, "post", "/admin/plans", inputs).json()
    for words in (["--dry-run"], [], ["--approve", "--dry-run"]):
        ended = run("sync_schemas", *words)
        assert f"plan {given['id']}, proposed" in ended.out, words  # A sync leaves it alone.
        assert ended.code == (DONE if "--approve" in words else WAITS)
    assert run("sync_schemas", "--approve").code == DONE
    assert (codes(steward_client), Plan.objects.get(pk=given["id"]).state) == (["abc", "none"], "applied")


def test_under_four_eyes_another_person_has_to_approve(turbines: Ontology, run, settings, steward_client: APIClient) -> None:
    settings.PLAN_FOUR_EYES = True
    user_with_role("operator")
    turbines.say(WITHOUT_CODE)
    first = run("sync_schemas", "--as", "steward")
    allowed = ("sync_schemas", "--approve", "--allow-destructive")
    for words in ([], ["--as", "steward"], ["--dry-run"], ["--as", "steward", "--dry-run"]):
        ended = run(*allowed, *words)
        who = "steward" if "steward" in words else "system"
        assert (ended.code, f"Another person than {who} has to approve it." in ended.out) == (WAITS, True), words
    assert (first.code, Plan.objects.get().state) == (WAITS, "proposed")
    operator = run(*allowed, "--as", "operator")
    assert (operator.code, "operator may not" in operator.err) == (FAILED, True)


def test_a_plan_that_another_person_made_is_applied_under_four_eyes(turbines: Ontology, run, settings, steward_client: APIClient) -> None:
    settings.PLAN_FOUR_EYES = True
    turbines.say(WITHOUT_CODE)
    assert run("sync_schemas").code == WAITS
    assert run("sync_schemas", "--approve", "--allow-destructive", "--as", "steward").code == DONE
    assert Plan.objects.values_list("created_by", "approved_by", "state").get() == ("system", "steward", "applied")


def test_options_that_do_not_go_together_are_refused(ontology: Ontology) -> None:
    for words in (["--allow-destructive"], ["--reason", "x"], ["--accept-shrunk", "turbines"]):
        with pytest.raises(CommandError, match="go"):
            call_command("sync_schemas", *words)


# What fails.


def test_what_the_policy_refuses_fails(turbines: Ontology, run, steward_client: APIClient) -> None:
    ManagedTable.objects.update(policy={"destructive": "refuse"})
    turbines.say(WITHOUT_CODE)
    for words in ([], ["--dry-run"], ["--approve", "--allow-destructive"]):
        ended = run("sync_schemas", *words)
        assert (ended.code, "refused by the policy" in ended.out) == (FAILED, True), words
    assert codes(steward_client) == ["abc", None]


def test_a_table_that_is_read_only_fails_in_a_dry_run_too(turbines: Ontology, run) -> None:
    ManagedTable.objects.update(read_only=True)
    turbines.say(WITH_COLOUR)
    for words in (["--dry-run"], []):
        ended = run("sync_schemas", *words)
        assert (ended.code, "The table turbines is read-only." in ended.out) == (FAILED, True)


def test_a_refused_document_fails_and_the_others_are_done(turbines: Ontology, run) -> None:
    turbines.say(WITH_COLOUR)
    turbines.say({"name": "bad", "columns": [{"name": "x", "type": "SPAGHETTI"}]})
    ended = run("sync_schemas")
    assert (ended.code, "altered" in ended.out, "/columns/0/type" in ended.out) == (FAILED, True, True)


def test_without_an_answer_it_fails_in_one_sentence(ontology: Ontology, run, settings) -> None:
    settings.ONTO_SERVER_URL = NOWHERE
    ended = run("sync_schemas", "--dry-run")
    assert (ended.code, NOWHERE in ended.err, ended.out) == (FAILED, True, "")


# A list that is much shorter.


def test_a_shorter_list_is_accepted_by_a_person_only(turbines: Ontology, run, steward_client: APIClient) -> None:
    turbines.say(table("masts"))
    run("sync_schemas")
    for name in ("masts_schema", "turbines_schema"):
        turbines.forget(name)
    for words in ([], ["--dry-run"]):
        ended = run("sync_schemas", *words)
        assert (ended.code, "Gone: masts_schema, turbines_schema." in ended.out) == (WAITS, True)
    dry = run("sync_schemas", "--accept-shrunk", "--dry-run")
    assert (dry.code, "no schema any more for: masts, turbines" in dry.out) == (DONE, True)
    assert run("sync_schemas").code == WAITS  # What a dry run accepted counts for nothing.
    assert run("sync_schemas", "--accept-shrunk").code == DONE
    assert AuditEntry.objects.filter(action="schemas.sync").order_by("-seq")[0].detail["accepted_without"] == [
        "masts_schema",
        "turbines_schema",
    ]
    assert run("sync_schemas").code == DONE
    assert len(steward_client.get("/ops/turbines").json()) == 2


@pytest.mark.django_db(transaction=True)  # A job that runs writes its progress from another thread.
def test_a_shorter_list_is_accepted_by_rest_too(turbines: Ontology, run, steward_client: APIClient) -> None:
    turbines.say(table("masts"))
    run("sync_schemas")
    for name in ("masts_schema", "turbines_schema"):
        turbines.forget(name)
    left = [send(steward_client, "post", "/admin/sync", {"accept_shrunk": accepted})["Location"] for accepted in (False, True)]
    while job := jobs.next_job():
        jobs.run(get_store(), job)
    waited, accepted = (steward_client.get(place).json()["result"] for place in left)
    assert (waited["shrunk"], accepted["shrunk"]) == (True, False)
    assert accepted["orphaned"] == ["masts", "turbines"]


@pytest.mark.parametrize("body", [{"accept_shrunk": "yes"}, {"accept_shrunk": 1}, {"accept_shrunk": True, "names": ["sites"]}])
def test_a_word_that_is_none_is_refused(turbines: Ontology, steward_client: APIClient, body: dict) -> None:
    assert send(steward_client, "post", "/admin/sync", body).status_code == 400


# As JSON.


def test_json_has_the_whole_plans(turbines: Ontology, run) -> None:
    turbines.say(WITHOUT_CODE)
    dry, waiting = run("sync_schemas", "--dry-run", "--json"), run("sync_schemas", "--json")
    for ended, number in ((dry, None), (waiting, Plan.objects.get().pk)):
        report = json.loads(ended.out)
        one = next(one for one in report["tables"] if one["table"] == "turbines")
        assert (ended.code, report["waits"], report["failed"], one["outcome"]) == (WAITS, True, False, "waits")
        assert (one["plan"]["id"], one["plan"]["steps"]) == (number, one["changes"])
        assert one["changes"][0]["sample"] == [{"key": "1", "value": "abc", "becomes": None}]


# The text.


def test_no_statement_is_cut_or_changed_by_the_terminal(ontology: Ontology, run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    columns = [{"name": f"a_rather_long_name_of_a_column_{n}", "type": "DECIMAL(10,2)"} for n in range(60)]
    text = "[red]It's   spaced[/red] :warning: \x1b[31mand red " + "very " * 60
    ontology.say(table("wide", *columns, description=text))
    dry = run("sync_schemas", "--dry-run", "wide")
    assert all(f'"{column["name"]}" DECIMAL(10,2)' in dry.flat for column in columns)
    assert "'" + text.replace("'", "''").replace("\x1b", "\\x1b") + "';" in dry.out
    assert max(len(line) for line in dry.out.splitlines() if "COMMENT" not in line and "very" not in line) < 130


# Undoing.


@pytest.fixture
def dropped(turbines: Ontology, run) -> Plan:
    """The applied plan that dropped `code`."""
    turbines.say(WITHOUT_CODE)
    assert run("sync_schemas", "--approve", "--allow-destructive").code == DONE
    return Plan.objects.get()


def test_an_undo_brings_the_values_back_and_the_change_waits_from_then_on(dropped: Plan, run, steward_client: APIClient) -> None:
    before = kept()
    dry = run("undo_plan", str(dropped.pk), "--dry-run")
    assert (dry.code, kept(), codes(steward_client)) == (DONE, before, ["gone", "gone"])
    assert "Add the column code (VARCHAR). Rebuilt, because values come back from the archive." in dry.out
    done = run("undo_plan", str(dropped.pk))
    assert (done.code, codes(steward_client)) == (DONE, ["abc", None])
    undo = Plan.objects.get(kind="undo")
    assert f"plan {undo.pk}, applied, undo of plan {dropped.pk}" in done.out
    assert shown(done, undo) and shown(dry, undo)
    again = run("undo_plan", str(dropped.pk))
    assert (again.code, f"The plan {dropped.pk} cannot be undone" in again.err) == (FAILED, True)
    assert run("sync_schemas").code == WAITS


def test_an_undo_that_takes_values_away_waits_for_the_tables_name(turbines: Ontology, run, steward_client: APIClient) -> None:
    turbines.say(WITH_COLOUR)
    run("sync_schemas")
    number = str(Plan.objects.get().pk)
    send(steward_client, "patch", "/ops/turbines/1", {"colour": "red"})
    for words in (["--dry-run"], [], ["--confirm", "sites"]):
        ended = run("undo_plan", number, *words)
        assert (ended.code, "Rows in the way: 1 of 2." in ended.out) == (WAITS, True)
        assert "confirm it with the name turbines" in ended.out
    assert steward_client.get("/ops/turbines/1").json()["colour"] == "red"
    assert run("undo_plan", number, "--dry-run", "--confirm", "turbines").code == DONE
    done = run("undo_plan", number, "--confirm", "turbines", "--json")
    assert (done.code, json.loads(done.out)["undoes"]) == (DONE, int(number))
    assert "colour" not in steward_client.get("/ops/turbines/1").json()


def test_under_four_eyes_an_undo_waits_for_another_person(dropped: Plan, run, settings, steward_client: APIClient) -> None:
    settings.PLAN_FOUR_EYES = True
    for words in (["--dry-run"], []):
        ended = run("undo_plan", str(dropped.pk), "--as", "steward", *words)
        assert (ended.code, "Another person has to approve it." in ended.out) == (WAITS, True)
    assert codes(steward_client) == ["gone", "gone"]


def test_who_may_not_manage_tables_may_not_undo(dropped: Plan, run) -> None:
    user_with_role("editor")
    ended = run("undo_plan", str(dropped.pk), "--as", "editor")
    assert (ended.code, "editor may not" in ended.err, Plan.objects.count()) == (FAILED, True, 1)


# One plan, and all of them.


def test_a_plan_is_approved_and_applied_by_its_number(turbines: Ontology, run, steward_client: APIClient) -> None:
    turbines.say(WITHOUT_CODE)
    run("sync_schemas")
    number = str(Plan.objects.get().pk)
    refusals = {
        (): "waits for approval",
        ("--approve",): "confirm=turbines",
        ("--approve", "--confirm", "sites"): "confirm=turbines",
    }
    for words, reason in refusals.items():
        ended = run("apply_plan", number, *words)
        assert (ended.code, reason in ended.err, Plan.objects.get().state) == (WAITS, True, "proposed"), words
    done = run("apply_plan", number, "--approve", "--reason", "nobody reads it", "--confirm", "turbines", "--as", "steward")
    assert (done.code, codes(steward_client)) == (DONE, ["gone", "gone"])
    assert Plan.objects.values_list("approved_by", "applied_by", "reason").get() == ("steward", "steward", "nobody reads it")
    assert f"plan {number}, applied" in done.out
    assert "Archive: turbines-plan" in done.out
    over = run("apply_plan", number, "--approve")
    assert (over.code, "is applied" in over.err) == (FAILED, True)


def test_a_plan_of_a_read_only_table_is_not_even_approved(turbines: Ontology, run) -> None:
    turbines.say(WITHOUT_CODE)
    run("sync_schemas")
    ManagedTable.objects.update(read_only=True)
    ended = run("apply_plan", str(Plan.objects.get().pk), "--approve", "--confirm", "turbines")
    assert (ended.code, Plan.objects.get().state) == (FAILED, "proposed")


def test_who_may_not_manage_tables_may_not_apply(turbines: Ontology, run) -> None:
    user_with_role("editor")
    turbines.say(WITHOUT_CODE)
    run("sync_schemas")
    ended = run("apply_plan", str(Plan.objects.get().pk), "--approve", "--confirm", "turbines", "--as", "editor")
    assert (ended.code, "editor may not" in ended.err, Plan.objects.get().state) == (FAILED, True, "proposed")


def test_the_plans_are_listed_and_one_is_shown_in_full(turbines: Ontology, run) -> None:
    turbines.say(WITH_COLOUR)
    turbines.say(table("sites", {"name": "name", "type": "VARCHAR", "description": "Where."}))
    run("sync_schemas")
    turbines.say(without_column(WITH_COLOUR, "code"))
    run("sync_schemas")
    lines = run("plans").out.splitlines()
    assert [line.split()[1:4] for line in lines[1:]] == [
        ["turbines", "change", "proposed"],
        ["turbines", "change", "applied"],
        ["sites", "change", "applied"],
    ]
    assert len(run("plans", "--table", "Sites").out.splitlines()) == 2
    assert len(run("plans", "--table", "turbines", "--state", "applied").out.splitlines()) == 2
    assert [plan["state"] for plan in json.loads(run("plans", "--json", "--state", "proposed").out)] == ["proposed"]
    waiting = Plan.objects.get(state="proposed")
    one = run("plans", str(waiting.pk))
    assert (one.code, shown(one, waiting), "Rows in the way: 1 of 2." in one.out) == (DONE, True, True)
    assert json.loads(run("plans", str(waiting.pk), "--json").out)["steps"] == waiting.steps
    missing = run("plans", "99")
    assert (missing.code, missing.err) == (FAILED, "There is no plan 99.\n")
