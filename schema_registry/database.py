"""Django's database when it fails: its errors become ours here, once; and whether this version migrated it."""

from functools import cache

from django.db import DatabaseError, OperationalError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

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


OURS = ("schema_registry", "projects", "monitoring", "people")  # whose migrations make this version


def check_step(*, is_older_right: bool = False) -> None:
    """Raises DatabaseOutOfStep where another version migrated the database, a newer one or, unless that `is_older_right`, an older one."""
    applied = {step for step in MigrationRecorder(connection).applied_migrations() if step[0] in OURS}
    if unknown := sorted(applied - _known()):
        reason = f"a newer one migrated it ({'.'.join(unknown[-1])} is not known here); start that version"
        raise DatabaseOutOfStep(reason=reason)
    if not is_older_right and (missing := sorted(_known() - applied)):
        raise DatabaseOutOfStep(reason=f"{'.'.join(missing[0])} is missing; run manage.py migrate, as manage.py up does")


@cache
def _known() -> set[tuple[str, str]]:
    return {step for step in MigrationLoader(None).disk_migrations if step[0] in OURS}
