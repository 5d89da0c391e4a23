"""A row erased for ever: from its table and the file's books, from archives, jobs, plans and the files of jobs.

The audit log has a keyed hash of the row's key (HMAC-SHA256 under SECRET_KEY), which tells nobody the key and can be asked for again.
Each part can be done again, so an erasure that was broken off is ended by the same command.
"""

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import Q
from django.utils.crypto import salted_hmac

from projects import audit
from projects.errors import RowErased, RowNotFound, TableNotFound
from projects.models import AskedQuery, Job, Notice, Plan
from projects.rows import check_writable, enforced, read_key
from projects.store import archive, erasure
from projects.store.archive import Archive
from projects.store.connection import Store
from projects.store.erasure import Whose, spellings
from schema_registry.models import AuditEntry
from schema_registry.schema import TableSchema

log = logging.getLogger(__name__)

ACTION = "row.erase"
OVER = (Job.State.DONE, Job.State.FAILED, Job.State.WITHDRAWN, Job.State.CANCELLED)
ERASED = "[erased]"  # what stands in a text instead of the key
TOLD = ("error", "problems")  # what has sentences, which may name the key


def erase(store: Store, table: str, key_text: str, *, actor: str) -> dict[str, Any]:
    """Erases the row of that key, and what is left of one that was deleted; gives what was found where, as counts and names.

    Raises TableNotFound, TableReadOnly, RowReferenced, ArchiveDamaged, RowNotFound, and RowErased where it was done before.
    """
    settle(store)
    whose = _whose(store, table, key_text)
    with store.locks.of(whose.schema.name).alone():
        in_file = asdict(erasure.erase(store, whose, actor=actor, enforced=enforced(store), called=hash_of(whose)))
        archives = [made.file for made in _archives(store, whose)]
    with transaction.atomic():
        done = in_file | {"archives": archives, **_records(whose)}
        done["files"] = _files(store, whose, every=any(done.values()))
        if not any(done.values()):
            raise _none(whose, key_text)
        audit.record(ACTION, whose.schema.name, actor=actor, detail={"row": hash_of(whose), **done})
    erasure.forget_noted(store)
    erasure.fold(store)
    return {"table": whose.schema.name, "row": hash_of(whose), **done, "vacuumed": _vacuumed(), "backups": list(backups())}


def settle(store: Store) -> None:
    """Puts an erasure into the audit log that was broken off before that; what else there is of the row goes by the same command."""
    if noted := erasure.noted(store):
        audit.record(ACTION, noted.table, actor=noted.actor, detail={"row": noted.called, **noted.done, "broken_off": True})
        erasure.forget_noted(store)


def hash_of(whose: Whose) -> str:
    """What the audit log calls the row: an HMAC, since the hash of a small number or a name could be guessed."""
    return str(salted_hmac("projects.erasing", f"{whose.schema.name.casefold()}\0{whose.text}", algorithm="sha256").hexdigest())


def backups() -> Iterator[str]:
    """The backups that the server made and that are there still: they have what they had."""
    folder = getattr(settings, "BACKUP_DIR", None)
    if folder and Path(folder).is_dir():
        yield from sorted(one.parent.name for one in Path(folder).glob("*/manifest.json"))
    if Job.objects.filter(kind="backup", state=Job.State.RUNNING).exists():
        yield "now, for one is being made"


def _whose(store: Store, table: str, key_text: str) -> Whose:
    try:
        live = store.table(table)
    except TableNotFound:
        schema = _dropped(table)
        return _through_time(store, Whose(schema, (schema.name,), erasure.canonical(store, schema, read_key(schema, key_text)), None))
    check_writable(live.name)
    names = (live.name, *(alias.name for alias in live.aliases if alias.column is None))
    key = erasure.canonical(store, live.schema, read_key(live.schema, key_text))
    return _through_time(store, Whose(live.schema, names, key, live))


def _through_time(store: Store, whose: Whose) -> Whose:
    """With the key as it was under each schema that the table had, as its plans say."""
    schemas = (TableSchema.from_json(one) for plan in _plans(whose) for one in (plan.base, plan.target) if one)
    earlier = {tuple(column.sql_type for column in schema.key_columns): schema for schema in schemas}
    found = (erasure.as_of(store, whose.schema, whose.key, schema) for schema in earlier.values())
    return replace(whose, before=tuple({key: None for key in found if key and key != whose.key}))


def _dropped(table: str) -> TableSchema:
    """The schema of a table that was dropped, of which the feed and archives may still tell. Raises TableNotFound."""
    plan = Plan.objects.filter(table__iexact=table, kind=Plan.Kind.DROP, state=Plan.State.APPLIED).first()
    if plan is None:
        raise TableNotFound(table=table)
    return TableSchema.from_json(plan.base or {})


def _none(whose: Whose, key_text: str) -> RowErased | RowNotFound:
    before = AuditEntry.objects.filter(action=ACTION, detail__row=hash_of(whose)).order_by("seq").first()
    return (
        RowErased(table=whose.schema.name, at=f"{before.at:%Y-%m-%d %H:%M} UTC")
        if before
        else RowNotFound(table=whose.schema.name, key=key_text)
    )


# Archives and files.


def _archives(store: Store, whose: Whose) -> Iterator[Archive]:
    """Each archive of the table that has the row, made anew without it; the plan names the new one before the old one goes."""
    for plan in _plans(whose).filter(outcome__archive__file__isnull=False):
        kept = plan.outcome["archive"]
        if "purged_at" in kept:
            continue
        schema = TableSchema.from_json((plan.target if plan.target else plan.base) or {})
        old = Archive(kept["file"], kept["rows"], kept["sha256"])
        if made := erasure.without(store, old, schema, whose.keys):
            erasure.record_archive(store, plan.pk, made)
            plan.outcome |= {"archive": made.as_json()}
            plan.save(update_fields=["outcome"])
            archive.remove(store, [old.file])
            yield made


def _files(store: Store, whose: Whose, *, every: bool) -> int:
    """Removes the files of jobs of the table that are over: uploads, rejects, exports; if not `every`, those in which the key is seen."""
    jobs = list(_jobs(whose).filter(state__in=OVER))
    named = {Path(str(job.inputs[name])).name for job in jobs for name in ("spool", "upload") if job.inputs.get(name)}
    found = {path for job in jobs for path in store.spool.glob(f"job-{job.id}.*")} | {store.spool / name for name in named}
    there = [path for path in found if path.exists() and (every or _seen(path, whose))]
    for path in there:
        path.unlink()
    return len(there)


def _seen(path: Path, whose: Whose) -> bool:
    """Whether a file has each cell of the key as text."""
    content = path.read_bytes()
    return all(any(text.encode() in content for text in spellings(cell)) for cell in whose.key)


# Django's records.


def _plans(whose: Whose) -> Any:
    return Plan.objects.filter(table__iregex=_any_of(whose))


def _jobs(whose: Whose) -> Any:
    return Job.objects.filter(inputs__table__iregex=_any_of(whose))


def _any_of(whose: Whose) -> str:
    return f"^({'|'.join(map(re.escape, whose.names))})$"


def _records(whose: Whose) -> dict[str, int]:
    """The samples of plans, the results of jobs, notices and queries that tell of the row, without it; how many of each were changed."""
    plans = Plan.objects.filter(pk__in=[plan.pk for plan in _plans(whose)])
    numbers = {str(plan.pk) for plan in plans}
    of_plans = [job.pk for job in Job.objects.filter(kind__in=("apply", "undo", "sync", "initialize")) if _concerns(job, numbers)]
    jobs = Job.objects.filter(pk__in=[*of_plans, *(job.pk for job in _jobs(whose))])
    notices = Notice.objects.filter(table__iregex=_any_of(whose))
    return {
        "plans": _changed(plans, ("steps", "outcome", "error", "inputs"), whose),
        "jobs": _changed(jobs, ("result", "error"), whose),
        "notices": _changed(notices, ("body",), whose),
        "queries": _queries(whose),
    }


def _concerns(job: Job, plans: set[str]) -> bool:
    """Of a sync nobody knows without looking."""
    return job.kind in ("sync", "initialize") or str(job.inputs.get("plan")) in plans


def _changed(found: Any, names: tuple[str, ...], whose: Whose) -> int:
    count = 0
    for record in found:
        before = {name: getattr(record, name) for name in names}
        after = {name: _without(value, whose, is_told=name == "error") for name, value in before.items()}
        if after != before:
            type(record).objects.filter(pk=record.pk).update(**after)
            count += 1
    return count


def _without(value: Any, whose: Whose, *, is_told: bool = False) -> Any:
    """A plain value without what is said of the row: samples of its key, rejects, and its key in what is told of an error."""
    match value:
        case dict():
            named = ((name, one) for name, one in value.items() if not _rejects(name, one, whose))
            return {name: _without(one, whose, is_told=is_told or name in TOLD) for name, one in named}
        case list():
            others = (one for one in value if not (isinstance(one, dict) and one.get("key") in whose.texts))
            return [_without(one, whose, is_told=is_told) for one in others]
        case str() if is_told and any(whose.key):
            cells = "|".join(re.escape(text) for cell in whose.key if cell for text in spellings(cell))
            return re.sub(rf"(?<!\w)({cells})(?!\w)", ERASED, value)
    return value


def _rejects(name: str, value: Any, whose: Whose) -> bool:
    """Whether this is the list of rows that a load refused, and tells of the key."""
    if name != "rejects" or not value:
        return False
    said = json.dumps(value, ensure_ascii=False)
    return any(text in said for cell in whose.key for text in spellings(cell))


def _queries(whose: Whose) -> int:
    """The queries that people ran which name the table and the key."""
    found = AskedQuery.objects.filter(sql__iregex="|".join(map(re.escape, whose.names)))
    for cell in whose.key:
        found = found.filter(reduce(or_, (Q(sql__contains=text) for text in spellings(cell))))
    return int(found.delete()[0])


def _vacuumed() -> bool:
    """SQLite keeps what was deleted until its pages are written anew; other databases have their own housekeeping."""
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        return False
    try:
        with connection.cursor() as cursor:
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return bool(cursor.fetchone()[0] == 0)  # Else somebody reads what stands in the log.
    except OperationalError as error:
        log.warning("Django's database was not vacuumed: %s", error)
        return False
