"""Whether the DuckDB file is the one that Django's database belongs to: it is there, it is that one, and nothing that was seen is lost.

DuckDB opens a file whose log was cut or overwritten and says nothing of the writes that were in it (measured, DuckDB 2.0), and makes
an empty file where there is none. So the owner notes in Django's database what it saw.
"""

from pathlib import Path

from django.utils import timezone

from projects.errors import StoreBehind, StoreMissing, StoreOther
from projects.models import KnownStore, ManagedTable
from projects.store.connection import Store


class Known:
    """The store's guard: what Django's database knows of the file."""

    def check_there(self, path: Path) -> None:
        """Raises StoreMissing."""
        if not path.exists() and KnownStore.objects.exists():
            raise StoreMissing(tables=ManagedTable.objects.filter(dropped_at=None).count())

    def check_same(self, identity: str, seq: int) -> None:
        """Raises StoreOther, StoreBehind."""
        known = KnownStore.objects.first()
        if known and known.store != identity:
            raise StoreOther()
        if known and known.seq > seq:
            raise StoreBehind(seq=seq, known=known.seq, seen_at=f"{known.seen_at:%Y-%m-%d %H:%M:%S} UTC")


def guarded(store: Store) -> Store:
    """The store, which opens no file but the right one from now on."""
    store.guard = store.guard or Known()
    return store


def note(store: Store) -> None:
    """Notes what is in the file now; the owner does so at each beat."""
    seen = {"store": store.identity, "seq": store.seq}
    if not KnownStore.objects.filter(**seen).exists():
        KnownStore.objects.update_or_create(id=1, defaults=seen | {"seen_at": timezone.now()})
