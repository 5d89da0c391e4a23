"""Reads one setting each from the environment; a bad value raises ImproperlyConfigured with a sentence that names the setting."""

import os
import secrets
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
YES, NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off")

env = environ.Env()


def read_file() -> None:
    """Takes the `.env` beside manage.py, or the file DUCKSPAWN_ENV_FILE names; what the environment already has wins."""
    env.read_env(Path(os.environ.get("DUCKSPAWN_ENV_FILE") or BASE_DIR / ".env"))


def text(name: str, default: str = "") -> str:
    """The setting's text without blanks around it; an empty one means the default."""
    return env.str(name, default="").strip() or default


def words(name: str, default: list[str]) -> list[str]:
    """A list, separated by commas."""
    return [word.strip() for word in text(name).split(",") if word.strip()] or default


def number(name: str, default: float, *, lowest: float, highest: float) -> float:
    """A number within bounds."""
    given = text(name, str(default))
    try:
        value = float(given)
    except ValueError:
        value = float("nan")
    if not lowest <= value <= highest:
        raise ImproperlyConfigured(f"{name}={given!r}: give a number from {lowest:g} to {highest:g}.")
    return value


def whole(name: str, default: int, *, lowest: int, highest: int) -> int:
    """A whole number within bounds."""
    value = number(name, default, lowest=lowest, highest=highest)
    if value != int(value):
        raise ImproperlyConfigured(f"{name}={text(name)!r}: give a whole number.")
    return int(value)


def flag(name: str, default: bool) -> bool:
    """True or false, also written 1, yes, on, 0, no, off."""
    given = text(name, str(default)).lower()
    if given not in YES + NO:
        raise ImproperlyConfigured(f"{name}={given!r}: give true or false.")
    return given in YES


def choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    """One of the choices, whatever its case."""
    given = text(name, default).upper()
    if given not in choices:
        raise ImproperlyConfigured(f"{name}={given!r}: give one of {', '.join(choices)}.")
    return given


def path(name: str, default: str | Path) -> Path:
    """A path; one that is not absolute is below the project's folder."""
    return (BASE_DIR / Path(text(name, str(default))).expanduser()).resolve()


def http_url(name: str, default: str) -> str:
    """An http or https address, without the slash at its end."""
    given = text(name, default).rstrip("/")
    try:
        parts = urlsplit(given)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # A port that is no number, or half an IPv6 address.
        sound = False
    if not sound:
        raise ImproperlyConfigured(f"{name}={given!r}: give an address that begins with http:// or https://.")
    return given


def origins(name: str) -> list[str]:
    """A list of origins such as `https://data.example.org`."""
    given = words(name, [])
    for origin in given:
        if not origin.startswith(("http://", "https://")):
            raise ImproperlyConfigured(f"{name}={origin!r}: each origin begins with http:// or https://.")
    return given


def database(name: str, default: Path) -> dict[str, Any]:
    """Django's database settings out of a URL; its text is never shown, because it may carry a password."""
    given = text(name, f"sqlite:///{default}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # environ warns, and goes on with an engine that does not exist.
        try:
            config: dict[str, Any] = dict(env.db_url_config(given))
        except ValueError:
            config = {}
    if not config.get("ENGINE", "").startswith("django.db.backends.") or not config.get("NAME"):
        raise ImproperlyConfigured(
            f"{name}: give a database URL, such as sqlite:///duckspawn.sqlite3 or postgres://user:password@host/name."
        )
    if config["ENGINE"].endswith("sqlite3") and config["NAME"] != ":memory:":
        config["NAME"] = str((BASE_DIR / config["NAME"]).resolve())
    return config


def secret_key(name: str, folder: Path) -> str:
    """The key, or one that is made once and kept in the folder for its owner's eyes only."""
    if key := text(name):
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
