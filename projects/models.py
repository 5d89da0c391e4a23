"""What Django's database knows of the tables: history and people. What must agree with a table lives in DuckDB."""

import time
import uuid
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q


@lru_cache(maxsize=1)
def _decided(second: int) -> tuple[frozenset[str], frozenset[str]]:
    """The names of the tables that are read-only, and of those that enforce their references."""
    records = ManagedTable.objects.filter(Q(read_only=True) | Q(enforce_references=True))
    found = list(records.values_list("name", "read_only", "enforce_references"))
    return frozenset(name.casefold() for name, so, _ in found if so), frozenset(name.casefold() for name, _, so in found if so)


def forget_decided() -> None:
    """Asks the database anew next time."""
    _decided.cache_clear()


def is_read_only(name: str) -> bool:
    """Whether a person made the table's rows read-only; what another process changed is known within a second."""
    return name.casefold() in _decided(int(time.monotonic()))[0]


def enforcing() -> frozenset[str]:
    """The names without case of the tables whose references people had enforced, known as soon."""
    return _decided(int(time.monotonic()))[1]


class Compatibility(models.TextChoices):
    """The modes that schema registries have; the transitive ones compare with every earlier version, the others with the last."""

    NONE = "NONE"
    BACKWARD = "BACKWARD"
    FORWARD = "FORWARD"
    FULL = "FULL"
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"


class ManagedTable(models.Model):
    """A table that DuckDB Spawn keeps, and what people decided about it."""

    name = models.CharField(max_length=100, unique=True)
    document_id = models.CharField(max_length=200, blank=True)
    snapshot = models.ForeignKey("schema_registry.Snapshot", null=True, on_delete=models.PROTECT, related_name="+")
    pinned = models.BooleanField(default=False, help_text="A sync leaves a pinned table at its version.")
    read_only = models.BooleanField(default=False, help_text="Rows of a read-only table cannot be written.")
    enforce_references = models.BooleanField(
        default=False, help_text="Rows written here must refer to what is there, and that cannot go while they do."
    )
    policy = models.JSONField(default=dict, blank=True, help_text="What becomes of a class of changes here: apply, wait or refuse.")
    compatibility = models.CharField(
        max_length=20, choices=Compatibility, default=Compatibility.NONE, help_text="What a new schema must keep to be applied here."
    )
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
        forget_decided()


class Plan(models.Model):
    """The steps that take one table from one schema to another, with their evidence, and what people decided about them."""

    class State(models.TextChoices):
        PROPOSED = "proposed"
        APPROVED = "approved"
        APPLYING = "applying"
        APPLIED = "applied"
        FAILED = "failed"
        REJECTED = "rejected"
        STALE = "stale"
        UNDONE = "undone"

    class Kind(models.TextChoices):
        CHANGE = "change", "change: to a schema"
        DROP = "drop", "drop: the table goes"
        UNDO = "undo", "undo: back to before another plan"
        REPAIR = "repair", "repair: what was altered by hand is put back"
        ADOPT = "adopt", "adopt: what was altered by hand becomes the schema"

    table = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.CHANGE)
    state = models.CharField(max_length=10, choices=State, default=State.PROPOSED)
    base = models.JSONField(null=True, help_text="The schema that the plan was made for; none where the table comes back.")
    target = models.JSONField(null=True, help_text="The schema that it leads to; none where the table goes.")
    base_fingerprint = models.CharField(max_length=64, blank=True)
    target_fingerprint = models.CharField(max_length=64, blank=True)
    from_version = models.PositiveIntegerField(null=True)
    to_version = models.PositiveIntegerField(null=True)
    snapshot = models.ForeignKey("schema_registry.Snapshot", null=True, on_delete=models.PROTECT, related_name="+")
    provenance = models.CharField(max_length=10, blank=True)
    inputs = models.JSONField(default=dict)
    pairs = models.JSONField(default=list, help_text="Which column of the base becomes which of the target.")
    steps = models.JSONField(default=list)
    estimate = models.JSONField(default=dict, help_text="Seconds and bytes that a rebuild needs.")
    undoes = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="undone_by")
    created_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)
    approved_by = models.CharField(max_length=150, blank=True)
    approved_at = models.DateTimeField(null=True)
    reason = models.TextField(blank=True)
    applied_by = models.CharField(max_length=150, blank=True)
    finished_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)
    outcome = models.JSONField(default=dict, help_text="What the apply did: rows, seconds, the archive.")

    class Meta:
        ordering = ["-id"]
        default_permissions = ()
        indexes = [models.Index(fields=["table", "state"], name="plans_by_table")]

    def __str__(self) -> str:
        return f"plan {self.pk} of {self.table}"


class Notice(models.Model):
    """Something that people outside are told, by one way: kept until the webhook or the mail server took it."""

    class Channel(models.TextChoices):
        WEBHOOK = "webhook"
        MAIL = "mail"

    channel = models.CharField(max_length=10, choices=Channel, default=Channel.WEBHOOK)
    event = models.CharField(max_length=40)
    table = models.CharField(max_length=100, blank=True)
    body = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        default_permissions = ()
        indexes = [models.Index(fields=["due_at"], name="notices_due", condition=Q(sent_at=None))]

    def __str__(self) -> str:
        return f"{self.event} {self.table}"


class Job(models.Model):
    """Work that outlives a request, or that a command leaves for the owner of the DuckDB file."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        WITHDRAWN = "withdrawn"
        CANCELLED = "cancelled"

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


class AskedQuery(models.Model):
    """A query that a person ran in the console; nobody else sees it, for its text may hold what they looked for."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    sql = models.TextField()
    at = models.DateTimeField(auto_now_add=True)
    rows = models.PositiveIntegerField(null=True, help_text="How many were shown; none where it failed.")
    seconds = models.FloatField()
    ok = models.BooleanField()

    class Meta:
        ordering = ["-id"]
        default_permissions = ()
        indexes = [models.Index(fields=["user", "-id"], name="queries_by_person")]

    def __str__(self) -> str:
        return f"a query of {self.user}"


class Owner(models.Model):
    """The process that has the DuckDB file open, and when it last said so. At most one row."""

    pid = models.IntegerField()
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"process {self.pid}"


class KnownStore(models.Model):
    """The DuckDB file that this database belongs to, and the last number of its change feed that was seen in it. At most one row."""

    store = models.CharField(max_length=36)
    seq = models.BigIntegerField()
    seen_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.store
