"""The files in deploy/, and the Dockerfile, speak of what is there: metrics and their labels, headings, settings, folders, seconds."""

import json
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from projects import audit, jobs
from schema_registry import snapshots
from tests.projects.conftest import projects, store  # noqa: F401 - Fixtures.
from tests.test_layers import FLOORS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
NAME = re.compile(r"\b((?:duckspawn|process)_\w+|up\b)(?:\{([^}]*)\})?")
OF_PROMETHEUS = {"job", "instance"}  # labels that it adds to everything
# There while a job runs, and where an owner beats: in a server of its own.
NEVER_HERE = {"duckspawn_job_running_oldest_timestamp_seconds", "duckspawn_owner_beat_timestamp_seconds"}


def rules() -> list[dict]:
    [group] = yaml.safe_load(ALERTS.read_text())["groups"]
    return group["rules"]


def panels() -> list[dict]:
    return json.loads((DEPLOY / "grafana" / "duckspawn.json").read_text())["panels"]


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    yield from (target["expr"] for panel in panels() for target in panel.get("targets", ()))


@pytest.fixture
def exposed(operator_client, projects) -> dict[str, set[str]]:  # noqa: F811
    """Every series' name with its labels, of a scrape of a service where everything has happened once."""
    audit.record("backup.make", "a", actor="ada")
    jobs.leave("sync", {})
    snapshots.record(projects.table("projects").schema, {}, provenance="live")
    operator_client.get("/ops/projects")
    found: dict[str, set[str]] = {"up": set()} | {name: set() for name in NEVER_HERE}
    for family in text_string_to_metric_families(operator_client.get("/metrics").content.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.mark.django_db(transaction=True)
def test_every_metric_and_label_that_the_files_name_is_exposed(exposed):
    for expression in expressions():
        used = NAME.findall(expression)
        assert used, expression
        for name, selected in used:
            assert name in exposed, expression
            labels = set(re.findall(r"(\w+)\s*[=!]", re.sub(r'"[^"]*"', '""', selected)))
            assert labels <= exposed[name] | OF_PROMETHEUS, expression


@pytest.mark.django_db(transaction=True)
def test_the_dashboard_shows_every_metric_that_an_alert_is_made_of(exposed):
    shown = {name for panel in panels() for target in panel.get("targets", ()) for name, _ in NAME.findall(target["expr"])}
    elsewhere = {"up", "duckspawn_store_open", "duckspawn_owner_beat_timestamp_seconds", "duckspawn_figures_timestamp_seconds"}
    assert {name for rule in rules() for name, _ in NAME.findall(rule["expr"])} - elsewhere <= shown


def test_every_alert_says_what_it_is_and_where_to_read_what_to_do():
    operations = (ROOT / "docs" / "operations.md").read_text()
    headings = {line.lstrip("# ") for line in operations.splitlines() if line.startswith("#")}
    named = [rule["alert"] for rule in rules()]
    assert len(named) == len(set(named))
    for rule in rules():
        notes = rule["annotations"]
        assert notes["summary"] and notes["description"].endswith(".")
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
        assert notes["runbook_url"] == f"docs/operations.md#{rule['alert'].lower()}"
        assert rule["alert"] in headings
    assert {heading for heading in headings if heading.startswith("DuckSpawn")} == set(named)


def test_no_two_panels_of_the_dashboard_overlap():
    places = [panel["gridPos"] for panel in panels()]
    cells = [(p["x"] + x, p["y"] + y) for p in places for x in range(p["w"]) for y in range(p["h"])]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in panels()}) == len(places)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool, which reads alert rules as Prometheus does, is not installed")
def test_prometheus_takes_the_rules_and_each_fires_where_it_should():
    tests = ("alerts_test.yml", "alerts_days_test.yml")
    for words in (["check", "rules", "alerts.yml"], ["test", "rules", *tests]):
        done = subprocess.run(["promtool", *words], cwd=ALERTS.parent, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    tested = {test["name"] for name in tests for test in yaml.safe_load((ALERTS.parent / name).read_text())["tests"]}
    assert {f"{rule['alert']} fires" for rule in rules()} <= tested


# The unit and the image.

UNIT = DEPLOY / "systemd" / "duckspawn.service"


def test_whoever_stops_it_waits_for_as_long_as_a_stop_may_take():
    longest = runpy.run_path(str(ROOT / "gunicorn.conf.py"))["graceful_timeout"]
    operations = (ROOT / "docs" / "operations.md").read_text()
    waits = [
        *re.findall(r"--stop-timeout (\d+)|terminationGracePeriodSeconds: (\d+)", operations),
        re.search(r"TimeoutStopSec=(\d+)", UNIT.read_text()).groups(),
    ]
    assert len(waits) == 3
    assert all(int("".join(filter(None, wait))) > longest for wait in waits)


def test_every_setting_that_the_files_give_is_one():
    documented = (ROOT / "README.md").read_text() + " DUCKSPAWN_ENV_FILE PYTHONDONTWRITEBYTECODE PYTHONUNBUFFERED PATH "
    given = re.findall(r"^(\w+)=", (DEPLOY / "systemd" / "env").read_text(), re.MULTILINE)
    lines = (ROOT / "Dockerfile").read_text().split("WORKDIR /app")[1]
    given += re.findall(r"(\w+)=\S", re.search(r"ENV (.*?)\nRUN", lines, re.DOTALL)[1])
    assert {"DUCKDB_PATH", "DATABASE_URL", "STATIC_DIR"} <= set(given)
    assert [name for name in given if not re.search(rf"\b{name}\b", documented)] == []


def test_the_image_has_every_floor_and_nothing_that_may_be_secret():
    first, *allowed = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    taken = [line.removeprefix("!") for line in allowed if line.startswith("!")]
    assert first == "**"
    assert all((ROOT / path).exists() for path in taken)
    assert {*FLOORS, "templates", "examples", "manage.py", "gunicorn.conf.py", "requirements.txt"} <= set(taken)
    assert not {".env", ".git", "tests"} & set(taken)
    assert re.search(r"^USER 10001:10001$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze, which reads units as systemd does, is not installed")
def test_systemd_takes_the_unit(tmp_path):
    here = tmp_path / UNIT.name  # What it names is not installed here.
    here.write_text(re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", UNIT.read_text(), flags=re.MULTILINE))
    done = subprocess.run(["systemd-analyze", "verify", str(here)], capture_output=True, text=True, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if UNIT.name in line]) == (0, [])
