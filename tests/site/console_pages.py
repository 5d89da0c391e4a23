"""Every page of the console: its address, and who may see it. A page that is not here fails a test."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from django.test import Client

ROLES = ("viewer", "editor", "steward", "operator", "superuser")
OUTSIDE = ("anonymous", "no role", "a token")  # Sent to the login, whatever they ask for; the console takes no bearer token.
ALL = frozenset(ROLES)
WRITERS = frozenset({"editor", "steward", "superuser"})
STEWARDS = frozenset({"steward", "superuser"})
OPERATORS = frozenset({"operator", "superuser"})
AUDITORS = frozenset({"steward", "operator", "superuser"})
ROOT = frozenset({"superuser"})
NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Visit:
    """An address below /console/ with what the fixture `shown` made in it, who may GET it, and who may POST to it.

    An empty form is answered `posted`, or 405 where there is none to send. Others are `refused`, but those to whom it is `hidden` get 404:
    it is another person's. A `part` is fetched into a page.
    """

    path: str
    may: frozenset[str] = ALL
    posts: frozenset[str] | None = None
    posted: int = 302
    hidden: frozenset[str] = NOBODY
    refused: int = 403
    part: bool = False

    def status(self, method: str, role: str) -> int:
        if role in OUTSIDE:
            return 302
        who, answered = (self.may, 200) if method == "GET" else (ALL, 405) if self.posts is None else (self.posts, self.posted)
        return answered if role in who else 404 if role in self.hidden else self.refused


OURS: dict[str, Visit] = {
    "tables": Visit("tables/"),
    "table": Visit("tables/hostile/", posts=STEWARDS),
    "measured": Visit("tables/hostile/measured/", part=True),
    "rows": Visit("tables/hostile/rows/"),
    "import": Visit("tables/hostile/import/", may=WRITERS, posts=WRITERS, posted=200),
    "import_check": Visit("tables/hostile/import/{check}/", may=ROOT, posts=ROOT, hidden=WRITERS),
    "row_add": Visit("tables/hostile/rows/add/", may=WRITERS, posts=WRITERS, posted=200),
    "row": Visit("tables/hostile/rows/7/", posts=WRITERS, posted=400),
    "lookup": Visit("tables/hostile/lookup/?column=parent", part=True),
    "schemas": Visit("schemas/", posts=STEWARDS),
    "schema": Visit("schemas/hostile/"),
    "diagram": Visit("diagram/"),
    "query": Visit("query/", posts=ALL, posted=200),
    "jobs": Visit("jobs/", posts=OPERATORS),
    "job": Visit("jobs/{job}/", may=OPERATORS, posts=OPERATORS, hidden=ALL),
    "plans": Visit("plans/", posts=STEWARDS),
    "plans_together": Visit("plans/together/?plans={plan}", may=STEWARDS, posts=STEWARDS),
    "plan": Visit("plans/{plan}/", posts=STEWARDS),
    "plan_undo": Visit("plans/{applied}/undo/", may=STEWARDS, posts=STEWARDS),
    "audit": Visit("audit/", may=AUDITORS, posts=AUDITORS),
    "audit_entry": Visit("audit/{entry}/", may=AUDITORS),
}
# The same pages, by GET, in another state, which looks otherwise,
STATES = (
    Visit("tables/hostile/?measured=1"),
    Visit("schemas/hostile/?from=1&to=2"),
    Visit("plans/{applied}/"),
)
# and by another address, which looks the same.
FILTERED = (
    Visit("?span=day"),
    Visit("tables/hostile/rows/?choice=b"),
    Visit("jobs/?state=failed"),
    Visit("plans/?state=proposed"),
    Visit("audit/?object=hostile&from=nonsense", may=AUDITORS),
    Visit("audit/?format=json", may=AUDITORS, part=True),
)
# Django's own, by address.
DJANGOS = (
    Visit("", posts=ALL, posted=200),
    Visit("people/token/", posts=ALL, posted=200),
    Visit("password_change/", posts=ALL, posted=200),
    Visit("auth/user/", may=ROOT, posts=ROOT, posted=200),
    Visit("auth/user/add/", may=ROOT, posts=ROOT, posted=200),
    Visit("auth/group/", may=ROOT, posts=ROOT, posted=200),
    Visit("axes/accessattempt/", may=ROOT, posts=ROOT, posted=200),
)
# The rest of Django's own, about records that the test of rights makes; nobody makes or changes a token or an attempt here.
RECORDS = (
    Visit("search/?s=a", posts=ALL, posted=200),
    Visit("password_change/done/"),
    Visit("autocomplete/?app_label=auth&model_name=user&field_name=groups", may=ROOT),
    Visit("jsi18n/"),
    Visit("auth/", may=ROOT, posts=ROOT, posted=200, refused=404),
    Visit("people/", posts=ALL, posted=200),
    *(Visit(f"auth/user/{{user}}/{page}/", may=ROOT, posts=ROOT, posted=200) for page in ("change", "password", "history", "delete")),
    Visit("auth/group/add/", may=ROOT, posts=ROOT, posted=200),
    *(Visit(f"auth/group/{{group}}/{page}/", may=ROOT, posts=ROOT, posted=200) for page in ("change", "history", "delete")),
    Visit("people/token/add/", may=NOBODY, posts=NOBODY),
    Visit("people/token/{token}/delete/", may=NOBODY, posts=NOBODY),
    Visit("axes/accessattempt/add/", may=NOBODY, posts=NOBODY),
    Visit("axes/accessattempt/{attempt}/change/", may=ROOT, posts=NOBODY),
    Visit("axes/accessattempt/{attempt}/history/", may=ROOT, posts=ROOT, posted=200),
    Visit("axes/accessattempt/{attempt}/delete/", may=NOBODY, posts=NOBODY),
)


def address(visit: Visit, shown: SimpleNamespace) -> str:
    made = {name: getattr(shown, name).pk for name in ("job", "plan", "applied", "entry", "check")}
    return "/console/" + visit.path.format_map(made)


def pages(shown: SimpleNamespace) -> dict[str, Visit]:
    """Every page by its whole address."""
    return {address(visit, shown): visit for visit in (*OURS.values(), *STATES, *FILTERED, *DJANGOS)}


def pages_of_ours(shown: SimpleNamespace) -> Iterator[str]:
    """The addresses of the whole pages that are not Django's own; the first page is ours."""
    yield from (address(visit, shown) for visit in (*OURS.values(), *STATES, DJANGOS[0]) if not visit.part)


def visit(client: Client, address: str, method: str = "GET") -> Any:
    """The page's answer, wholly read: one that streams keeps a thread until it is."""
    answer = client.get(address) if method == "GET" else client.post(address)
    if answer.streaming:
        b"".join(answer.streaming_content)
    return answer
