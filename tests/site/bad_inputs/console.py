"""The console's pages and forms."""

from collections.abc import Iterator

from tests.site.bad_inputs.sent import BIG, HUGE, NIL, Bad, get


def console() -> Iterator[Bad]:
    """The console's pages, by a session: an odd address shows the page all the same, or an error's page."""
    shown = (200, 400, 404, 405)
    for page in ("", *PAGES):
        for query in QUERIES:
            yield get(f"/console/{page}?{query}", *shown, 302)
    for page in POSTED:
        for body in FORMS:
            yield Bad("POST", f"/console/{page}", (*shown, 302, 403, 409, 413, 415, 422, 428), body, FORM)
        yield Bad("POST", f"/console/{page}", (*shown, 302, 403, 415, 422, 428), b"--x\r\nbroken", "multipart/form-data; boundary=x")
        yield Bad("POST", f"/console/{page}", (*shown, 302, 403, 415, 422, 428), b"--", "multipart/form-data; boundary=" + "x" * 500)
        yield Bad("POST", f"/console/{page}", (*shown, 302, 403, 415, 422, 428), b"{}", "multipart/form-data")
    for path in (
        "tables/%00/",
        "tables/nothing/rows/",
        "tables/projects/rows/%00/",
        "tables/projects/rows/~GG/",
        "tables/projects/rows/x,y/",
    ):
        yield get(f"/console/{path}", 404, 400, 422)
    for path in (
        f"plans/{HUGE}/",
        f"audit/{HUGE}/",
        f"jobs/{NIL}/",
        f"plans/{BIG}/undo/",
        "schemas/%ff/",
        f"tables/projects/import/{NIL}/",
    ):
        yield get(f"/console/{path}", 404)
    for path in ("auth/user/x/change/", f"auth/user/{BIG}/change/", f"people/token/{NIL}/change/", "auth/user/%00/delete/"):
        yield get(f"/console/{path}", 302, 404)
    for query in (
        "o=x",
        "p=x",
        f"p={BIG}",
        "q=%00",
        "is_staff__exact=x",
        "e=1",
        "no__such__lookup=1",
        "password__startswith=a",
        "_popup=%00",
    ):
        yield get(f"/console/auth/user/?{query}", 200, 302, 400)


POSTED = (
    "tables/projects/",
    "tables/projects/rows/add/",
    f"tables/projects/rows/{NIL}/",
    "tables/projects/import/",
    "plans/",
    "plans/together/",
    "query/",
    "login/",
)
FORM = "application/x-www-form-urlencoded"
PAGES = (
    "tables/",
    "tables/projects/",
    "tables/projects/rows/",
    "tables/projects/rows/add/",
    f"tables/projects/rows/{NIL}/",
    "tables/projects/lookup/",
    "tables/projects/import/",
    "diagram/",
    "schemas/",
    "schemas/projects/",
    "plans/",
    "plans/together/",
    "plans/1/",
    "query/",
    "jobs/",
    "audit/",
    "login/",
)
QUERIES = (
    "page=x&span=%00&measured=1&next=//evil.example",
    f"page={HUGE}&from={HUGE}&to=%D9%A1&columns=%00",
    "page=-1&from=%00&to=x&plans=x&plans=1.5&job=x",
    "sort=nothing&filter=%7B&limit=x&cursor=x&fields=%00&q=%00%ff%ed%a0%80",
    "sql=%00&params=%5B&column=nothing&q=%00",
    f"column=project_id&q={'x' * 4_000}&state=%00&table=%00&kind=%00&actor=%00&action=%00&target=%00",
    f"since=x&until=99999-01-01&seq={HUGE}&before={HUGE}",
    "at__gte=x&status__in=%22&total_amount__gte=many&project_name__regex=(",
    "a=1&" * 1_001,
)
FORMS = (
    b"",
    b"deed=%00",
    b"deed=apply&confirm=%00&reason=" + b"x" * 20_000 + b"&seen=x",
    b"deed=delete&opened=%00",
    b"deed=drop&confirm=x",
    b"deed=policy&shown=%ff&additive=perhaps",
    b"deed=alias&alias=%00",
    b"table=%00&drift=x",
    b"plans=x&plans=" + HUGE.encode() + b"&confirm=%00",
    b"sql=%00&params=%5B&format=xml&deed=export",
    b"sql=SELECT+1&params=" + b"%5B" * 5_000 + b"&deed=run",
    b"project_name=%00&total_amount=many&creation_date=99999-99-99&status=CLOSED",
    b"text=%00&format=xml&null=%00&on_conflict=no&on_error=no",
    b"username=%00&password=%00&next=//evil.example",
    b"csrfmiddlewaretoken=x",
    b"\xff\xfe=\x00&%=%&==&",
    b"a=1&" * 1_001,
)
