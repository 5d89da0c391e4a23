"""Taking the DuckDB file as it is, after a start has refused it: a person decides that what is lost is lost."""

from pathlib import Path

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from projects import jobs, owner
from projects.errors import NotAllowed, StoreHeld
from projects.models import KnownStore, ManagedTable
from schema_registry import audit, rights


def accept(path: Path, user: AbstractBaseUser | None) -> str:
    """Forgets which file Django's database belongs to, and where there is none, its tables too; says what that means.

    Without a person it is the system's own. Raises NotAllowed, and StoreHeld where a server has the file open.
    """
    actor = user.get_username() if user else jobs.SYSTEM
    if user is not None and not rights.allows(user, None, rights.MANAGE_TABLES):
        raise NotAllowed(actor=actor, kind="accept_store")
    if beating := owner.beating():
        raise StoreHeld(pid=beating.pid)
    known, is_there = KnownStore.objects.first(), path.exists()
    if known is None:
        return "There is nothing to accept: the file that DUCKDB_PATH names is taken as it is."
    with transaction.atomic():
        known.delete()
        forgotten = 0 if is_there else ManagedTable.objects.filter(dropped_at=None).delete()[0]
        detail = {"seq": known.seq, "is_there": is_there, "tables_forgotten": forgotten}
        audit.append("store.accept", known.store, actor=actor, detail=detail)
    if is_there:
        return "The next start takes the DuckDB file as it is."
    return f"The next start makes a new DuckDB file, and its sync makes the tables anew, empty; {forgotten} were known."
