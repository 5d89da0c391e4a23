"""Logs: one JSON object a line on stderr, ours and every library's, each with the id of its request."""

import logging
import logging.config
import re
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

_SECRET_NAMES = re.compile(r"password|passwd|secret|token(?!_id$)|authorization|cookie|api_?key", re.IGNORECASE)
_SECRET_TEXT = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}|(?<=://)[^/\s?#\"]+(?=@)")


def hide_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Puts *** in place of values whose name or form says that they are secret, those within others too."""
    for name, value in event.items():
        event[name] = _hidden(name, value)
    return event


def _hidden(name: object, value: Any) -> Any:
    match value:
        case str() if not _SECRET_NAMES.search(str(name)):
            return _SECRET_TEXT.sub("***", value)
        case bool() | int() | float() | None:
            return value
        case dict():
            return {key: _hidden(key, inner) for key, inner in value.items()}
        case list() | tuple():
            return [_hidden(name, inner) for inner in value]
        case _:
            return "***" if _SECRET_NAMES.search(str(name)) else _SECRET_TEXT.sub("***", str(value))


_EVERY_LINE: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
]


# What our own code says beside a line; libraries put whole requests there.
_FACTS = ("plans", "tables", "jobs", "job", "kind")


def _as_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    return orjson.dumps(dict(event), default=str, option=orjson.OPT_NON_STR_KEYS).decode()


class NotFinest(logging.Filter):
    """Keeps debug lines back."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno > logging.DEBUG


# Their debug lines have what a page was made of, addresses with their query, and the values in SQL.
_TELLTALES = ("django.template", "urllib3.connectionpool", "django.db.backends")


class CrashesOnly(logging.Filter):
    """Lets through what has a trace: every request has its line already, with its status."""

    def filter(self, record: logging.LogRecord) -> bool:
        return bool(record.exc_info)


def dict_config(level: str) -> dict[str, Any]:
    """The standard library's logging settings: one handler at the root, and everything else goes up to it."""
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": [*_EVERY_LINE, structlog.stdlib.ExtraAdder(allow=_FACTS), structlog.stdlib.PositionalArgumentsFormatter()],
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            hide_secrets,
            _as_json,
        ],
    }
    upward: dict[str, Any] = {"handlers": [], "level": "NOTSET", "propagate": True}
    loggers = dict.fromkeys(("django", "django.server", "gunicorn.error"), upward)
    loggers |= {name: {**upward, "filters": ["not finest"]} for name in _TELLTALES}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": formatter},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        "filters": {"crashes": {"()": CrashesOnly}, "not finest": {"()": NotFinest}},
        "loggers": {**loggers, "django.request": {**upward, "filters": ["crashes"]}},
    }


def configure(settings: dict[str, str]) -> None:
    """Sets logging up; Django calls it with the LOGGING setting, `{"level": ...}`."""
    logging.config.dictConfig(dict_config(settings["level"]))
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_EVERY_LINE, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def level() -> str:
    """The level that is in force."""
    return logging.getLevelName(logging.getLogger().level)


def set_level(name: str) -> None:
    """Puts a level in force at once: at the root, and at every logger and handler that has one of its own."""
    number = logging.getLevelNamesMapping()[name]
    loggers = [logger for logger in logging.root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    for logger in (logging.root, *loggers):
        if logger is logging.root or logger.level != logging.NOTSET:
            logger.setLevel(number)
        for handler in logger.handlers:
            handler.setLevel(number)
