"""manage.py backup FOLDER [--keep N] [--as USER]"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.template.defaultfilters import filesizeformat

from projects import backups, handover
from projects.management.work import fail, perform, take_person
from projects.store.connection import get_store
from schema_registry.errors import SpawnError


class Command(BaseCommand):
    help = "Back up the tables, Django's database and the archives to FOLDER/<UTC time>/, also while the server serves."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", metavar="FOLDER", type=Path)
        parser.add_argument("--keep", type=int, metavar="N", help="how many backups stay in FOLDER, 0 for all; BACKUP_KEEP where left out")
        take_person(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        most = settings.BACKUP_KEEP if options["keep"] is None else max(options["keep"], 0)
        done = perform(self, "backup", backups.TO_FOLDER, person=options["person"], said="backing up")
        try:
            user = handover.person(options["person"])
            made = backups.fetched(get_store(), done, options["folder"], most=most, user=user)
        except SpawnError as error:
            fail(self, error)
        counts = f"{made['tables']} tables, {made['rows']:,} rows, {filesizeformat(made['bytes'])}, as of change {made['seq']}"
        self.stdout.write(f"{options['folder'] / made['name']}: {counts}.".replace("\xa0", " "))
        if note := made["database"].get("note"):
            self.stdout.write(note)
        if made["damaged"]:
            self.stdout.write(f"Not as they were written, and so in the backup too: {', '.join(made['damaged'])}; check_store says more.")
        if made["removed"]:
            self.stdout.write(f"Taken away, for {most} are kept: {', '.join(made['removed'])}.")
