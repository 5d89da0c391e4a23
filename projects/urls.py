"""Tables and rows by address; the reserved names come before the tables."""

from django.urls import path

from projects import backup_views, change_views, drift_views, plan_views, row_views, sync_views, table_views
from projects.openapi import Docs, Document, TableJsonSchema

urlpatterns = [
    path("openapi.json", Document.as_view(), name="openapi"),
    path("docs", Docs.as_view(), name="docs"),
    path("ops/initialize", table_views.Initialize.as_view()),
    path("ops/query", table_views.Query.as_view()),
    path("ops/jobs", table_views.Jobs.as_view()),
    path("ops/jobs/<uuid:job>", sync_views.OneJob.as_view()),
    path("ops/jobs/<uuid:job>/file", sync_views.JobFile.as_view()),
    path("ops/jobs/<uuid:job>/rejects", sync_views.Rejects.as_view()),
    path("ops/<str:table>", row_views.Rows.as_view()),
    path("ops/<str:table>/changes", change_views.Changes.as_view()),
    path("ops/<str:table>/schema", TableJsonSchema.as_view()),
    path("ops/<str:table>/aggregate", row_views.Aggregate.as_view()),
    path("ops/<str:table>/<str:key>", row_views.Row.as_view()),
    path("admin/plans", plan_views.Plans.as_view()),
    path("admin/plans/apply", plan_views.ApplyPlans.as_view()),
    path("admin/plans/<int:plan>", plan_views.OnePlan.as_view()),
    path("admin/plans/<int:plan>/approve", plan_views.ApprovePlan.as_view()),
    path("admin/plans/<int:plan>/reject", plan_views.RejectPlan.as_view()),
    path("admin/plans/<int:plan>/apply", plan_views.ApplyPlan.as_view()),
    path("admin/plans/<int:plan>/undo", plan_views.UndoPlan.as_view()),
    path("admin/drift", drift_views.Drift.as_view()),
    path("admin/sync", sync_views.Sync.as_view()),
    path("admin/tables", table_views.Tables.as_view()),
    path("admin/tables/<str:table>", table_views.Table.as_view()),
    path("admin/tables/<str:table>/aliases/<str:alias>", table_views.TableAlias.as_view()),
    path("admin/backups", backup_views.Backups.as_view()),
    path("admin/audit/verify", table_views.VerifyAudit.as_view()),
]
