"""Requests are gathered by the worker's one loop until they are whole: a client who sends or leaves slowly holds no thread.

Gunicorn's own threads read from the first byte on, for as long as the client likes, and its loop waits two seconds for a client to hang
up: sixteen slow clients, or one who never hangs up, keep everybody waiting.
"""

import re
import time
from collections import deque
from enum import Enum
from errno import EMFILE, ENFILE, ENOBUFS, ENOMEM
from functools import partial
from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit, setrlimit
from selectors import EVENT_READ
from typing import Any

from gunicorn.http.errors import LimitRequestHeaders
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

PIECE = 64 * 2**10  # bytes that are read at once
MOST_HEAD = 64 * 2**10  # bytes of a request's head; the parser has limits of its own for its lines
MOST_BODY = 64 * 2**10  # bytes of a body that is gathered too; a larger one is read by a thread
PATIENCE = 30.0  # seconds for a larger body, and those that its bytes so far have earned at SLOWEST
SLOWEST = 4 * 2**10  # bytes a second
LINGER = 2.0  # seconds that a connection stays for its client to read the answer and hang up (RFC 9112, 9.6)
MOST_FILES = 4096  # that may be open, connections and all else
NO_MORE = (EMFILE, ENFILE, ENOBUFS, ENOMEM)
DRAIN = 0.05  # seconds for the rest of a body that nobody wanted

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,12})[ \t]*\r\n", re.IGNORECASE)
_CODED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect:", re.IGNORECASE)
_END = b"\r\n\r\n"


class State(Enum):
    """How far a request has come."""

    WAITS, WHOLE, TOO_LARGE, OVER = range(4)


class Connection(TConn):
    """A connection with what came of its next request, how far that was looked at, and what ends it."""

    def __init__(self, worker: "Gathering", *args: Any) -> None:
        super().__init__(worker.cfg, *args)
        self.worker, self.gathered, self.looked = worker, bytearray(), 0
        self.brings_more = False  # of a body that a thread reads

    def close(self, graceful: bool = False) -> None:
        if graceful:
            self.worker.linger(self)
        else:
            super().close()

    def begin(self, gathered: bytes) -> None:
        self.gathered, self.looked = bytearray(gathered), 0

    def add(self, piece: bytes) -> None:
        self.looked = max(0, len(self.gathered) - len(_END))
        self.gathered += piece

    def look(self) -> "State":
        """Reads what is there, and says how far the request is."""
        if self.gathered and self._is_whole():  # It came with the one before.
            return State.WHOLE
        try:
            piece = self.sock.recv(PIECE)
        except (BlockingIOError, InterruptedError):
            return State.WAITS
        except OSError:
            piece = b""
        if not piece:
            return State.OVER
        self.looked = max(self.looked, len(self.gathered) - len(_END))
        self.gathered += piece
        if self._is_whole():
            return State.WHOLE
        return State.TOO_LARGE if len(self.gathered) > MOST_HEAD + MOST_BODY else State.WAITS

    def _is_whole(self) -> bool:
        """Whether the head is there, and the body where it is small and comes unasked. What it says is for the parser to judge."""
        if (end := self.gathered.find(_END, self.looked)) < 0:
            return False
        self.looked = end
        end += len(_END)
        length = _LENGTH.search(self.gathered, 0, end)
        size = int(length[1]) if length else 0
        self.brings_more = len(self.gathered) < end + size or _CODED.search(self.gathered, 0, end) is not None
        if length is None or size > MOST_BODY or _EXPECT.search(self.gathered, 0, end):
            return True
        return len(self.gathered) >= end + size

    def hand_over(self) -> None:
        """Gives the parser what was gathered, and bounds what it still waits for."""
        self.init()
        unreader = self.parser.unreader
        if not isinstance(unreader, Patient):
            self.parser.unreader = unreader = Patient(self.sock)
        unreader.begin(bytes(self.gathered))
        self.gathered = bytearray()


class Patient(SocketUnreader):
    """Waits for a body's bytes, but for no client who is slower than SLOWEST. Raises TimeoutError."""

    _began, _had = 0.0, 0

    def begin(self, gathered: bytes) -> None:
        """A request of which so much is there."""
        self._began, self._had = time.monotonic(), 0
        self.unread(gathered)

    def chunk(self, size_hint: int | None = None) -> bytes:
        left = self._began + PATIENCE + self._had / SLOWEST - time.monotonic()
        limit = self.sock.gettimeout()
        self.sock.settimeout(max(left if limit is None else min(left, limit), 0.001))
        try:
            piece: bytes = super().chunk(size_hint)
        finally:
            self.sock.settimeout(limit)
        self._had += len(piece)
        return piece


def _files() -> int:
    """How many files this process may have open: from now on MOST_FILES, where it may have so many. The databases need some of them."""
    soft, most = getrlimit(RLIMIT_NOFILE)
    wanted = MOST_FILES if most == RLIM_INFINITY else min(most, MOST_FILES)
    if soft == RLIM_INFINITY or soft >= wanted:
        return wanted
    setrlimit(RLIMIT_NOFILE, (wanted, most))
    return wanted


class Gathering(ThreadWorker):
    """Gunicorn's worker of threads, whose threads get whole requests."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lingering: deque[Connection] = deque()
        self.reading: set[Connection] = set()  # those of whose bodies a thread reads the rest: a quarter of the threads is left
        self.queued: deque[Connection] = deque()
        self.worker_connections: int = min(self.cfg.worker_connections, _files() // 2)

    def accept(self, listener: Any) -> None:
        """As gunicorn's, with a connection of ours."""
        try:
            client, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            if error.errno not in NO_MORE:
                raise
            self._end_one()
            return
        self.nr_conns += 1
        self.enqueue_req(Connection(self, client, address, listener.getsockname()))

    def _end_one(self) -> None:
        """No more files may be open: whoever has kept us waiting longest goes with the loop's next look at those who wait."""
        for waiting in (self.lingering, self.pending_conns, self.keepalived_conns):
            if waiting:
                waiting[0].timeout = 0
                return
        time.sleep(LINGER / 100)

    def enqueue_req(self, conn: Connection) -> None:
        """Hands over what is whole already, as most requests are; the others are waited for together, each for `keepalive` seconds."""
        conn.begin(conn.parser.unreader.take_buffered() if conn.parser else b"")
        conn.sock.setblocking(False)
        conn.set_timeout()
        if not self.alive:
            conn.timeout = min(conn.timeout, time.monotonic() + STOP_KEEPALIVE_LINGER)
        if (state := conn.look()) is State.WAITS:
            self.pending_conns.append(conn)
            self.poller.register(conn.sock, EVENT_READ, partial(self._gather, conn))
        else:
            self._go_on(conn, state)

    def _gather(self, conn: Connection, client: Any) -> None:
        if (state := conn.look()) is not State.WAITS:
            self.poller.unregister(client)
            self.pending_conns.remove(conn)
            self._go_on(conn, state)

    def _go_on(self, conn: Connection, state: "State") -> None:
        if state is State.WHOLE and conn.brings_more and len(self.reading) >= max(1, self.cfg.threads * 3 // 4):
            self.queued.append(conn)
            return
        if state is State.WHOLE:
            if conn.brings_more:
                self.reading.add(conn)
            conn.hand_over()
            super().enqueue_req(conn)
            return
        self.nr_conns -= 1
        if state is State.TOO_LARGE:
            self.handle_error(None, conn.sock, conn.client, LimitRequestHeaders("limit request headers"))
        conn.close(graceful=state is State.TOO_LARGE)

    def finish_request(self, conn: Any, fs: Any) -> None:
        """As gunicorn's; whose body waits comes next."""
        if conn in self.reading:
            self.reading.remove(conn)
            if self.queued:
                self._go_on(self.queued.popleft(), State.WHOLE)
        super().finish_request(conn, fs)

    def _keepalive_after(self, conn: Any, keepalive: Any) -> bool:
        """Gunicorn's waits five seconds for a body that nobody read; who sends that slowly gets a new connection sooner."""
        return bool(keepalive) and bool(conn.parser.finish_body(deadline=time.monotonic() + DRAIN))

    # The end of a connection. Gunicorn's loop itself waits for the client, and nobody is served meanwhile.

    def linger(self, conn: Connection) -> None:
        """Says that no more comes, and closes once the client has hung up, or LINGER seconds later."""
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(1)
        except OSError:
            conn.close()
            return
        conn.timeout = time.monotonic() + LINGER
        self.nr_conns += 1
        self.lingering.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self._drain, conn))

    def _drain(self, conn: Connection, client: Any) -> None:
        try:
            if conn.sock.recv(PIECE):
                return
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            pass
        self.lingering.remove(conn)
        self._let_go(conn)

    def _let_go(self, conn: Connection) -> None:
        self.nr_conns -= 1
        self.poller.unregister(conn.sock)
        conn.close()

    def murder_pending(self) -> None:
        super().murder_pending()
        now = time.monotonic()
        while self.lingering and self.lingering[0].timeout <= now:
            self._let_go(self.lingering.popleft())

    def _cap_keepalive(self, deadline: float) -> None:
        """A stop waits for silent connections no longer than for kept ones."""
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)
