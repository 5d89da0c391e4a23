"""What the commands share: work is handed over with a word of progress on stderr, and what goes wrong is a sentence."""

import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any, NoReturn

from django.core.management.base import BaseCommand
from rich.console import Console

from projects import handover
from schema_registry.errors import SpawnError

DONE, FAILED, WAITS = 0, 1, 2  # the exit codes


def take_person(parser: ArgumentParser) -> None:
    """Whom the command acts as."""
    parser.add_argument("--as", dest="person", metavar="USER", help="act as this user, with their rights; the system where left out")


def perform(command: BaseCommand, kind: str, inputs: Mapping[str, Any], *, person: str | None, said: str) -> dict[str, Any]:
    """The result of the work, done here or by the server; where it fails, the reason on stderr and exit code 1."""
    try:
        with Console(stderr=True).status(said) as status:
            user = handover.person(person)
            return handover.perform(kind, inputs, user=user, tell=lambda _, now: status.update(now or said))
    except SpawnError as error:
        fail(command, error)


def fail(command: BaseCommand, error: SpawnError, code: int = FAILED) -> NoReturn:
    """Says why on stderr, with each problem that the error carries, and ends the command."""
    command.stderr.write(str(error))
    for problem in vars(error).get("problems") or ():
        command.stderr.write(f"  {problem['detail'] if isinstance(problem, dict) else problem.detail}")
    sys.exit(code)
