"""A load as what a request asks for: its parameters, its upload, and what is answered."""

import uuid
from functools import partial
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils import timezone

from projects import bodies, exchange, jobs, loads
from projects.errors import BadRequest, KeyReused
from projects.idempotency import KEPT_FOR, AnsweredBefore, Promise
from projects.job_answers import accepted
from projects.models import Job
from projects.preferences import ASYNC, prefers
from projects.slots import heavy, slot
from projects.store import spool
from projects.store.bulk import ON_CONFLICT, Loaded, Options
from projects.store.connection import Store

PARAMETERS = ("null", "on_conflict", "on_error", "dry_run")


def read_options(request: HttpRequest) -> Options:
    """What the address says of a load. Raises BadRequest for a parameter, or a value, that there is not."""
    unknown = sorted(set(request.GET) - set(PARAMETERS))
    if unknown:
        raise BadRequest(detail=f"There is no parameter {', '.join(unknown)} here; there are {', '.join(PARAMETERS)}.")
    return Options(
        on_conflict=one_of(request.GET, "on_conflict", ON_CONFLICT),
        skips=one_of(request.GET, "on_error", loads.ON_ERROR) == "skip",
        nulls=loads.read_nulls(request.GET.getlist("null")),
        dry_run=one_of(request.GET, "dry_run", ("false", "true")) == "true",
    )


def one_of(sent: QueryDict, name: str, allowed: tuple[str, ...]) -> str:
    """One of the allowed words, the first where none is sent. Raises BadRequest for another."""
    given = str(sent.get(name, allowed[0])).lower()
    if given not in allowed:
        raise BadRequest(detail=f"{name} is {', '.join(allowed[:-1])} or {allowed[-1]}, not {given!r}.")
    return given


def uploaded(
    store: Store,
    table: str,
    request: HttpRequest,
    form: str,
    options: Options,
    *,
    user: Any,
    version: int | None,
    promise: Promise | None = None,
) -> HttpResponse:
    """The answer to a file that is sent, now or, where the client prefers it, as a job; with a `promise`, once.

    Raises TooManyStreams, AnsweredBefore, KeyReused, and as `load_upload`.
    """
    with slot():
        pieces = bodies.pieces(request)
        act = _left if prefers(request, ASYNC) else _loaded
        return act(store, table, promise.noted(pieces) if promise else pieces, form, options, user=user, version=version, promise=promise)


def sent_array(
    store: Store,
    table: str,
    request: HttpRequest,
    text: bytes,
    options: Options,
    *,
    user: Any,
    version: int | None,
    promise: Promise | None = None,
) -> HttpResponse:
    """As `uploaded`, of the text of a JSON array or object, which the promise has noted."""
    act = _left if prefers(request, ASYNC) else _loaded
    with heavy():
        return act(store, table, loads.array_pieces(text), "ndjson", options, user=user, version=version, promise=promise)


def answered(done: Loaded) -> HttpResponse:
    return exchange.telling(exchange.json_answer(exchange.dumped(done.as_json())), done.used)


def _loaded(
    store: Store, table: str, pieces: Any, form: str, options: Options, *, user: Any, version: int | None, promise: Promise | None
) -> HttpResponse:
    keeping = loads.Keeping(partial(_settle, promise), lambda done: promise.keep(answered(done))) if promise else None
    actor = user.get_username()
    return answered(loads.load_upload(store, table, pieces, form, options, actor=actor, version=version, keeping=keeping))


def _left(
    store: Store, table: str, pieces: Any, form: str, options: Options, *, user: Any, version: int | None, promise: Promise | None
) -> HttpResponse:
    """Leaves a job whose file is in the spool before it is promised."""
    loads.check(store, table, version)
    path = spool.folder(store) / f"job-{uuid.uuid4().hex}.{form}"
    spool.write(store, path, pieces, lasting=True)  # A job that was promised must not load half of it.
    inputs = loads.job_inputs(table, path.name, options, version)
    try:
        if promise is None:
            return accepted(jobs.leave("load", inputs, user))
        _settle(promise)
        return accepted(jobs.leave("load", inputs | {"digest": promise.digest}, user, id=_free_id(promise)))
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _settle(promise: Promise) -> None:
    """Raises AnsweredBefore where the load was done or left as a job before, and KeyReused where that was another one."""
    promise.settle()
    job = Job.objects.filter(id=promise.id, created_at__gt=timezone.now() - KEPT_FOR).first()
    if job and job.inputs.get("digest") != promise.digest:
        raise KeyReused()
    if job:
        raise AnsweredBefore(promise.keep(accepted(job)))


def _free_id(promise: Promise) -> UUID:
    """The promise's own, unless a job of longer ago has it."""
    return uuid.uuid4() if Job.objects.filter(id=promise.id).exists() else promise.id
