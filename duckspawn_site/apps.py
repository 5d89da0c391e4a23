from django.contrib.admin.apps import AdminConfig


class ConsoleConfig(AdminConfig):
    """Django's admin with our site for its own: who may enter is ours to say, and the first page is."""

    default_site = "duckspawn_site.site.ConsoleSite"
