"""A load as what a request asks for: its parameters, its upload, and what is answered."""

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse

from projects import bodies, exchange, jobs, loads
from projects.errors import BadRequest
from projects.job_answers import accepted
from projects.preferences import ASYNC, prefers
from projects.slots import slot
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
        on_conflict=_one_of(request, "on_conflict", ON_CONFLICT),
        skips=_one_of(request, "on_error", loads.ON_ERROR) == "skip",
        nulls=tuple(request.GET.getlist("null")),
        dry_run=_one_of(request, "dry_run", ("false", "true")) == "true",
    )


def _one_of(request: HttpRequest, name: str, allowed: tuple[str, ...]) -> str:
    given = request.GET.get(name, allowed[0]).lower()
    if given not in allowed:
        raise BadRequest(detail=f"{name} is {', '.join(allowed[:-1])} or {allowed[-1]}, not {given!r}.")
    return given


def uploaded(
    store: Store, table: str, request: HttpRequest, form: str, options: Options, *, user: Any, version: int | None
) -> HttpResponse:
    """The answer to a file that is sent, now or, where the client prefers it, as a job. Raises TooManyStreams, and as `load_upload`."""
    with slot():
        if prefers(request, ASYNC):
            return _left(store, table, bodies.pieces(request), form, options, user=user, version=version)
        actor = user.get_username()
        return answered(loads.load_upload(store, table, bodies.pieces(request), form, options, actor=actor, version=version))


def sent_array(
    store: Store, table: str, request: HttpRequest, rows: Any, options: Options, *, user: Any, version: int | None
) -> HttpResponse:
    """As `uploaded`, of a JSON array."""
    if prefers(request, ASYNC):
        return _left(store, table, loads.array_pieces(rows), "ndjson", options, user=user, version=version)
    return answered(loads.load_array(store, table, rows, options, actor=user.get_username(), version=version))


def answered(done: Loaded) -> HttpResponse:
    return exchange.telling(exchange.json_answer(exchange.dumped(done.as_json())), done.used)


def _left(store: Store, table: str, pieces: Any, form: str, options: Options, *, user: Any, version: int | None) -> HttpResponse:
    """Leaves a job whose file is in the spool before it is promised."""
    loads.check(store, table, version)
    name = f"job-{uuid.uuid4().hex}.{form}"
    spool.write(spool.folder(store) / name, pieces)
    return accepted(jobs.leave("load", loads.job_inputs(table, name, form, options, version), user))
