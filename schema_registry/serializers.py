"""What the registry answers by REST; the views hand out these shapes, and OpenAPI shows them."""

from typing import Any

from rest_framework import serializers

from schema_registry.diff import Change
from schema_registry.models import AuditEntry, Snapshot


class SnapshotSerializer(serializers.ModelSerializer[Snapshot]):
    """A snapshot without the schema itself."""

    table = serializers.CharField(source="table_name")

    class Meta:
        model = Snapshot
        fields = ["table", "number", "document_id", "fingerprint", "provenance", "url", "etag", "fetched_at", "last_seen_at", "notes"]
        read_only_fields = fields


class WholeSnapshotSerializer(SnapshotSerializer):
    """A snapshot with its schema, and with the document's text exactly as it came."""

    class Meta(SnapshotSerializer.Meta):
        fields = [*SnapshotSerializer.Meta.fields, "schema", "document"]
        read_only_fields = fields


class ChangeSerializer(serializers.Serializer[Change]):
    """One difference between two versions of a schema."""

    kind = serializers.CharField()
    column = serializers.CharField(allow_null=True)
    before = serializers.CharField(allow_null=True)
    after = serializers.CharField(allow_null=True)
    sentence = serializers.CharField()

    def get_fields(self) -> dict[str, Any]:
        """`class` is no name that Python lets a field have."""
        return {**super().get_fields(), "class": serializers.CharField(source="change_class")}


class AuditEntrySerializer(serializers.ModelSerializer[AuditEntry]):
    """An entry of the audit log."""

    class Meta:
        model = AuditEntry
        fields = ["seq", "at", "actor", "action", "object", "detail", "previous_hash", "hash"]
        read_only_fields = fields
