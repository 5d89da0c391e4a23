"""manage.py erase TABLE KEY [--yes] [--json] [--as USER]"""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from projects import erasing
from projects.errors import StoreHeld
from projects.management.plan_text import console
from projects.management.work import DONE, FAILED, fail, perform, take_person
from projects.store import erasure
from schema_registry.errors import SpawnError

FOUND = (
    ("rows", "row of the table"),
    ("entries", "entries of the change feed"),
    ("answers", "kept answers"),
    ("results", "results of loads"),
    ("plans", "plans that showed it"),
    ("jobs", "jobs that told of it"),
    ("notices", "notices"),
    ("queries", "queries in people's histories"),
    ("files", "files of jobs"),
)


class Command(BaseCommand):
    help = (
        "Erase one row for ever: from its table, the change feed, archives, kept answers, plans, jobs and their files. "
        "Nothing brings it back. Exit code 0: it is erased; 1: it is not, or was refused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("table", metavar="TABLE")
        parser.add_argument("key", metavar="KEY", help="the row's key, as in its address")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--json", action="store_true", help="print what was erased as JSON")
        take_person(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        table = options["table"]
        if not options["yes"] and input(f"This erases the row {options['key']} of {table} for ever. Type {table} to go on: ") != table:
            self.stderr.write("Nothing was erased.")
            sys.exit(FAILED)
        inputs = {"table": table, "key": options["key"]}
        done = perform(self, "erase", inputs, person=options["person"], said="erasing the row")
        done["rewritten"] = self._rewritten()
        self.stdout.write(json.dumps(done, indent=1)) if options["json"] else _show(done)
        sys.exit(DONE)

    def _rewritten(self) -> bool:
        """Whether the DuckDB file was made anew: not beside a server, which has it open."""
        try:
            erasure.rewrite(Path(settings.DUCKDB_PATH))
        except StoreHeld:
            return False
        except SpawnError as error:
            fail(self, error)
        return True


def _show(done: dict[str, Any]) -> None:
    out = console()
    out.print(f"Erased from {done['table']}; the audit log calls the row {done['row']}.")
    for name, what in FOUND:
        if done[name]:
            out.print(f"  {done[name]:,} {what}")
    for name in done["archives"]:
        out.print(f"  written anew without it: {name}")
    if not done["rewritten"]:
        out.print(
            "The running server keeps the DuckDB file open, which has the bytes of what was erased in places that are free now, until "
            "something else is written there. To be sure, stop the server and run rewrite_store, which makes the file anew."
        )
    if not done["vacuumed"]:
        out.print("Django's database was not vacuumed, and may have the bytes still: see docs/operations.md.")
    if backups := done["backups"] or list(erasing.backups()):
        out.print(f"Backups have what they had, those here are of {', '.join(backups)}: delete them, and those that stand elsewhere.")
