"""The console's own pages. Django's admin has the rest of /console/: people, their rights and their tokens."""

from django.urls import URLPattern

from projects.console import audit, imports, jobs, plan_undo, plans, query
from projects.console.diagram import Diagram
from projects.console.grid import Grid
from projects.console.lookup import Lookup
from projects.console.row import OneRow
from projects.console.row_add import NewRow
from projects.console.schemas import Schema, Schemas
from projects.console.table import Measured, Table
from projects.console.tables import Tables
from schema_registry.pages import page

app_name = "console"

urlpatterns: list[URLPattern] = [
    page("tables/", Tables, "tables"),
    page("tables/<str:table>/", Table, "table"),
    page("tables/<str:table>/measured/", Measured, "measured"),
    page("tables/<str:table>/rows/", Grid, "rows"),
    page("tables/<str:table>/rows/add/", NewRow, "row_add"),
    page("tables/<str:table>/rows/<str:key>/", OneRow, "row"),
    page("tables/<str:table>/lookup/", Lookup, "lookup"),
    page("tables/<str:table>/import/", imports.Import, "import"),
    page("tables/<str:table>/import/<uuid:check>/", imports.Check, "import_check"),
    page("diagram/", Diagram, "diagram"),
    page("schemas/", Schemas, "schemas"),
    page("schemas/<str:table>/", Schema, "schema"),
    page("plans/", plans.PlansPage, "plans"),
    page("plans/together/", plans.TogetherPage, "plans_together"),
    page("plans/<int:plan>/", plans.PlanPage, "plan"),
    page("plans/<int:plan>/undo/", plan_undo.UndoPage, "plan_undo"),
    page("query/", query.Query, "query"),
    page("jobs/", jobs.Jobs, "jobs"),
    page("jobs/<uuid:job>/", jobs.OneJob, "job"),
    page("audit/", audit.AuditPage, "audit"),
    page("audit/<int:seq>/", audit.EntryPage, "audit_entry"),
]
