"""Column types: parse what a document says, print what DuckDB takes, compare two.

Source of the names: https://duckdb.org/docs/stable/sql/data_types/overview
"""

import re
from dataclasses import dataclass

# The widest value of each integer type, as (lowest, highest).
INTEGER_BOUNDS: dict[str, tuple[int, int]] = {
    "TINYINT": (-(2**7), 2**7 - 1),
    "SMALLINT": (-(2**15), 2**15 - 1),
    "INTEGER": (-(2**31), 2**31 - 1),
    "BIGINT": (-(2**63), 2**63 - 1),
    "HUGEINT": (-(2**127), 2**127 - 1),
    "UTINYINT": (0, 2**8 - 1),
    "USMALLINT": (0, 2**16 - 1),
    "UINTEGER": (0, 2**32 - 1),
    "UBIGINT": (0, 2**64 - 1),
}

FLOATS = ("FLOAT", "DOUBLE")
TEMPORALS = ("DATE", "TIME", "TIMESTAMP", "TIMESTAMPTZ")
OTHERS = ("BOOLEAN", "VARCHAR", "UUID", "BLOB", "JSON")
BASES = frozenset((*INTEGER_BOUNDS, *FLOATS, *TEMPORALS, *OTHERS, "DECIMAL"))

ALIASES = {
    "BOOL": "BOOLEAN",
    "LOGICAL": "BOOLEAN",
    "INT1": "TINYINT",
    "INT2": "SMALLINT",
    "SHORT": "SMALLINT",
    "INT": "INTEGER",
    "INT4": "INTEGER",
    "SIGNED": "INTEGER",
    "INT8": "BIGINT",
    "LONG": "BIGINT",
    "INT16": "SMALLINT",
    "INT32": "INTEGER",
    "INT64": "BIGINT",
    "INT128": "HUGEINT",
    "UINT8": "UTINYINT",
    "UINT16": "USMALLINT",
    "UINT32": "UINTEGER",
    "UINT64": "UBIGINT",
    "REAL": "FLOAT",
    "FLOAT4": "FLOAT",
    "FLOAT8": "DOUBLE",
    "DOUBLE PRECISION": "DOUBLE",
    "NUMERIC": "DECIMAL",
    "DEC": "DECIMAL",
    "TEXT": "VARCHAR",
    "STRING": "VARCHAR",
    "CHAR": "VARCHAR",
    "BPCHAR": "VARCHAR",
    "CHARACTER": "VARCHAR",
    "CHARACTER VARYING": "VARCHAR",
    "DATETIME": "TIMESTAMP",
    "TIMESTAMP WITHOUT TIME ZONE": "TIMESTAMP",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ",
    "BYTEA": "BLOB",
    "BINARY": "BLOB",
    "VARBINARY": "BLOB",
}

_SPELLING = re.compile(r"\s*([A-Za-z][A-Za-z0-9]*(?:\s+[A-Za-z]+)*)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*(\[\s*\])?\s*")


class UnknownType(ValueError):
    """The text names no column type; its own text says why."""


@dataclass(frozen=True, slots=True)
class ColumnType:
    """One DuckDB column type: a base name, and precision and scale where it is DECIMAL."""

    base: str
    precision: int = 0
    scale: int = 0

    def __str__(self) -> str:
        return f"DECIMAL({self.precision},{self.scale})" if self.base == "DECIMAL" else self.base

    @property
    def is_integer(self) -> bool:
        return self.base in INTEGER_BOUNDS

    @property
    def is_number(self) -> bool:
        return self.is_integer or self.base in FLOATS or self.base == "DECIMAL"

    @property
    def whole_digits(self) -> int:
        """Digits before the decimal point that every value of this exact number type fits in."""
        if self.is_integer:
            low, high = INTEGER_BOUNDS[self.base]
            return len(str(max(-low, high)))
        return self.precision - self.scale


@dataclass(frozen=True, slots=True)
class ParsedType:
    """What a type's text says: the type, a length limit (characters) or None, and whether it is a list."""

    type: ColumnType
    max_length: int | None = None
    multivalued: bool = False


def parse_type(text: str) -> ParsedType:
    """Reads a type as SQL spells it, such as `DECIMAL(20,2)`, `char(3)` or `INTEGER[]`.

    A length is kept apart from the type, because DuckDB ignores it. Raises UnknownType.
    """
    match = _SPELLING.fullmatch(text)
    if not match:
        raise UnknownType(f"{text!r} is not a column type")
    name, first, second, brackets = match.groups()
    base = " ".join(name.upper().split())
    base = ALIASES.get(base, base)
    if base not in BASES:
        raise UnknownType(f"{text!r} is not a column type; known are {', '.join(sorted(BASES))}")
    if base == "DECIMAL":
        return ParsedType(_decimal(first, second), None, bool(brackets))
    if first and (base != "VARCHAR" or second):
        raise UnknownType(f"{text!r}: {base} takes no precision or length")
    if first and int(first) < 1:
        raise UnknownType(f"{text!r}: a length is at least 1")
    return ParsedType(ColumnType(base), int(first) if first else None, bool(brackets))


def _decimal(first: str | None, second: str | None) -> ColumnType:
    """DECIMAL alone is DECIMAL(18,3), as in DuckDB."""
    precision, scale = (int(first), int(second or 0)) if first else (18, 3)
    if not 1 <= precision <= 38 or scale > min(precision, 37):
        raise UnknownType(f"DECIMAL({precision},{scale}): precision is 1 to 38, scale 0 to the precision, and at most 37")
    return ColumnType("DECIMAL", precision, scale)


def is_widening(old: ColumnType, new: ColumnType) -> bool:
    """Whether every value of `old` is a value of `new`, exactly."""
    if old == new:
        return True
    if old.is_integer and new.is_integer:
        (low, high), (new_low, new_high) = INTEGER_BOUNDS[old.base], INTEGER_BOUNDS[new.base]
        return new_low <= low and high <= new_high
    if old.is_integer and new.base == "DECIMAL":
        return old.whole_digits <= new.whole_digits
    if old.base == new.base == "DECIMAL":
        return old.scale <= new.scale and old.whole_digits <= new.whole_digits
    # A double holds integers of 53 bits exactly, a float of 24.
    if old.base in ("TINYINT", "UTINYINT", "SMALLINT", "USMALLINT"):
        return new.base in FLOATS
    if old.base in ("INTEGER", "UINTEGER", "FLOAT"):
        return new.base == "DOUBLE"
    return False
