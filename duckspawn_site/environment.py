"""Reads one setting each from the environment; a bad value raises ImproperlyConfigured with a sentence that names the setting."""

import os
import re
import secrets
import warnings
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
MAIL_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
YES, NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off")

SECONDS = {"s": 1, "min": 60}

env = environ.Env()


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in so many seconds."""

    number: int
    seconds: int


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


def seconds_between(name: str, *, default: int = 0, lowest: int, highest: int) -> int:
    """The seconds between two runs of something, a whole number; 0 is off."""
    given = whole(name, default, lowest=0, highest=highest)
    if 0 < given < lowest:
        raise ImproperlyConfigured(f"{name}={given}: give 0, which is off, or a whole number of seconds from {lowest} to {highest}.")
    return given


UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Z]*)")


def size(name: str, default: str) -> int:
    """Bytes, such as `256MiB` or `0`."""
    given = text(name, default)
    found = _SIZE.fullmatch(given.upper())
    if found is None or found[2] not in UNITS:
        raise ImproperlyConfigured(f"{name}={given!r}: give bytes, such as 268435456, 256MiB or 1GB.")
    return int(float(found[1]) * UNITS[found[2]])


def engine_size(name: str, default: str, *, of_memory: bool = False) -> str:
    """A size in DuckDB's own words, such as `4GB`, or `of_memory` a part of the machine's, such as `50%`."""
    given = text(name, default)
    found = _SIZE.fullmatch(given.upper().removesuffix("%") if of_memory else given.upper())
    is_part = of_memory and given.endswith("%")
    if found is None or float(found[1]) <= 0 or (found[2] != "" if is_part else found[2] not in [*UNITS][1:]):
        raise ImproperlyConfigured(f"{name}={given!r}: give a size such as 4GB or 512MiB{', or a part such as 50%' if of_memory else ''}.")
    return given


def rate(name: str, default: str) -> Rate | None:
    """A rate in the default's unit, such as `30/min`; None for `off`."""
    given, unit = text(name, default), default.partition("/")[2]
    if given.lower() == "off":
        return None
    number, _, per = given.partition("/")
    if per.strip() != unit or not number.strip().isdecimal() or not 1 <= int(number) <= 1_000_000:
        raise ImproperlyConfigured(
            f"{name}={given!r}: give off, or a whole number from 1 to 1000000 with /{unit} after it, such as {default}."
        )
    return Rate(int(number), SECONDS[unit])


def networks(name: str) -> list[IPv4Network | IPv6Network]:
    """Addresses such as 10.0.0.7 or networks such as 10.0.0.0/8, separated by commas."""
    try:
        return [ip_network(word) for word in words(name, [])]
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}={text(name)!r}: give addresses or networks, such as 10.0.0.7,10.1.0.0/16; {error}.") from error


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


def choices(name: str, default: dict[str, str], allowed: tuple[str, ...]) -> dict[str, str]:
    """Pairs such as `additive=apply,destructive=wait`, over the default's."""
    given = dict(default)
    for word in words(name, []):
        key, _, value = word.partition("=")
        if key.strip() not in default or value.strip() not in allowed:
            raise ImproperlyConfigured(f"{name}={word!r}: give {', '.join(default)}, each with = and one of {', '.join(allowed)}.")
        given[key.strip()] = value.strip()
    return given


def path(name: str, default: str | Path) -> Path:
    """A path; one that is not absolute is below the project's folder."""
    return (BASE_DIR / Path(text(name, str(default))).expanduser()).resolve()


def folder(name: str) -> Path | None:
    """A path as `path` reads it, or None where nothing is given."""
    return path(name, "") if text(name) else None


def check_together(name: str, given: object, other: str, needed: object) -> None:
    """A setting that is on needs another one with it."""
    if given and not needed:
        raise ImproperlyConfigured(f"{name}={text(name)!r}: this needs {other} too, and that is not set.")


def http_url(name: str, default: str) -> str:
    """An http or https address, without the slash at its end; its text is never shown, because it may carry a password."""
    given = text(name, default).rstrip("/")
    if not _is_http(given) or any(urlsplit(given)[3:]):
        raise ImproperlyConfigured(f"{name}: give an address that begins with http:// or https://, without a query.")
    return given


def _is_http(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # A port that is no number, or half an IPv6 address.
        return False


def webhook(name: str, secret: str) -> tuple[str, str]:
    """An http or https address as it is given, and the secret that signs what is sent there; both empty where it is off.

    Neither is ever shown: a webhook's address may itself be a secret.
    """
    address, key = text(name), text(secret)
    if address and not _is_http(address):
        raise ImproperlyConfigured(f"{name}: give an address that begins with http:// or https://.")
    if address and not key:
        raise ImproperlyConfigured(f"{secret}: give the secret that signs what is sent to {name}, such as 32 random characters.")
    return address, key


def addresses(name: str) -> list[str]:
    """Mail addresses, separated by commas."""
    given = words(name, [])
    for address in given:
        if not MAIL_ADDRESS.fullmatch(address):
            raise ImproperlyConfigured(f"{name}={address!r}: give mail addresses such as team@example.org, with commas between them.")
    return given


def mail_server(name: str, default: str) -> dict[str, Any]:
    """Django's settings of a mail server out of a URL; its text is never shown, because it may carry a password."""
    try:
        config = dict(env.email_url_config(text(name, default)))
    except (ValueError, ImproperlyConfigured):
        config = {}
    needed = {"smtp": "EMAIL_HOST", "filebased": "EMAIL_FILE_PATH"}.get(config.get("EMAIL_BACKEND", "..").split(".")[-2])
    if not config or (needed and not config[needed]):
        raise ImproperlyConfigured(f"{name}: give a mail server's URL, such as smtp+ssl://user:password@host:465 or smtps://host:587.")
    if needed == "EMAIL_FILE_PATH":
        config[needed] = str((BASE_DIR / config[needed]).resolve())
    return {key: value for key, value in config.items() if key.startswith("EMAIL_") and value is not None}


def origins(name: str) -> list[str]:
    """A list of origins such as `https://data.example.org`: a scheme, a host and perhaps a port, and nothing after them."""
    given = [origin.rstrip("/") for origin in words(name, [])]
    for origin in given:
        if not _is_http(origin) or any(urlsplit(origin)[2:]) or "@" in origin:
            raise ImproperlyConfigured(f"{name}={origin!r}: give origins such as https://data.example.org, without a path.")
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
