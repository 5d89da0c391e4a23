"""What each table should be, by the order of trust: the live server, else its last good snapshot, else an error."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Max, QuerySet
from django.utils import timezone

from schema_registry import documents, pace
from schema_registry.errors import DocumentRefused, MockRefused, NoSnapshot, OntologyUnavailable, Problem, UnknownSchema, UnknownVersion
from schema_registry.models import Listing, Snapshot
from schema_registry.names import normal
from schema_registry.ontology import Fetched, OntologyClient
from schema_registry.schema import TableSchema
from schema_registry.sources.native import check_set, parse_document

LIVE, MOCK, REQUEST = Snapshot.Provenance.LIVE.value, Snapshot.Provenance.MOCK.value, Snapshot.Provenance.REQUEST.value
CACHED = "cached"
NAMED = 100  # schemas that an error names

TURNS = max(1, settings.THREADS // 4)  # who ask at once

_turns = threading.BoundedSemaphore(TURNS)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a table should be, from where (live, cached, mock), and how many seconds ago that was last confirmed."""

    schema: TableSchema
    snapshot: Snapshot
    provenance: str
    age_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """What a refresh brought.

    `listed` are the ids of the ontology's documents. `orphaned` are the tables that no listed document makes any longer, dropped ones
    among them; it is told only where all tables were asked for. Where `shrunk`, the list is shorter by more than half than the last that
    was accepted: `missing` has the ids that went, nothing else was read or recorded, and a person has to accept it. `unavailable` says
    why the answers come from the cache.
    """

    wanted: tuple[Wanted, ...] = ()
    refused: tuple[DocumentRefused, ...] = ()
    listed: tuple[str, ...] = ()
    orphaned: tuple[str, ...] = ()
    shrunk: bool = False
    missing: tuple[str, ...] = ()
    unavailable: OntologyUnavailable | None = None


def record(
    schema: TableSchema, document: object, *, provenance: str, url: str = "", etag: str = "", fetched_at: datetime | None = None
) -> Snapshot:
    """Keeps a schema under its table's next number; where its source's last one is the same, only notes that it still stands.

    `document` is the text as it came, or the parsed document; `fetched_at` is in UTC, now where it is left out.
    """
    text = document if isinstance(document, str) else documents.write(document)
    moment = fetched_at or timezone.now()
    while True:
        before = latest(schema.name)
        try:
            with transaction.atomic():  # Two who fetch at once would each find the other's missing, and number it twice.
                same = _confirmed(schema, provenance, moment)
                return same or _inserted(schema, text, provenance=provenance, url=url, etag=etag, fetched_at=moment)
        except IntegrityError:
            if latest(schema.name) == before:
                raise  # Not another thread that took the number.


def latest(name: str) -> Snapshot | None:
    """The last snapshot of a table, wherever it came from."""
    return _of_table(name).first()


def latest_real(name: str) -> Snapshot | None:
    """The last snapshot of a table that the live server or a person gave, not the mock."""
    return _of_table(name).exclude(provenance=MOCK).first()


def latest_live(name: str) -> Snapshot | None:
    """The last snapshot of a table that the live server gave."""
    return _of_table(name).filter(provenance=LIVE).first()


def latest_of_each() -> list[Snapshot]:
    """The last snapshot of every table, by name."""
    return _last_of_each(*Snapshot.Provenance.values)


def versions(name: str) -> list[Snapshot]:
    """All snapshots of a table, newest first; their schemas and documents are read when they are asked for. Raises NoSnapshot."""
    found = list(_of_table(name).defer("schema", "document"))
    if not found:
        raise NoSnapshot(table=name)
    return found


def version(name: str, number: int) -> Snapshot:
    """One snapshot of a table. Raises NoSnapshot and UnknownVersion."""
    if found := _of_table(name).filter(number=min(number, 2**31 - 1)).first():
        return found
    raise UnknownVersion(table=versions(name)[0].table_name, number=number)


def refresh(
    names: Sequence[str] | None = None, client: OntologyClient | None = None, *, accept_shrunk: bool = False, keep_list: bool = True
) -> Refreshed:
    """Asks the ontology for all tables, or for some by table name or document id, and records what it says.

    `accept_shrunk` is a person's word that a much shorter list is right; without `keep_list`, as in a dry run, the list that was accepted
    last stays the one that the next is compared with. Raises OntologyUnavailable where there is no answer,
    and UnknownSchema for a name that the ontology does not have.
    """
    client = client or OntologyClient.from_settings()
    with _turn(client), pace.reading():
        return _refresh(names, client, accept_shrunk=accept_shrunk, keep_list=keep_list)


@contextmanager
def _turn(client: OntologyClient) -> Iterator[None]:
    """However slow the server is, a few threads at most wait for it; who finds them waiting waits for one timeout, and no longer."""
    if not _turns.acquire(timeout=settings.ONTO_SERVER_TIMEOUT):
        raise OntologyUnavailable(url=client.url, reason=f"{TURNS} others are asking it already, and it is slow")
    try:
        yield
    finally:
        _turns.release()


def _refresh(names: Sequence[str] | None, client: OntologyClient, *, accept_shrunk: bool, keep_list: bool) -> Refreshed:
    listed = client.ids()
    if names is not None:
        return _refresh_some(names, client, listed)
    missing = _missing(client.url, listed)
    if not accept_shrunk and _is_shrunk(client.url, listed):
        return Refreshed(listed=listed, missing=missing, shrunk=True)
    schemas, fetched, refused = _read(client, listed)
    wanted, mock_refused = _recorded(schemas, fetched)
    if keep_list:
        Listing.objects.update_or_create(url=client.url, defaults={"document_ids": list(listed), "seen_at": timezone.now()})
    refused = (*refused, *mock_refused)
    return Refreshed(wanted=wanted, refused=refused, listed=listed, missing=missing, orphaned=_orphaned(client, schemas, refused))


def refresh_or_cached(names: Sequence[str] | None = None, client: OntologyClient | None = None) -> Refreshed:
    """As `refresh`; where the live server gives no answer, the last good snapshots, with the reason in `unavailable`.

    Raises OntologyUnavailable where one of the names, or everything, was never seen.
    """
    try:
        return refresh(names, client)
    except OntologyUnavailable as failure:
        snapshots = _last_of_each(LIVE) if names is None else [_cached(name) for name in names]
        if not all(snapshots) or not snapshots:
            raise
        found = tuple(_from_cache(snapshot) for snapshot in snapshots if snapshot)
        return Refreshed(wanted=found, listed=tuple(w.snapshot.document_id for w in found), unavailable=failure)


def wanted(name: str, client: OntologyClient | None = None) -> Wanted:
    """What one table (by its name or its document's id) should be: live, else the last good snapshot marked cached.

    Raises OntologyUnavailable, UnknownSchema, DocumentRefused, and MockRefused where the mock would stand over a real schema.
    """
    answer = refresh_or_cached([name], client)
    if answer.wanted:
        return answer.wanted[0]
    raise answer.refused[0]


def _refresh_some(names: Sequence[str], client: OntologyClient, listed: tuple[str, ...]) -> Refreshed:
    """Reads the named documents, and those beside them that could clash; records the named ones only."""
    schemas, fetched, refused = _read(client, _worth_reading(names, listed))
    if _unmet(names, schemas, refused, fetched):
        schemas, fetched, refused = _read(client, listed)
    if unmet := _unmet(names, schemas, refused, fetched):
        known = sorted(schema.name for schema in schemas)
        raise UnknownSchema(name=unmet[0], known=", ".join(known[:NAMED] + ["and others"] * (len(known) > NAMED)) or "none")
    asked = tuple(schema for schema in schemas if any(_is_named(name, schema) for name in names))
    found, mock_refused = _recorded(asked, fetched)
    stopped = tuple(refusal for refusal in refused if any(_concerns(name, refusal, fetched) for name in names))
    return Refreshed(wanted=found, refused=(*stopped, *mock_refused), listed=listed)


def _worth_reading(names: Sequence[str], listed: tuple[str, ...]) -> list[str]:
    """The listed documents that a name may mean, and those that never made a table yet, for they may make one of the same name."""
    keys = {_key(name) for name in names}
    known = dict(Snapshot.objects.filter(document_id__in=listed).order_by("id").values_list("document_id", "table_key"))
    return [one for one in listed if one in names or known.get(one) in keys or one not in known]


def _read(
    client: OntologyClient, document_ids: Iterable[str]
) -> tuple[tuple[TableSchema, ...], dict[str, Fetched], tuple[DocumentRefused, ...]]:
    """The schemas that stand, the documents they came in (each without all but its name, once it is read), and the refusals."""
    schemas: list[TableSchema] = []
    refused: list[DocumentRefused] = []
    fetched: dict[str, Fetched] = {}
    for one in client.some_documents(document_ids):
        pace.breathe()
        if isinstance(one, DocumentRefused):
            refused.append(one)
            continue
        fetched[one.document_id] = _without_columns(one)
        try:
            schemas.append(parse_document(one.document, one.document_id))
        except DocumentRefused as refusal:
            refused.append(refusal.bare())
    standing, clashing = check_set(schemas)
    return standing, fetched, (*refused, *clashing)


def _without_columns(one: Fetched) -> Fetched:
    """A parsed document takes ten times its text's memory."""
    return replace(one, document={"name": one.document.get("name")} if isinstance(one.document, dict) else None)


def _recorded(schemas: Iterable[TableSchema], fetched: dict[str, Fetched]) -> tuple[tuple[Wanted, ...], tuple[DocumentRefused, ...]]:
    """Each schema with its snapshot; a mock schema of a table that has a real one is refused."""
    found: list[Wanted] = []
    refused: list[DocumentRefused] = []
    for schema in schemas:
        source = fetched[schema.document_id]
        if source.provenance == MOCK and latest_real(schema.name):
            problem = Problem("", "mock", "the table has a schema that is no sample")
            refused.append(MockRefused(table=schema.name, document_id=schema.document_id, problems=(problem,)))
            continue
        snapshot = record(schema, source.text, provenance=source.provenance, url=source.url, etag=source.etag, fetched_at=source.fetched_at)
        found.append(Wanted(schema, snapshot, source.provenance, 0.0))
    return tuple(found), tuple(refused)


def _confirmed(schema: TableSchema, provenance: str, moment: datetime) -> Snapshot | None:
    """The last snapshot of this source, marked as seen again, if it says the same."""
    last = _of_table(schema.name).filter(provenance=provenance).first()
    if last is None or last.fingerprint != schema.fingerprint:
        return None
    last.last_seen_at = max(last.last_seen_at, moment)
    last.save(update_fields=["last_seen_at"])
    return last


def _inserted(schema: TableSchema, text: str, *, provenance: str, url: str, etag: str, fetched_at: datetime) -> Snapshot:
    key = _key(schema.name)
    highest = Snapshot.objects.filter(table_key=key).aggregate(last=Max("number"))["last"] or 0
    return Snapshot.objects.create(
        table_name=schema.name,
        table_key=key,
        number=highest + 1,
        document_id=schema.document_id,
        schema=schema.as_json(),
        document=text,
        fingerprint=schema.fingerprint,
        provenance=provenance,
        url=url[:2000],
        etag=etag,
        fetched_at=fetched_at,
        last_seen_at=fetched_at,
        notes=list(schema.notes),
    )


def _key(name: str) -> str:
    return normal(name).casefold()


def _of_table(name: str) -> QuerySet[Snapshot]:
    return Snapshot.objects.filter(table_key=_key(name)).order_by("-number")


def _last_of_each(*provenances: str) -> list[Snapshot]:
    """The last snapshot of every table among those of some provenances."""
    among = Snapshot.objects.filter(provenance__in=provenances)
    last = dict(among.order_by("number").values_list("table_key", "id"))
    return list(among.filter(id__in=last.values()).order_by("table_key"))


def _cached(name: str) -> Snapshot | None:
    return latest_live(name) or Snapshot.objects.filter(document_id=name, provenance=LIVE).order_by("-id").first()


def _from_cache(snapshot: Snapshot) -> Wanted:
    age = (timezone.now() - snapshot.last_seen_at).total_seconds()
    return Wanted(snapshot.as_schema(), snapshot, CACHED, max(age, 0.0))


def _is_named(name: str, schema: TableSchema) -> bool:
    return name == schema.document_id or _key(name) == schema.name.casefold()


def _concerns(name: str, refusal: DocumentRefused, fetched: dict[str, Fetched]) -> bool:
    """Whether a refused document is the one that a name means: by its id, the name it gives itself, or the table it once made."""
    source = fetched.get(refusal.document_id)
    said = source.document.get("name") if source and isinstance(source.document, dict) else None
    if name == refusal.document_id or (isinstance(said, str) and _key(said) == _key(name)):
        return True
    return Snapshot.objects.filter(document_id=refusal.document_id, table_key=_key(name)).exists()


def _unmet(
    names: Sequence[str], schemas: Sequence[TableSchema], refused: Sequence[DocumentRefused], fetched: dict[str, Fetched]
) -> list[str]:
    """The names that no document means, neither one that stands nor one that is refused."""
    unmet = [name for name in names if not any(_is_named(name, schema) for schema in schemas)]
    return [name for name in unmet if not any(_concerns(name, refusal, fetched) for refusal in refused)]


def _listed_before(url: str) -> set[str]:
    before = Listing.objects.filter(url=url).first()
    return set(before.document_ids) if before else set()


def _missing(url: str, listed: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(_listed_before(url) - set(listed)))


def _is_shrunk(url: str, listed: tuple[str, ...]) -> bool:
    return len(listed) * 2 < len(_listed_before(url))


def _orphaned(client: OntologyClient, schemas: Iterable[TableSchema], refused: Iterable[DocumentRefused]) -> tuple[str, ...]:
    """Tables that a document once made and none does now; a document that is refused still stands for its table."""
    made = {schema.name.casefold() for schema in schemas}
    broken = {refusal.document_id for refusal in refused}
    known = _last_of_each(MOCK if client.use_mock else LIVE)
    return tuple(one.table_name for one in known if one.table_key not in made and one.document_id not in broken)
