"""Where the service is watched; probes are answered before (middleware.py)."""

from django.urls import path

from monitoring import views

urlpatterns = [
    path("monitoring/health", views.Health.as_view(), name="health"),
    path("monitoring/metrics/system", views.SystemMetrics.as_view(), name="system-metrics"),
    path("admin/logging/level", views.LogLevel.as_view(), name="log-level"),
    path("metrics", views.Prometheus.as_view(), name="metrics"),
]
