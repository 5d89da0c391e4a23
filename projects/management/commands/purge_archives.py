"""manage.py purge_archives --days N [--dry-run]"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from projects import archives, handover
from projects.models import Plan
from projects.store.connection import get_store


class Command(BaseCommand):
    help = "Take archives away that are older than so many days, and say which plans can be undone no longer."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=int, required=True, help="how old an archive has to be")
        parser.add_argument("--dry-run", action="store_true", help="only say which")
        parser.add_argument("--as", dest="person", metavar="USER", help="act as this user; the system where left out")

    def handle(self, *args: Any, **options: Any) -> None:
        user = handover.person(options["person"])
        actor = user.get_username() if user else "system"
        days = max(options["days"], 0)
        plans = archives.old(days) if options["dry_run"] else archives.purge(get_store(), days, actor=actor)
        for plan in plans:
            self.stdout.write(_line(plan, "could be" if options["dry_run"] else "can be"))
        if not plans:
            self.stdout.write("No archive is that old.")


def _line(plan: Plan, may: str) -> str:
    kept = plan.outcome["archive"]
    return f"plan {plan.pk} of {plan.table} {may} undone no longer: {kept['file']}, {kept['rows']} rows"
