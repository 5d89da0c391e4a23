"""The shapes of answers, for OpenAPI and for what comes from Django's database."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from projects.evolution.policy import ACTIONS, CLASSES
from projects.models import Compatibility, Job, Plan

DRIFT_STATES = ["in step", "behind", "orphaned", "altered", "missing", "unknown"]


class SampleSerializer(serializers.Serializer):
    key = serializers.CharField(help_text="The row's key, as in its address.")
    value = serializers.CharField(allow_null=True, help_text="Its value now, as a cell.")
    becomes = serializers.CharField(allow_null=True, help_text="What that would become.")


class StepSerializer(serializers.Serializer):
    change = serializers.CharField(help_text="What kind of change it is, such as add_column.")
    before = serializers.CharField(allow_null=True)
    after = serializers.CharField(allow_null=True)
    column = serializers.CharField(allow_null=True)
    strategy = serializers.ChoiceField(["alter", "rebuild", "record", "drop", "create"])
    why = serializers.CharField()
    sql = serializers.ListField(child=serializers.CharField(), help_text="What runs, in order, in one transaction.")
    rows_total = serializers.IntegerField()
    rows_in_the_way = serializers.IntegerField(help_text="Rows that would lose their value or break the new schema.")
    rows_lost = serializers.IntegerField(help_text="Of these, rows that would lose their value; it is archived.")
    rows_broken = serializers.IntegerField(help_text="Of these, rows that cannot be kept as they are.")
    sample = SampleSerializer(many=True, help_text="Ten of them.")
    needs = serializers.CharField(help_text="What a person has to give for them.")
    archive = serializers.BooleanField(help_text="Whether values are archived before the step.")
    action = serializers.ChoiceField(["apply", "wait", "refuse"], help_text="What the policy says.")

    def get_fields(self) -> dict:
        """`class` is a word of Python's, so it cannot be declared above."""
        return super().get_fields() | {"class": serializers.ChoiceField(CLASSES)}


class PlanSerializer(serializers.Serializer):
    id = serializers.IntegerField(allow_null=True, help_text="None for what is only shown.")
    table = serializers.CharField()
    kind = serializers.ChoiceField(Plan.Kind.choices)
    state = serializers.ChoiceField(Plan.State.choices)
    base_fingerprint = serializers.CharField(help_text="Of the live schema that it was made for.")
    target_fingerprint = serializers.CharField()
    from_version = serializers.IntegerField(allow_null=True)
    to_version = serializers.IntegerField(allow_null=True)
    steps = StepSerializer(many=True)
    inputs = serializers.DictField()
    estimate = serializers.DictField(help_text="Seconds and bytes that a rebuild needs.")
    suggestions = serializers.ListField(
        child=serializers.DictField(), help_text="Columns that may be renamed ones; `inputs` with `renamed_from` says so."
    )
    waits_for = serializers.CharField(help_text="What it waits for, in sentences.")
    undoes = serializers.IntegerField(allow_null=True)
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField(allow_null=True)
    approved_by = serializers.CharField(allow_null=True)
    applied_by = serializers.CharField(allow_null=True)
    reason = serializers.CharField()
    finished_at = serializers.DateTimeField(allow_null=True)
    error = serializers.CharField()
    outcome = serializers.DictField(help_text="Rows, seconds, and the archive, once it is applied.")


class OutcomeSerializer(serializers.Serializer):
    table = serializers.CharField()
    outcome = serializers.ChoiceField(["created", "altered", "unchanged", "pinned", "dropped", "waits", "refused"])
    version = serializers.IntegerField(allow_null=True)
    provenance = serializers.CharField(help_text="live, cached, mock or request.")
    plan = PlanSerializer(allow_null=True, help_text="What was applied, or waits; in a dry run, what would be.")
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
    state = serializers.ChoiceField(DRIFT_STATES)
    checked_at = serializers.DateTimeField(allow_null=True, help_text="When the ontology was last asked.")
    changes = serializers.ListField(child=serializers.CharField())


class TableDrift(serializers.Serializer):
    table = serializers.CharField()
    state = serializers.ChoiceField(DRIFT_STATES, help_text="Unknown too where DuckDB Spawn did not make the table.")
    checked_at = serializers.DateTimeField(allow_null=True, help_text="When the ontology was last asked; the catalogue is read now.")
    ontology = serializers.ListField(child=serializers.CharField(), help_text="Where the ontology and the live schema differ.")
    catalogue = serializers.ListField(child=serializers.CharField(), help_text="Where the DuckDB file and the live schema differ.")
    plan = serializers.IntegerField(allow_null=True, help_text="The plan that waits.")


class TableSummary(serializers.Serializer):
    name = serializers.CharField()
    description = serializers.CharField()
    rows = serializers.IntegerField(allow_null=True, help_text="Null where somebody dropped the table by hand.")
    bytes = serializers.IntegerField(allow_null=True, help_text="An estimate.")
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


class AliasSerializer(serializers.Serializer):
    name = serializers.CharField()
    column = serializers.CharField(allow_null=True, help_text="The column that it is an old name of; null where it is the table's own.")
    since = serializers.DateTimeField()


class TableDetail(TableSummary):
    columns = serializers.ListField(child=serializers.DictField())  # type: ignore[assignment]
    unique = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    aliases = AliasSerializer(many=True, help_text="Old names that still work; what uses one is answered with a Deprecation header.")
    fingerprint = serializers.CharField()
    notes = serializers.ListField(child=serializers.CharField())
    references = ReferenceSerializer(many=True)
    enforce_references = serializers.BooleanField(help_text="Whether rows that are written have to keep them.")


class TableRequest(serializers.Serializer):
    schema = serializers.CharField(required=False, min_length=1, help_text="The schema's name; all of them where it is left out.")


class PolicySerializer(serializers.Serializer):
    def get_fields(self) -> dict:
        """An action for each class of changes."""
        return {name: serializers.ChoiceField(ACTIONS, required=False) for name in CLASSES}


class TableDecisions(serializers.Serializer):
    pinned = serializers.BooleanField(required=False)
    read_only = serializers.BooleanField(required=False)  # type: ignore[assignment]
    enforce_references = serializers.BooleanField(
        required=False, help_text="A row written from now on must refer to what is there, and that cannot go while it does."
    )
    policy = PolicySerializer(required=False, help_text="By class of change: apply, wait or refuse.")
    compatibility = serializers.ChoiceField(Compatibility.choices, required=False)


class BringRequest(serializers.Serializer):
    schema = serializers.DictField(required=False, help_text="A schema document; the ontology's own where it is left out.")


class Decision(serializers.Serializer):
    reason = serializers.CharField(required=False)


class ApplyRequest(serializers.Serializer):
    confirm = serializers.CharField(required=False, help_text="The table's name once more, where the plan takes data away.")


class ApplyTogether(serializers.Serializer):
    plans = serializers.ListField(child=serializers.IntegerField(), min_length=1, help_text="Each of another table.")
    confirm = serializers.ListField(child=serializers.CharField(), required=False, help_text="The tables whose plans take data away.")


class UndoRequest(ApplyRequest):
    inputs = serializers.DictField(required=False, help_text="Values for rows written since that the old schema cannot hold.")


class PlanRequest(serializers.Serializer):
    table = serializers.CharField()
    inputs = serializers.DictField(required=False, help_text="By column: constant, expression, mapping, or factor and offset.")
    drift = serializers.ChoiceField(["repair", "adopt"], required=False)


class PlanAnswer(serializers.Serializer):
    plan = PlanSerializer()


class QueryRequest(serializers.Serializer):
    sql = serializers.CharField(help_text="One SELECT over the tables.")
    params = serializers.ListField(required=False, child=serializers.JSONField(), help_text="Values for its `?`, in order.")


class SyncRequest(serializers.Serializer):
    names = serializers.ListField(
        required=False,
        allow_null=True,
        min_length=1,
        child=serializers.CharField(min_length=1),
        help_text="Tables or documents; all where it is left out.",
    )
    accept_shrunk = serializers.BooleanField(required=False, help_text="A list that is shorter by more than half is right.")


@extend_schema_field({"description": "What came of it; null until then."})
class AnyJson(serializers.JSONField):
    pass


class JobSerializer(serializers.ModelSerializer):
    result = AnyJson(read_only=True)
    created_by = serializers.CharField(source="created_by.username", default=None, allow_null=True)

    class Meta:
        model = Job
        fields = ["id", "kind", "state", "done", "total", "result", "error", "created_by", "created_at", "started_at", "finished_at"]


class VerdictSerializer(serializers.Serializer):
    ok = serializers.BooleanField()
    entries = serializers.IntegerField()
    broken_at = serializers.IntegerField(allow_null=True)
    detail = serializers.CharField()
