"""People in the console: users, groups, tokens that can be seen and revoked but not made, and logins that failed."""

from typing import Any

from axes.models import AccessAttempt
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from duckspawn_site.auth import logins, tokens
from duckspawn_site.auth.models import Token
from projects import audit
from schema_registry import rights

admin.site.unregister(User)
admin.site.unregister(Group)


class AuditedAdmin(ModelAdmin):
    """Whatever is changed here is in the audit log, with who changed it."""

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self._record("add", request, obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self._record("change", request, obj)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet) -> Any:
        for obj in queryset:
            self._record("delete", request, obj)
        return super().log_deletions(request, queryset)

    def _record(self, deed: str, request: HttpRequest, obj: Model) -> None:
        kind = str(obj._meta.verbose_name)
        audit.record(f"{kind}.{deed}", str(obj), actor=request.user.get_username(), detail={})


@admin.register(User)
class UserAdmin(DjangoUserAdmin, AuditedAdmin):  # type: ignore[misc]  # Django's stubs name an argument otherwise.
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, AuditedAdmin):  # type: ignore[misc]
    pass


@admin.register(Token)
class TokenAdmin(ModelAdmin):
    """A person sees their own tokens, a superuser everybody's."""

    list_display = ["__str__", "user", "role", "scopes", "created", "expiry", "last_used_at"]
    list_filter = ["role"]
    search_fields = ["name", "user__username"]
    fields = readonly_fields = ["name", "user", "role", "scopes", "created", "expiry", "last_used_at"]
    actions = ["revoke"]

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        everybodys = super().get_queryset(request).select_related("user")
        return everybodys if request.user.is_superuser else everybodys.filter(user=request.user.pk)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return rights.may_enter(request.user)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    @admin.action(description="Revoke the selected tokens")
    def revoke(self, request: HttpRequest, queryset: QuerySet[Token]) -> None:
        count = 0
        for token in queryset:
            tokens.revoke(token, actor=request.user.get_username())
            count += 1
        self.message_user(request, f"{count} revoked.")


@admin.register(AccessAttempt)
class FailedLoginAdmin(ModelAdmin):
    """Who failed to sign in, and from where; they can be let in again before their time."""

    list_display = ["username", "ip_address", "failures_since_start", "attempt_time"]
    search_fields = ["username", "ip_address"]
    fields = readonly_fields = ["username", "ip_address", "failures_since_start", "attempt_time", "path_info", "user_agent"]
    actions = ["unlock"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    @admin.action(description="Let them try again")
    def unlock(self, request: HttpRequest, queryset: QuerySet[AccessAttempt]) -> None:
        names = sorted(set(queryset.values_list("username", flat=True)))
        for name in names:
            logins.unlock(name, actor=request.user.get_username())
        self.message_user(request, f"{', '.join(names)} may try again.")
