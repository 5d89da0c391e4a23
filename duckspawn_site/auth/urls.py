"""Where tokens are."""

from django.urls import path

from duckspawn_site.auth.views import OneToken, Tokens

urlpatterns = [
    path("auth/tokens", Tokens.as_view(), name="tokens"),
    path("auth/tokens/<uuid:token_id>", OneToken.as_view(), name="token"),
]
