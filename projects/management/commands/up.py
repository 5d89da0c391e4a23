"""manage.py up"""

import os
import secrets
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from projects import jobs, owner, sync
from projects.errors import StoreHeld
from projects.management import static_files
from projects.store.connection import get_store, reset_store
from schema_registry.database import check_step
from schema_registry.errors import SpawnError

LETTING_GO = 5.0  # seconds
# It is compared with alone: no browser can be sent there.
EVERYWHERE = "0.0.0.0"  # noqa: S104  # nosec B104


class Command(BaseCommand):
    help = "Do everything that serving needs, then serve: migrate, first user, static files, first sync, gunicorn on PORT."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-serve", action="store_true", help="stop before serving")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            check_step(is_older_right=True)
            call_command("migrate", interactive=False, verbosity=0)
            self._take_over()
        except SpawnError as error:
            raise CommandError(str(error)) from error
        static_files.collect()
        self._first_sync()
        self._first_user()
        self.stdout.flush()
        if not options["no_serve"]:
            serve()

    def _first_user(self) -> None:
        """A superuser where there is none; a password that was made up is shown this once."""
        address = f"http://{'127.0.0.1' if settings.HOST == EVERYWHERE else settings.HOST}:{settings.PORT}"
        self.stdout.write(f"Console:  {address}/console/")
        if User.objects.filter(is_superuser=True).exists():
            return
        name = os.environ.get("DJANGO_SUPERUSER_USERNAME") or "admin"
        given = os.environ.get("DJANGO_SUPERUSER_PASSWORD")
        password = given or secrets.token_urlsafe(12)
        User.objects.create_superuser(name, os.environ.get("DJANGO_SUPERUSER_EMAIL", ""), password)
        self.stdout.write(f"User:     {name}")
        self.stdout.write("Password: the one in DJANGO_SUPERUSER_PASSWORD" if given else f"Password: {password}  (shown this once)")

    def _take_over(self) -> None:
        """Opens the file and sets it right; a process that is ending has a few seconds to let go of it. Raises what the store raises."""
        until = time.monotonic() + LETTING_GO
        while True:
            try:
                return owner.take_over(get_store())
            except StoreHeld as held:
                if time.monotonic() > until:
                    raise CommandError(f"{held} Stop it first; one process serves one file.") from held
                self.stderr.write(f"{held} Waiting for it to end.")
                time.sleep(1)

    def _first_sync(self) -> None:
        """The tables as the ontology has them; without an answer the tables that are there are served all the same."""
        try:
            report = sync.sync(get_store(), actor=jobs.SYSTEM)
        except SpawnError as error:
            self.stderr.write(f"{error} The tables that are there are served as they are.")
            return
        finally:
            reset_store()
        for one in report.outcomes:
            self.stdout.write(f"Table:    {one.table} {one.outcome}, version {one.version} ({one.provenance}) {one.detail}".rstrip())


def serve() -> None:
    """Becomes gunicorn: one process, many threads. The DuckDB file is closed by now and is opened again after its fork."""
    connections.close_all()
    gunicorn = [sys.executable, "-m", "gunicorn", "--config", str(Path(settings.BASE_DIR) / "gunicorn.conf.py"), "duckspawn_site.wsgi"]
    os.chdir(settings.BASE_DIR)
    # Else glibc, and Arrow's own allocator, keep what many threads freed apart, and the process grows for as long as it runs.
    os.environ.setdefault("MALLOC_ARENA_MAX", "2")
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    os.execv(sys.executable, gunicorn)  # noqa: S606  # nosec B606
