"""manage.py load_rows TABLE FILE [--format parquet] [--on-conflict update] [--on-error skip] [--null NA] [--dry-run]"""

import sys
from argparse import ArgumentParser
from functools import partial
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from projects import handover, loads
from projects.store.bulk import ON_CONFLICT, Options
from schema_registry.errors import SpawnError

ENDINGS = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".parquet": "parquet", ".arrow": "arrow", ".arrows": "arrow"}
COUNTED = (("inserted", "loaded"), ("updated", "updated"), ("ignored", "ignored"), ("rejected", "rejected"))


class Command(BaseCommand):
    help = "Load a file of rows into a table: every row, or none and the reasons why; with --on-error skip, all that are good."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("table", metavar="TABLE")
        parser.add_argument("file", metavar="FILE", type=Path, help="a file of rows; with .gz at its end, one that gzip made small")
        parser.add_argument("--format", choices=loads.FORMATS, help="what the file is, where its ending does not say so")
        parser.add_argument("--on-conflict", choices=ON_CONFLICT, default=ON_CONFLICT[0], help="what becomes of a row whose key is there")
        parser.add_argument("--on-error", choices=loads.ON_ERROR, default=loads.ON_ERROR[0], help="what becomes of a row that is bad")
        parser.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")
        parser.add_argument("--null", action="append", default=[], metavar="TEXT", help="an unquoted text that means null, such as NA")
        parser.add_argument("--as", dest="person", metavar="USER", help="act as this user, with their rights; the system where left out")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["file"].is_file():
            raise CommandError(f"There is no file {options['file']}.")
        try:
            done = self._load(options)
        except SpawnError as error:
            self._explain(str(error), vars(error))
            sys.exit(1)
        if done["rejected"]:
            self._explain("", done)
        counts = ", ".join(f"{done[name]:,} {word}" for name, word in COUNTED if done[name] or name == "inserted")
        self.stdout.write(f"{counts.replace(' ', ' rows ', 1)} into {options['table']}{', in a dry run' if options['dry_run'] else ''}.")

    def _load(self, options: dict[str, Any]) -> dict[str, Any]:
        user, form = handover.person(options["person"]), _format(options)
        wanted = Options(
            on_conflict=options["on_conflict"],
            skips=options["on_error"] == "skip",
            nulls=tuple(options["null"]),
            dry_run=options["dry_run"],
        )
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task("copying", total=100)
            spooled = handover.into_spool(options["file"], form)
            inputs = loads.job_inputs(options["table"], spooled, wanted)
            progress.update(task, description="loading")
            done = handover.perform("load", inputs, user=user, tell=partial(_tell, progress, task))
            progress.update(task, completed=100, description="loaded")
        return done

    def _explain(self, said: str, told: dict[str, Any]) -> None:
        if said:
            self.stderr.write(said)
        for problem in told.get("problems") or ():
            self.stderr.write(f"  {problem['detail'] if isinstance(problem, dict) else problem.detail}")
        for reject in (told.get("rejects") or ())[:20]:
            where = f"row {reject['row']}" + (f", {reject['column']}" if reject["column"] else "")
            self.stderr.write(f"  {where}: {reject['value']!r} {reject['reason']}")


def _format(options: dict[str, Any]) -> str:
    """The file's format, as it is said or by the ending of its name."""
    endings = [ending.lower() for ending in options["file"].suffixes if ending.lower() != ".gz"]
    found: str | None = options["format"] or ENDINGS.get(endings[-1] if endings else "")
    if found is None:
        raise CommandError(f"The ending of {options['file'].name} does not say what it is: --format {', '.join(loads.FORMATS)}.")
    return found


def _tell(progress: Progress, task: TaskID, percent: float, said: str) -> None:
    progress.update(task, completed=percent, description=said or "loading")
