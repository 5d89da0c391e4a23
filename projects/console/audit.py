"""The audit log in the console: who did what and when, each entry with its before and after, and whether the chain is whole."""

import csv
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.dateparse import parse_datetime

from projects import audit, jobs
from projects.models import Plan
from projects.slots import Streaming
from schema_registry import audit as chain
from schema_registry import documents, rights
from schema_registry.errors import SpawnError
from schema_registry.models import AuditEntry
from schema_registry.pages import Page

PER_PAGE = 50
SUGGESTED = 1_000  # of the last entries, whose people and actions are offered to filter by
AT_ONCE = 20_000  # entries that are verified while the reader waits; more are a job
FILTERS = ("actor", "object", "action", "from", "until")
READS = {"GET": rights.READ_AUDIT, "POST": rights.READ_AUDIT}


class AuditPage(Page):
    """The log, newest first, or with `format` (csv or json) as a file; POST verifies all of it now."""

    title = "Audit log"
    template_name = "console/audit.html"
    rights = READS

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return _exported(request) if "format" in request.GET else super().get(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        chosen, faults = _chosen(self.request)
        entries, newer, older = _page(_filtered(chosen), self.request)
        last = list(AuditEntry.objects.values_list("actor", "action")[:SUGGESTED])
        return super().get_context_data(
            entries=[_line(entry) for entry in entries],
            newer=newer,
            older=older,
            chosen=chosen,
            faults=faults,
            query=urlencode({name: value for name, value in chosen.items() if value}),
            actors=sorted({actor for actor, _ in last}),
            actions=sorted({action for _, action in last}),
            **_badge(),
            **kwargs,
        )

    def post(self, request: HttpRequest) -> HttpResponse:
        """The whole chain, at once where it is short, else as a job."""
        if chain.head().seq > AT_ONCE:
            job = jobs.leave_once("verify_audit", {}, request.user)
            messages.info(request, f"The log is long, so a job verifies it: {job.pk}. Its page says what it finds.")
            return redirect(f"/console/jobs/{job.pk}/")
        verdict = audit.verify()
        say = messages.success if verdict.ok else messages.error
        say(request, f"The chain {'verifies' if verdict.ok else 'is broken'}: {verdict.detail}.")
        return redirect("console:audit")


def _badge() -> dict[str, Any]:
    """Whether the chain verifies, or why nobody can say."""
    try:
        return {"standing": audit.standing()}
    except SpawnError as failure:
        return {"standing": None, "standing_unknown": str(failure)}


def _chosen(request: HttpRequest) -> tuple[dict[str, str], list[str]]:
    """The filters as they were typed, and what is wrong with the moments among them."""
    chosen = {name: request.GET.get(name, "").strip() for name in FILTERS}
    faults = [name for name in ("from", "until") if chosen[name] and _moment(chosen[name]) is None]
    return chosen, faults


def _moment(text: str) -> datetime | None:
    """An ISO moment; in UTC where it says no zone."""
    try:
        found = parse_datetime(text)
    except ValueError:
        return None
    return found if found is None or found.tzinfo else found.replace(tzinfo=UTC)


def _filtered(chosen: Mapping[str, str]) -> QuerySet[AuditEntry]:
    exact = {name: chosen[name] for name in ("actor", "object", "action") if chosen[name]}
    since, until = _moment(chosen["from"]), _moment(chosen["until"])
    return AuditEntry.objects.filter(**exact, **({"at__gte": since} if since else {}), **({"at__lte": until} if until else {}))


def _page(found: QuerySet[AuditEntry], request: HttpRequest) -> tuple[list[AuditEntry], int | None, int | None]:
    """One page by the entries' numbers, so that the last is as near as the first; and where the newer and the older ones are."""
    before, after = _number(request, "before"), _number(request, "after")
    if after is not None:
        entries = list(reversed(found.filter(seq__gt=after).order_by("seq")[: PER_PAGE + 1]))
        is_first, entries = len(entries) <= PER_PAGE, entries[-PER_PAGE:]
        is_last = False
    else:
        entries = list((found if before is None else found.filter(seq__lt=before)).order_by("-seq")[: PER_PAGE + 1])
        is_first, is_last, entries = before is None, len(entries) <= PER_PAGE, entries[:PER_PAGE]
    newer = None if is_first or not entries else entries[0].seq
    return entries, newer, None if is_last or not entries else entries[-1].seq


def _line(entry: AuditEntry) -> dict[str, Any]:
    """An entry as the list shows it: its plan, and what its detail says in a few words; what is deeper stands on its own page."""
    said = {
        name: value for name, value in _detail(entry).items() if name != "plan" and value not in (None, "") and not isinstance(value, dict)
    }
    words = [(name, ", ".join(map(str, value)) if isinstance(value, list) else _said(value)) for name, value in said.items()]
    return {"entry": entry, "plan": _plan_number(entry), "words": words}


def _number(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 16 else None


# The same as a file.


def _exported(request: HttpRequest) -> StreamingHttpResponse:
    """The entries that the filters let through, all of them, oldest first. Raises Http404 for a format that there is not."""
    chosen, faults = _chosen(request)
    kind = request.GET.get("format", "")
    if faults or kind not in _WRITERS:
        raise Http404
    write, content_type = _WRITERS[kind]
    entries = _filtered(chosen).order_by("seq").iterator(chunk_size=2_000)
    headers = {"Content-Disposition": f'attachment; filename="audit.{kind}"'}
    return StreamingHttpResponse(Streaming(write(entries)), content_type=content_type, headers=headers)


COLUMNS = ("seq", "at", "actor", "action", "object", "detail", "previous_hash", "hash")


class _Line:
    """What the csv module writes to: each line is handed on."""

    def write(self, text: str) -> str:
        return text


def _as_csv(entries: Iterator[AuditEntry]) -> Iterator[str]:
    lines = csv.writer(_Line())
    yield lines.writerow(COLUMNS)
    for entry in entries:
        plain = _plain(entry)
        yield lines.writerow([json.dumps(value, ensure_ascii=False) if name == "detail" else value for name, value in plain.items()])


def _as_json(entries: Iterator[AuditEntry]) -> Iterator[str]:
    comma = "["
    for entry in entries:
        yield comma + json.dumps(_plain(entry), ensure_ascii=False)
        comma = ",\n"
    yield "]\n" if comma != "[" else "[]\n"


def _plain(entry: AuditEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in COLUMNS} | {"at": entry.at.astimezone(UTC).isoformat()}


_WRITERS = {"csv": (_as_csv, "text/csv; charset=utf-8"), "json": (_as_json, "application/json")}


# One entry.


class EntryPage(Page):
    """One entry: what was done to what, before and after, and its place in the chain."""

    template_name = "console/audit_entry.html"
    rights = {"GET": rights.READ_AUDIT}

    @property
    def crumbs(self) -> list[tuple[str, str]]:
        return [("Audit log", reverse("console:audit"))]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        entry = AuditEntry.objects.filter(pk=min(self.kwargs["seq"], 2**63 - 1)).first()
        if entry is None:
            raise Http404
        self.title = f"Entry {entry.seq}: {entry.action}"
        plan = _plan_of(entry)
        return super().get_context_data(
            entry=entry,
            plan=plan,
            changes=_changes(entry, plan),
            facts=[(name, _said(value)) for name, value in _detail(entry).items() if name not in ("before", "after")],
            detail=documents.pretty(_detail(entry)),
            fault=chain.fault(entry),
            newer=AuditEntry.objects.filter(seq__gt=entry.seq).order_by("seq").values_list("seq", flat=True).first(),
            older=AuditEntry.objects.filter(seq__lt=entry.seq).order_by("-seq").values_list("seq", flat=True).first(),
            **kwargs,
        )


def _plan_of(entry: AuditEntry) -> Plan | None:
    number = _plan_number(entry)
    return Plan.objects.filter(pk=number).first() if number else None


def _plan_number(entry: AuditEntry) -> int | None:
    number = _detail(entry).get("plan")
    return number if isinstance(number, int) and not isinstance(number, bool) and 0 < number < 2**31 else None


def _changes(entry: AuditEntry, plan: Plan | None) -> list[dict[str, str]]:
    """What was before and what after: the entry's own words, the steps of its plan, or the settings that it names."""
    if {"before", "after"} & set(_detail(entry)):
        after = _detail(entry).get("after", entry.object)  # A log level has its new value for an object.
        return [{"what": entry.object, "before": _said(_detail(entry).get("before")), "after": _said(after)}]
    if plan is None:
        return []
    return [{"what": step["why"], "before": step["before"] or "", "after": step["after"] or ""} for step in plan.steps]


def _said(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _detail(entry: AuditEntry) -> dict[str, Any]:
    """The detail; nothing where somebody tampered with it so that it can be read no longer."""
    return entry.detail if isinstance(entry.detail, dict) else {}
