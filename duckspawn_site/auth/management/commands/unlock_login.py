"""`manage.py unlock_login USER`: lets somebody try again whose logins failed too often."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from duckspawn_site.auth import logins


class Command(BaseCommand):
    help = "Lets somebody sign in again at once whose logins failed too often."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="the name that was tried")

    def handle(self, *args: Any, **options: Any) -> None:
        count = logins.unlock(options["user"], actor="system")
        self.stdout.write(f"{options['user']} may try again." if count else f"No failed login of {options['user']} was kept.")
