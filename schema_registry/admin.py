"""The registry in the console: snapshots and the audit log, to be read only."""

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from schema_registry import documents, rights
from schema_registry.models import AuditEntry, Snapshot
from schema_registry.schema import ColumnSchema


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


@admin.register(Snapshot)
class SnapshotAdmin(ReadOnlyAdmin):
    empty_text = "No schema was fetched yet. Start the ontology server, then spawn the tables or sync them; each schema is kept here."
    list_display = ["table_name", "number", "source", "document_id", "short_fingerprint", "fetched_at", "last_seen_at"]
    list_display_links = ["table_name", "number"]
    list_filter = ["provenance", "table_name"]
    search_fields = ["table_name", "document_id", "fingerprint", "url"]
    search_help_text = "Searches tables, documents, sources and fingerprints."
    fieldsets = [
        (None, {"fields": ["table_name", "number", "source", "document_id", "fetched_at", "last_seen_at", "url", "etag", "fingerprint"]}),
        ("What the table should be", {"fields": ["columns", "key", "inferred"]}),
        ("As it was fetched", {"fields": ["pretty_document"]}),
    ]
    readonly_fields = ["source", "columns", "key", "inferred", "pretty_document"]

    @admin.display(description="Provenance", ordering="provenance")
    def source(self, snapshot: Snapshot) -> str:
        return snapshot.provenance

    @admin.display(description="Fingerprint", ordering="fingerprint")
    def short_fingerprint(self, snapshot: Snapshot) -> str:
        return snapshot.fingerprint[:12]

    @admin.display(description="Columns")
    def columns(self, snapshot: Snapshot) -> SafeString:
        head = format_html_join("", '<th class="px-3 py-2 text-left" scope="col">{}</th>', ((name,) for name in _HEADINGS))
        rows = format_html_join("", "<tr>{}</tr>", ((_cells(column),) for column in snapshot.as_schema().columns))
        return format_html(
            '<div class="overflow-x-auto"><table class="w-full"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>', head, rows
        )

    @admin.display(description="Key")
    def key(self, snapshot: Snapshot) -> str:
        return ", ".join(snapshot.as_schema().primary_key)

    @admin.display(description="Inferred", empty_value="Nothing: the document says it all.")
    def inferred(self, snapshot: Snapshot) -> SafeString | None:
        if not snapshot.notes:
            return None
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{}</li>", ((note,) for note in snapshot.notes)))

    @admin.display(description="Document")
    def pretty_document(self, snapshot: Snapshot) -> SafeString:
        return _pre(_pretty(snapshot.document))


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


_HEADINGS = ("Column", "Type", "Required", "Rules", "Unit", "Description")


def _cells(column: ColumnSchema) -> SafeString:
    values = (column.name, column.sql_type, "yes" if column.required else "no", _rules(column), column.unit or "", column.description)
    return format_html_join("", '<td class="px-3 py-2 align-top">{}</td>', ((value,) for value in values))


def _rules(column: ColumnSchema) -> str:
    """What a column's values must be, and where they come from, in a few words."""
    said = {
        "one of": ", ".join(column.enum or ()),
        "default": column.default,
        "generated": column.generated,
        "at least": column.minimum,
        "at most": column.maximum,
        "characters": column.max_length,
        "pattern": column.pattern,
        "refers to": column.references,
        "was": column.renamed_from,
    }
    words = [f"{name} {value}" for name, value in said.items() if value not in (None, "")]
    return "; ".join([*words, *(["deprecated"] if column.deprecated else [])])


def _pretty(document: str) -> str:
    """The document on several lines, every number with its digits."""
    try:
        return documents.pretty(documents.read(document))
    except documents.NotJson:
        return document


def _pre(text: str) -> SafeString:
    return format_html('<pre class="overflow-x-auto whitespace-pre-wrap">{}</pre>', text)
