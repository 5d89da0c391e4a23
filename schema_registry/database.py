"""Django's database when it fails: its errors become ours here, once."""

from django.db import DatabaseError, OperationalError

from schema_registry.errors import DatabaseBusy, DatabaseFull, DatabaseOutOfStep, DatabaseUnusable, RegistryError

# What SQLite and PostgreSQL say, and what it means.
_PASSING: dict[str, type[RegistryError]] = {
    "is locked": DatabaseBusy,
    "disk is full": DatabaseFull,
    "No space left": DatabaseFull,
}
_UNUSABLE = {
    "disk I/O error": "its disk cannot be read or written, or is full",
    "readonly database": "this user may not write it",
    "unable to open database file": "this user cannot open its file or folder",
    "file is not a database": "its file is no database; put it back from a backup",
    "malformed": "its file is damaged; put it back from a backup",
}
_OUT_OF_STEP = ("no such table", "no such column", "has no column named", "does not exist")


def told(error: DatabaseError) -> RegistryError | None:
    """Our error for one of Django's database, or None where it is a fault of ours, such as a constraint that is broken."""
    text = str(error)
    for sign, kind in _PASSING.items():
        if sign in text:
            return kind()
    for sign, reason in _UNUSABLE.items():
        if sign in text:
            return DatabaseUnusable(reason=reason)
    if any(sign in text for sign in _OUT_OF_STEP):
        return DatabaseOutOfStep(reason="what this version needs is missing; run manage.py migrate, as manage.py up does")
    return DatabaseUnusable(reason="it gives no answer") if isinstance(error, OperationalError) else None
