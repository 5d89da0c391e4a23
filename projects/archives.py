"""Archives that have been kept long enough: which plans can be undone no longer once they are gone, and taking them away."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from operator import or_

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from projects import audit, clock
from projects.models import Plan
from projects.store import archive
from projects.store.connection import Store


def old(days: int) -> list[Plan]:
    """The plans whose archives are older than so many days, the oldest first."""
    ended = Plan.objects.filter(finished_at__lt=timezone.now() - timedelta(days=days), outcome__archive__isnull=False).order_by("pk")
    return [plan for plan in ended if plan.outcome["archive"] and "purged_at" not in plan.outcome["archive"]]


def purge(store: Store, days: int, *, actor: str) -> list[Plan]:
    """Takes old archives away; gives the plans, which cannot be undone from now on."""
    gone = old(days)
    for plan in gone:
        kept = plan.outcome["archive"]
        with transaction.atomic():
            plan.outcome |= {"archive": {**kept, "purged_at": timezone.now().isoformat()}}
            plan.save(update_fields=["outcome"])
            audit.record("archive.purge", plan.table, actor=actor, detail={"plan": plan.pk, "file": kept["file"], "rows": kept["rows"]})
        archive.remove(store, [kept["file"]])
    return gone


def purge_by_setting(store: Store, *, actor: str) -> list[Plan]:
    """As `purge`, by ARCHIVE_KEEP_DAYS; nothing where that is 0, which keeps them for ever, or the clock has leapt."""
    return purge(store, settings.ARCHIVE_KEEP_DAYS, actor=actor) if settings.ARCHIVE_KEEP_DAYS and clock.is_trusted() else []


@dataclass(frozen=True, slots=True)
class Kept:
    """The archive of a plan: the name of its file, its rows, and its bytes; None where the file is gone."""

    plan: Plan
    file: str
    rows: int
    bytes: int | None


def of_table(store: Store, names: Iterable[str], most: int = 20) -> list[Kept]:
    """The archives of the plans of a table, by all the names that it had, the newest first."""
    of_names = reduce(or_, (Q(table__iexact=name) for name in names))
    plans = Plan.objects.filter(of_names, outcome__archive__file__isnull=False).defer("base", "target", "steps").order_by("-pk")
    found = ((plan, plan.outcome["archive"]) for plan in plans[:most])
    return [Kept(plan, kept["file"], kept["rows"], archive.size(store, kept["file"])) for plan, kept in found]
