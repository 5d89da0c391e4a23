"""A page of the console that is ours and no model's: who may see it, what stands in its head, and the words of its address."""

from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.views.generic import TemplateView

from schema_registry import rights


class Page(TemplateView):
    """Shows `template_name` inside the console; `rights` names the right that each method needs, as REST views do.

    `title` stands in the head; `crumbs` are the (words, address) of the pages above this one.
    """

    title: str = ""
    rights: ClassVar[dict[str, str]] = {"GET": rights.READ_ROWS}

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Raises PermissionDenied, a page of 403, for somebody without the method's right."""
        method = "GET" if request.method == "HEAD" else request.method or ""
        if method in self.rights and not self.allows(self.rights[method]):
            raise PermissionDenied(f"This needs the right {self.rights[method]}; ask somebody who gives roles for one that has it.")
        return super().dispatch(request, *args, **kwargs)

    def allows(self, right: str) -> bool:
        """Whether the reader has the right; a button that needs it is left out where not."""
        return rights.allows(self.request.user, None, right)

    @property
    def crumbs(self) -> list[tuple[str, str]]:
        return []

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        found = {name: self.allows(right) for name, right in MAY.items()}
        head = {"title": self.title, "crumbs": self.crumbs, "may": found, "is_fullwidth": "1"}
        return admin.site.each_context(self.request) | head | super().get_context_data(**kwargs)


# What a template asks of its reader: `{% if may.write_rows %}`.
MAY = {
    "read_rows": rights.READ_ROWS,
    "write_rows": rights.WRITE_ROWS,
    "manage_tables": rights.MANAGE_TABLES,
    "manage_jobs": rights.MANAGE_JOBS,
    "read_audit": rights.READ_AUDIT,
    "operate": rights.OPERATE,
}


def page(route: str, view: type[Page], name: str) -> URLPattern:
    """The page's address below /console/; who is not signed in is sent to the login first. Reversed as `console:<name>`."""
    return path(route, admin.site.admin_view(view.as_view()), name=name)
