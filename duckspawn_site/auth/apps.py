from django.apps import AppConfig


class AuthConfig(AppConfig):
    name = "duckspawn_site.auth"
    label = "people"
    verbose_name = "Tokens"
