"""What becomes of rows that meet others, and of bad ones: every combination of a load's options, its feed, its rejects, its job."""

import csv
import gzip
import io
import itertools
import json
import threading
from pathlib import Path

import pyarrow as pa
import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from projects import jobs, loads
from projects import rows as service
from projects.errors import DuplicateKeys
from projects.models import Job
from projects.store import spool, staging
from projects.store.bulk import Options
from projects.store.connection import Store, get_store
from tests.conftest import client_of, user_with_role
from tests.projects.conftest import make_table
from tests.projects.test_load_formats import KINDS, arrow_bytes, parquet_bytes

pytestmark = pytest.mark.django_db

COLUMNS = [
    {"name": "id", "type": "INTEGER", "required": True},
    {"name": "name", "type": "VARCHAR", "required": True, "max_length": 5},
    {"name": "code", "type": "VARCHAR"},
    {"name": "kind", "type": "VARCHAR", "default": "plain"},
    {"name": "made", "type": "TIMESTAMP", "generated": "created"},
    {"name": "touched", "type": "TIMESTAMP", "generated": "updated"},
]
BEFORE = {1: ("one", "c1"), 2: ("two", "c2")}
FILE = "id,name,code\n2,zwei,d2\n3,three,c3\n3,again,c4\n4,four,c1\n5,five,c3\n6,toolong,c6\n7,seven,\n"
# What rows 1 to 7 of the file meet: a key of the table; nothing; row 2's key; a unique code of the table; row 2's code; a rule; nothing.
MET, IN_FILE, TAKEN, SAME_CODE, LONG = 1, 3, 4, 5, 6
REJECTED = {"error": [MET, IN_FILE, TAKEN, SAME_CODE, LONG], "ignore": [LONG], "update": [IN_FILE, TAKEN, SAME_CODE, LONG]}
IGNORED = {"error": 0, "ignore": 4, "update": 0}
UPDATED = {"error": 0, "ignore": 0, "update": 1}


@pytest.fixture
def things(store: Store) -> Store:
    make_table("things", COLUMNS, primary_key=["id"], unique=[["code"]])
    fill(store)
    return store


def fill(store: Store) -> None:
    with store.transaction() as transaction:
        transaction.execute("DELETE FROM things")
    with store.transaction() as transaction:
        for key, (name, code) in BEFORE.items():
            old = "TIMESTAMP '2020-01-01'"
            transaction.execute(f"INSERT INTO things VALUES ({key}, '{name}', '{code}', 'old', {old}, {old})")


def held(store: Store) -> dict[int, tuple]:
    with store.read() as cursor:
        return {row[0]: row[1:] for row in cursor.execute("SELECT id, name, code FROM things").fetchall()}


def feed(store: Store) -> list[tuple]:
    with store.read() as cursor:
        return cursor.execute(
            "SELECT op, key, rows, before->>'name', after->>'name' FROM _duckspawn.changes WHERE op <> 'schema' ORDER BY seq"
        ).fetchall()


def post(client: APIClient, body: str, query: str = "", form: str = "csv", **more: str):
    return client.post(f"/ops/things{query}", data=body, content_type=KINDS[form], **more)


def test_every_combination_of_options_does_what_it_says(things: Store, editor_client: APIClient) -> None:
    for on_conflict, on_error, dry_run in itertools.product(("error", "ignore", "update"), ("abort", "skip"), ("false", "true")):
        case = (on_conflict, on_error, dry_run)
        fill(things)
        entries = len(feed(things))
        answer = post(editor_client, FILE, f"?on_conflict={on_conflict}&on_error={on_error}&dry_run={dry_run}")
        body, skips, is_dry = answer.json(), on_error == "skip", dry_run == "true"
        assert (case, answer.status_code) == (case, 200 if skips or is_dry else 422)
        assert (case, [r["row"] for r in body["rejects"]]) == (case, REJECTED[on_conflict])
        inserted, updated = (2, UPDATED[on_conflict]) if skips else (0, 0)
        if answer.status_code == 200:
            counts = [body[name] for name in ("inserted", "updated", "ignored", "rejected")]
            assert (case, counts) == (case, [inserted, updated, IGNORED[on_conflict] * skips, len(REJECTED[on_conflict])])
        wanted = dict(BEFORE)
        if skips and not is_dry:
            wanted |= {3: ("three", "c3"), 7: ("seven", None)} | ({2: ("zwei", "d2")} if on_conflict == "update" else {})
        assert (case, held(things)) == (case, wanted)
        made = feed(things)[entries:]
        if not skips or is_dry:
            assert (case, made) == (case, [])
        elif on_conflict == "update":
            rows = [("load", "2", None, "two", "zwei"), ("load", "3", None, None, "three"), ("load", "7", None, None, "seven")]
            assert (case, made) == (case, rows)
        else:
            assert (case, made) == (case, [("load", None, 2, None, None)])
        fetched = editor_client.get(body["rejects_file"])
        told = list(csv.DictReader(io.StringIO(b"".join(fetched.streaming_content).decode())))
        assert (case, [int(row["row"]) for row in told]) == (case, REJECTED[on_conflict])
    clean = post(editor_client, "id,name\n10,new\n2,no\n", "?on_conflict=ignore")
    assert clean.json() == {"inserted": 1, "updated": 0, "ignored": 1, "rejected": 0, "rejects": []}
    assert post(editor_client, "id,name\n2,no\n").status_code == 409


def test_a_text_for_null_that_csv_would_read_otherwise_is_refused(things: Store, editor_client: APIClient, tmp_path: Path, capsys) -> None:
    for unfit in ('"', "a,b"):
        answer = editor_client.post(f"/ops/things?null=NA&null={unfit}", "id,name\n", content_type="text/csv")
        assert answer.status_code == 400
        assert f"null is a text such as NA, without quotes and commas, not {unfit!r}." in answer.json()["detail"]
    (tmp_path / "things.csv").write_text("id,name\n3,x\n")
    with pytest.raises(SystemExit):
        call_command("load_rows", "things", str(tmp_path / "things.csv"), "--null", '"')
    assert "without quotes and commas" in capsys.readouterr().err


def test_an_update_writes_the_files_columns_and_no_others(things: Store, editor_client: APIClient) -> None:
    def rows() -> dict[int, tuple]:
        with things.read() as cursor:
            found = cursor.execute("SELECT id, name, code, kind, year(made), year(touched) > 2025 FROM things ORDER BY id").fetchall()
        return {row[0]: row[1:] for row in found}

    assert post(editor_client, "id,kind\n1,x\n", "?on_conflict=update").json()["updated"] == 1
    assert rows()[1] == ("one", "c1", "x", 2020, True)
    lines = '{"id": 2, "code": null}\n{"id": 1, "name": "uno"}\n{"id": 8, "name": "eight"}\n'
    assert post(editor_client, lines, "?on_conflict=update", "ndjson").json()["updated"] == 2
    assert {key: row[:3] for key, row in rows().items()} == {1: ("uno", "c1", "x"), 2: ("two", None, "old"), 8: ("eight", None, "plain")}
    lacking = post(editor_client, "id,kind\n1,y\n9,y\n", "?on_conflict=update")
    assert [(r["row"], r["column"], r["code"]) for r in lacking.json()["rejects"]] == [(2, "name", "required")]
    assert rows()[1][2] == "x"
    array = json.dumps([{"id": 1, "kind": "z"}])
    assert post(editor_client, array, "?on_conflict=update", "json").json()["updated"] == 1
    assert rows()[1] == ("uno", "c1", "z", 2020, True)


@pytest.mark.django_db(transaction=True)
def test_a_load_that_loses_a_race_for_a_key_is_judged_anew(things: Store, monkeypatch) -> None:
    """Somebody makes the row while the staged load looks for it: after its look, before its commit."""
    meet = staging.meet

    def met_late(cursor, *args) -> None:
        meet(cursor, *args)
        if 20 not in held(things):
            body = {"id": 20, "name": "first", "code": "x"}
            threading.Thread(target=service.create, args=(things, "things", body), kwargs={"actor": "other"}).run()

    monkeypatch.setattr(staging, "meet", met_late)
    file = b"id,name\n20,late\n21,new\n2,no\n"
    done = loads.load_upload(things, "things", [file], "csv", Options(on_conflict="ignore"), actor="test")
    assert (done.inserted, done.ignored, held(things)[20]) == (1, 2, ("first", "x"))
    with pytest.raises(DuplicateKeys):
        loads.load_upload(things, "things", [b"id,name\n22,a\n2,b\n"], "csv", Options(), actor="test")
    assert 22 not in held(things)


def test_all_rejects_can_be_fetched_by_their_own_people_only(things: Store, editor_client: APIClient, operator_client: APIClient) -> None:
    body = "id,name\n" + "".join(f"{n},toolong\n" for n in range(10, 400))
    answer = post(editor_client, body)
    where = answer.json()["rejects_file"]
    assert (answer.status_code, len(answer.json()["rejects"])) == (422, 100)
    job = Job.objects.get(id=where.split("/")[3])
    assert (job.kind, job.state, job.result["rejected"], job.created_by.username) == ("load", "failed", 390, "editor")
    for client in (editor_client, operator_client):
        assert b"".join(client.get(where).streaming_content).count(b"\n") == 391
    stranger = client_of(user_with_role("viewer"))
    assert stranger.get(where).status_code == 404
    narrow = client_of(job.created_by, scopes=["others"])
    assert narrow.get(where).status_code == 404
    spool.sweep(things)
    assert editor_client.get(where).status_code == 200
    (things.spool / f"job-{job.id}.rejects.csv").unlink()
    gone = editor_client.get(where)
    assert (gone.status_code, gone.json()["code"]) == (404, "no-rejects")


def test_who_does_not_wait_gets_a_job_with_every_option(things: Store, editor_client: APIClient) -> None:
    left = post(editor_client, FILE, "?on_conflict=update&on_error=skip", HTTP_PREFER="respond-async")
    assert (left.status_code, left["Preference-Applied"]) == (202, "respond-async")
    assert held(things) == BEFORE
    jobs.run(things, jobs.next_job())
    job = editor_client.get(left["Location"]).json()
    assert (job["state"], job["result"]["inserted"], job["result"]["updated"], job["result"]["rejected"]) == ("done", 2, 1, 4)
    assert b"toolong" in b"".join(editor_client.get(job["result"]["rejects_file"]).streaming_content)
    assert [path.name for path in things.spool.iterdir()] == [f"job-{job['id']}.rejects.csv"]

    array = post(editor_client, '[{"id": 30, "name": "new"}]', form="json", HTTP_PREFER="respond-async")
    refused = post(editor_client, "id,name\n31,a\n31,b\n", HTTP_PREFER="respond-async")
    cancelled = post(editor_client, "id,name\n40,a\n", HTTP_PREFER="respond-async")
    assert editor_client.delete(cancelled["Location"]).json()["state"] == "withdrawn"
    for _ in range(2):
        jobs.run(things, jobs.next_job())
    assert editor_client.get(array["Location"]).json()["result"]["inserted"] == 1
    failed = editor_client.get(refused["Location"]).json()
    assert (failed["state"], failed["result"]["rejected"]) == ("failed", 1)
    assert editor_client.get(failed["result"]["rejects_file"]).status_code == 200
    assert sorted(held(things)) == [1, 2, 3, 7, 30]
    assert post(editor_client, "nme\n1\n", "?on_conflict=never").status_code == 400


def test_the_command_takes_every_option_and_format(things: Store, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    def run(name: str, content: bytes, *more: str) -> str:
        (tmp_path / name).write_bytes(content)
        out = io.StringIO()
        call_command("load_rows", "things", str(tmp_path / name), *more, stdout=out)
        return out.getvalue().strip()

    skip = ("--on-conflict", "update", "--on-error", "skip")
    assert run("a.csv.gz", gzip.compress(FILE.encode()), *skip, "--dry-run").startswith(
        "2 rows loaded, 1 updated, 4 rejected into things, in"
    )
    assert run("b.csv", FILE.encode(), *skip) == "2 rows loaded, 1 updated, 4 rejected into things."
    assert run("c.jsonl", b'{"id": 50, "name": "x"}\n') == "1 rows loaded into things."
    table = pa.table({"id": [51], "name": ["y"]})
    assert run("d.bin", parquet_bytes(table), "--format", "parquet") == "1 rows loaded into things."
    assert run("e.arrow", arrow_bytes(table), "--on-conflict", "ignore") == "0 rows loaded, 1 ignored into things."
    with pytest.raises(CommandError, match="--format"):
        run("f.txt", b"")
    with pytest.raises(SystemExit):
        run("g.csv", b"id,name\n60,toolong\n")
    assert "row 1, name: 'toolong' is longer than 5 characters" in capsys.readouterr().err
    assert sorted(held(get_store())) == [1, 2, 3, 7, 50, 51]
