"""The sample tables in a real DuckDB, without an ontology server."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import duckdb
import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

import schema_registry.mock
from projects import one_table
from projects.store import tables
from projects.store.connection import Store, get_store, reset_store
from schema_registry.mock.server import MockOntology
from schema_registry.schema import TableSchema
from schema_registry.sources.native import parse_document
from tests.conftest import user_with_role
from tests.projects.altered import MILLS, ROWS, Hand
from tests.projects.ontology import FIRST, SECOND, TURBINES, Ontology, send, table
from tests.projects.prepared import begin_with

DOCUMENTS = Path(schema_registry.mock.__file__).parent / "documents"
WIND_FARM = {"project_name": "Wind farm", "total_amount": 1250000.50, "maturity_years": 20, "expected_tri": 8.25, "dscr": 1.35}


def sample(document_id: str) -> TableSchema:
    return parse_document(json.loads((DOCUMENTS / f"{document_id}.json").read_text()), document_id)


def make_table(name: str, columns: list[dict], **more: object) -> TableSchema:
    """A live table of a document with these columns."""
    schema = parse_document({"name": name, "columns": columns, **more}, name)
    tables.create(get_store(), schema, version=1, provenance="live", actor="test")
    return schema


@pytest.fixture
def store(own_store: Path) -> Store:
    return get_store()


@pytest.fixture
def projects(store: Store) -> Store:
    """A store with the sample ontology's three tables."""

    def make() -> None:
        for document_id in ("project_schema", "portfolio_schema", "portfolio_project_schema"):
            tables.create(store, sample(document_id), version=1, provenance="mock", actor="test")

    begin_with(store, "projects", make, recorded=False)
    return store


@pytest.fixture
def kept(projects: Store) -> Store:
    """The sample tables, each with the record that people's decisions stand in."""
    one_table.reconcile(projects)
    return projects


@pytest.fixture
def console(client, roles):
    """Signs somebody in with a role, and fetches pages as they see them."""

    class Console:
        def enter(self, role: str) -> User:
            user = User.objects.filter(username=role).first() or user_with_role(role)
            User.objects.filter(pk=user.pk).update(is_staff=True)
            client.force_login(user)
            return user

        def get(self, address: str, status: int = 200) -> str:
            response = client.get(address)
            assert response.status_code == status
            return response.content.decode()

        def table(self, name: str) -> str:
            return self.get(f"/console/tables/{name}/")

        def schema(self, name: str) -> str:
            return self.get(f"/console/schemas/{name}/")

        post = staticmethod(client.post)

    made = Console()
    made.client = client
    made.enter("viewer")
    return made


@pytest.fixture(scope="session")
def ontology_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The folder and the address of a real ontology server, which each test fills."""
    folder = tmp_path_factory.mktemp("ontology")
    with MockOntology(folder) as server:
        yield folder, server.url


@pytest.fixture
def ontology(settings, ontology_server: tuple[Path, str]) -> Ontology:
    """A real ontology server that has turbines and sites."""
    made = Ontology(*ontology_server)
    for document in made.folder.iterdir():
        document.unlink()
    settings.USE_MOCK_ONTO_SERVER, settings.ONTO_SERVER_URL, settings.ONTO_SERVER_TIMEOUT = False, made.url, 2.0
    made.say(TURBINES)
    made.say(table("sites", {"name": "name", "type": "VARCHAR"}))
    return made


def make_by_rest(ontology: Ontology, store: Store, client: APIClient, name: str, rows: Iterable[dict]) -> None:
    """The tables of the ontology, and rows of the one of that name."""

    def make() -> None:
        assert send(client, "post", "/ops/initialize").status_code == 200
        for row in rows:
            assert send(client, "post", f"/ops/{name}", row).status_code == 201

    begin_with(store, f"{list(rows)} in {name} of {ontology.said()}", make)


@pytest.fixture
def turbines(ontology: Ontology, store: Store, steward_client: APIClient) -> Ontology:
    """The two tables of the ontology, and two rows of turbines."""
    make_by_rest(ontology, store, steward_client, "turbines", (FIRST, SECOND))
    return ontology


@pytest.fixture
def by_hand(settings) -> Hand:
    """Somebody opens the file with plain DuckDB while the server is down; the next request opens it again."""

    def alter(*statements: str) -> None:
        reset_store()
        with duckdb.connect(str(settings.DUCKDB_PATH)) as connection:
            for statement in statements:
                connection.execute(statement)

    return alter


@pytest.fixture
def mills(ontology: Ontology, store: Store, steward_client: APIClient) -> Ontology:
    """A table without a unique rule, so that DuckDB alters all of it, and two rows."""
    ontology.say(MILLS)
    make_by_rest(ontology, store, steward_client, "mills", ROWS)
    return ontology
