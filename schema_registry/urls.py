"""The registry's addresses; each answers with and without a slash at its end, and OpenAPI shows the form without."""

from django.urls import URLPattern, path

from schema_registry.views import AuditView, SchemasView


def _both(route: str, view: type[SchemasView] | type[AuditView], action: str, name: str) -> list[URLPattern]:
    return [
        path(route, view.as_view({"get": action}), name=name),
        path(f"{route}/", view.as_view({"get": action}, schema=None)),
    ]


urlpatterns = [
    *_both("admin/schemas", SchemasView, "list", "schemas"),
    *_both("admin/schemas/<str:name>/versions", SchemasView, "versions", "schema-versions"),
    *_both("admin/schemas/<str:name>/versions/<int:number>", SchemasView, "version", "schema-version"),
    *_both("admin/audit", AuditView, "list", "audit"),
]
