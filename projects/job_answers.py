"""A job as the answer to what was asked for: accepted, and where it is looked at."""

from django.http import HttpResponse
from rest_framework.renderers import JSONRenderer

from projects.bodies import JSON
from projects.models import Job
from projects.preferences import ASYNC
from projects.serializers import JobSerializer


def accepted(job: Job) -> HttpResponse:
    """202 with the job and its address, for a client that prefers not to wait."""
    headers = {"Location": f"/ops/jobs/{job.id}", "Preference-Applied": ASYNC}
    return HttpResponse(JSONRenderer().render(JobSerializer(job).data), content_type=JSON, status=202, headers=headers)
