"""manage.py undo_plan N [--dry-run] [--confirm TABLE] [--json]"""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from projects.management.plan_text import console, show
from projects.management.work import DONE, FAILED, WAITS, perform, take_person


class Command(BaseCommand):
    help = (
        "Undo an applied plan, the newest of its table first: the table as it was before, values included; what was written since is kept. "
        "Exit code 0: done; 2: it waits for a person, or in a dry run would; 1: it failed or was refused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("plan", type=int, metavar="N", help="the plan's number")
        parser.add_argument("--dry-run", action="store_true", help="show what would be done, and to which rows, and change nothing")
        parser.add_argument("--confirm", metavar="TABLE", help="the table's name, where values that were written since go")
        parser.add_argument("--json", action="store_true", help="print the plan of the undo as JSON")
        take_person(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        inputs = {"plan": options["plan"], "confirm": options["confirm"], "dry_run": options["dry_run"]}
        plan = perform(self, "undo", inputs, person=options["person"], said=f"undoing plan {options['plan']}")
        self.stdout.write(json.dumps(plan, indent=1)) if options["json"] else show(console(), plan)
        refused = any(step["action"] == "refuse" for step in plan["steps"])
        sys.exit(FAILED if refused else WAITS if plan["waits_for"] else DONE)
