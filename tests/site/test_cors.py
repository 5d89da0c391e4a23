"""Pages of other origins: none may ask unless the setting names it, and never with a browser's cookies."""

import json

import pytest
from django.conf import settings as configured
from django.test import Client

from tests.site.test_settings import manage

NAMED, OTHER = "https://data.example.org", "https://evil.example.org"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
PATHS = ("/", "/admin", "/ops/projects", "/openapi.json", "/auth/tokens", "/console/login/", "/metrics")
ASK = f"""
import json
from django.test import Client
client, found = Client(SERVER_NAME="localhost"), {{}}
for origin in ("{NAMED}", "{NAMED}.evil.org", "{NAMED}:8443", "http://data.example.org", "{OTHER}", "null"):
    for path in {PATHS}:
        for method, more in (("GET", {{}}), ("OPTIONS", {PREFLIGHT})):
            answer = client.generic(method, path, headers={{"Origin": origin, **more}})
            headers = {{name.lower(): value for name, value in answer.headers.items()}}
            found[f"{{origin}} {{method}} {{path}}"] = {{name: headers[name] for name in headers if name.startswith("access-control")}}
print(json.dumps(found))
"""


@pytest.mark.django_db
def test_no_other_origin_may_ask_by_default():
    assert not configured.CORS_ALLOWED_ORIGINS
    client = Client()
    for path in PATHS:
        for answer in (client.get(path, headers={"Origin": OTHER}), client.options(path, headers={"Origin": OTHER, **PREFLIGHT})):
            assert not [name for name in answer.headers if name.lower().startswith("access-control")], path


def test_an_origin_that_is_named_may_ask_the_api_with_a_token_and_no_other_may(tmp_path):
    settings = {"CORS_ORIGINS": NAMED, "DATABASE_URL": f"sqlite:///{tmp_path}/app.sqlite3", "DUCKDB_PATH": f"{tmp_path}/data.db"}
    answer = manage("shell", "--no-imports", "-c", ASK, LOG_LEVEL="CRITICAL", **settings)
    found = json.loads(answer.stdout)
    allowed = {asked: headers for asked, headers in found.items() if headers}
    api = [path for path in PATHS if not path.startswith(("/auth/", "/console/"))]
    assert set(allowed) == {f"{NAMED} {method} {path}" for method in ("GET", "OPTIONS") for path in api}
    assert {headers["access-control-allow-origin"] for headers in allowed.values()} == {NAMED}
    assert not [headers for headers in allowed.values() if "access-control-allow-credentials" in headers]
    preflight = allowed[f"{NAMED} OPTIONS /ops/projects"]
    assert "POST" in preflight["access-control-allow-methods"]
    assert {"authorization", "idempotency-key", "if-match"} <= set(preflight["access-control-allow-headers"].split(", "))
    assert "etag" in allowed[f"{NAMED} GET /ops/projects"]["access-control-expose-headers"]
