"""A table's changes for those who follow them: a stretch at a time, or as events while they happen."""

import json
import time
from collections.abc import Callable, Iterator

from projects.aliases import Names, Used
from projects.errors import ChangesForgotten, StoreClosed, TableNotFound
from projects.store import feed
from projects.store.books import LiveTable
from projects.store.connection import Store
from projects.store.feed import Stretch, Told
from projects.store.watch import stays

LASTS = 300.0  # seconds after which a stream of events ends, and its client comes again
HEARTBEAT = 15.0  # seconds of silence after which a stream says that it is alive
PACE = 0.25  # seconds between two looks at the feed, however much is written
LOOK_EVERY = 0.3  # seconds between looks whether the client is gone
COME_AGAIN = 2000  # milliseconds
AT_ONCE = 1000  # entries


def listed(store: Store, table: str, since: int | None, limit: int) -> tuple[Stretch, Used]:
    """The entries after `since`, and the old name that was used. Raises TableNotFound, ChangesForgotten."""
    live = store.table(table)
    return feed.stretch(store, live, since, limit), Names(live, table).used


def followed(store: Store, table: str, since: int | None, is_gone: Callable[[], bool] = stays) -> tuple[Iterator[str], Used]:
    """The entries after `since`, or from now on, as server-sent events, for as long as a stream lasts; and the old name that was used.

    Raises TableNotFound, ChangesForgotten.
    """
    live, seen = store.table(table), store.seq if since is None else since
    feed.check_kept(store, live.name, seen)
    events = _told(store, table, live, seen, is_gone=is_gone)
    return _to_the_end(events), Names(live, table).used


def _to_the_end(events: Iterator[str]) -> Iterator[str]:
    try:
        yield from events
    except ChangesForgotten as forgotten:
        yield _gap(forgotten)
    except StoreClosed:
        return


def _told(store: Store, table: str, live: LiveTable, seen: int, *, is_gone: Callable[[], bool]) -> Iterator[str]:
    """The events until the stream's time is over. One without data is none, but where a client goes on that comes again is its id."""
    yield f"retry: {COME_AGAIN}\nid: {seen}\n\n"
    spoken, until = time.monotonic(), time.monotonic() + LASTS
    while time.monotonic() < until and not is_gone():
        looked = time.monotonic()
        present = _present(store, table)
        live = present or live  # That it was dropped is told still.
        found = feed.stretch(store, live, seen, AT_ONCE)
        seen = found.last
        if found.entries:
            yield "".join(map(_event, found.entries))
            spoken = time.monotonic()
        elif looked - spoken >= HEARTBEAT:
            yield f": alive\nid: {seen}\n\n"
            spoken = looked
        if found.is_whole and not (present and store.wait_past(seen, min(LOOK_EVERY, spoken + HEARTBEAT - looked))):
            return
        time.sleep(max(0.0, looked + PACE - time.monotonic()))


def _present(store: Store, table: str) -> LiveTable | None:
    try:
        return store.table(table)
    except TableNotFound:
        return None


def _event(told: Told) -> str:
    return f"id: {told.seq}\nevent: {told.op}\ndata: {told.text}\n\n"


def _gap(forgotten: ChangesForgotten) -> str:
    """What a stream says that was too slow: it ends, and a client that comes again is answered 410."""
    return f"event: gap\ndata: {json.dumps({'status': 410, 'detail': str(forgotten), 'oldest': forgotten.oldest})}\n\n"
