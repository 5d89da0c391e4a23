"""The wanted shape of one table, neutral to the format it came in: frozen values with a fingerprint.

Every literal (a default, an enum value, a bound) is kept as text in the form that a CSV cell has, so that no
decimal loses a digit on its way through JSON. A list's literal is the text of a JSON array.
"""

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Self

import rfc8785

from schema_registry.types import ColumnType, parse_type

# What a generated column is filled with when a row comes without it.
GENERATED = ("uuid", "created", "updated")


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSchema:
    """One column: its name, its type, what its values may be, and what they mean.

    `references` is "table.column". `id` is the IRI of the meaning; `unit` its unit's label.
    """

    name: str
    type: ColumnType
    required: bool = False
    description: str = ""
    id: str | None = None
    unit: str | None = None
    enum: tuple[str, ...] | None = None
    default: str | None = None
    generated: str | None = None
    minimum: str | None = None
    maximum: str | None = None
    max_length: int | None = None
    pattern: str | None = None
    references: str | None = None
    multivalued: bool = False
    deprecated: bool = False
    renamed_from: str | None = None

    @property
    def sql_type(self) -> str:
        """The type as DuckDB spells it, such as `DECIMAL(20,2)` or `VARCHAR[]`."""
        return f"{self.type}[]" if self.multivalued else str(self.type)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values: the type as text, nothing that is unset."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        plain |= {"type": str(self.type), "enum": list(self.enum) if self.enum is not None else None}
        return {
            key: value for key, value in plain.items() if value is not None and value is not False and (key, value) != ("description", "")
        }

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Self:
        """The inverse of `as_json`."""
        enum = tuple(plain["enum"]) if "enum" in plain else None
        return cls(**{**plain, "type": parse_type(plain["type"]).type, "enum": enum})


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSchema:
    """The shape of one table. `document_id` is the name its ontology server lists it under.

    `notes` says what was inferred rather than read, in sentences for a person; it is no part of the fingerprint.
    """

    name: str
    columns: tuple[ColumnSchema, ...]
    primary_key: tuple[str, ...]
    description: str = ""
    id: str | None = None
    unique: tuple[tuple[str, ...], ...] = ()
    document_id: str = ""
    notes: tuple[str, ...] = field(default=(), compare=False)

    def column(self, name: str) -> ColumnSchema | None:
        """The column of that name, compared without case, or None."""
        wanted = name.casefold()
        return next((c for c in self.columns if c.name.casefold() == wanted), None)

    @property
    def key_columns(self) -> tuple[ColumnSchema, ...]:
        """The key's columns, in the key's order."""
        return tuple(c for c in map(self.column, self.primary_key) if c)

    @property
    def stored_columns(self) -> tuple[ColumnSchema, ...]:
        """The columns in DuckDB's order: a column before the key cannot be dropped there, so the key comes first."""
        return self.key_columns + tuple(c for c in self.columns if c not in self.key_columns)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values in the schema's own column order."""
        plain = {name: value for name in self.__slots__ if (value := getattr(self, name)) not in (None, "", ())}
        plain["columns"] = [c.as_json() for c in self.columns]
        return plain | {
            "primary_key": list(self.primary_key),
            "unique": [list(u) for u in self.unique],
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Self:
        """The inverse of `as_json`."""
        return cls(
            **{
                **plain,
                "columns": tuple(ColumnSchema.from_json(c) for c in plain["columns"]),
                "primary_key": tuple(plain["primary_key"]),
                "unique": tuple(tuple(u) for u in plain.get("unique", ())),
                "notes": tuple(plain.get("notes", ())),
            }
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical JSON (RFC 8785), 64 hex digits; column order does not change it."""
        return _fingerprint(self)


@lru_cache(maxsize=4096)
def _fingerprint(schema: TableSchema) -> str:
    plain = schema.as_json()
    plain.pop("notes")
    plain["columns"].sort(key=lambda c: c["name"])
    plain["unique"].sort()
    return hashlib.sha256(rfc8785.dumps(plain)).hexdigest()
