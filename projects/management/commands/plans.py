"""manage.py plans [N] [--table T] [--state S] [--json]"""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from projects import jobs, plans
from projects.management.plan_text import aligned, console, moment, show
from projects.management.sql_text import visible
from projects.management.work import fail
from projects.models import Plan
from schema_registry.errors import SpawnError

COLUMNS = ["plan", "table", "kind", "state", "version", "steps", "rows in the way", "by", "proposed"]


class Command(BaseCommand):
    help = "List the plans, newest first; or show one in full: its steps with their evidence and SQL, who decided what, what it did."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("plan", nargs="?", type=int, metavar="N", help="the number of the one plan to show")
        parser.add_argument("--table", help="only plans of this table")
        parser.add_argument("--state", choices=Plan.State.values, help="only plans in this state")
        parser.add_argument("--json", action="store_true", help="print them, in full, as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["plan"] is None:
            return self._list(options)
        if options["table"] or options["state"]:
            raise CommandError("--table and --state are for the list; leave them out with a number.")
        try:
            plan = jobs.plain(plans.as_json(plans.get(options["plan"])))
        except SpawnError as error:
            fail(self, error)
        self.stdout.write(json.dumps(plan, indent=1)) if options["json"] else show(console(), plan)
        return None

    def _list(self, options: dict[str, Any]) -> None:
        asked = {"table__iexact": options["table"], "state": options["state"]}
        found = Plan.objects.filter(**{name: value for name, value in asked.items() if value})
        known = [jobs.plain(plans.as_json(plan)) for plan in found]
        if options["json"]:
            self.stdout.write(json.dumps(known, indent=1))
            return
        out = console()
        first, *lines = aligned([COLUMNS, *map(_row, known)])
        out.print(first, style="bold")
        for line in lines:
            out.print(visible(line))


def _row(plan: dict[str, Any]) -> list[str]:
    in_the_way = sum(step["rows_in_the_way"] for step in plan["steps"])
    version = plan["to_version"] if plan["to_version"] is not None else ""
    about = [plan["id"], plan["table"], plan["kind"], plan["state"], version, len(plan["steps"]), f"{in_the_way:,}"]
    return [str(cell) for cell in (*about, plan["created_by"], moment(plan["created_at"]))]
