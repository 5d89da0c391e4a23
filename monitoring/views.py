"""Health, numbers and the log's level over REST."""

from dataclasses import asdict
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema, inline_serializer
from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder
from rest_framework import serializers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import AllowAny
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring import checks, logs, system
from projects import audit
from schema_registry.rights import OPERATE, READ_ROWS, HasRight, allows

FINDING = inline_serializer(
    "Finding",
    {
        "status": serializers.ChoiceField([checks.HEALTHY, checks.DEGRADED, checks.UNHEALTHY]),
        "detail": serializers.CharField(required=False),
        "seconds": serializers.FloatField(),
    },
)
HEALTH = inline_serializer(
    "Health",
    {
        "status": serializers.ChoiceField([checks.HEALTHY, checks.DEGRADED, checks.UNHEALTHY]),
        "service": serializers.CharField(),
        "timestamp": serializers.DateTimeField(),
        "checks": serializers.DictField(child=FINDING),
    },
)
MEASURES = inline_serializer(
    "SystemMetrics",
    {part: serializers.DictField(child=serializers.JSONField()) for part in ("cpu", "memory", "disk", "process", "duckdb")},
)


class LevelSerializer(serializers.Serializer):
    """The log's level."""

    level = serializers.ChoiceField(
        choices=logs.LEVELS, error_messages={"invalid_choice": f"{{input}} is no level; give one of {', '.join(logs.LEVELS)}."}
    )

    def to_internal_value(self, data: Any) -> Any:
        """Takes the level's name in any case."""
        if isinstance(data, dict) and isinstance(data.get("level"), str):
            data = {**data, "level": data["level"].upper()}
        return super().to_internal_value(data)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        unknown = sorted(set(self.initial_data) - set(self.fields))
        if unknown:
            raise serializers.ValidationError(dict.fromkeys(unknown, "There is no such field."))
        return attrs


class Health(APIView):
    """Whether the service is well."""

    permission_classes = [AllowAny]

    @extend_schema(operation_id="health", responses={200: HEALTH, 503: HEALTH})
    def get(self, request: Request) -> Response:
        """Healthy, degraded or unhealthy, and each check; what a check found is for those who may read rows or operate."""
        found = checks.findings()
        detailed = any(allows(request.user, request.auth, right) for right in (OPERATE, READ_ROWS))
        shown = {name: asdict(finding) for name, finding in found.items()}
        for finding in shown.values() if not detailed else ():
            del finding["detail"]
        status = checks.overall(found)
        body = {"status": status, "service": "duckdb-spawn", "timestamp": timezone.now(), "checks": shown}
        return Response(body, status=503 if status == checks.UNHEALTHY else 200, headers={"Cache-Control": "no-store"})


class SystemMetrics(APIView):
    """What the machine, the process and DuckDB use."""

    permission_classes = [HasRight]
    rights = {"GET": OPERATE}

    @extend_schema(operation_id="system_metrics", responses=MEASURES)
    def get(self, request: Request) -> Response:
        """Processor, memory, disk, this process, and DuckDB: bytes, seconds and percent."""
        return Response(system.measures())


class LogLevel(APIView):
    """The log's level."""

    permission_classes = [HasRight]
    rights = {"GET": OPERATE, "POST": OPERATE}

    @extend_schema(operation_id="log_level", responses=LevelSerializer)
    def get(self, request: Request) -> Response:
        """The level in force."""
        return Response({"level": logs.level()})

    @extend_schema(operation_id="set_log_level", request=LevelSerializer, responses=LevelSerializer)
    def post(self, request: Request) -> Response:
        """Sets the level, at once and for every handler."""
        asked = LevelSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        before, level = logs.level(), asked.validated_data["level"]
        logs.set_level(level)
        audit.record("log_level.set", level, actor=request.user.get_username(), detail={"before": before})
        return Response({"level": level})


class _AnyAccept(BaseContentNegotiation):
    """Prometheus negotiates by rules of its own, which its library knows."""

    def select_renderer(self, request: Any, renderers: Any, format_suffix: str | None = None) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type

    def select_parser(self, request: Any, parsers: Any) -> Any:
        return parsers[0]


@extend_schema(exclude=True)
class Prometheus(APIView):
    """Every metric, as Prometheus reads them; it sends a bearer token."""

    permission_classes = [HasRight]
    rights = {"GET": OPERATE}
    content_negotiation_class = _AnyAccept

    def get(self, request: Request) -> HttpResponse:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return HttpResponse(encode(REGISTRY), content_type=content_type)
