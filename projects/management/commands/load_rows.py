"""manage.py load_rows TABLE FILE [--null NA]"""

import sys
from argparse import ArgumentParser
from functools import partial
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from projects import handover
from schema_registry.errors import SpawnError


class Command(BaseCommand):
    help = "Load a CSV file into a table: every row, or none and the reasons why."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("table", metavar="TABLE")
        parser.add_argument("file", metavar="FILE", type=Path, help="a CSV file in UTF-8 whose first line names the columns")
        parser.add_argument("--null", action="append", default=[], metavar="TEXT", help="an unquoted text that means null, such as NA")
        parser.add_argument("--as", dest="person", metavar="USER", help="act as this user, with their rights; the system where left out")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["file"].is_file():
            raise CommandError(f"There is no file {options['file']}.")
        try:
            loaded = self._load(options)
        except SpawnError as error:
            self._explain(error)
            sys.exit(1)
        self.stdout.write(f"{loaded['inserted']:,} rows loaded into {options['table']}.")

    def _load(self, options: dict[str, Any]) -> dict[str, Any]:
        user = handover.person(options["person"])
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task("copying", total=100)
            spooled = handover.into_spool(options["file"])
            inputs = {"table": options["table"], "spool": spooled, "nulls": options["null"]}
            progress.update(task, description="loading")
            done = handover.perform("load", inputs, user=user, tell=partial(_tell, progress, task))
            progress.update(task, completed=100, description="loaded")
        return done

    def _explain(self, error: SpawnError) -> None:
        self.stderr.write(str(error))
        for problem in vars(error).get("problems") or ():
            self.stderr.write(f"  {problem['detail'] if isinstance(problem, dict) else problem.detail}")
        for reject in (vars(error).get("rejects") or ())[:20]:
            where = f"row {reject['row']}" + (f", {reject['column']}" if reject["column"] else "")
            self.stderr.write(f"  {where}: {reject['value']!r} {reject['reason']}")


def _tell(progress: Progress, task: TaskID, percent: float, said: str) -> None:
    progress.update(task, completed=percent, description=said or "loading")
