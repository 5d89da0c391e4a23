"""Errors become HTTP here and nowhere else: one table, and `application/problem+json` (RFC 9457) or a page for a browser."""

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.template.loader import render_to_string
from django.utils.encoding import escape_uri_path
from rest_framework import exceptions as rest

from duckspawn_site.auth import errors as auth
from projects import audit
from projects import errors as projects
from schema_registry import errors as registry
from schema_registry.database import told
from schema_registry.errors import Problem, SpawnError

log = structlog.get_logger("duckspawn.errors")


@dataclass(frozen=True, slots=True)
class Answer:
    """What an error is over HTTP: a status, a stable code, a title, and when to try again (seconds)."""

    status: int
    code: str
    title: str
    retry_after: int | None = None


INTERNAL = Answer(500, "internal", "Something went wrong here")

# An error that has no line of its own takes that of its nearest ancestor.
ANSWERS: dict[type[BaseException], Answer] = {
    SpawnError: INTERNAL,
    # What was asked for is not there.
    projects.TableNotFound: Answer(404, "table-not-found", "No such table"),
    projects.AliasNotFound: Answer(404, "alias-not-found", "No such old name"),
    projects.RowNotFound: Answer(404, "row-not-found", "No such row"),
    projects.RowErased: Answer(410, "row-erased", "The row was erased"),
    projects.PlanNotFound: Answer(404, "plan-not-found", "No such plan"),
    projects.JobNotFound: Answer(404, "job-not-found", "No such job"),
    projects.JobFileNotFound: Answer(404, "job-file-not-found", "No such file"),
    projects.UploadGone: Answer(404, "upload-gone", "The file is kept no longer"),
    projects.RejectsGone: Answer(404, "no-rejects", "No such rejects"),
    registry.UnknownSchema: Answer(404, "unknown-schema", "No such schema"),
    registry.UnknownVersion: Answer(404, "unknown-version", "No such version"),
    registry.NoSnapshot: Answer(404, "no-snapshot", "No schema of that name"),
    registry.DocumentNotFound: Answer(404, "document-not-found", "No such document"),
    projects.ChangesForgotten: Answer(410, "changes-forgotten", "The changes are kept no longer"),
    # What was sent cannot be taken.
    projects.BadRequest: Answer(400, "bad-request", "The request is not understood"),
    projects.BodyUnfinished: Answer(400, "body-unfinished", "The body did not come whole"),
    UnreadablePostError: Answer(400, "body-unfinished", "The body did not come whole"),
    projects.DocumentNamesOther: Answer(422, "document-names-other", "The document is of another table"),
    projects.UnknownUser: Answer(422, "unknown-user", "No such user"),
    projects.NotAllowed: Answer(403, "not-allowed", "You may not do this"),
    projects.OutcomeRefused: Answer(422, "outcome-refused", "The table was not made so"),
    projects.HeadRefused: Answer(422, "head-refused", "The file's head does not fit the table"),
    registry.BadQuery: Answer(400, "bad-request", "The request is not understood"),
    projects.QueryRefused: Answer(400, "query-refused", "The query is refused"),
    projects.RowRefused: Answer(422, "row-refused", "The row breaks the schema"),
    projects.InputsRefused: Answer(422, "inputs-refused", "The inputs cannot be used"),
    projects.PatternRefused: Answer(422, "pattern-refused", "A pattern of the schema cannot be used"),
    projects.KeyReused: Answer(422, "key-reused", "The Idempotency-Key is taken"),
    projects.RowsRefused: Answer(422, "rows-refused", "Some rows break the schema"),
    registry.DocumentRefused: Answer(422, "document-refused", "The schema document makes no table"),
    # It does not fit what is there now.
    projects.DuplicateKey: Answer(409, "duplicate-key", "The key is taken"),
    projects.RowReferenced: Answer(409, "referenced", "Other rows refer to it"),
    projects.DuplicateKeys: Answer(409, "duplicate-keys", "Keys are repeated"),
    projects.TooManyAffected: Answer(409, "too-many-affected", "More rows than allowed"),
    projects.KeyUnderWay: Answer(409, "key-under-way", "The first request is under way", retry_after=5),
    projects.PlanStale: Answer(409, "plan-stale", "The plan is stale"),
    projects.EvidenceMoved: Answer(409, "evidence-moved", "The evidence was gathered anew"),
    projects.PlanOver: Answer(409, "plan-over", "The plan is over"),
    projects.PlanNotApproved: Answer(409, "plan-not-approved", "The plan waits for approval"),
    projects.PlanNeedsOther: Answer(403, "plan-needs-other", "Another person has to approve"),
    projects.PlanRefused: Answer(409, "plan-refused", "The policy refuses this"),
    projects.RowsInTheWay: Answer(409, "rows-in-the-way", "Rows are in the way"),
    projects.SchemaIncompatible: Answer(409, "schema-incompatible", "The schema breaks a promise"),
    projects.UndoRefused: Answer(409, "undo-refused", "This cannot be undone"),
    projects.ArchiveDamaged: Answer(500, "archive-damaged", "The archive is damaged"),
    projects.JobOver: Answer(409, "job-over", "The job is over"),
    projects.BackupNotFound: Answer(404, "backup-not-found", "There is no such backup"),
    projects.BackupTooNew: Answer(409, "backup-too-new", "The backup is from a newer version"),
    projects.TargetNotEmpty: Answer(409, "target-not-empty", "The folder is not empty"),
    projects.BackupDirMissing: Answer(409, "no-backup-dir", "There is no place for backups"),
    projects.SchemaMoved: Answer(409, "schema-moved", "The table changed meanwhile"),
    projects.TableAltered: Answer(409, "table-altered", "The table was altered by hand"),
    projects.TableUnreadable: Answer(409, "table-unreadable", "The table is no schema's"),
    projects.AdoptRefused: Answer(409, "adopt-refused", "The table cannot be adopted"),
    projects.VersionUnmapped: Answer(409, "version-unmapped", "The rows have no such shape now"),
    registry.NamesClash: Answer(409, "names-clash", "Two schemas have one name"),
    registry.MockRefused: Answer(409, "mock-refused", "The sample ontology never stands over a real schema"),
    registry.AppendOnly: Answer(409, "append-only", "The audit log is only ever added to"),
    projects.PreconditionFailed: Answer(412, "precondition-failed", "The row is not as the request wants it"),
    projects.TableReadOnly: Answer(423, "table-read-only", "The table is read-only"),
    projects.TablePinned: Answer(423, "table-pinned", "The table is pinned"),
    projects.ConfirmationMissing: Answer(428, "confirmation-missing", "Confirmation is missing"),
    # It is too much. Memory is 413 like a result too large: the caller can narrow it, and 507 would call the operator.
    projects.BodyTooLarge: Answer(413, "too-large", "The body is too large"),
    projects.QueryTooLarge: Answer(413, "query-too-large", "The result is too large"),
    projects.OutOfMemory: Answer(413, "out-of-memory", "This needs more memory than there is"),
    projects.QueryTimedOut: Answer(504, "query-timed-out", "The query took too long"),
    projects.ClientLeft: Answer(499, "client-left", "The client left"),
    # It is not their fault.
    projects.StoreBusy: Answer(503, "store-busy", "The store is busy", retry_after=1),
    projects.StoreReopening: Answer(503, "store-reopening", "The store is opened anew", retry_after=1),
    projects.TooManyStreams: Answer(503, "too-many-streams", "Too many streams", retry_after=2),
    projects.TooManyHeavy: Answer(503, "too-many-heavy", "Too many heavy requests", retry_after=2),
    projects.StoreClosed: Answer(503, "store-closed", "The store is closing", retry_after=5),
    projects.StoreHeld: Answer(503, "store-held", "Another process holds the store", retry_after=10),
    projects.RewriteFailed: Answer(500, "rewrite-failed", "The file was not written anew"),
    projects.StoreDamaged: Answer(503, "store-damaged", "The store cannot be opened", retry_after=60),
    projects.StoreMissing: Answer(503, "store-missing", "The DuckDB file is gone", retry_after=60),
    projects.StoreOther: Answer(503, "store-other", "The DuckDB file is another one", retry_after=60),
    projects.StoreBehind: Answer(503, "store-behind", "The DuckDB file has lost writes", retry_after=60),
    projects.StoreTooNew: Answer(503, "store-too-new", "The store is from a newer version", retry_after=60),
    registry.OntologyUnavailable: Answer(503, "ontology-unavailable", "The ontology server gives no answer", retry_after=30),
    projects.FolderUnusable: Answer(503, "folder-unusable", "A folder cannot be used", retry_after=60),
    projects.DiskFull: Answer(507, "disk-full", "The disk is full", retry_after=60),
    projects.NoRoomForBackup: Answer(507, "no-room-for-backup", "There is no room for a backup", retry_after=60),
    projects.DiskNearlyFull: Answer(507, "disk-nearly-full", "The disk is nearly full", retry_after=60),
    projects.OutOfTempSpace: Answer(413, "out-of-temp-space", "This needs more temporary space than there is"),
    registry.DatabaseBusy: Answer(503, "database-busy", "Django's database is busy", retry_after=2),
    registry.DatabaseFull: Answer(507, "database-full", "The disk of Django's database is full", retry_after=60),
    registry.DatabaseUnusable: Answer(503, "database-unusable", "Django's database cannot be used", retry_after=60),
    registry.DatabaseOutOfStep: Answer(503, "database-out-of-step", "Django's database is of another version", retry_after=60),
    projects.SchemaMismatch: Answer(500, "schema-mismatch", "The table did not come out as wanted"),
    projects.BackupFailed: Answer(500, "backup-failed", "The backup was not made"),
    projects.BackupDamaged: Answer(500, "backup-damaged", "The backup is damaged"),
    projects.JobFailed: Answer(500, "job-failed", "The job failed"),
    # Django's and REST framework's own.
    rest.ValidationError: Answer(422, "invalid", "Some values are not accepted"),
    rest.ParseError: Answer(400, "malformed", "The body cannot be read"),
    rest.NotAuthenticated: Answer(401, "not-authenticated", "Sign in first"),
    rest.AuthenticationFailed: Answer(401, "authentication-failed", "The credentials are not accepted"),
    rest.PermissionDenied: Answer(403, "forbidden", "You may not do this"),
    PermissionDenied: Answer(403, "forbidden", "You may not do this"),
    rest.NotFound: Answer(404, "not-found", "Nothing is here"),
    Http404: Answer(404, "not-found", "Nothing is here"),
    rest.MethodNotAllowed: Answer(405, "method-not-allowed", "This method is not for this path"),
    rest.NotAcceptable: Answer(406, "not-acceptable", "No format that you accept"),
    rest.UnsupportedMediaType: Answer(415, "unsupported-media-type", "This content type is not taken"),
    rest.Throttled: Answer(429, "throttled", "Too many requests", retry_after=1),
    auth.AuthError: Answer(401, "authentication-failed", "The credentials are not accepted"),
    auth.TooManyRequests: Answer(429, "throttled", "Too many requests"),
    auth.LoginSlowed: Answer(429, "login-slowed", "Too many failed logins"),
    RequestDataTooBig: Answer(413, "too-large", "The body is too large"),
    SuspiciousOperation: Answer(400, "bad-request", "The request is not understood"),
}
CSRF = Answer(403, "csrf-failed", "The form is out of date")

# Django's own texts may show a path or a host; these stand in their place.
SENTENCES: dict[str, str] = {
    "internal": "Something went wrong here; the log has it under this request's id.",
    "not-found": "There is nothing at this address.",
    "forbidden": "Your role here does not allow it. Ask somebody who gives roles.",
    "bad-request": "The request is not understood.",
    "body-unfinished": "The body did not come whole; nothing was done.",
    "too-large": "The body is larger than this address takes.",
    "csrf-failed": "Reload the page and send the form again.",
}
API_PATHS = ("/ops/", "/admin/", "/auth/", "/monitoring/", "/metrics", "/openapi.json")


def answer_for(error: BaseException) -> Answer | None:
    """The table's line for an error, or None where the table has none and the error is a fault of ours."""
    for ancestor in type(error).__mro__:
        if ancestor in ANSWERS:
            return ANSWERS[ancestor]
    if isinstance(error, rest.APIException):
        return Answer(error.status_code, str(error.default_code).replace("_", "-"), HTTPStatus(error.status_code).phrase)
    return None


def answer_exception(error: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """REST framework's exception handler. None leaves the error to Django, which logs it and asks `internal_error`."""
    error = _ours(error)
    answer = answer_for(error)
    if answer is None:
        return None
    request = context["request"]
    if answer.status == HTTPStatus.FORBIDDEN:
        _audit_refusal(request)
    _log(error, answer)
    response = problem(request, answer, detail=_sentence(error, answer), error=error)
    if header := getattr(error, "auth_header", None):
        response.headers["WWW-Authenticate"] = header
    return response


def problem(request: Any, answer: Answer, *, detail: str, error: BaseException | None = None) -> HttpResponse:
    """The error as application/problem+json, with whatever of its data a caller can act on."""
    body = {
        "type": f"/errors/{answer.code}",
        "title": answer.title,
        "status": answer.status,
        "detail": detail,
        "instance": escape_uri_path(request.path),
        "code": answer.code,
        "request_id": getattr(request, "request_id", ""),
        "errors": [asdict(p) for p in _problems(error)],
    }
    body |= {name: getattr(error, name) for name in ("changes", "rejects", "rejects_file") if hasattr(error, name)}
    response = HttpResponse(orjson.dumps(body, default=str), status=answer.status, content_type="application/problem+json")
    wait = getattr(error, "wait", None) or answer.retry_after
    if wait is not None:
        response.headers["Retry-After"] = str(int(wait))
    return response


def _ours(error: Exception) -> Exception:
    """The error, or ours in place of one of Django's database."""
    return told(error) or error if isinstance(error, DatabaseError) else error


def answer_error(request: HttpRequest, error: SpawnError | UnreadablePostError) -> HttpResponse:
    """An error of ours that left a view which is not REST framework's, such as a page of the console."""
    answer = answer_for(error) or INTERNAL
    _log(error, answer)
    return _page_or_problem(request, answer, detail=_sentence(error, answer), error=error)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400."""
    answer = answer_for(exception) or ANSWERS[SuspiciousOperation]
    return _page_or_problem(request, answer, detail=_sentence(exception, answer))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler403, of the console's pages."""
    _audit_refusal(request)
    return _page_or_problem(request, ANSWERS[PermissionDenied], detail=SENTENCES["forbidden"])


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler404."""
    return _page_or_problem(request, ANSWERS[Http404], detail=SENTENCES["not-found"])


def internal_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500: nothing of the error is shown, and the log has it. Ours, and the database's, may come from a middleware."""
    error = _ours(failed) if isinstance(failed := sys.exc_info()[1], Exception) else None
    if isinstance(error, SpawnError):
        return answer_error(request, error)
    return _page_or_problem(request, INTERNAL, detail=SENTENCES["internal"])


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's view for a form without its token."""
    return _page_or_problem(request, CSRF, detail=SENTENCES["csrf-failed"])


def accepts_page(request: HttpRequest) -> bool:
    """Whether a person's browser asks: it says text/html, which clients of the API do not."""
    return "text/html" in request.headers.get("Accept", "")


def wants_page(request: HttpRequest) -> bool:
    """Whether an error is shown as a page: to a browser, and outside the API."""
    return accepts_page(request) and not f"{request.path}/".startswith(API_PATHS)


def _page_or_problem(request: HttpRequest, answer: Answer, *, detail: str, error: BaseException | None = None) -> HttpResponse:
    if not wants_page(request):
        return problem(request, answer, detail=detail, error=error)
    words = {"status": answer.status, "title": answer.title, "detail": detail, "request_id": getattr(request, "request_id", "")}
    return HttpResponse(render_to_string("error.html", words), status=answer.status)


def _log(error: BaseException, answer: Answer) -> None:
    """A fault of ours with its trace, an outage in a line; what callers did wrong is in the line about their request."""
    if answer.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error(answer.code, exc_info=error)
    elif answer.status > HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning(answer.code, detail=_sentence(error, answer))


def _sentence(error: BaseException, answer: Answer) -> str:
    if isinstance(error, rest.ValidationError):
        return "Some values are not accepted; `errors` names each."
    if isinstance(error, SpawnError):
        return str(error) if answer is not INTERNAL else SENTENCES["internal"]
    if isinstance(error, rest.APIException):
        return str(error.detail)
    return SENTENCES[answer.code]


def _problems(error: BaseException | None) -> Iterator[Problem]:
    if isinstance(error, SpawnError):
        yield from error.problems
    if isinstance(error, rest.ValidationError):
        yield from _validation_problems(error.detail, "")


def _validation_problems(detail: Any, pointer: str) -> Iterator[Problem]:
    """REST framework's nested details, flat: each with the JSON pointer of its place."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _validation_problems(inner, pointer if name == "non_field_errors" else f"{pointer}/{_escaped(name)}")
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            yield from _validation_problems(inner, pointer if isinstance(inner, str) else f"{pointer}/{index}")
    else:
        yield Problem(pointer, str(detail.code).replace("_", "-"), str(detail))


def _escaped(name: object) -> str:
    """RFC 6901."""
    return str(name).replace("~", "~0").replace("/", "~1")


def _audit_refusal(request: Any) -> None:
    """An attempt that was refused for want of a right is in the audit log, with the person who made it.

    The key of a row is not: the row may be erased one day, and the audit log cannot be changed.
    """
    if request.user.is_authenticated:
        audit.record("right.refuse", _without_key(request)[:300], actor=request.user.get_username(), detail={"method": request.method})


def _without_key(request: Any) -> str:
    """The address, with a star for the key of a row."""
    if not (key := request.resolver_match.kwargs.get("key") if request.resolver_match else None):
        return str(request.path)
    before, _, after = request.path.rpartition(f"/{key}")
    return f"{before}/*{after}"
