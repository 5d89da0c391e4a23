"""Literals of a document (a default, an enum value, a bound) as text in the one form that a CSV cell has."""

import base64
import binascii
import re
import uuid
from datetime import UTC, date, datetime, time
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any

from schema_registry import documents
from schema_registry.types import FLOATS, INTEGER_BOUNDS, ColumnType

_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d{1,4})?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(r"\d\d:\d\d(:\d\d(\.\d{1,6})?)?", re.ASCII)
_TIMESTAMP = re.compile(rf"{_DATE.pattern}([T ]{_TIME.pattern}(Z|[+-]\d\d(:?\d\d)?)?)?", re.ASCII)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_LARGEST_FLOAT = 3.4028234663852886e38
# Wide enough for any DECIMAL(38); a digit that would be cut raises instead.
_EXACT = Context(prec=200, traps=[Inexact, InvalidOperation])


class BadLiteral(ValueError):
    """The value is none of the column's type; its own text says why."""


def cell(column_type: ColumnType, value: object, *, multivalued: bool = False) -> str:
    """The canonical cell text of a JSON value, such as `1.50` for 1.5 in a DECIMAL(20,2); a list's is a JSON array.

    Numbers may come as JSON numbers or as their text, times as ISO 8601 (UTC where they name no zone). Raises BadLiteral.
    """
    if reason := documents.trouble(value):
        raise BadLiteral(reason)
    if not multivalued:
        return _scalar(column_type, value)
    if not isinstance(value, list):
        raise BadLiteral(f"{_shown(value)} is not a list")
    return "[" + ",".join(_item(column_type, _scalar(column_type, item)) for item in value) + "]"


def items(column_type: ColumnType, text: str, *, multivalued: bool) -> list[str]:
    """The single cells inside a cell: itself, or a list's items."""
    if not multivalued:
        return [text]
    return [_scalar(column_type, item) for item in documents.read(text)]


def ordered(column_type: ColumnType, text: str) -> Any:
    """A value that compares as the cell does in its column: a Decimal, a datetime or a time."""
    if column_type.is_number:
        return Decimal(text)
    if column_type.base == "TIME":
        return time.fromisoformat(text)
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=moment.tzinfo or UTC)


def _scalar(column_type: ColumnType, value: object) -> str:
    if value is None:
        raise BadLiteral("null is no literal")
    if column_type.is_integer:
        return _integer(column_type, value)
    if column_type.base == "DECIMAL":
        return _decimal(column_type, value)
    if column_type.base in FLOATS:
        return _float(column_type, value)
    return _OTHERS[column_type.base](value)


def _item(column_type: ColumnType, text: str) -> str:
    """A cell as it stands inside a JSON array: quoted, for DuckDB reads a bare number of many digits as a double."""
    return text if column_type.base == "JSON" else documents.write(text)


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise BadLiteral(f"{_shown(value)} is not a number")
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise BadLiteral(f"{_shown(value)} is not a number")
    number = Decimal(repr(value) if isinstance(value, float) else value)
    if not number.is_finite() or abs(number.adjusted()) > documents.MAX_EXPONENT:
        raise BadLiteral(f"{_shown(value)} is not a number that a column can hold")
    return number


def _integer(column_type: ColumnType, value: object) -> str:
    number = _number(value)
    low, high = INTEGER_BOUNDS[column_type.base]
    if not low <= number <= high:
        raise BadLiteral(f"{_shown(value)} is outside {column_type}, which holds {low} to {high}")
    if number != int(number):
        raise BadLiteral(f"{_shown(value)} is not a whole number")
    return str(int(number))


def _decimal(column_type: ColumnType, value: object) -> str:
    number = _number(value)
    try:
        exact = number.quantize(Decimal(1).scaleb(-column_type.scale), context=_EXACT)
    except (Inexact, InvalidOperation):
        raise BadLiteral(f"{_shown(value)} has more digits than {column_type} holds") from None
    if abs(exact) >= 10**column_type.whole_digits:
        raise BadLiteral(f"{_shown(value)} has more digits than {column_type} holds")
    return format(exact if exact else exact.copy_abs(), "f")


def _float(column_type: ColumnType, value: object) -> str:
    number = float(_number(value))
    if abs(number) > (_LARGEST_FLOAT if column_type.base == "FLOAT" else float.fromhex("0x1.fffffffffffffp+1023")):
        raise BadLiteral(f"{_shown(value)} is outside {column_type}")
    return repr(number)


def _boolean(value: object) -> str:
    if not isinstance(value, bool):
        raise BadLiteral(f"{_shown(value)} is neither true nor false")
    return "true" if value else "false"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise BadLiteral(f"{_shown(value)} is not a text")
    return value


def _matched(pattern: re.Pattern[str], value: object, form: str) -> str:
    text = _text(value)
    if not pattern.fullmatch(text):
        raise BadLiteral(f"{_shown(value)} is not {form}")
    return text


def _uuid(value: object) -> str:
    return str(uuid.UUID(_matched(_UUID, value, "a UUID")))


def _date(value: object) -> str:
    text = _matched(_DATE, value, "a date of the form YYYY-MM-DD")
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise BadLiteral(f"{_shown(value)} is no day of the calendar") from None


def _time(value: object) -> str:
    text = _matched(_TIME, value, "a time of the form HH:MM:SS")
    try:
        return _trimmed(time.fromisoformat(text).isoformat())
    except ValueError:
        raise BadLiteral(f"{_shown(value)} is no time of the day") from None


def _timestamp(value: object) -> str:
    text = _matched(_TIMESTAMP, value, "a time of the form YYYY-MM-DDTHH:MM:SSZ")
    try:
        moment = datetime.fromisoformat(text)
        utc = moment.astimezone(UTC) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        raise BadLiteral(f"{_shown(value)} is no moment of the calendar") from None
    return _trimmed(utc.replace(tzinfo=None).isoformat()) + "Z"


def _blob(value: object) -> str:
    try:
        return base64.b64encode(base64.b64decode(_text(value), validate=True)).decode()
    except (binascii.Error, ValueError):
        raise BadLiteral(f"{_shown(value)} is not base64") from None


def _json(value: object) -> str:
    try:
        return documents.write(value)
    except documents.NotJson as refusal:
        raise BadLiteral(str(refusal)) from None


def _trimmed(text: str) -> str:
    """Without the zeros that end a fraction of a second."""
    return text.rstrip("0") if "." in text else text


def _shown(value: object) -> str:
    """The value as its author wrote it, cut to a readable length."""
    try:
        text = documents.write(value)
    except (documents.NotJson, RecursionError):
        text = type(value).__name__
    return text if len(text) <= 80 else text[:77] + "..."


_OTHERS = {
    "BOOLEAN": _boolean,
    "VARCHAR": _text,
    "UUID": _uuid,
    "BLOB": _blob,
    "JSON": _json,
    "DATE": _date,
    "TIME": _time,
    "TIMESTAMP": _timestamp,
    "TIMESTAMPTZ": _timestamp,
}
