"""`manage.py mock_ontology`: a real ontology server with the sample documents, or with those of a folder."""

import signal
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from schema_registry.mock import folder
from schema_registry.mock.server import MockOntology


class Command(BaseCommand):
    help = "Serves the sample ontology by HTTP on 127.0.0.1, until it is stopped."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8001, help="0 takes a free one (default: %(default)s)")
        parser.add_argument("--dir", type=Path, default=folder.SAMPLE, help="a folder of *.json documents (default: the sample)")

    def handle(self, *args: Any, **options: Any) -> None:
        server = self._server(options["dir"], options["port"])
        signal.signal(signal.SIGTERM, _stop)
        signal.signal(signal.SIGINT, _stop)
        try:
            self.stdout.write(f"The mock ontology answers at {server.url}")
            self.stdout.flush()
            server.serve_forever(poll_interval=0.1)
        except KeyboardInterrupt:
            self.stdout.write("The mock ontology has stopped.")
        finally:
            server.server_close()

    def _server(self, documents: Path, port: int) -> MockOntology:
        if not documents.is_dir():
            raise CommandError(f"{documents} is not a folder")
        try:
            return MockOntology(documents, port)
        except OverflowError:
            raise CommandError(f"{port} is not a port; give one from 0 to 65535") from None
        except OSError as failure:
            raise CommandError(f"port {port} cannot be had: {failure.strerror}") from None


def _stop(*args: object) -> None:
    raise KeyboardInterrupt
