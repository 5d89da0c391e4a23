"""manage.py verify_audit"""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from projects import handover
from schema_registry.errors import SpawnError


class Command(BaseCommand):
    help = "Check the audit log: each entry as it was written, none missing, and its end where the DuckDB file knows it."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            verdict = handover.perform("verify_audit", {}, user=None, tell=lambda percent, said: None)
        except SpawnError as error:
            self.stderr.write(str(error))
            sys.exit(1)
        self.stdout.write(verdict["detail"])
        sys.exit(0 if verdict["ok"] else 1)
