"""`manage.py create_token USER`: prints a fresh bearer token, and nothing else, on stdout."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from duckspawn_site.auth import tokens
from duckspawn_site.auth.roles import ROLES


class Command(BaseCommand):
    help = "Makes a bearer token and prints it; it is shown this once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="the name of the user whose rights it carries")
        parser.add_argument("--role", choices=list(ROLES), default="", help="narrows the token to this role's rights")
        parser.add_argument("--expires", default=tokens.DEFAULT_EXPIRES, help="30d, 12h, 45m or P30D (default: %(default)s)")
        parser.add_argument(
            "--scope", action="append", default=[], metavar="TABLE", help="narrows the token to this table; may be repeated"
        )
        parser.add_argument("--name", default="", help="what the token is for")

    def handle(self, *args: Any, **options: Any) -> None:
        owner = User.objects.filter(username=options["user"]).first()
        if owner is None:
            raise CommandError(f"There is no user {options['user']!r}; `manage.py createsuperuser` makes one.")
        try:
            expires = tokens.parse_expiry(options["expires"])
        except tokens.BadExpiry as error:
            raise CommandError(f"--expires {options['expires']}: {error}") from error
        wish = tokens.Wish(expires=expires, role=options["role"], scopes=tuple(options["scope"]), name=options["name"])
        _, secret = tokens.create(owner, wish, actor="system")
        self.stdout.write(secret)
