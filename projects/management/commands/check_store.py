"""manage.py check_store [--json]"""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError
from rich import box
from rich.console import Console
from rich.table import Table

from projects import handover
from projects.management.plan_text import console
from projects.management.sql_text import visible
from projects.management.work import take_person
from schema_registry.errors import SpawnError

SOUND, DAMAGED, UNSEEN = 0, 1, 2  # the exit codes


class Command(BaseCommand):
    help = (
        "Check the store without changing it: tables, keys, values, the change feed, plans, jobs, archives, the audit log. "
        "Exit code 0: it is sound; 1: something is not as it should be; 2: it could not be looked at."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print what was looked at and found as JSON")
        take_person(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = self._look(options["person"])
        except (SpawnError, DatabaseError) as error:
            self.stderr.write(str(error))
            sys.exit(UNSEEN)
        self.stdout.write(json.dumps(found, indent=1)) if options["json"] else _show(found)
        sys.exit(SOUND if found["sound"] else DAMAGED)

    def _look(self, person: str | None) -> dict[str, Any]:
        with Console(stderr=True).status("checking the store") as status:

            def tell(percent: float, said: str) -> None:
                status.update(f"checking the store, {percent:.0f}%{said and ', ' + said}")

            return handover.perform("check_store", {}, user=handover.person(person), tell=tell)


def _show(found: Mapping[str, Any]) -> None:
    """What was looked at, then each finding as a line of its own, which no width cuts."""
    out, counted = console(), Table("check", "looked at", "found", box=box.SIMPLE)
    for check in sorted({*found["looked"], *(one["check"] for one in found["findings"])}):
        findings = [one for one in found["findings"] if one["check"] == check]
        damage = sum(one["damage"] for one in findings)
        said = f"{damage} wrong" if damage else f"{len(findings)} to know" if findings else "sound"
        counted.add_row(check, f"{found['looked'].get(check, 0):,}", said, style="red" if damage else "")
    out.print(counted)
    for one in found["findings"]:
        rows = "" if one["rows"] is None else f" ({one['rows']:,} rows)"
        out.print(visible(f"{'wrong' if one['damage'] else 'note'}: {one['object']}: {one['detail']}{rows}"))
    out.print("The store is sound." if found["sound"] else "The store is not sound.")
