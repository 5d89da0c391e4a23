"""manage.py restore FOLDER --to FOLDER"""

from argparse import ArgumentParser
from pathlib import Path
from shlex import quote
from typing import Any

from django.core.management.base import BaseCommand

from projects import restoring
from projects.management.work import fail
from schema_registry.errors import SpawnError


class Command(BaseCommand):
    help = "Verify a backup, or the newest of a folder of them, and bring it back to an empty folder; nothing that runs is touched."
    requires_system_checks = []  # Of a service that is lost nothing need be there.

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", metavar="FOLDER", type=Path, help="a backup, or a folder of backups")
        parser.add_argument("--to", metavar="FOLDER", type=Path, required=True, help="a new or empty folder")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            source, manifest = restoring.restore(options["folder"], options["to"])
        except SpawnError as error:
            fail(self, error)
        settings = restoring.settings_of(options["to"], manifest)
        self.stdout.write(f"Restored {source}: {len(manifest.tables)} tables, {manifest.rows:,} rows, as of change {manifest.seq}.")
        if note := manifest.database.get("note"):
            self.stdout.write(note)
        self.stdout.write("Start the service with these settings; SECRET_KEY is in no backup:\n")
        for name, value in settings.items():
            self.stdout.write(f"{name}={quote(value)}")
        self.stdout.write("\nNext: manage.py check_store, then manage.py up")
