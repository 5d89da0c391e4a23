"""Settings: a bad value stops the start, in one sentence that names it."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

ROOT = Path(__file__).resolve().parents[2]


def environment_with(settings: dict[str, str]) -> dict[str, str]:
    key = "the tests have a key that is long and has many letters in it"
    return {"PATH": os.environ.get("PATH", ""), "DUCKSPAWN_ENV_FILE": os.devnull, "SECRET_KEY": key, **settings}


def manage(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment_with(settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def refusal(monkeypatch, **given: str) -> str:
    """Why the service's settings, read anew in an environment that has nothing else, are refused."""
    for name in os.environ:
        monkeypatch.delenv(name)
    for name, value in environment_with(given).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured) as refused:
        runpy.run_path(str(ROOT / "duckspawn_site" / "settings.py"))
    return str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "abc"),
        ("PORT", "70000"),
        ("PORT", "80.5"),
        ("THREADS", "0"),
        ("LOG_LEVEL", "loud"),
        ("USE_MOCK_ONTO_SERVER", "maybe"),
        ("ONTO_SERVER_URL", "ftp://u:hush@x"),
        ("ONTO_SERVER_URL", "http://u:hush@host:port"),
        ("ONTO_SERVER_TIMEOUT", "nan"),
        ("DATABASE_URL", "nonsense"),
        ("DATABASE_URL", "postgres://u:hush@host:port/x"),
        ("DATABASE_URL", "ftp://host/x"),
        ("BEHIND_TLS", "2"),
        ("CSRF_TRUSTED_ORIGINS", "example.org"),
        ("CSRF_TRUSTED_ORIGINS", "https://example.org/path"),
        ("CORS_ORIGINS", "https://data.example.org,*"),
        ("THROTTLE", "30/min"),
        ("THROTTLE_ANON", "0/min"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("QUERY_TIMEOUT", "-1"),
        ("SYNC_EVERY", "9"),
        ("SYNC_EVERY", "12.5"),
        ("BACKUP_EVERY", "59"),
        ("BACKUP_EVERY", "3600"),  # without BACKUP_DIR
        ("BACKUP_KEEP", "-1"),
        ("NOTIFY_URL", "ftp://u:hush@host/x"),
        ("NOTIFY_MAIL", "team@example.org, nobody"),
        ("EMAIL_URL", "smtp://u:hush@host:port"),
        ("EMAIL_URL", "pigeon://u:hush@host"),
        ("EMAIL_URL", "filemail://"),
    ],
)
def test_a_bad_value_is_named_in_a_sentence_without_its_secrets(monkeypatch, name: str, value: str):
    said = refusal(monkeypatch, **{name: value})
    assert name in said
    assert len(said.strip().splitlines()) == 1
    assert "hush" not in said


def test_a_bad_value_stops_the_start_and_is_all_that_is_said(monkeypatch):
    bad = {"DATABASE_URL": "postgres://u:hush@host:port/x"}
    answer = manage("check", **bad)
    assert (answer.returncode, answer.stderr.strip(), answer.stdout) == (1, refusal(monkeypatch, **bad), "")


@pytest.mark.long
def test_a_webhook_needs_a_secret_and_is_not_shown():
    answer = manage("check", NOTIFY_URL="https://host/hush")
    assert answer.returncode != 0
    assert "NOTIFY_SECRET" in answer.stderr and "hush" not in answer.stderr
    ask = ("shell", "--no-imports", "-c", "from django.conf import settings; print(settings.NOTIFY_URL)")
    assert manage(*ask, NOTIFY_URL="https://host/hook/", NOTIFY_SECRET="x").stdout.strip() == "https://host/hook/"


@pytest.mark.long
def test_a_mail_server_is_read_from_its_url():
    ask = (
        "shell",
        "--no-imports",
        "-c",
        "from django.conf import settings as s; print(s.EMAIL_HOST, s.EMAIL_PORT, s.EMAIL_HOST_USER, s.EMAIL_USE_SSL)",
    )
    assert manage(*ask, EMAIL_URL="smtp+ssl://ann:p%40ss@mail.example.org:465").stdout.split() == ["mail.example.org", "465", "ann", "True"]


def test_behind_tls_the_deployment_check_is_clean():
    answer = manage("check", "--deploy", "--fail-level", "WARNING", BEHIND_TLS="true")
    assert answer.returncode == 0, answer.stderr


def test_an_empty_value_means_the_default():
    assert manage("check", PORT="", DATABASE_URL="", ALLOWED_HOSTS="").returncode == 0


def test_a_secret_key_is_made_once_and_kept_for_its_owner(tmp_path):
    settings = {"SECRET_KEY": "", "DATABASE_URL": f"sqlite:///{tmp_path}/site.sqlite3"}
    ask = ("shell", "--no-imports", "-c", "from django.conf import settings; print(settings.SECRET_KEY)")
    first, second = manage(*ask, **settings), manage(*ask, **settings)
    assert first.stdout == second.stdout and len(first.stdout.strip()) > 50
    assert (tmp_path / "duckspawn.secret").stat().st_mode & 0o777 == 0o600


def test_a_relative_database_is_below_the_projects_folder():
    ask = ("shell", "--no-imports", "-c", "from django.conf import settings; print(settings.DATABASES['default']['NAME'])")
    assert manage(*ask, DATABASE_URL="sqlite:///data/site.sqlite3").stdout.strip() == str(ROOT / "data/site.sqlite3")


def test_behind_tls_plain_http_is_sent_on_and_https_is_made_to_stay():
    ask = """
from django.test import Client
client = Client(SERVER_NAME="localhost")
print(client.get("/")["Location"])
print(client.get("/", headers={"X-Forwarded-Proto": "https"})["Strict-Transport-Security"])
print(client.get("/monitoring/live").status_code)
"""
    answer = manage("shell", "--no-imports", "-c", ask, BEHIND_TLS="true", LOG_LEVEL="ERROR")
    assert answer.stdout.split() == ["https://localhost/", "max-age=31536000", "200"], answer.stderr
