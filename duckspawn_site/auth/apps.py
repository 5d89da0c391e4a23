from django.apps import AppConfig
from django.db.models.signals import m2m_changed, post_delete, post_save


class AuthConfig(AppConfig):
    name = "duckspawn_site.auth"
    label = "people"
    verbose_name = "Tokens"

    def ready(self) -> None:
        """Whatever changes a person, a group or a token forgets what was kept about them; a login that axes locks is refused."""
        from axes.signals import user_locked_out  # noqa: PLC0415 - Models load before this runs, not before the module.
        from django.contrib.auth.models import Group, User  # noqa: PLC0415

        import duckspawn_site.auth.openapi  # noqa: F401, PLC0415 - Importing it is what registers it.
        from duckspawn_site.auth.authentication import forget_all  # noqa: PLC0415
        from duckspawn_site.auth.logins import refuse  # noqa: PLC0415
        from duckspawn_site.auth.models import Token  # noqa: PLC0415

        user_locked_out.connect(refuse, dispatch_uid="refuse a slowed login")
        for model in (User, Token):
            post_save.connect(forget_all, sender=model, dispatch_uid=f"forget {model.__name__} saved")
            post_delete.connect(forget_all, sender=model, dispatch_uid=f"forget {model.__name__} deleted")
        for through in (User.groups.through, User.user_permissions.through, Group.permissions.through):
            m2m_changed.connect(forget_all, sender=through, dispatch_uid=f"forget {through.__name__}")
