"""Every setting, read from the environment or from `.env` beside manage.py; a bad value stops the start and is named.

README.md lists the settings for people. Paths that are not absolute are below the project's folder.
"""

import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
env.read_env(BASE_DIR / ".env")


def _number(name: str, default: float, *, lowest: float, highest: float) -> float:
    """A number setting within bounds, or a refusal that names it."""
    text = env.str(name, default="") or str(default)
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not lowest <= value <= highest:
        raise ImproperlyConfigured(f"{name}={text!r}: give a number from {lowest:g} to {highest:g}")
    return value


def _flag(name: str, default: bool) -> bool:
    text = env.str(name, default=str(default)).strip().lower()
    if text not in ("true", "1", "yes", "on", "false", "0", "no", "off"):
        raise ImproperlyConfigured(f"{name}={text!r}: give true or false")
    return text in ("true", "1", "yes", "on")


def _choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    text = env.str(name, default=default).strip().upper()
    if text not in choices:
        raise ImproperlyConfigured(f"{name}={text!r}: give one of {', '.join(choices)}")
    return text


def _path(name: str, default: str | Path) -> Path:
    return (BASE_DIR / Path(env.str(name, default="") or default).expanduser()).resolve()


def _http_url(name: str, default: str) -> str:
    text = env.str(name, default=default).rstrip("/")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ImproperlyConfigured(f"{name}={text!r}: give an address that begins with http:// or https://")
    return text


def _secret_key(folder: Path) -> str:
    """SECRET_KEY, or one that is made once and kept beside the Django database for its owner's eyes only."""
    if key := env.str("SECRET_KEY", default=""):
        return key
    kept = folder / "duckspawn.secret"
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        fresh = kept.with_name(f".{kept.name}.{os.getpid()}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(64))
        try:
            os.link(fresh, kept)  # Two first starts at once agree on one key: the link is made by one of them.
        except FileExistsError:
            pass
        fresh.unlink()
    return kept.read_text()


# Django's database: schema snapshots, plans, jobs, the audit log, people.
DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'duckspawn.sqlite3'}")}
DATABASES["default"]["CONN_MAX_AGE"] = None
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # FULL: what was acknowledged survives a power loss. IMMEDIATE: writers queue instead of failing.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 10,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
    SECRET_FOLDER = (BASE_DIR / DATABASES["default"]["NAME"]).parent
else:
    SECRET_FOLDER = BASE_DIR
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# DuckDB: the tables and their rows.
DUCKDB_PATH = _path("DUCKDB_PATH", "data_product.db")
SPOOL_DIR = _path("SPOOL_DIR", f"{DUCKDB_PATH}.spool")
ARCHIVE_DIR = _path("ARCHIVE_DIR", f"{DUCKDB_PATH}.archive")
DUCKDB_MEMORY_LIMIT = env.str("DUCKDB_MEMORY_LIMIT", default="")
DUCKDB_THREADS = int(_number("DUCKDB_THREADS", 0, lowest=0, highest=1024))
CHANGES_KEEP = int(_number("CHANGES_KEEP", 1_000_000, lowest=1, highest=1e12))
QUERY_TIMEOUT = _number("QUERY_TIMEOUT", 30, lowest=0.1, highest=86_400)
QUERY_MAX_ROWS = int(_number("QUERY_MAX_ROWS", 100_000, lowest=1, highest=1e9))
QUERY_MAX_BYTES = int(_number("QUERY_MAX_BYTES", 64 * 2**20, lowest=1, highest=2**40))

# The ontology server.
ONTO_SERVER_URL = _http_url("ONTO_SERVER_URL", "http://localhost:8001")
ONTO_SERVER_TIMEOUT = _number("ONTO_SERVER_TIMEOUT", 5, lowest=0.05, highest=600)
ONTO_SCHEMA_IDS = env.list("ONTO_SCHEMA_IDS", default=["project_schema"])
USE_MOCK_ONTO_SERVER = _flag("USE_MOCK_ONTO_SERVER", False)

# Serving.
PORT = int(_number("PORT", 8000, lowest=1, highest=65_535))
HOST = env.str("HOST", default="127.0.0.1")
THREADS = int(_number("THREADS", 16, lowest=1, highest=256))
DEBUG = _flag("DEBUG", False)
SECRET_KEY = _secret_key(SECRET_FOLDER)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
BEHIND_TLS = _flag("BEHIND_TLS", False)
LOG_LEVEL = _choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 2**20

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_prometheus",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "schema_registry",
    "projects",
    "monitoring",
    "duckspawn_site.auth",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "duckspawn_site.urls"
WSGI_APPLICATION = "duckspawn_site.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]
LOGIN_REDIRECT_URL = "/console/"
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
