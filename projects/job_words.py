"""Jobs in words: what each kind does, to what, and what came of it, for people to read."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from django.template.defaultfilters import filesizeformat

from projects.models import Job

TITLES = {
    "sync": "Sync with the ontology",
    "initialize": "Spawn the tables",
    "load": "Load a file",
    "check": "Check a file",
    "apply": "Apply a plan",
    "undo": "Undo a plan",
    "export": "Export rows",
    "verify_audit": "Verify the audit log",
    "check_store": "Check the store",
    "erase": "Erase a row",
    "backup": "Make a backup",
}
STATES = {
    Job.State.QUEUED: "It waits for its turn.",
    Job.State.RUNNING: "It is under way.",
    Job.State.DONE: "It is done.",
    Job.State.FAILED: "It failed.",
    Job.State.WITHDRAWN: "It was withdrawn before it began.",
    Job.State.CANCELLED: "It was cancelled while it ran; what it had begun was rolled back.",
}
# What a job was given, in words; what is not named here may be a secret.
INPUTS = {
    "file": "File",
    "bytes": "Size",
    "nulls": "Texts that mean null",
    "on_conflict": "Rows that are there already",
    "on_error": "Bad rows",
    "format": "Format",
    "names": "Tables",
    "dry_run": "Dry run",
}
_CHOICES = {
    ("on_conflict", "error"): "are refused",
    ("on_conflict", "ignore"): "are left as they are",
    ("on_conflict", "update"): "are updated",
    ("on_error", "abort"): "refuse the whole file",
    ("on_error", "skip"): "are left out",
    ("dry_run", True): "yes, nothing is changed",
}


KINDS_IN_ORDER = sorted(TITLES.items(), key=lambda one: one[1])


def title(kind: str) -> str:
    """What jobs of the kind do; an older version may not know what a newer one left."""
    return TITLES.get(kind, kind)


def subject(job: Job) -> str:
    """What it is done to: a table, a plan, or some tables by name."""
    inputs = job.inputs
    if "plan" in inputs:
        return f"plan {inputs['plan']}"
    return str(inputs.get("table") or ", ".join(map(str, inputs.get("names") or [])))


def given(job: Job) -> list[tuple[str, str]]:
    """What it was given that people may see, as (what, how)."""
    said = [(name, job.inputs[name]) for name in INPUTS if job.inputs.get(name)]
    return [(INPUTS[name], _chosen(name, value)) for name, value in said]


def _chosen(name: str, value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if name == "bytes":
        return _size(value)
    return _CHOICES.get((name, value), str(value))


def _size(number: int) -> str:
    return str(filesizeformat(number)).replace("\xa0", " ")


def outcome(job: Job) -> str:
    """What came of a job that is done, in a sentence or some; nothing where no words are known for it."""
    say = _OUTCOMES.get(job.kind)
    return say(job.result) if say and job.state == Job.State.DONE and isinstance(job.result, Mapping) else ""


def counted(number: int, what: str = "row") -> str:
    """Such as `1 row` or `1,200 rows`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _are(number: int, what: str = "row") -> str:
    return f"{counted(number, what)} {'was' if number == 1 else 'were'}"


def _loaded(result: Mapping[str, Any]) -> str:
    inserted, updated, ignored, rejected = (int(result.get(name, 0)) for name in ("inserted", "updated", "ignored", "rejected"))
    said = [f"{_are(inserted)} added."] if inserted or not updated else []
    said += [f"{_are(updated)} updated."] if updated else []
    said += [f"{_are(ignored)} left as they are in the table."] if ignored else []
    said += [f"{_are(rejected)} bad and left out."] if rejected else []
    return " ".join(said)


def _checked(result: Mapping[str, Any]) -> str:
    good, bad = good_rows(result), int(result.get("rejected", 0))
    return f"{counted(good)} can be loaded." + (f" {counted(bad)} cannot." if bad else "")


def expected(result: Mapping[str, Any]) -> str:
    """What a load of the checked file would do to the table."""
    said = (("inserted", "would be added"), ("updated", "would be updated"), ("ignored", "would be left as the table has them"))
    return " ".join(f"{counted(number)} {what}." for name, what in said if (number := int(result.get(name, 0))))


def good_rows(result: Mapping[str, Any]) -> int:
    """The rows of a file that a load takes or meets."""
    return sum(int(result.get(name, 0)) for name in ("inserted", "updated", "ignored"))


def _synced(result: Mapping[str, Any]) -> str:
    found = Counter(str(table.get("outcome", "")) for table in result.get("tables", []))
    said = ", ".join(f"{number:,} {what}" for what, number in found.most_common())
    told = [f"{counted(found.total(), 'table')}: {said}."] if found else ["No table was touched."]
    told += [f"The ontology could not be asked: {result['unavailable']}"] if result.get("unavailable") else []
    return " ".join(told)


def _planned(result: Mapping[str, Any]) -> str:
    return f"The plan {result.get('id')} of {result.get('table')} is {result.get('state')}."


def _exported(result: Mapping[str, Any]) -> str:
    return f"The file has {counted(int(result.get('rows', 0)))} and {_size(result.get('bytes', 0))}. It is kept for seven days."


def _verified(result: Mapping[str, Any]) -> str:
    entries = counted(int(result.get("entries", 0)), "entry").replace("entrys", "entries")
    return f"{entries} of the audit log: {result.get('detail') or 'each stands as it was written'}"


def _looked(result: Mapping[str, Any]) -> str:
    found = result.get("findings", [])
    damage = [f"{one['object']}: {one['detail']}" for one in found if one["damage"]]
    return " ".join([f"{counted(len(damage), 'finding')}.", *damage[:10]]) if damage else "The store is sound."


def _erased(result: Mapping[str, Any]) -> str:
    return f"It is gone, with {counted(int(result.get('entries', 0)), 'entry').replace('entrys', 'entries')} of the change feed."


def _backed_up(result: Mapping[str, Any]) -> str:
    rows, size = counted(int(result.get("rows", 0))), _size(result.get("bytes", 0))
    said = f"{result.get('name')}: {rows} and {size}, as of change {result.get('seq')}."
    gone = result.get("removed") or []
    return said + (f" {counted(len(gone), 'older backup')} {'was' if len(gone) == 1 else 'were'} taken away." if gone else "")


_OUTCOMES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "load": _loaded,
    "check": _checked,
    "sync": _synced,
    "initialize": _synced,
    "apply": _planned,
    "undo": _planned,
    "export": _exported,
    "verify_audit": _verified,
    "check_store": _looked,
    "erase": _erased,
    "backup": _backed_up,
}
