"""Schemas and rows drawn at random: a table, its rows, what it is to become, and what a person gives for rows in the way."""

import base64
import json
import random
import uuid
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from schema_registry.schema import ColumnSchema, TableSchema
from schema_registry.sources.native import parse_document
from schema_registry.types import INTEGER_BOUNDS, ColumnType

NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "UBIGINT", "FLOAT", "DOUBLE")
DECIMALS = ("DECIMAL(10,2)", "DECIMAL(38,10)", "DECIMAL(4,4)")
OTHERS = ("VARCHAR", "VARCHAR(12)", "BOOLEAN", "DATE", "TIME", "TIMESTAMP", "TIMESTAMPTZ", "UUID", "BLOB", "JSON")
LISTS = ("INTEGER[]", "VARCHAR[]", "HUGEINT[]", "DATE[]")
TYPES = (*NUMBERS, *DECIMALS, *OTHERS, *LISTS)
KEY_TYPES = ("INTEGER", "BIGINT", "VARCHAR", "UUID", "DATE", "DECIMAL(10,2)", "HUGEINT")
WORDS = ("NEW", "OLD", "GONE", "it's", 'a "b"', "12", "12.7", "2026-01-31", "", "true", "ä,ö")
NAMES = ("a", "b", "c", "d", "e", "Name", "with space", 'quo"te', "select", "total__gte")


def columns_of(rng: random.Random, names: list[str]) -> list[dict[str, Any]]:
    return [column(rng, name) for name in names]


def column(rng: random.Random, name: str, kind: str = "") -> dict[str, Any]:
    kind = kind or rng.choice(TYPES)
    drawn: dict[str, Any] = {"name": name, "type": kind, "required": rng.random() < 0.4}
    if rng.random() < 0.3:
        drawn["description"] = rng.choice(("One.", "Another's."))
    if kind == "VARCHAR" and rng.random() < 0.4:
        drawn["enum"] = sorted(rng.sample(WORDS, rng.randint(3, 6)))
    if kind in ("INTEGER", "DOUBLE", "DECIMAL(10,2)", "SMALLINT"):
        if rng.random() < 0.3:
            drawn["unit"] = rng.choice(("kW", "W", "min", "h"))
        if rng.random() < 0.3:
            drawn["minimum"], drawn["maximum"] = rng.randint(-50, -1), rng.randint(50, 120)
    if kind.startswith("VARCHAR") and not kind.endswith("]") and "enum" not in drawn and rng.random() < 0.2:
        drawn["pattern"] = rng.choice(("^[^x]*$", "."))
    if rng.random() < 0.2:
        shape = schema_of("x", [{"name": "key", "type": "INTEGER"}, drawn | {"name": "value", "required": False, "pattern": None}], ["key"])
        drawn["default"] = json.loads(value_json(rng, shape.columns[1]), parse_float=Decimal)
    return drawn


def schema_of(name: str, columns: list[dict[str, Any]], key: list[str], unique: list[list[str]] | None = None) -> TableSchema:
    return parse_document({"name": name, "columns": columns, "primary_key": key, "unique": unique or []}, name)


def table(rng: random.Random) -> tuple[list[dict[str, Any]], list[str], list[list[str]]]:
    """Columns, key, unique rules of a table."""
    names = rng.sample(NAMES, rng.randint(1, 6))
    key = [column(rng, n, rng.choice(KEY_TYPES)) | {"required": True} for n in ("id", "id2")[: rng.choice((1, 1, 2))]]
    for one in key:
        for extra in ("default", "enum", "minimum", "maximum", "pattern"):
            one.pop(extra, None)
    columns = key + columns_of(rng, names)
    for one in columns:
        if rng.random() < 0.5:
            one["id"] = f"https://example.org/{uuid.UUID(int=rng.getrandbits(128))}"
    unique = [[rng.choice(names)]] if rng.random() < 0.2 else []
    rng.shuffle(columns)
    return columns, [one["name"] for one in key], unique


def changed(
    rng: random.Random, columns: list[dict[str, Any]], key: list[str], unique: list[list[str]]
) -> tuple[list[dict[str, Any]], list[str], list[list[str]]]:
    """What the table is to become: some columns changed, renamed, dropped, added."""
    new: list[dict[str, Any]] = []
    renamed: dict[str, str] = {}
    free = [n for n in (*NAMES, "f", "g", "h") if n not in {one["name"] for one in columns}]  # names that no column has yet
    for one in columns:
        roll, fresh = rng.random(), dict(one)
        if roll < 0.15 and one["name"] not in key:
            continue
        if roll < 0.35 and free:
            fresh["name"] = free.pop(rng.randrange(len(free)))
            fresh.pop("renamed_from", None)
            if "id" not in one:
                fresh["renamed_from"] = one["name"]
            renamed[one["name"]] = fresh["name"]
        if rng.random() < 0.5:
            kind = rng.choice(KEY_TYPES if one["name"] in key else TYPES)
            fresh = column(rng, fresh["name"], kind) | {k: fresh[k] for k in ("id", "renamed_from") if k in fresh}
        if one["name"] in key:
            fresh["required"] = True
            for extra in ("default", "enum", "minimum", "maximum", "pattern"):
                fresh.pop(extra, None)
        new.append(fresh)
    if rng.random() < 0.15:
        _swap(rng, new, key)
    taken = {one["name"] for one in new}
    for name in [n for n in ("x1", "x2", *NAMES) if n not in taken][: rng.choice((0, 0, 1, 2))]:
        new.append(column(rng, name))
    names = {one["name"] for one in new}
    new_key = [renamed.get(name, name) for name in key]
    if len(new_key) == 2 and rng.random() < 0.1:
        new_key = new_key[::-1]
    rules = [[renamed.get(n, n) for n in rule] for rule in unique if rng.random() < 0.7]
    rules = [rule for rule in rules if names.issuperset(rule)]
    if rng.random() < 0.1:
        rules.append([rng.choice(sorted(names))])
    return new, new_key, [list(rule) for rule in {tuple(rule) for rule in rules}]


def _swap(rng: random.Random, columns: list[dict[str, Any]], key: list[str]) -> None:
    """Two columns with ids take each other's name."""
    known = [one for one in columns if "id" in one and one["name"] not in key and "renamed_from" not in one]
    if len(known) >= 2:
        one, other = rng.sample(known, 2)
        one["name"], other["name"] = other["name"], one["name"]


# Values.


def value_json(rng: random.Random, column: ColumnSchema) -> str:
    """A value of the column as JSON text that keeps its digits."""
    if column.multivalued:
        return f"[{','.join(_scalar(rng, column) for _ in range(rng.choice((0, 1, 1, 2, 3))))}]"
    return _scalar(rng, column)


def _scalar(rng: random.Random, column: ColumnSchema) -> str:
    kind: ColumnType = column.type
    if column.enum:
        return json.dumps(rng.choice(column.enum))
    if kind.is_number and (column.minimum or column.maximum):
        return str(rng.randint(int(float(column.minimum or "-9")), int(float(column.maximum or "9"))))
    if kind.is_integer:
        low, high = INTEGER_BOUNDS[kind.base]
        return str(rng.choice((low, high, 0, 1, 7, rng.randint(low, high), rng.randint(max(low, -99), min(high, 99)))))
    if kind.base == "DECIMAL":
        digits = rng.choice((kind.precision, min(kind.precision, kind.scale + 2)))
        return format(Decimal(rng.randint(-(10**digits) + 1, 10**digits - 1)).scaleb(-kind.scale), "f")
    if kind.base in ("FLOAT", "DOUBLE"):
        return str(rng.choice((0.1, 2.75, 3.0, -7.5, 1e10, rng.randint(-1000, 1000) / 8)))
    if kind.base == "JSON":
        return rng.choice(('{"a":[1,"x"]}', "12", '"text"', "[]", "true", "12.50"))
    return json.dumps(_text(rng, kind, column.max_length))


def _text(rng: random.Random, kind: ColumnType, longest: int | None) -> Any:
    day = date(2026, 1, 1) + timedelta(days=rng.randint(-4000, 4000))
    moment = datetime(2026, 1, 1) + timedelta(seconds=rng.randint(-(10**8), 10**8), microseconds=rng.choice((0, 0, 123456)))
    match kind.base:
        case "BOOLEAN":
            return rng.random() < 0.5
        case "DATE":
            return day.isoformat()
        case "TIME":
            return moment.time().isoformat()
        case "TIMESTAMP" | "TIMESTAMPTZ":
            return rng.choice((f"{day}T00:00:00Z", moment.isoformat() + "Z"))
        case "UUID":
            return str(uuid.UUID(int=rng.getrandbits(128)))
        case "BLOB":
            return base64.b64encode(rng.randbytes(rng.randint(0, 6))).decode()
    return rng.choice((*WORDS[3:10], str(rng.randint(0, 400)), f"{rng.random():.3f}"))[: longest or 99] or "-"


def rows(rng: random.Random, schema: TableSchema, count: int) -> list[str]:
    """Rows as JSON texts, with no two of one key or one unique value."""
    made: list[str] = []
    seen: set[tuple[object, ...]] = set()
    for _ in range(count):
        values = {c.name: "null" if not c.required and rng.random() < 0.25 else value_json(rng, c) for c in schema.columns}
        keys = enumerate((schema.primary_key, *schema.unique))
        rules = [(n, tuple(values[c.name] for c in schema.columns if c.name in key)) for n, key in keys]
        if all(rule not in seen for rule in rules):
            seen.update(rule for rule in rules if "null" not in rule[1])
            made.append("{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in values.items()) + "}")
    return made
