"""Pages of other origins: none may ask unless the setting names it, and never with a browser's cookies."""

import json

import pytest
from django.conf import settings as configured
from django.test import Client

from tests.site.test_settings import manage

NAMED, OTHER = "https://data.example.org", "https://evil.example.org"
ORIGINS = (NAMED, f"{NAMED}.evil.org", f"{NAMED}:8443", "http://data.example.org", OTHER, "null")
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
PATHS = ("/", "/admin", "/ops/projects", "/openapi.json", "/auth/tokens", "/console/login/", "/metrics")


def answers() -> dict[str, dict[str, str]]:
    """What each answer to a GET and to a preflight tells the browser of each origin, where it tells something."""
    client, found = Client(SERVER_NAME="localhost"), {}
    for origin in ORIGINS:
        for path in PATHS:
            for method, more in (("GET", {}), ("OPTIONS", PREFLIGHT)):
                headers = {n.lower(): v for n, v in client.generic(method, path, headers={"Origin": origin, **more}).headers.items()}
                if told := {name: headers[name] for name in headers if name.startswith("access-control")}:
                    found[f"{origin} {method} {path}"] = told
    return found


def check_open_to_the_named_alone(found: dict[str, dict[str, str]]) -> None:
    api = [path for path in PATHS if not path.startswith(("/auth/", "/console/"))]
    assert set(found) == {f"{NAMED} {method} {path}" for method in ("GET", "OPTIONS") for path in api}
    assert {headers["access-control-allow-origin"] for headers in found.values()} == {NAMED}
    assert not [headers for headers in found.values() if "access-control-allow-credentials" in headers]
    preflight = found[f"{NAMED} OPTIONS /ops/projects"]
    assert "POST" in preflight["access-control-allow-methods"]
    assert {"authorization", "idempotency-key", "if-match"} <= set(preflight["access-control-allow-headers"].split(", "))
    assert "etag" in found[f"{NAMED} GET /ops/projects"]["access-control-expose-headers"]


@pytest.mark.django_db
def test_no_other_origin_may_ask_by_default():
    assert not configured.CORS_ALLOWED_ORIGINS
    assert answers() == {}


@pytest.mark.django_db
def test_an_origin_that_is_named_may_ask_the_api_with_a_token_and_no_other_may(settings):
    settings.CORS_ALLOWED_ORIGINS = [NAMED]
    place = settings.MIDDLEWARE.index("duckspawn_site.throttle.Throttle")
    settings.MIDDLEWARE = [*settings.MIDDLEWARE[:place], "corsheaders.middleware.CorsMiddleware", *settings.MIDDLEWARE[place:]]
    check_open_to_the_named_alone(answers())


@pytest.mark.long
def test_the_setting_alone_opens_it(tmp_path):
    files = {"DATABASE_URL": f"sqlite:///{tmp_path}/app.sqlite3", "DUCKDB_PATH": f"{tmp_path}/data.db"}
    ask = "import json; from tests.site.test_cors import answers; print(json.dumps(answers()))"
    answer = manage("shell", "--no-imports", "-c", ask, LOG_LEVEL="CRITICAL", CORS_ORIGINS=NAMED, **files)
    check_open_to_the_named_alone(json.loads(answer.stdout))
