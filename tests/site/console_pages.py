"""Every page of the console: its address, and who may see it. A page that is not here fails a test."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from django.test import Client

ROLES = ("viewer", "editor", "steward", "operator", "superuser")
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

    Others are answered 403, but those to whom it is `hidden` 404: it is another person's. A `part` is fetched into a page.
    """

    path: str
    may: frozenset[str] = ALL
    posts: frozenset[str] = NOBODY
    hidden: frozenset[str] = NOBODY
    part: bool = False

    def status(self, role: str) -> int:
        return 200 if role in self.may else 404 if role in self.hidden else 403


OURS: dict[str, Visit] = {
    "tables": Visit("tables/"),
    "table": Visit("tables/hostile/", posts=STEWARDS),
    "measured": Visit("tables/hostile/measured/", part=True),
    "rows": Visit("tables/hostile/rows/"),
    "import": Visit("tables/hostile/import/", may=WRITERS, posts=WRITERS),
    "import_check": Visit("tables/hostile/import/{check}/", may=ROOT, posts=ROOT, hidden=WRITERS),
    "row_add": Visit("tables/hostile/rows/add/", may=WRITERS, posts=WRITERS),
    "row": Visit("tables/hostile/rows/7/", posts=WRITERS),
    "lookup": Visit("tables/hostile/lookup/?column=parent", part=True),
    "schemas": Visit("schemas/", posts=STEWARDS),
    "schema": Visit("schemas/hostile/"),
    "diagram": Visit("diagram/"),
    "query": Visit("query/", posts=ALL),
    "jobs": Visit("jobs/", posts=OPERATORS),
    "job": Visit("jobs/{job}/", may=OPERATORS, posts=ALL, hidden=ALL),
    "plans": Visit("plans/", posts=STEWARDS),
    "plans_together": Visit("plans/together/?plans={plan}", may=STEWARDS, posts=STEWARDS),
    "plan": Visit("plans/{plan}/", posts=STEWARDS),
    "plan_undo": Visit("plans/{applied}/undo/", may=STEWARDS, posts=STEWARDS),
    "audit": Visit("audit/", may=AUDITORS, posts=AUDITORS),
    "audit_entry": Visit("audit/{entry}/", may=AUDITORS),
}
# The same pages in another state, which looks otherwise,
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
    Visit(""),
    Visit("people/token/"),
    Visit("password_change/"),
    Visit("auth/user/", may=ROOT),
    Visit("auth/user/add/", may=ROOT),
    Visit("auth/group/", may=ROOT),
    Visit("axes/accessattempt/", may=ROOT),
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


def visit(client: Client, address: str) -> Any:
    """The page's answer, wholly read: one that streams keeps a thread until it is."""
    answer = client.get(address)
    if answer.streaming:
        b"".join(answer.streaming_content)
    return answer
