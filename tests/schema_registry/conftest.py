"""A folder of documents served by the real mock server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from schema_registry.mock.server import MockOntology
from schema_registry.ontology import OntologyClient
from tests.schema_registry.documents import client_of, save, table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two documents: thing_schema makes things, item_schema makes items."""
    made = tmp_path / "ontology"
    made.mkdir()
    save(made, "thing_schema", table())
    save(made, "item_schema", table(name="items"))
    return made


@pytest.fixture
def server(folder: Path) -> Iterator[MockOntology]:
    with MockOntology(folder) as running:
        yield running


@pytest.fixture
def ontology(server: MockOntology) -> OntologyClient:
    return client_of(server.url)
