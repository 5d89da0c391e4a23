"""Tables and rows by address; the reserved names come before the tables."""

from django.urls import path

from projects import row_views, table_views
from projects.openapi import Docs, Document, TableJsonSchema

urlpatterns = [
    path("openapi.json", Document.as_view(), name="openapi"),
    path("docs", Docs.as_view(), name="docs"),
    path("ops/initialize", table_views.Initialize.as_view()),
    path("ops/query", table_views.Query.as_view()),
    path("ops/jobs", table_views.Jobs.as_view()),
    path("ops/jobs/<uuid:job>", table_views.OneJob.as_view()),
    path("ops/<str:table>", row_views.Rows.as_view()),
    path("ops/<str:table>/schema", TableJsonSchema.as_view()),
    path("ops/<str:table>/<str:key>", row_views.Row.as_view()),
    path("admin/tables", table_views.Tables.as_view()),
    path("admin/tables/<str:table>", table_views.Table.as_view()),
    path("admin/audit/verify", table_views.VerifyAudit.as_view()),
]
