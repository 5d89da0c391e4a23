"""`manage.py check_health`: asks the running server how it is; exits with 0 healthy, 1 degraded, 2 unhealthy or silent."""

import sys
from typing import Any, NoReturn

import requests
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from monitoring.checks import DEGRADED, HEALTHY, UNHEALTHY

EXITS = {HEALTHY: 0, DEGRADED: 1, UNHEALTHY: 2}
PATIENCE = 15.0  # seconds; a check that hangs takes five


class Command(BaseCommand):
    help = "Prints how the running server is, check by check. Exits with 0 healthy, 1 degraded, 2 unhealthy."

    def add_arguments(self, parser: CommandParser) -> None:
        here = f"http://127.0.0.1:{settings.PORT}/monitoring/health"
        parser.add_argument("--url", default=here, help="where to ask (default: %(default)s)")
        parser.add_argument("--token", default="", help="a bearer token; with it, what each check found is shown")

    def handle(self, *args: Any, **options: Any) -> None:
        headers = {"Authorization": f"Bearer {options['token']}"} if options["token"] else {}
        try:
            answer = requests.get(options["url"], headers=headers, timeout=PATIENCE)
        except requests.RequestException:
            self._give_up(f"Nothing answers at {options['url']}.")
        try:
            health = answer.json()
            status, found = str(health["status"]), dict(health["checks"])
        except (requests.exceptions.JSONDecodeError, KeyError, TypeError):
            self._give_up(f"{options['url']} answered with status {answer.status_code}, and not with health.")
        for name, check in found.items():
            self.stdout.write(f"{name:<12} {check['status']:<10} {check.get('detail', '')}".rstrip())
        self.stdout.write(status)
        sys.exit(EXITS.get(status, 2))

    def _give_up(self, sentence: str) -> NoReturn:
        self.stderr.write(sentence)
        sys.exit(2)
