"""Every page of the console: its address, and who may see it. A page that is not here fails a test."""

from types import SimpleNamespace

ROLES = ("viewer", "editor", "steward", "operator", "superuser")
READERS = set(ROLES)
STEWARDS = {"steward", "superuser"}
WRITERS = {"editor", "steward", "superuser"}
AUDITORS = {"steward", "operator", "superuser"}
ROOT = {"superuser"}

# The name of each page of ours, with its address below /console/ and who may GET it.
OURS: dict[str, tuple[str, set[str]]] = {}
# Who may POST to it; for all others it is 403.
POSTS: dict[str, set[str]] = {}
# Django's own pages that stand in the console, by address.
DJANGOS = {
    "": READERS,
    "?span=day": READERS,
    "people/token/": READERS,
    "password_change/": READERS,
    "auth/user/": ROOT,
    "auth/user/add/": ROOT,
    "auth/group/": ROOT,
    "projects/managedtable/": READERS,
    "projects/job/": READERS,
    "schema_registry/snapshot/": READERS,
    "schema_registry/auditentry/": AUDITORS,
}


def pages(shown: SimpleNamespace) -> dict[str, set[str]]:
    """Each address of the console, for what the fixture `shown` made, with who may see it."""
    made = {"job": shown.job.pk, "plan": shown.plan.pk, "entry": shown.entry.pk}
    ours = {path.format_map(made): may for path, may in OURS.values()}
    return {f"/console/{path}": may for path, may in (DJANGOS | ours).items()}
