"""What was fetched, and what was done: snapshots of schemas, the ontology's last list, and the audit log."""

from typing import Any, NoReturn

from django.db import models

from schema_registry.errors import AppendOnly
from schema_registry.schema import TableSchema


class Snapshot(models.Model):
    """A schema as it was fetched, numbered within its table from 1, and kept for ever."""

    class Provenance(models.TextChoices):
        LIVE = "live", "live: the ontology server said so"
        MOCK = "mock", "mock: the sample ontology"
        REQUEST = "request", "request: somebody sent the document"

    table_name = models.CharField("table", max_length=100)
    table_key = models.CharField(max_length=200, editable=False, help_text="The table's name as names compare: without case.")
    number = models.PositiveIntegerField("version")
    document_id = models.CharField("document", max_length=200)
    schema = models.JSONField(help_text="The schema as DuckDB Spawn understood it.")
    document = models.TextField(help_text="The document's text, exactly as it came.")
    fingerprint = models.CharField(max_length=64)
    provenance = models.CharField(max_length=10, choices=Provenance)
    url = models.CharField("source", max_length=2000, blank=True)
    etag = models.CharField(max_length=500, blank=True)
    fetched_at = models.DateTimeField("first fetched")
    last_seen_at = models.DateTimeField("last confirmed", help_text="The last time that its source still said the same.")
    notes = models.JSONField(default=list, blank=True, help_text="What was inferred rather than read.")

    class Meta:
        ordering = ["table_key", "-number"]
        constraints = [models.UniqueConstraint(fields=["table_key", "number"], name="one_snapshot_a_number")]
        indexes = [models.Index(fields=["document_id"], name="snapshots_by_document")]
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.table_name} {self.number}"

    def as_schema(self) -> TableSchema:
        """The schema as a value."""
        return TableSchema.from_json(self.schema)


class Listing(models.Model):
    """The documents that a source listed when last a list of it was accepted; a much shorter list waits for a person."""

    url = models.CharField(max_length=2000, unique=True)
    document_ids = models.JSONField(default=list)
    seen_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.url


class AuditEntries(models.QuerySet["AuditEntry"]):
    """The audit log's entries; none can be changed or taken away."""

    def update(self, **values: Any) -> NoReturn:
        raise AppendOnly

    def delete(self) -> NoReturn:
        raise AppendOnly


class AuditEntry(models.Model):
    """One thing that was done, or refused for want of a right; each entry's hash covers the one before it."""

    seq = models.BigIntegerField("number", primary_key=True)
    at = models.DateTimeField()
    actor = models.CharField(max_length=200)
    action = models.CharField(max_length=100)
    object = models.CharField(max_length=300)
    detail = models.JSONField(default=dict)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    objects = AuditEntries.as_manager()

    class Meta:
        ordering = ["-seq"]
        verbose_name = "audit entry"
        verbose_name_plural = "audit log"
        default_permissions = ()
        permissions = [("read_audit", "Can read the audit log")]
        indexes = [
            models.Index(fields=["object", "-seq"], name="audit_by_object"),
            models.Index(fields=["action", "-seq"], name="audit_by_action"),
            models.Index(fields=["actor", "-seq"], name="audit_by_actor"),
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.action} {self.object}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnly
        super().save(*args, **{**kwargs, "force_insert": True})

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly
