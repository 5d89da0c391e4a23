"""The shapes of answers, for OpenAPI and for what comes from Django's database."""

from rest_framework import serializers

from projects.models import Job


class StepSerializer(serializers.Serializer):
    change = serializers.CharField(help_text="What kind of change it is, such as add_column.")
    before = serializers.CharField(allow_null=True)
    after = serializers.CharField(allow_null=True)
    column = serializers.CharField(allow_null=True)
    strategy = serializers.ChoiceField(["alter", "record", "wait"])
    why = serializers.CharField()
    sql = serializers.ListField(child=serializers.CharField())

    def get_fields(self) -> dict:
        """`class` is a word of Python's, so it cannot be declared above."""
        classes = ["additive", "metadata", "rename", "strengthening", "destructive", "meaning"]
        return super().get_fields() | {"class": serializers.ChoiceField(classes)}


class OutcomeSerializer(serializers.Serializer):
    table = serializers.CharField()
    outcome = serializers.ChoiceField(["created", "altered", "unchanged", "pinned", "dropped", "waits", "refused"])
    version = serializers.IntegerField(allow_null=True)
    provenance = serializers.CharField(help_text="live, cached, mock or request.")
    changes = StepSerializer(many=True)
    detail = serializers.CharField()


class Report(serializers.Serializer):
    tables = OutcomeSerializer(many=True)
    orphaned = serializers.ListField(child=serializers.CharField(), help_text="Tables whose schema the ontology lists no longer.")
    missing = serializers.ListField(child=serializers.CharField())
    shrunk = serializers.BooleanField(help_text="The list is shorter by more than half, so nothing was done.")
    unavailable = serializers.CharField(help_text="Why the answers are cached.")


class SourceSerializer(serializers.Serializer):
    document = serializers.CharField()
    provenance = serializers.CharField()


class DriftSerializer(serializers.Serializer):
    state = serializers.ChoiceField(["in step", "behind", "unknown"])
    checked_at = serializers.DateTimeField(allow_null=True)
    changes = serializers.ListField(child=serializers.CharField())


class TableSummary(serializers.Serializer):
    name = serializers.CharField()
    description = serializers.CharField()
    rows = serializers.IntegerField()
    bytes = serializers.IntegerField(help_text="An estimate.")
    version = serializers.IntegerField(help_text="The number of the live schema's snapshot.")
    source = SourceSerializer()  # type: ignore[assignment]
    drift = DriftSerializer()
    columns = serializers.IntegerField()
    primary_key = serializers.ListField(child=serializers.CharField())
    pinned = serializers.BooleanField()
    read_only = serializers.BooleanField()  # type: ignore[assignment]
    changed_at = serializers.DateTimeField()


class ReferenceSerializer(serializers.Serializer):
    column = serializers.CharField()
    references = serializers.CharField()
    rows_without = serializers.IntegerField(help_text="Rows whose value is not there; nulls are left out.")


class TableDetail(TableSummary):
    columns = serializers.ListField(child=serializers.DictField())  # type: ignore[assignment]
    unique = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    fingerprint = serializers.CharField()
    notes = serializers.ListField(child=serializers.CharField())
    references = ReferenceSerializer(many=True)


class TableRequest(serializers.Serializer):
    schema = serializers.CharField(required=False, help_text="The schema's name; all of them where it is left out.")


class BringRequest(serializers.Serializer):
    schema = serializers.DictField(required=False, help_text="A schema document; the ontology's own where it is left out.")


class PlanSerializer(serializers.Serializer):
    id = serializers.IntegerField(allow_null=True)
    table = serializers.CharField()
    state = serializers.ChoiceField(["proposed", "applied"])
    base_fingerprint = serializers.CharField()
    from_version = serializers.IntegerField(allow_null=True)
    to_version = serializers.IntegerField(allow_null=True)
    steps = StepSerializer(many=True)
    created_by = serializers.CharField()
    approved_by = serializers.CharField(allow_null=True)
    reason = serializers.CharField()


class PlanAnswer(serializers.Serializer):
    plan = PlanSerializer()


class Dropped(serializers.Serializer):
    table = serializers.CharField()
    rows = serializers.IntegerField()
    archive = serializers.CharField(help_text="The name of the Parquet file in the archive.")
    sha256 = serializers.CharField()


class QueryRequest(serializers.Serializer):
    sql = serializers.CharField(help_text="One SELECT over the tables.")
    params = serializers.ListField(required=False, child=serializers.JSONField(), help_text="Values for its `?`, in order.")


class JobSerializer(serializers.ModelSerializer):
    created_by = serializers.CharField(source="created_by.username", default=None, allow_null=True)

    class Meta:
        model = Job
        fields = ["id", "kind", "state", "done", "total", "result", "error", "created_by", "created_at", "started_at", "finished_at"]


class VerdictSerializer(serializers.Serializer):
    ok = serializers.BooleanField()
    entries = serializers.IntegerField()
    broken_at = serializers.IntegerField(allow_null=True)
    detail = serializers.CharField()
