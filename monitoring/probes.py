"""What an orchestrator asks every few seconds: whether the process lives, and whether it can be sent requests."""

from collections.abc import Callable

from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase

from monitoring import checks, draining


def live() -> JsonResponse:
    """Whether the process answers at all."""
    return JsonResponse({"status": "live"})


def ready() -> JsonResponse:
    """Whether requests can be served: nobody told the server to stop, and Django's database and DuckDB both answer."""
    if draining.is_draining():
        return JsonResponse({"status": "draining"}, status=503)
    well = checks.is_ready()
    return JsonResponse({"status": "ready" if well else "not ready"}, status=200 if well else 503)


PROBES: dict[str, Callable[[], JsonResponse]] = {"/monitoring/live": live, "/monitoring/ready": ready}


class Probes:
    """Middleware that answers probes before a database, a session, or the host's name, which is an address from inside, is looked at."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        probe = PROBES.get(request.path_info)
        return probe() if probe else self.get_response(request)
