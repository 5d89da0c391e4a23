"""What can go wrong on the ground floor, and the form that every error of the project has."""

from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in what somebody sent: where (a JSON pointer, or a row and column), a stable code, and a sentence."""

    pointer: str
    code: str
    detail: str


class SpawnError(Exception):
    """Something went wrong."""

    # The docstring of each class is the sentence its reader sees, filled in with the data that the error carries.
    # No error knows HTTP: duckspawn_site/errors.py says which status each one has.

    problems: tuple[Problem, ...] = ()

    def __init__(self, **data: Any) -> None:
        self.__dict__.update(data)
        super().__init__((self.__doc__ or "").strip().format(**data))


class RegistryError(SpawnError):
    """The schema registry could not do this."""


class DocumentRefused(RegistryError):
    """The document {document_id} makes no table."""

    document_id: str
    size: int = 0  # bytes of what came

    def bare(self) -> Self:
        """Itself without the frames that it left, which would keep a document of megabytes for as long as somebody keeps the error."""
        self.__context__ = self.__cause__ = None
        return self.with_traceback(None)

    @property
    def told(self) -> str:
        """The error with its first ten problems, each with its place, in one text."""
        reasons = [f"{problem.pointer or '/'}: {problem.detail}." for problem in self.problems[:10]]
        left = len(self.problems) - len(reasons)
        return " ".join([str(self), *reasons, *([f"And {left} more."] if left else [])])


class NamesClash(RegistryError):
    """The documents {document_ids} make tables of one name or one id; give each its own, then sync again."""

    document_ids: str


class OntologyUnavailable(RegistryError):
    """The ontology server at {url} gave no answer: {reason}."""

    url: str
    reason: str


class UnknownSchema(RegistryError):
    """The ontology has no schema named {name}; it has {known}."""

    name: str
    known: str


class UnknownVersion(RegistryError):
    """The table {table} has no schema version {number}."""


class NoSnapshot(RegistryError):
    """No schema of a table named {table} was ever fetched."""


class DocumentNotFound(RegistryError):
    """The ontology server at {url} has no document {document_id}."""

    url: str
    document_id: str


class MockRefused(DocumentRefused):
    """The table {table} has a real schema, and the sample ontology never stands over one; set USE_MOCK_ONTO_SERVER=false."""

    table: str


class AppendOnly(RegistryError):
    """The audit log is only ever added to."""


class DatabaseBusy(RegistryError):
    """Django's database is locked by another process; try again in a moment."""


class DatabaseFull(RegistryError):
    """The disk of Django's database is full, so this could not be recorded."""


class DatabaseUnusable(RegistryError):
    """Django's database cannot be used: {reason}."""

    reason: str


class DatabaseOutOfStep(RegistryError):
    """Django's database is not of this version of DuckDB Spawn: {reason}."""

    reason: str


class BadQuery(RegistryError):
    """{detail}"""
