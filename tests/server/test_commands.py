"""Commands do their work whether or not the server runs, and say who is in the way."""

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import requests

from schema_registry.mock.server import MockOntology
from tests.flights import DATA, EXAMPLES
from tests.server.conftest import Server


@pytest.fixture
def flights(tmp_path: Path):
    """A server of the five tables of flights, with the ontology server beside it."""
    with MockOntology(EXAMPLES) as ontology:
        server = Server(tmp_path, USE_MOCK_ONTO_SERVER="false", ONTO_SERVER_URL=ontology.url)
        yield server
        server.stop()


def check_endpoints_of_the_seed(server: Server) -> None:
    row = {"project_name": "Wind farm", "total_amount": 1250000.50, "maturity_years": 20, "expected_tri": 8.25, "dscr": 1.35}
    made = server.post("/ops/projects", json=row)
    answers = {
        "POST /ops/projects": made.status_code,
        "GET /ops/projects": server.get("/ops/projects").status_code,
        "GET /ops/projects/{id}": server.get(f"/ops/projects/{made.json()['project_id']}").status_code,
        "POST /ops/initialize": server.post("/ops/initialize").status_code,
        "POST /admin/tables": server.post("/admin/tables", json={"schema": "projects"}).status_code,
        "GET /admin/tables": server.get("/admin/tables").status_code,
        "PUT /admin/tables/projects": server.session.put(f"{server.url}/admin/tables/projects", json={}, timeout=30).status_code,
        "DELETE /admin/tables/portfolios": server.session.delete(
            f"{server.url}/admin/tables/portfolios?confirm=portfolios", timeout=30
        ).status_code,
        "POST /admin/logging/level": server.post("/admin/logging/level", json={"level": "DEBUG"}).status_code,
        "GET /monitoring/health": requests.get(f"{server.url}/monitoring/health", timeout=30).status_code,
        "GET /monitoring/metrics/system": server.get("/monitoring/metrics/system").status_code,
    }
    assert answers == dict.fromkeys(answers, 200) | {"POST /ops/projects": 201}
    assert list(Path(server.environment["DUCKDB_PATH"] + ".archive").glob("portfolios-*.parquet"))


def test_a_first_start_makes_everything_a_second_keeps_it_and_every_endpoint_of_the_seed_answers(server: Server) -> None:
    server.start()
    assert server.post("/ops/projects", json={"project_name": "a", "total_amount": 1, "maturity_years": 1, "expected_tri": 1, "dscr": 1}).ok
    before = server.get("/ops/projects").json()
    assert {
        path.name: oct(path.stat().st_mode & 0o77)
        for path in server.folder.iterdir()
        if path.name != "server.log" and path.stat().st_mode & 0o77
    } == {}
    key = (server.folder / "duckspawn.secret").read_text()
    server.stop()
    server.start()
    assert server.get("/ops/projects").json() == before
    assert (server.folder / "duckspawn.secret").read_text() == key
    assert (server.folder / "duckspawn.secret").stat().st_mode & 0o777 == 0o600
    assert "Password" in server.log.read_text()
    assert "a long enough pass phrase" not in server.log.read_text()
    check_endpoints_of_the_seed(server)


def test_a_password_that_was_made_up_is_shown_once(server: Server) -> None:
    del server.environment["DJANGO_SUPERUSER_PASSWORD"]
    first = server.command("up", "--no-serve")
    password = first.stdout.split("Password: ")[1].split()[0]
    assert len(password) >= 12
    assert "Password" not in server.command("up", "--no-serve").stdout
    server.environment["DJANGO_SUPERUSER_PASSWORD"] = password


def test_the_commands_work_beside_a_running_server_whose_requests_go_on(flights: Server) -> None:
    flights.start()
    ended, answers = threading.Event(), []

    def read() -> None:
        while not ended.wait(0.1):
            answers.append(flights.get("/ops/airlines").status_code)

    reader = threading.Thread(target=read)
    reader.start()
    synced = flights.command("sync_schemas")
    loaded = flights.command("load_rows", "weather", str(DATA / "weather.csv"), "--null", "NA")
    again = flights.command("load_rows", "weather", str(DATA / "weather.csv"), "--null", "NA")
    verified = flights.command("verify_audit")
    backed_up = flights.command("backup", str(flights.folder / "backups"))
    ended.set()
    reader.join()
    assert (synced.returncode, loaded.returncode, again.returncode, verified.returncode) == (0, 0, 1, 0), synced.stderr + loaded.stderr
    assert "unchanged" in synced.stdout
    assert "26,115 rows" in loaded.stdout
    assert "row 1, origin,time_hour: 'EWR,2013-01-01T06:00:00Z' the table has it already" in again.stderr
    assert set(answers) == {200}
    assert (backed_up.returncode, "5 tables, 26,115 rows, " in backed_up.stdout) == (0, True), backed_up.stderr
    assert flights.get("/ops/weather?limit=1", headers={"Prefer": "count=exact"}).headers["X-Total-Count"] == "26115"
    job = flights.get("/ops/jobs").json()[-1]
    assert (job["kind"], job["state"], job["done"]) == ("sync", "done", 100)


@pytest.mark.long
def test_what_a_server_backed_up_under_load_is_served_by_another(flights: Server) -> None:
    """With its rows, its plans and what they archived, its people, and an audit log that verifies."""
    flights.start()
    assert flights.command("load_rows", "airlines", str(DATA / "airlines.csv")).returncode == 0
    assert flights.command("load_rows", "airports", str(DATA / "airports.csv"), "--null", "NA").returncode == 0
    dropped = requests.delete(f"{flights.url}/admin/tables/airports?confirm=airports", headers=flights.session.headers, timeout=30)
    assert dropped.status_code == 200, dropped.text
    ended, written = threading.Event(), []

    def write() -> None:
        while not ended.is_set():
            change = {"name": f"made {len(written)}"}
            written.append(flights.session.patch(f"{flights.url}/ops/airlines/UA", json=change, timeout=30).status_code)

    writers = [threading.Thread(target=write)]
    for writer in writers:
        writer.start()
    backed_up = flights.command("backup", str(flights.folder / "backups"))
    ended.set()
    for writer in writers:
        writer.join()
    flights.stop()
    assert (backed_up.returncode, set(written)) == (0, {200}), backed_up.stderr
    back = flights.folder / "back"
    restored = flights.command("restore", str(flights.folder / "backups"), "--to", str(back))
    assert restored.returncode == 0, restored.stderr
    settings = dict(line.split("=", 1) for line in restored.stdout.splitlines() if "=" in line)
    assert flights.command("verify_audit", **settings).returncode == 0
    flights.environment |= settings
    flights.start()
    assert len(flights.get("/ops/airlines").json()) == 16
    told = flights.get("/ops/airlines/changes?limit=10000").json()[-1]["after"]
    assert flights.get("/ops/airlines/UA").json() == told and int(told["name"].removeprefix("made ")) < len(written)
    plan = next(plan for plan in flights.get("/admin/plans").json() if plan["table"] == "airports" and plan["kind"] == "drop")
    undone = flights.command("undo_plan", str(plan["id"]), "--confirm", "airports")
    assert undone.returncode == 0, undone.stdout + undone.stderr
    assert flights.get("/ops/airports?limit=1", headers={"Prefer": "count=exact"}).headers["X-Total-Count"] == "1458"
    assert [job["state"] for job in flights.get("/ops/jobs").json() if job["kind"] == "backup"] == ["done"]
    assert flights.command("verify_audit").returncode == 0


@pytest.mark.long
def test_the_commands_work_by_themselves_where_no_server_runs(flights: Server) -> None:
    assert flights.command("migrate", "-v0").returncode == 0
    dry = flights.command("sync_schemas", "--dry-run")
    assert (dry.returncode, dry.stdout.count("created")) == (0, 5), dry.stderr
    synced = flights.command("sync_schemas", "airlines", "airports")
    assert (synced.returncode, synced.stdout.count("created")) == (0, 2), synced.stderr
    loaded = flights.command("load_rows", "airlines", str(DATA / "airlines.csv"))
    assert (loaded.returncode, loaded.stdout) == (0, "16 rows loaded into airlines.\n")
    missing = flights.command("load_rows", "planes", str(DATA / "planes.csv"))
    assert (missing.returncode, missing.stderr.splitlines()[-1]) == (1, "There is no table named planes.")
    assert flights.command("verify_audit").returncode == 0


@pytest.fixture
def evolving(tmp_path: Path):
    """A server of the five tables of flights, whose ontology is a folder that the test may edit."""
    folder = tmp_path / "ontology"
    shutil.copytree(EXAMPLES, folder)
    with MockOntology(folder) as ontology:
        server = Server(tmp_path, USE_MOCK_ONTO_SERVER="false", ONTO_SERVER_URL=ontology.url)
        yield server
        server.stop()


def drop_column(folder: Path, name: str) -> None:
    document = json.loads((folder / "weather.json").read_text())
    document["columns"] = [column for column in document["columns"] if column["name"] != name]
    (folder / "weather.json").write_text(json.dumps(document))


def gusts(server: Server) -> list[dict]:
    """How many gusts there are, and a sum that no swap of two of them keeps; none where the column is gone."""
    statement = "SELECT count(wind_gust) AS known, sum(hash(origin, time_hour, wind_gust)::HUGEINT) AS sum FROM weather"
    answer = server.post("/ops/query", json={"sql": statement})
    return answer.json() if answer.ok else []


@pytest.mark.long
def test_a_change_is_shown_approved_and_undone_beside_a_running_server(evolving: Server) -> None:
    evolving.start()
    assert evolving.command("load_rows", "weather", str(DATA / "weather.csv"), "--null", "NA").returncode == 0
    before = gusts(evolving)
    drop_column(evolving.folder / "ontology", "wind_gust")
    dry = evolving.command("sync_schemas", "--dry-run")
    assert (dry.returncode, f"Rows in the way: {before[0]['known']:,} of 26,115." in dry.stdout) == (2, True), dry.stderr
    assert 'ALTER TABLE main."weather" DROP COLUMN "wind_gust";' in dry.stdout
    assert evolving.get("/admin/plans").json() == []
    waiting = evolving.command("sync_schemas", "--approve")
    assert (waiting.returncode, "--allow-destructive" in waiting.stdout, gusts(evolving)) == (2, True, before)
    applied = evolving.command("sync_schemas", "--approve", "--allow-destructive", "--reason", "nobody measures it", "--as", "root")
    assert (applied.returncode, gusts(evolving)) == (0, []), applied.stdout + applied.stderr
    plan = evolving.get("/admin/plans").json()[0]
    assert (plan["state"], plan["approved_by"], plan["reason"]) == ("applied", "root", "nobody measures it")
    undone = evolving.command("undo_plan", str(plan["id"]))
    assert (undone.returncode, gusts(evolving)) == (0, before), undone.stdout + undone.stderr
    assert "undone" in evolving.command("plans", "--table", "weather").stdout
    assert evolving.command("undo_plan", str(plan["id"])).returncode == 1


@pytest.mark.long
def test_a_plan_is_applied_by_its_number_beside_a_running_server(evolving: Server) -> None:
    evolving.start()
    assert evolving.command("load_rows", "weather", str(DATA / "weather.csv"), "--null", "NA").returncode == 0
    drop_column(evolving.folder / "ontology", "wind_gust")
    report = json.loads(evolving.command("sync_schemas", "weather", "--json").stdout)
    number = str(report["tables"][0]["plan"]["id"])
    refused = evolving.command("apply_plan", number, "--confirm", "weather")
    assert (refused.returncode, "waits for approval" in refused.stderr) == (2, True)
    applied = evolving.command("apply_plan", number, "--approve", "--confirm", "weather")
    assert (applied.returncode, gusts(evolving)) == (0, []), applied.stderr
    assert "26,115 rows" in applied.stdout
    kinds = [job["kind"] for job in evolving.get("/ops/jobs").json()]
    assert kinds.count("apply") == 1


@pytest.mark.long
def test_a_sync_without_an_ontology_server_says_so_and_fails(flights: Server) -> None:
    flights.command("migrate", "-v0")
    done = flights.command("sync_schemas", ONTO_SERVER_URL="http://127.0.0.1:9", ONTO_SERVER_TIMEOUT="0.5")
    assert done.returncode == 1
    assert "http://127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.long
def test_a_stranger_who_holds_the_file_is_named(flights: Server) -> None:
    flights.command("migrate", "-v0")
    hold = "import duckdb, sys, time; c = duckdb.connect(sys.argv[1]); print('held', flush=True); time.sleep(60)"
    stranger = subprocess.Popen([sys.executable, "-c", hold, flights.environment["DUCKDB_PATH"]], stdout=subprocess.PIPE)
    try:
        assert stranger.stdout and stranger.stdout.readline() == b"held\n"
        synced = flights.command("sync_schemas")
        served = flights.command("up", "--no-serve")
    finally:
        stranger.kill()
        stranger.wait()
    for done in (synced, served):
        assert done.returncode == 1
        assert f"pid {stranger.pid}" in done.stderr, done.stderr


@pytest.mark.long
def test_the_tables_go_on_when_the_ontology_server_is_gone(tmp_path: Path) -> None:
    with MockOntology(EXAMPLES) as ontology:
        server = Server(tmp_path, USE_MOCK_ONTO_SERVER="false", ONTO_SERVER_URL=ontology.url, ONTO_SERVER_TIMEOUT="0.5").start()
        assert server.get("/monitoring/health").json()["status"] == "healthy"
    try:
        synced = server.command("sync_schemas")
        assert synced.returncode == 1
        assert ontology.url in synced.stderr
        assert server.post("/ops/airlines", json={"carrier": "XX", "name": "Nobody"}).status_code == 201
        report = server.post("/ops/initialize").json()
        assert {t["provenance"] for t in report["tables"]} == {"cached"}
        assert report["unavailable"]
        assert {t["source"]["provenance"] for t in server.get("/admin/tables").json()} == {"live"}
        health = wait_for_degraded(server)
        assert "old" in health["checks"]["onto_server"]["detail"] or "ago" in health["checks"]["onto_server"]["detail"]
    finally:
        server.stop()


def wait_for_degraded(server: Server) -> dict:
    for _ in range(20):
        health = server.get("/monitoring/health")
        if health.json()["status"] == "degraded":
            assert health.status_code == 200
            return health.json()
        threading.Event().wait(0.5)
    raise AssertionError(health.text)
