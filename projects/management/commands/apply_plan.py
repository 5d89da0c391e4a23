"""manage.py apply_plan N [--approve] [--reason TEXT] [--confirm TABLE]"""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from projects import approvals, handover, jobs, plan_runs, plans
from projects.errors import ConfirmationMissing, PlanNeedsOther, PlanNotApproved, RowsInTheWay
from projects.management.plan_text import console, show
from projects.management.work import DONE, WAITS, fail, perform, take_person
from schema_registry.errors import SpawnError


class Command(BaseCommand):
    help = (
        "Apply a plan that is approved, or of which nothing waits: all of it or nothing. "
        "Exit code 0: done; 2: it waits for a person; 1: it failed or was refused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("plan", type=int, metavar="N", help="the plan's number")
        parser.add_argument("--approve", action="store_true", help="approve it first")
        parser.add_argument("--reason", default="", metavar="TEXT", help="with --approve: why, for the audit log")
        parser.add_argument("--confirm", metavar="TABLE", help="the table's name, where the plan takes data away; it is archived")
        take_person(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["reason"] and not options["approve"]:
            raise CommandError("--reason goes with --approve.")
        self._prepare(options)
        inputs = {"plan": options["plan"], "confirm": options["confirm"]}
        show(console(), perform(self, "apply", inputs, person=options["person"], said=f"applying plan {options['plan']}"))
        sys.exit(DONE)

    def _prepare(self, options: dict[str, Any]) -> None:
        """Approves the plan where that is asked for; ends the command where the plan goes on waiting."""
        try:
            user = handover.person(options["person"])
            jobs.check_right("apply", user)
            plan = plans.get(options["plan"])
            if options["approve"]:
                actor = user.get_username() if user else jobs.SYSTEM
                plan = approvals.approve(plan, actor=actor, confirm=options["confirm"], reason=options["reason"])
            plan_runs.check_ready(plan, options["confirm"])
        except (ConfirmationMissing, PlanNeedsOther, PlanNotApproved, RowsInTheWay) as waiting:
            fail(self, waiting, WAITS)
        except SpawnError as error:
            fail(self, error)
