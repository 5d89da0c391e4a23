"""The console's door, which is open to everybody with a right of ours, and its first page."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.forms import AuthenticationForm as DjangoAuthenticationForm
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.forms import AuthenticationForm
from unfold.sites import UnfoldAdminSite

from duckspawn_site.auth.errors import LoginSlowed
from schema_registry.rights import may_enter

WRONG = "This name and password do not fit together. Capital and small letters count."
NO_ROLE = "This account has no role here yet. Ask somebody who gives roles for one."


class ConsoleLogin(AuthenticationForm):
    """Name and password of somebody who is active and has a right of ours; Django's own form asks for its staff flag."""

    error_messages = {**AuthenticationForm.error_messages, "invalid_login": WRONG}
    wait = 0  # seconds, where too many logins failed

    def clean(self) -> dict[str, Any]:
        try:
            return super().clean()
        except LoginSlowed as error:
            self.wait = error.wait
            raise ValidationError(str(error), code="login-slowed") from error

    def confirm_login_allowed(self, user: User) -> None:
        DjangoAuthenticationForm.confirm_login_allowed(self, user)
        if not may_enter(user):
            raise ValidationError(NO_ROLE, code="no_role")


class ConsoleSite(UnfoldAdminSite):
    """Django's admin site. Its pages of models stay bound to their own permissions."""

    login_form = ConsoleLogin
    index_title = "Home"

    def has_permission(self, request: HttpRequest) -> bool:
        return may_enter(request.user)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The login page; with 429 where too many logins failed, and with the reason for who is signed in and has no role."""
        if request.method == "GET" and request.user.is_authenticated and not may_enter(request.user):
            messages.warning(request, NO_ROLE)
        page = super().login(request, extra_context)
        if wait := getattr(getattr(page, "context_data", {}).get("form"), "wait", 0):
            page.status_code, page.headers["Retry-After"] = 429, str(wait)
        return page

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """What needs a person now, and how the service is."""
        from monitoring.console import home  # noqa: PLC0415 - It reads models; this is imported while the apps are still made.

        return super().index(request, home(request.user, request.GET.get("span", "")) | {"is_fullwidth": "1"} | (extra_context or {}))
