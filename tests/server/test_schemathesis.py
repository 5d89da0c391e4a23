"""What the OpenAPI document says is what the service does: Schemathesis asks a real server, with real tables, every check on."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from schema_registry.mock.folder import SAMPLE
from schema_registry.mock.server import MockOntology
from tests.server.conftest import PASSWORD, ROOT, Server

CONFIG = Path(__file__).with_name("schemathesis.toml")
# The rest of the service has fewer cases in the bounded run: drawn ones, and no walk along every edge of each value.
BOUNDED = """
[[operations]]
include-path-regex = "^/(admin|auth|monitoring|openapi|ops/(query|jobs|initialize|.table.))"
phases.coverage.enabled = false

[[operations]]
include-operation-id-regex = "(list|_many|create)$"
phases.coverage.enabled = false
generation.max-examples = 4
"""

READINGS = {
    "name": "readings",
    "description": "What sensors said.",
    "primary_key": ["site", "number"],
    "columns": [
        {"name": "site", "type": "VARCHAR(30)", "required": True},
        {"name": "number", "type": "INTEGER", "required": True, "minimum": 0},
        {"name": "state", "type": "VARCHAR", "enum": ["on", "off"], "default": "on", "required": True},
        {"name": "price", "type": "DECIMAL(6,2)", "maximum": "9000.5", "unit": "EUR"},
        {"name": "code", "type": "CHAR(3)", "pattern": "^[A-Z]+$"},
        {"name": "tags", "type": "VARCHAR", "multivalued": True, "enum": ["a", "b"]},
        {"name": "seen", "type": "TIMESTAMP", "generated": "updated", "required": True},
    ],
}
EVERYTHING = {
    "name": "everything",
    "description": "A column of every type.",
    "primary_key": ["id"],
    "unique": [["code"]],
    "columns": [
        {"name": "id", "type": "BIGINT", "required": True},
        {"name": "small", "type": "TINYINT", "minimum": 1, "maximum": 9, "required": True},
        {"name": "short", "type": "SMALLINT"},
        {"name": "whole", "type": "INTEGER", "minimum": -1_000_000},
        {"name": "huge", "type": "HUGEINT", "maximum": 2**100},
        {"name": "tiny", "type": "UTINYINT"},
        {"name": "usmall", "type": "USMALLINT"},
        {"name": "uwhole", "type": "UINTEGER"},
        {"name": "unsigned", "type": "UBIGINT"},
        {"name": "exact", "type": "DECIMAL(38,10)", "default": "1234567890123456789012345678.5", "required": True},
        {"name": "step", "type": "DECIMAL(6,2)", "enum": ["1.50", "2"], "default": "2"},
        {"name": "ratio", "type": "DOUBLE", "unit": "kW", "description": "Output."},
        {"name": "single", "type": "FLOAT", "minimum": 0},
        {"name": "flag", "type": "BOOLEAN", "default": True, "required": True},
        {"name": "code", "type": "CHAR(3)", "pattern": "^[A-Z]+$"},
        {"name": "label", "type": "VARCHAR", "pattern": r"(?i)\pL+", "deprecated": True, "id": "https://example.org/label"},
        {"name": "other", "type": "UUID", "references": "projects.project_id"},
        {"name": "day", "type": "DATE", "minimum": "1990-01-01"},
        {"name": "clock", "type": "TIME"},
        {"name": "zoned", "type": "TIMESTAMPTZ"},
        {"name": "bytes", "type": "BLOB"},
        {"name": "anything", "type": "JSON", "default": {"n": 12345678901234567890123}},
        {"name": "numbers", "type": "INTEGER[]"},
        {"name": "limit", "type": "INTEGER"},
        {"name": "made", "type": "TIMESTAMP", "generated": "created", "required": True},
    ],
}
NOTES = {"name": "notes", "columns": [{"name": "text", "type": "VARCHAR", "required": True}, {"name": "day", "type": "DATE"}]}


@pytest.fixture
def served(tmp_path: Path):
    """Starts a server with the tables of these documents."""
    folder, running = tmp_path / "documents", []
    folder.mkdir()

    def start(*documents: dict) -> Server:
        for document in documents:
            (folder / f"{document['name']}.json").write_text(json.dumps(document))
        server = Server(tmp_path, USE_MOCK_ONTO_SERVER="false", ONTO_SERVER_URL=ontology.url, LOG_LEVEL="WARNING")
        running.append(server)
        return server.start()

    with MockOntology(folder) as ontology:
        yield start
        for server in running:
            server.stop()


def run(server: Server, config: Path, *options: str) -> str:
    """What Schemathesis prints; fails with it where any check does."""
    address = f"{server.url}/openapi.json"
    command = [
        sys.executable,
        "-m",
        "schemathesis.cli",
        "--config-file",
        str(config),
        "--no-color",
        "run",
        address,
        "--checks",
        "all",
        *options,
    ]
    authorization = server.session.headers["Authorization"]
    assert isinstance(authorization, str)
    own = {
        "TOKEN": authorization.removeprefix("Bearer "),
        "NAME": "root",
        "PASSWORD": PASSWORD,
        "SCHEMATHESIS_TOKEN_ID": server.get("/auth/tokens").json()[0]["id"],
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [*command, "-H", f"Authorization: {authorization}"],
        cwd=server.folder,
        env=os.environ | own,
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-20_000:]}\n{done.stderr[-2_000:]}"
    return done.stdout


def cases(printed: str) -> int:
    found = re.search(r"(\d+) generated, (\d+) passed", printed)
    assert found, printed
    assert found[1] == found[2]
    return int(found[1])


def test_the_service_does_what_its_openapi_document_says(served, tmp_path):
    config = tmp_path / "bounded.toml"
    config.write_text(CONFIG.read_text() + BOUNDED)
    printed = run(served(READINGS), config, "--max-examples", "2")
    print(printed[-2_000:])
    assert cases(printed) > 400


@pytest.mark.long
def test_the_service_does_what_its_document_says_of_every_type_in_thousands_of_cases(served):
    samples = [json.loads(file.read_text()) for file in SAMPLE.glob("*.json")]
    printed = run(served(READINGS, EVERYTHING, NOTES, *samples), CONFIG, "--max-examples", "25")
    print(printed[-2_000:])
    assert cases(printed) > 5_000
