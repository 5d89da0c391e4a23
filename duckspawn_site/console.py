"""How the console looks, and what stands in its sidebar."""

from typing import Any


def _item(title: str, icon: str, link: str) -> dict[str, str]:
    return {"title": title, "icon": icon, "link": link}


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "DuckDB Spawn",
    "SITE_HEADER": "DuckDB Spawn",
    "SITE_SYMBOL": "table_chart",
    "SITE_URL": "/",
    "SHOW_HISTORY": True,
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": False,
        "navigation": [
            {
                "title": "Data",
                "items": [
                    _item("Tables", "table_chart", "/console/projects/managedtable/"),
                    _item("Schemas", "schema", "/console/schema_registry/snapshot/"),
                    _item("Jobs", "pending_actions", "/console/projects/job/"),
                    _item("Audit", "verified_user", "/console/schema_registry/auditentry/"),
                    _item("API docs", "api", "/docs"),
                ],
            },
            {
                "title": "People",
                "items": [
                    _item("Users", "person", "/console/auth/user/"),
                    _item("Groups", "group", "/console/auth/group/"),
                    _item("Tokens", "key", "/console/people/token/"),
                ],
            },
        ],
    },
}
