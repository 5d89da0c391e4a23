"""manage.py accept_store [--as USER]"""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from projects import acceptance, handover
from projects.management.work import fail, take_person
from schema_registry.errors import SpawnError


class Command(BaseCommand):
    help = (
        "Take the DuckDB file as it is, or begin anew where it is gone, after a start has refused it "
        "because it is missing, another one, or has lost writes. Nothing is opened; the next start does that."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        take_person(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.stdout.write(acceptance.accept(settings.DUCKDB_PATH, handover.person(options["person"])))
        except SpawnError as error:
            fail(self, error)
