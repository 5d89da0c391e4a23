"""A column's values as another column's: the SQL that converts them, and the SQL that says which of them do not come back.

A conversion never fails: what the new type cannot hold is null. Whether it loses anything is told by the way there and back
(`x IS DISTINCT FROM x::new::old`), because DuckDB's casts round and cut without a word.
"""

from fractions import Fraction

from projects.store import sql
from schema_registry.schema import ColumnSchema
from schema_registry.types import FLOATS, ColumnType, is_widening


def is_exact(old: ColumnSchema, new: ColumnSchema) -> bool:
    """Whether every value that the old column can hold is the same value in the new one."""
    return is_widening(old.type, new.type) and (new.multivalued or not old.multivalued)


def converted(old: ColumnSchema, new: ColumnSchema, value: str) -> str:
    """The old column's value (an SQL expression) as the new one's, or null where that has no such value."""
    if old.sql_type == new.sql_type:
        return value
    if not old.multivalued and not new.multivalued:
        return _scalar(old, new, value)
    if not old.multivalued:
        single = _scalar(old, new, value)
        return f"CASE WHEN {single} IS NOT NULL THEN [{single}] END"
    if not new.multivalued:
        return f"CASE WHEN len({value}) = 1 THEN {_scalar(old, new, f'{value}[1]')} END"
    elements = f"list_transform({value}, lambda e: {_scalar(old, new, 'e')})"
    return f"CASE WHEN list_count({elements}) = len({value}) THEN {elements} END"


def _scalar(old: ColumnSchema, new: ColumnSchema, value: str) -> str:
    if old.type == new.type:
        return value
    match old.type.base, new.type.base:
        case "JSON", "VARCHAR":
            return f"({value})::VARCHAR"
        case "JSON", _:
            return _from_text(new, f"(({value}) ->> '$')")
        case "VARCHAR", _:
            return _from_text(new, value)
        case _, "JSON":
            return f"to_json({_text(old, value)})::JSON" if not old.type.is_number else f"TRY_CAST({_text(old, value)} AS JSON)"
        case _, "VARCHAR":
            return _text(old, value)
        case "FLOAT", "DOUBLE":  # By way of its text 0.1 stays 0.1; as a double it would be 0.10000000149011612.
            return f"TRY_CAST(({value})::VARCHAR AS DOUBLE)"
    return f"TRY_CAST({value} AS {new.type})"


def _text(column: ColumnSchema, value: str) -> str:
    """A value as the text that people know it by: as the API shows it."""
    if column.type.base in FLOATS:
        return f"({value})::VARCHAR"
    return sql.cell_of(ColumnSchema(name=column.name, type=column.type), value)


def _from_text(column: ColumnSchema, text: str) -> str:
    if column.type.base == "BLOB":
        return f"TRY(from_base64({text}))"
    return sql.tried_value_of(column, text)


def loses(old: ColumnSchema, new: ColumnSchema, value: str) -> str:
    """The condition that a value does not come back from the new column as it was."""
    return f"{value} IS DISTINCT FROM {converted(new, old, converted(old, new, value))}"


# A unit's change: new = old * factor + offset.


def scaled(old: ColumnType, new: ColumnType, value: str, *, factor: Fraction, offset: Fraction) -> str:
    """The number in its new unit, rounded half away from zero where the new type has no such number; null where it is too large."""
    if not _is_exact_number(old) or not _is_exact_number(new):
        double = f"({value})::DOUBLE * {factor.numerator} / {factor.denominator} + {offset.numerator}::DOUBLE / {offset.denominator}"
        return f"TRY_CAST({double} AS {new})"
    over, under = _integers(old, new, value, factor, offset)
    half = f"(CASE WHEN {over} < 0 THEN -{under} ELSE {under} END)"
    rounded = f"(2 * {over} + {half}) // (2 * {under})"
    return f"TRY_CAST(TRY({_shifted(rounded, new.scale)}) AS {new})"


def rounds(old: ColumnType, new: ColumnType, value: str, *, factor: Fraction, offset: Fraction) -> str:
    """The condition that the number in its new unit is not exactly the one that is kept; among floats, that it does not come back."""
    if _is_exact_number(old) and _is_exact_number(new):
        over, under = _integers(old, new, value, factor, offset)
        is_whole = f"coalesce(TRY({over} % {under}) = 0, false)"
        there = scaled(old, new, value, factor=factor, offset=offset)
        return f"({value} IS NOT NULL AND NOT ({is_whole} AND {there} IS NOT NULL))"
    there = scaled(old, new, value, factor=factor, offset=offset)
    back = scaled(new, old, there, factor=1 / factor, offset=-offset / factor)
    if old.base in FLOATS:  # A float's last bit may differ after the way there and back; nobody calls that a loss.
        return f"({value} IS NOT NULL AND coalesce(abs({back} - {value}) > 1e-6 * greatest(abs({value}), 1e-6), true))"
    return f"{value} IS DISTINCT FROM {back}"


def _is_exact_number(kind: ColumnType) -> bool:
    return kind.is_integer or kind.base == "DECIMAL"


def _integers(old: ColumnType, new: ColumnType, value: str, factor: Fraction, offset: Fraction) -> tuple[str, str]:
    """The new number times ten to its scale, as an exact quotient of whole numbers: what is divided, and by what."""
    under = factor.denominator * offset.denominator * 10**old.scale
    times = factor.numerator * offset.denominator * 10**new.scale
    plus = offset.numerator * factor.denominator * 10 ** (old.scale + new.scale)
    whole = _shifted_up(value, old.scale)
    return f"({whole} * {times}::HUGEINT + {plus}::HUGEINT)", f"{under}::HUGEINT"


def _shifted_up(value: str, scale: int) -> str:
    """A decimal as the whole number of its digits."""
    return f"replace(({value})::DECIMAL(38,{scale})::VARCHAR, '.', '')::HUGEINT" if scale else f"({value})::HUGEINT"


def _shifted(whole: str, scale: int) -> str:
    """The inverse of `_shifted_up`."""
    return f"({whole})::DECIMAL(38,0) * ('1e-{scale}')::DECIMAL({scale + 1},{scale})" if scale else f"({whole})"
