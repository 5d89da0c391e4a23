"""manage.py sync_schemas [NAME ...] [--dry-run] [--approve] [--allow-destructive] [--accept-shrunk] [--reason TEXT] [--json]"""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console

from projects.management.plan_text import aligned, console, head, show_steps
from projects.management.sql_text import visible
from projects.management.work import DONE, FAILED, WAITS, perform, take_person

COLOURS = {"created": "green", "altered": "green", "waits": "yellow", "pinned": "yellow", "dropped": "yellow", "refused": "red"}


class Command(BaseCommand):
    help = (
        "Ask the ontology server what the tables should be, and bring them to it. "
        "Exit code 0: done, or nothing to do; 2: something waits for a person, or in a dry run would; 1: something failed or was refused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("names", nargs="*", metavar="NAME", help="a table or a document of the ontology; all where none is named")
        parser.add_argument("--dry-run", action="store_true", help="show what would be done, and to which rows, and change nothing")
        parser.add_argument("--approve", action="store_true", help="approve and apply what waits, but not what takes data away")
        parser.add_argument("--allow-destructive", action="store_true", help="with --approve: what takes data away too; it is archived")
        parser.add_argument("--accept-shrunk", action="store_true", help="the list that is shorter by more than half is right")
        parser.add_argument("--reason", default="", metavar="TEXT", help="with --approve: why, for the audit log")
        parser.add_argument("--json", action="store_true", help="print the report, with its plans, as JSON")
        take_person(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        report = perform(self, "sync", _inputs(options), person=options["person"], said="asking the ontology server")
        self.stdout.write(json.dumps(report, indent=1)) if options["json"] else show(report, dry_run=options["dry_run"])
        sys.exit(FAILED if report["failed"] else WAITS if report["waits"] else DONE)


def _inputs(options: dict[str, Any]) -> dict[str, Any]:
    """The inputs of the job. Raises CommandError for options that do not go together."""
    if (options["allow_destructive"] or options["reason"]) and not options["approve"]:
        raise CommandError("--allow-destructive and --reason go with --approve.")
    if options["accept_shrunk"] and options["names"]:
        raise CommandError("--accept-shrunk goes without names: it is about the list of all schemas.")
    given = {name: options[name] for name in ("approve", "allow_destructive", "accept_shrunk", "reason") if options[name]}
    return {"names": options["names"], "dry_run": options["dry_run"], **given}


def show(report: dict[str, Any], *, dry_run: bool) -> None:
    """The report for a person: a line for each table, then each plan, its steps with their evidence and their SQL."""
    out = console()
    tables = report["tables"]
    rows = [[one["table"], one["outcome"], str(one["version"] or ""), one["provenance"]] for one in tables]
    first, *lines = aligned([["table", "would be" if dry_run else "outcome", "version", "from"], *rows])
    out.print(first, style="bold")
    for one, line in zip(tables, lines, strict=True):
        out.print(visible(line), style=COLOURS.get(one["outcome"], ""))
    for one in tables:
        _show_plan(out, one)
    _show_rest(out, report)


def _show_plan(out: Console, one: dict[str, Any]) -> None:
    plan = one["plan"]
    if plan:
        out.print()
        for line in head(plan):
            out.print(visible(line))
        show_steps(out, plan)
    if one["detail"] and not (plan and one["detail"] == plan["waits_for"]):  # Which the steps have said.
        out.print(visible(f"{'  ' if plan else one['table'] + ': '}{one['detail']}"), style=COLOURS.get(one["outcome"], ""))


def _show_rest(out: Console, report: dict[str, Any]) -> None:
    if report["orphaned"]:
        out.print(visible(f"The ontology lists no schema any more for: {', '.join(report['orphaned'])}. Nothing was dropped."))
    if report["shrunk"]:
        out.print(visible(f"The list is shorter by more than half, so nothing was done. Gone: {', '.join(report['missing'])}."))
        out.print("If that is right, say so with --accept-shrunk.")
    if not report["tables"] and not report["shrunk"]:
        out.print("The ontology has no schemas.")
