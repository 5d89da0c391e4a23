"""Whether the store is sound: the file against what it promises, Django's records against the file, archives and the audit log.

Nothing is changed. Where the two databases disagree they are asked again: they cannot commit together, and what is under way settles.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from projects import audit
from projects.fields import condition, pattern_rule, rules_of, value_condition
from projects.models import Job, ManagedTable, Plan, enforcing
from projects.store import archive, soundness, spool, sql
from projects.store.connection import Store
from projects.store.soundness import Finding, Recorded, Rule
from schema_registry.models import Snapshot
from schema_registry.schema import ColumnSchema, TableSchema

PATIENCE, PAUSE = 15, 0.2  # times that a disagreement is looked at again; seconds between two looks
DONE = (Plan.State.APPLIED, Plan.State.UNDONE)


@dataclass(slots=True)
class Report:
    """What was looked at, as a number of things for each check, and what was found."""

    looked: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        return not any(finding.damage for finding in self.findings)

    def add(self, check: str, things: int, findings: Iterable[Finding]) -> None:
        self.looked[check] += things
        self.findings += findings

    def as_json(self) -> dict[str, Any]:
        """Plain JSON, as a job keeps it."""
        return {"sound": self.is_sound, "looked": dict(self.looked), "findings": [asdict(finding) for finding in self.findings]}


def check(store: Store) -> Report:
    """Looks at everything. How far it is can be asked of `store.progress`; interrupted, it raises what DuckDB raises."""
    report = Report()
    try:
        for tell, look in _looks(store):
            store.stretch(*tell)
            look(report)
    finally:
        store.stretch(0.0, 100.0)
    return report


def _looks(store: Store) -> Iterator[tuple[tuple[float, float], Callable[[Report], None]]]:
    """What there is to do, each with its part of the whole, in percent: mostly the tables."""
    names = [table.name for table in store.tables()]
    for place, name in enumerate(names):
        yield (80 * place / len(names), 80 * (place + 1) / len(names)), lambda report, name=name: _table(store, name, report)  # type: ignore[misc]
    yield (80, 85), lambda report: report.add("feed", 1, soundness.check_feed(store))
    yield (85, 88), lambda report: report.add("answers", *soundness.check_answers(store))
    yield (88, 92), lambda report: _records(store, report)
    yield (92, 97), lambda report: _archives(store, report)
    yield (97, 100), lambda report: _rest(store, report)


# Tables.


def _table(store: Store, name: str, report: Report) -> None:
    for check, findings in soundness.check_table(store, name, _promises, enforcing()):
        report.add(check, 1, findings)


def _promises(schema: TableSchema) -> list[Rule]:
    """What each column's schema says of its values, as conditions on the stored ones."""
    return [rule for column in schema.columns for rule in _of_column(column)]


def _of_column(column: ColumnSchema) -> Iterator[Rule]:
    value = sql.quote(column.name)
    if column.required:
        yield Rule(f"{value} IS NULL", f"{column.name} is required, and empty.")
    pattern = pattern_rule(column)
    for rule in (*rules_of(column), *([pattern] if pattern else [])):
        kept = value_condition(column, rule, value)
        if kept is None and rule.code in ("max_length", "pattern"):
            kept = condition(column, rule, sql.cell_of(column, value))
        if kept is not None:
            yield Rule(f"{value} IS NOT NULL AND NOT coalesce({kept}, false)", f"{column.name} {rule.detail}.")


# Django's records.


def _records(store: Store, report: Report) -> None:
    """What still disagrees after a while; a change under way is recorded in the one database a moment before the other."""
    known: list[Finding] = []
    for look in range(PATIENCE):
        if look:
            time.sleep(PAUSE)
        now = soundness.recorded(store)
        found = [*_versions(now), *_plans(now), *_jobs(now)]
        known = [finding for finding in found if finding in known] if look else found
        if not known:
            break
    report.add("records", len(now.tables) + len(now.plans) + len(now.jobs), known)
    report.findings += [Finding(check="leftovers", object=name, detail=_LEFT, damage=False) for name in now.leftovers]


_LEFT = "A load that is under way made this table for its time; or a killed one left it, and the next start drops it."


def _versions(now: Recorded) -> Iterator[Finding]:
    """The live tables of the file, each with its record and the snapshot that it came from."""
    yield from (_finding("tables", name, "Our books in the file have it twice.") for name in now.twice)
    records = {record.name.casefold(): record for record in ManagedTable.objects.filter(dropped_at=None)}
    for name in records.keys() - now.tables.keys():
        yield _finding("tables", records[name].name, "Django's database has it as a live table, and the file does not.")
    adopted = {name.casefold() for name in Plan.objects.filter(kind=Plan.Kind.ADOPT).values_list("table", flat=True)}
    for name, live in now.tables.items():
        if name not in records:
            yield _finding("tables", live.name, "The file has it as a live table, and Django's database does not.")
        if now.fingerprints[name] != live.schema.fingerprint:
            yield _finding("tables", live.name, "Its schema in our books was changed: the fingerprint beside it is another one's.")
        snapshot = Snapshot.objects.filter(table_key=name, number=live.version).first()
        if name in records and snapshot is None:
            yield _finding("versions", live.name, f"There is no snapshot of its version {live.version}.")
        elif snapshot and snapshot.fingerprint != live.schema.fingerprint and name not in adopted:
            yield _finding("versions", live.name, f"Its schema is not the one of its version {live.version}.")


def _plans(now: Recorded) -> Iterator[Finding]:
    states = {number: (state, table) for number, state, table in Plan.objects.values_list("pk", "state", "table")}
    for number, (state, table) in states.items():
        if state in DONE and number not in now.plans:
            yield _finding("plans", table, f"The plan {number} is {state} by Django's database; the file does not have it.")
        if state not in (*DONE, Plan.State.APPLYING) and number in now.plans:
            yield _finding("plans", table, f"The plan {number} is {state} by Django's database; the file says that it was applied.")
    for number in sorted(now.plans - states.keys()):
        yield _finding("plans", f"plan {number}", "The file has it as applied; Django's database does not have it.")


def _jobs(now: Recorded) -> Iterator[Finding]:
    """Loads that had a file of their own; one that ran within a request has a job for its rejects alone."""
    for job in Job.objects.filter(kind="load").exclude(state__in=(Job.State.QUEUED, Job.State.RUNNING)):
        if "spool" not in job.inputs:
            continue
        is_done = job.state == Job.State.DONE and not job.inputs.get("dry_run")
        if is_done and str(job.id) not in now.jobs:
            yield _finding("jobs", f"load {job.id}", "It is done by Django's database; the file does not have its rows.")
        if job.state != Job.State.DONE and str(job.id) in now.jobs:
            yield _finding("jobs", f"load {job.id}", f"It ended {job.state} by Django's database; the file has its rows.")


def _finding(check: str, object: str, detail: str, *, damage: bool = True) -> Finding:
    return Finding(check=check, object=object, detail=detail, damage=damage)


# Archives.


def _archives(store: Store, report: Report) -> None:
    """Those that plans need, each as it was written; others are only told of."""
    standing = {path.name for path in store.archive.glob("*")}
    plans = [plan for plan in Plan.objects.exclude(outcome__archive=None).defer("base", "target", "steps") if _has_archive(plan)]
    report.add("archives", len(plans), [finding for plan in plans for finding in _archive(store, plan)])
    needed = {plan.outcome["archive"]["file"] for plan in plans}
    applying = [f"{plan.table}-plan{plan.pk}-" for plan in Plan.objects.filter(state=Plan.State.APPLYING)]
    for name in sorted(standing):
        if Path(name).with_suffix(".parquet").name not in needed and not name.startswith(tuple(applying)):
            report.findings.append(_finding("leftovers", name, "No plan needs this archive.", damage=False))


def _has_archive(plan: Plan) -> bool:
    kept = plan.outcome.get("archive") or {}
    return plan.state in DONE and bool(kept.get("file")) and "purged_at" not in kept


def _archive(store: Store, plan: Plan) -> Iterator[Finding]:
    kept = plan.outcome["archive"]
    path = store.archive / Path(kept["file"]).name
    if not path.exists():
        plan.refresh_from_db(fields=["outcome"])
        if _has_archive(plan):  # Not purged just now.
            yield _finding("archives", kept["file"], f"It is gone, so the plan {plan.pk} of {plan.table} cannot be undone.")
        return
    if archive.digest(path) != kept["sha256"]:
        yield _finding("archives", kept["file"], f"It is not as it was written, so the plan {plan.pk} of {plan.table} cannot be undone.")
    try:
        described = json.loads(path.with_suffix(".json").read_text())["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        described = ""
    if described != kept["sha256"]:
        yield _finding("archives", path.with_suffix(".json").name, "The description beside the archive is gone or of another one.")


# The audit log, and what nobody needs.


def _rest(store: Store, report: Report) -> None:
    verdict = audit.verify()
    report.add("audit", verdict.entries, [] if verdict.ok else [_finding("audit", "the audit log", f"{verdict.detail}.")])
    old = list(spool.forgotten(store))
    detail = "Nobody needs this file of the spool any more; the server removes it in time."
    report.add("leftovers", len(old), [_finding("leftovers", path.name, detail, damage=False) for path in old])
