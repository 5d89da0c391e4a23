"""Where each path goes. None ends with a slash but the console's: the middleware takes it away before this is asked."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from duckspawn_site import views

urlpatterns = [
    # First, because rows are asked for most.
    path("", include("projects.urls")),
    path("", views.landing, name="landing"),
    path("console", RedirectView.as_view(url="/console/")),
    path("console/", include("projects.console.urls")),
    path("console/", admin.site.urls),
    path("admin", views.admin),
    path("", include("duckspawn_site.auth.urls")),
    path("", include("monitoring.urls")),
    path("", include("schema_registry.urls")),
]

handler400 = "duckspawn_site.errors.bad_request"
handler403 = "duckspawn_site.errors.forbidden"
handler404 = "duckspawn_site.errors.not_found"
handler500 = "duckspawn_site.errors.internal_error"
