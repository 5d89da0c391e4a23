"""manage.py rewrite_store"""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.template.defaultfilters import filesizeformat

from projects.management.work import fail
from projects.store import erasure
from schema_registry.errors import SpawnError


class Command(BaseCommand):
    help = (
        "Make the DuckDB file anew from what stands in it, compared before it takes the old one's place: what was erased or deleted is not "
        "in it any more, and it is as small as it can be. Nobody may have the file open; the disk needs room for it twice."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            before, after = erasure.rewrite(Path(settings.DUCKDB_PATH))
        except SpawnError as error:
            fail(self, error)
        self.stdout.write(f"The file is made anew: {filesizeformat(before)} before, {filesizeformat(after)} now.")
