#!/usr/bin/env python3
"""Django's command line: `manage.py up` serves, `manage.py help` lists the rest."""

import os
import sys

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import DatabaseError

from schema_registry.database import told
from schema_registry.errors import SpawnError


def main() -> None:
    """Runs the command; a bad setting, or what the command could not do, is said in one sentence."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "duckspawn_site.settings")
    os.umask(0o077)  # What we write, DuckDB's and SQLite's own files included, is for nobody else to read.
    try:
        settings.BASE_DIR  # noqa: B018 - Reads the settings here, before Django's own commands can swallow the sentence.
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as refusal:
        sys.exit(str(refusal))
    except DatabaseError as error:
        if (ours := told(error)) is None:
            raise
        sys.exit(str(ours))
    except SpawnError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
