"""Backups over REST: parse, call one function, answer."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from projects import backup_jobs, backups
from projects.serializers import AnyJson, JobSerializer
from projects.table_views import check_unscoped, json_object
from schema_registry.rights import OPERATE, HasRight


class BackupSerializer(serializers.Serializer):
    """A backup, as its manifest tells of it."""

    name = serializers.CharField(help_text="The name of its folder in BACKUP_DIR: when it was begun, in UTC.")
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField()
    seq = serializers.IntegerField(help_text="The last number of the change feed in it: every row is as it was then.")
    tables = serializers.IntegerField()
    rows = serializers.IntegerField()
    bytes = serializers.IntegerField()
    database = AnyJson(help_text="Django's database: its engine, and its file, or none and what to do instead.")


class Backups(APIView):
    """The backups in BACKUP_DIR."""

    permission_classes = [HasRight]
    rights = {"GET": OPERATE, "POST": OPERATE}

    @extend_schema(responses=BackupSerializer(many=True), operation_id="list_backups", tags=["backups"])
    def get(self, request: Request) -> Response:
        """The backups in BACKUP_DIR, the newest first, as their manifests say; none where it is not set."""
        check_unscoped(request)
        return Response(BackupSerializer(backups.listed(), many=True).data)

    @extend_schema(
        request=None,
        responses={202: JobSerializer},
        parameters=[OpenApiParameter("Location", str, OpenApiParameter.HEADER, response=[202], description="The job's own address.")],
        operation_id="make_backup",
        tags=["backups"],
    )
    def post(self, request: Request) -> Response:
        """Make a backup in BACKUP_DIR; 409 where that is not set.

        That is a job; where one is queued already, that one is answered.
        """
        check_unscoped(request)
        json_object(request, set())
        job = backup_jobs.left(request.user)
        return Response(JobSerializer(job).data, status=202, headers={"Location": f"/ops/jobs/{job.id}"})
