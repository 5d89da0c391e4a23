"""A job as the answer to what was asked for: accepted, and where it is looked at."""

from rest_framework.response import Response

from projects.models import Job
from projects.preferences import ASYNC
from projects.serializers import JobSerializer


def accepted(job: Job) -> Response:
    """202 with the job and its address, for a client that prefers not to wait."""
    headers = {"Location": f"/ops/jobs/{job.id}", "Preference-Applied": ASYNC}
    return Response(JobSerializer(job).data, status=202, headers=headers)
