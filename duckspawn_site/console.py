"""How the console looks, and what stands in its sidebar and on its first page."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static


def _file(path: str) -> Callable[[HttpRequest], str]:
    """A static file's address, asked for when a page is made: the settings that say it are not read yet."""
    return lambda request: static(path)


def _item(title: str, icon: str, link: str, right: str, words: str) -> dict[str, Any]:
    """A link, for those who have the right; no right is everybody's."""
    item: dict[str, Any] = {"title": title, "icon": icon, "link": link, "words": words}
    return item | {"permission": lambda request: request.user.has_perm(right)} if right else item


# The landing page's amber, dark enough at 600 for white text on it.
AMBER = {
    "50": "#fdf8ec",
    "100": "#faeecb",
    "200": "#f5dc92",
    "300": "#f2c14e",
    "400": "#e5ad35",
    "500": "#c08a1a",
    "600": "#8a5a00",
    "700": "#734b02",
    "800": "#5f3e08",
    "900": "#4f340b",
    "950": "#2d1c04",
}

# Rights are named in schema_registry/rights.py, which cannot be imported while the settings are read.
READ_ROWS, READ_AUDIT = "projects.read_rows", "schema_registry.read_audit"
CONSOLE = "/console/"
DATA = [
    _item("Tables", "table_chart", f"{CONSOLE}tables/", READ_ROWS, "What is in each, how large it is, and whether it is in step."),
    _item("Diagram", "account_tree", f"{CONSOLE}diagram/", READ_ROWS, "Which table refers to which, drawn."),
    _item("Schemas", "schema", f"{CONSOLE}schemas/", READ_ROWS, "What the ontology said each table should be, and when."),
    _item("Plans", "rule", f"{CONSOLE}plans/", READ_ROWS, "What a change would do to live rows; approve, apply, undo."),
    _item("Query", "terminal", f"{CONSOLE}query/", READ_ROWS, "A SELECT over the tables, and what you asked before."),
    _item("Jobs", "pending_actions", f"{CONSOLE}jobs/", READ_ROWS, "Work that outlives a request, and what came of it."),
    _item("Audit log", "verified_user", f"{CONSOLE}audit/", READ_AUDIT, "Who did what. It can be verified."),
    _item("API docs", "api", "/docs", READ_ROWS, "Every path of the service and of each table."),
]
PEOPLE = [
    _item("Users", "person", f"{CONSOLE}auth/user/", "auth.view_user", "Who may sign in, and with which role."),
    _item("Groups", "group", f"{CONSOLE}auth/group/", "auth.view_group", "The roles, and the rights of each."),
    _item("Failed logins", "lock_clock", f"{CONSOLE}axes/accessattempt/", "axes.view_accessattempt", "Who is slowed; let them try again."),
    _item("Tokens", "key", f"{CONSOLE}people/token/", "", "What programs sign in with; revoke them here."),
]

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "DuckDB Spawn",
    "SITE_HEADER": "DuckDB Spawn",
    "SITE_SYMBOL": "table_chart",
    "SITE_URL": "/",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _file("projects/icon.svg")}],
    "SHOW_HISTORY": True,
    "COLORS": {"primary": AMBER},
    "STYLES": [_file("projects/console.css")],
    "SCRIPTS": [_file("console/times.js")],
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": False,
        "navigation": [{"title": "Data", "items": DATA}, {"title": "People", "items": PEOPLE}],
    },
}
