"""The command that asks the running server how it is."""

import math
from functools import partial
from io import StringIO

import pytest
from django.core.management import call_command

from monitoring import checks
from projects.store.connection import get_store


def check_health(url: str, **options: str) -> tuple[int, str]:
    out, err = StringIO(), StringIO()
    with pytest.raises(SystemExit) as stop:
        call_command("check_health", url=url, stdout=out, stderr=err, **options)
    return stop.value.code, out.getvalue() + err.getvalue()


@pytest.fixture
def address(live_server, settings, monkeypatch) -> str:
    """A server on a machine whose load, memory and disk are no matter: what else runs here decides nothing."""
    settings.USE_MOCK_ONTO_SERVER = True
    monkeypatch.setattr(checks, "Cpu", partial(checks.Cpu, warn_load=math.inf))
    monkeypatch.setattr(checks, "Memory", partial(checks.Memory, warn_percent=math.inf))
    monkeypatch.setattr(checks, "Disk", partial(checks.Disk, warn_bytes=0, fail_bytes=0))
    return f"{live_server.url}/monitoring/health"


def test_a_healthy_server_is_0(address):
    code, said = check_health(address)
    assert code == 0, said
    assert "duckdb       healthy" in said and said.endswith("\nhealthy\n")


def test_a_degraded_server_is_1(address, settings):
    settings.USE_MOCK_ONTO_SERVER, settings.ONTO_SERVER_URL = False, "http://127.0.0.1:9"
    assert check_health(address)[0] == 1


def test_an_unhealthy_server_is_2(address):
    get_store().close()
    assert check_health(address)[0] == 2


def test_with_a_token_it_says_what_each_check_found(address, viewer_client):
    token = viewer_client._credentials or viewer_client.defaults["HTTP_AUTHORIZATION"]
    assert "sample ontology" in check_health(address, token=token.removeprefix("Bearer "))[1]


def test_silence_and_another_answer_are_2_with_a_sentence(live_server):
    assert check_health("http://127.0.0.1:9/") == (2, "Nothing answers at http://127.0.0.1:9/.\n")
    code, said = check_health(f"{live_server.url}/nowhere")
    assert code == 2 and "status 404, and not with health" in said
