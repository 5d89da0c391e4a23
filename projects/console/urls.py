"""The console's own pages. Django's admin has the rest of /console/: people, their rights and their tokens."""

from django.urls import URLPattern

app_name = "console"

urlpatterns: list[URLPattern] = []
