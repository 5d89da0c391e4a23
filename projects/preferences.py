"""What a client prefers, by the header Prefer (RFC 7240); what was done of it is told by Preference-Applied."""

from django.http import HttpRequest

ASYNC, COUNT = "respond-async", "count=exact"


def prefers(request: HttpRequest, wish: str) -> bool:
    """Whether the client prefers it, such as ASYNC or COUNT."""
    given = request.headers.get("Prefer", "").lower().split(",")
    return wish in {part.partition(";")[0].replace(" ", "").replace('"', "") for part in given}
