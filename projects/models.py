"""What Django's database knows of the tables: history and people. What must agree with a table lives in DuckDB."""

import time
import uuid
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q


@lru_cache(maxsize=1)
def _read_only_names(second: int) -> frozenset[str]:
    return frozenset(name.casefold() for name in ManagedTable.objects.filter(read_only=True).values_list("name", flat=True))


def forget_read_only() -> None:
    """Asks the database anew next time."""
    _read_only_names.cache_clear()


def is_read_only(name: str) -> bool:
    """Whether a person made the table's rows read-only; what another process changed is known within a second."""
    return name.casefold() in _read_only_names(int(time.monotonic()))


class ManagedTable(models.Model):
    """A table that DuckDB Spawn keeps, and what people decided about it."""

    name = models.CharField(max_length=100, unique=True)
    document_id = models.CharField(max_length=200, blank=True)
    snapshot = models.ForeignKey("schema_registry.Snapshot", null=True, on_delete=models.PROTECT, related_name="+")
    pinned = models.BooleanField(default=False, help_text="A sync leaves a pinned table at its version.")
    read_only = models.BooleanField(default=False, help_text="Rows of a read-only table cannot be written.")
    dropped_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        verbose_name = "table"
        default_permissions = ()
        permissions = [
            ("read_rows", "Can read rows, schemas and tables"),
            ("write_rows", "Can create, change and load rows"),
            ("manage_tables", "Can create, change and drop tables"),
            ("manage_jobs", "Can see and cancel everybody's jobs"),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        super().save(*args, **kwargs)
        forget_read_only()


class Job(models.Model):
    """Work that outlives a request, or that a command leaves for the owner of the DuckDB file."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        WITHDRAWN = "withdrawn"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=40)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    inputs = models.JSONField(default=dict)
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(null=True)
    result = models.JSONField(null=True)
    error = models.TextField(blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        default_permissions = ()
        indexes = [models.Index(fields=["created_at"], name="queued_jobs", condition=Q(state="queued"))]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class Owner(models.Model):
    """The process that has the DuckDB file open, and when it last said so. At most one row."""

    pid = models.IntegerField()
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"process {self.pid}"
