"""The audit log in the console, to be read only."""

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from schema_registry import documents, rights
from schema_registry.models import AuditEntry


class ReadOnlyAdmin(ModelAdmin):
    """Pages that show and never change; `right` is what their reader needs."""

    right = rights.READ_ROWS
    empty_text = ""
    list_before_template = "schema_registry/list_intro.html"
    list_per_page = 50
    list_fullwidth = True
    actions = None

    def has_module_permission(self, request: HttpRequest) -> bool:
        return rights.allows(request.user, None, self.right)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return rights.allows(request.user, None, self.right)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    right = rights.READ_AUDIT
    empty_text = "Nothing was done yet. Every change of a table, a plan or a right is noted here."
    list_display = ["seq", "at", "actor", "action", "object", "short_hash"]
    list_filter = ["action", "at"]
    search_fields = ["actor", "action", "object"]
    search_help_text = "Searches actors, actions and objects."
    show_full_result_count = False
    fields = ["seq", "at", "actor", "action", "object", "pretty_detail", "previous_hash", "hash"]
    readonly_fields = ["pretty_detail"]

    @admin.display(description="Hash", ordering="hash")
    def short_hash(self, entry: AuditEntry) -> str:
        return entry.hash[:12]

    @admin.display(description="Detail")
    def pretty_detail(self, entry: AuditEntry) -> SafeString:
        return _pre(documents.pretty(entry.detail))


def _pre(text: str) -> SafeString:
    return format_html('<pre class="overflow-x-auto whitespace-pre-wrap">{}</pre>', text)
