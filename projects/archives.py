"""Archives that have been kept long enough: which plans can be undone no longer once they are gone, and taking them away."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from projects import audit
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
    """As `purge`, by ARCHIVE_KEEP_DAYS; nothing where that is 0, which keeps them for ever."""
    return purge(store, settings.ARCHIVE_KEEP_DAYS, actor=actor) if settings.ARCHIVE_KEEP_DAYS else []
