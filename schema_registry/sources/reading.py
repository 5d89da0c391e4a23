"""Reads one JSON object field by field, noting every fault instead of stopping at the first."""

from typing import Any

from schema_registry.errors import Problem

MAX_PROBLEMS = 100  # of one document that are told
MAX_TEXT = 10_000  # characters of a description; every other text is held to less by its own rule


class Fields:
    """The fields of one object of a document, at a JSON pointer; faults are added to `problems`, which all readers share."""

    def __init__(self, plain: object, pointer: str, problems: list[Problem]) -> None:
        self.pointer = pointer
        self.problems = problems
        self.plain: dict[str, Any] = plain if isinstance(plain, dict) else {}
        if not isinstance(plain, dict):
            self.refuse("", "type", "an object is wanted here")

    def refuse(self, key: str, code: str, detail: str) -> None:
        """Notes a fault at one of the fields, such as `type` or `enum/2`, or at the object itself."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(f"{self.pointer}/{key}" if key else self.pointer, code, detail))
        elif len(self.problems) == MAX_PROBLEMS:
            self.problems.append(Problem("", "limit", f"there are more problems than these {MAX_PROBLEMS}"))

    def given(self, key: str) -> bool:
        """Whether the field is there at all, null included."""
        return key in self.plain

    def text(self, key: str, *, needed: bool = False, longest: int = MAX_TEXT) -> str | None:
        """The field's text, or None where it is missing, null or at fault; an empty one is a fault where one is needed."""
        value = self.plain.get(key)
        if value is None:
            if needed:
                self.refuse(key, "required", f"{key} is missing")
            return None
        if not isinstance(value, str):
            self.refuse(key, "type", f"{key} must be a text")
        elif len(value) > longest:
            self.refuse(key, "limit", f"{key} is longer than {longest} characters")
        elif needed and not value:
            self.refuse(key, "required", f"{key} is empty")
        else:
            return value
        return None

    def flag(self, key: str) -> bool | None:
        """The field's true or false; None where it is missing, null or at fault."""
        value = self.plain.get(key)
        if value is None or isinstance(value, bool):
            return value
        self.refuse(key, "type", f"{key} must be true or false")
        return None

    def count(self, key: str, *, highest: int = 2**31 - 1) -> int | None:
        """The field's whole number from 1 to `highest`; None where it is missing, null or at fault."""
        value = self.plain.get(key)
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= highest:
            return value
        self.refuse(key, "type", f"{key} must be a whole number from 1 to {highest}")
        return None

    def array(self, key: str, *, needed: bool = False) -> list[Any] | None:
        """The field's array, or None where it is missing, null or at fault."""
        value = self.plain.get(key)
        if isinstance(value, list):
            return value
        if value is not None:
            self.refuse(key, "type", f"{key} must be an array")
        elif needed:
            self.refuse(key, "required", f"{key} is missing")
        return None
