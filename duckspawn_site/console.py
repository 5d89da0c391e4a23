"""How the console looks, and what stands in its sidebar."""

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static


def _item(title: str, icon: str, link: str, right: str = "") -> dict[str, Any]:
    """A link of the sidebar; with a `right`, for those who have it."""
    item: dict[str, Any] = {"title": title, "icon": icon, "link": link}
    return item | {"permission": lambda request: request.user.has_perm(right)} if right else item


def _stylesheet(request: HttpRequest) -> str:
    return static("projects/console.css")


# Rights are named in schema_registry/rights.py, which cannot be imported while the settings are read.
UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "DuckDB Spawn",
    "SITE_HEADER": "DuckDB Spawn",
    "SITE_SYMBOL": "table_chart",
    "SITE_URL": "/",
    "SHOW_HISTORY": True,
    "STYLES": [_stylesheet],
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": False,
        "navigation": [
            {
                "title": "Data",
                "items": [
                    _item("Tables", "table_chart", "/console/projects/managedtable/", "projects.read_rows"),
                    _item("Schemas", "schema", "/console/schema_registry/snapshot/", "projects.read_rows"),
                    _item("Jobs", "pending_actions", "/console/projects/job/", "projects.read_rows"),
                    _item("Audit log", "verified_user", "/console/schema_registry/auditentry/", "schema_registry.read_audit"),
                    _item("API docs", "api", "/docs", "projects.read_rows"),
                ],
            },
            {
                "title": "People",
                "items": [
                    _item("Users", "person", "/console/auth/user/", "auth.view_user"),
                    _item("Groups", "group", "/console/auth/group/", "auth.view_group"),
                    _item("Tokens", "key", "/console/people/token/"),
                ],
            },
        ],
    },
}
