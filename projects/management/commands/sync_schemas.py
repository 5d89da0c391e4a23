"""manage.py sync_schemas [NAME ...] [--dry-run] [--json]"""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from rich.console import Console
from rich.table import Table

from projects import handover
from schema_registry.errors import SpawnError

MARKS = {"created": "green", "altered": "green", "waits": "yellow", "pinned": "yellow", "dropped": "yellow", "refused": "red"}


class Command(BaseCommand):
    help = (
        "Ask the ontology server what the tables should be, and bring them to it. "
        "Exit code 0: all done; 2: something waits for a person; 1: it failed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("names", nargs="*", metavar="NAME", help="a table or a document of the ontology; all where none is named")
        parser.add_argument("--dry-run", action="store_true", help="show what would be done, and change nothing")
        parser.add_argument("--json", action="store_true", help="print the report as JSON")
        parser.add_argument("--as", dest="person", metavar="USER", help="act as this user, with their rights; the system where left out")

    def handle(self, *args: Any, **options: Any) -> None:
        inputs = {"names": options["names"], "dry_run": options["dry_run"]}
        quiet = Console(stderr=True)
        try:
            with quiet.status("asking the ontology server") as status:
                user = handover.person(options["person"])
                report = handover.perform("sync", inputs, user=user, tell=lambda _, said: status.update(said or "syncing"))
        except SpawnError as error:
            self.stderr.write(str(error))
            sys.exit(1)
        self.stdout.write(json.dumps(report, indent=1)) if options["json"] else show(report, options["dry_run"])
        sys.exit(1 if report["failed"] else 2 if report["waits"] else 0)


def show(report: dict[str, Any], dry_run: bool) -> None:
    """The report for a person: a line a table, then its steps with their SQL."""
    console = Console(soft_wrap=True, highlight=False, markup=False)
    lines = Table("table", "would be" if dry_run else "outcome", "version", "from", box=None, pad_edge=False)
    for one in report["tables"]:
        lines.add_row(one["table"], one["outcome"], str(one["version"] or ""), one["provenance"], style=MARKS.get(one["outcome"], ""))
    console.print(lines)
    for one in report["tables"]:
        if one["detail"]:
            console.print(f"{one['table']}: {one['detail']}")
        for step in one["changes"]:
            console.print(f"  {step['class']}: {step['why']}")
            for statement in step["sql"]:
                console.print(f"    {statement};")
    _show_rest(console, report)


def _show_rest(console: Console, report: dict[str, Any]) -> None:
    if report["orphaned"]:
        console.print(f"The ontology lists no schema any more for: {', '.join(report['orphaned'])}. Nothing was dropped.")
    if report["shrunk"]:
        console.print(f"The list is shorter by more than half, so nothing was done. Gone: {', '.join(report['missing'])}.")
    if not report["tables"] and not report["shrunk"]:
        console.print("The ontology has no schemas.")
