"""One bounded HTTP request: however a server hangs or drips, its caller waits no longer than the seconds it gave."""

import http.client
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

MAX_BYTES = 4 * 2**20  # bytes of one answer's body
PIECE = 64 * 2**10  # bytes that are read at once
LARGE, BREATH = 2**18, 0.002  # bytes of a body, after which it is read with so many seconds between two pieces: requests go on meanwhile
# A byte is a piece where a server sends it alone, and each piece holds up Python's other threads for a moment.
MAX_PIECES = 5_000
MAX_INTERIM = 10  # answers such as "100 Continue" before the one that counts
MAX_TRAILERS = 100  # lines after the last chunk
LINE = 65_536  # bytes of one line of a head or between chunks, by Python's own reader


class NoAnswer(Exception):
    """The server gave no answer; `reason` is a plain sentence, `again` whether another try may help."""

    def __init__(self, reason: str, *, again: bool) -> None:
        super().__init__(reason)
        self.reason, self.again = reason, again


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered. `body` is cut, and `whole` false, past MAX_BYTES."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool


def session() -> requests.Session:
    """A session whose waits can be cut, without cookies, redirects, or compression (a small body may unpack to a huge one)."""
    made = requests.Session()
    made.headers.update({"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "duckdb-spawn"})
    made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("http://", "https://"):
        made.mount(scheme, _Adapter())
    return made


def get(over: requests.Session, url: str, *, seconds: float, **options: Any) -> Answer:
    """GETs a URL within `seconds`, name lookup and body included; `options` are requests' `headers` and `auth`. Raises NoAnswer."""
    return _bounded(_Exchange("ontology", over.get, url, seconds, options))


def post(over: requests.Session, url: str, *, seconds: float, **options: Any) -> Answer:
    """As `get`, a POST; `options` are requests' `data` and `headers`. Raises NoAnswer."""
    return _bounded(_Exchange("webhook", over.post, url, seconds, options))


def _bounded(exchange: "_Exchange") -> Answer:
    seconds = exchange.seconds
    exchange.start()
    exchange.join(seconds)
    if exchange.is_alive():
        exchange.cut()
        raise NoAnswer(f"it did not answer within {seconds:.3g} seconds", again=False)
    if exchange.answer is None:
        raise exchange.failure or NoAnswer("the connection broke off", again=True)
    return exchange.answer


class _Exchange(threading.Thread):
    """One request and its answer, in a thread of its own so that its caller can leave."""

    def __init__(self, name: str, ask: Callable[..., requests.Response], url: str, seconds: float, options: dict[str, Any]) -> None:
        super().__init__(name=name, daemon=True)
        self._ask, self._url, self.seconds, self._options = ask, url, seconds, options
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []  # Handles of our own on the same connections: TLS takes the first ones away.
        self._is_cut = False
        self.answer: Answer | None = None
        self.failure: NoAnswer | None = None

    def run(self) -> None:
        _here.exchange = self
        try:
            self.answer = self._exchange()
        except NoAnswer as failure:
            self.failure = failure
        except (requests.RequestException, HTTPError, OSError, ValueError) as failure:
            self.failure = _explained(failure, self.seconds)
        finally:
            self._forget()

    def _exchange(self) -> Answer:
        with self._ask(self._url, stream=True, allow_redirects=False, timeout=self.seconds, **self._options) as response:
            body = _body(response)
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise requests.exceptions.ContentDecodingError
            return Answer(response.status_code, response.headers, body[:MAX_BYTES], len(body) <= MAX_BYTES)

    def watch(self, waited_on: socket.socket) -> None:
        """Remembers the connection; one that is opened after the cut is ended at once."""
        with self._lock:
            self._sockets.append(socket.socket(fileno=os.dup(waited_on.fileno())))
        if self._is_cut:
            self.cut()

    def cut(self) -> None:
        """Ends every wait of the exchange, so that its thread ends too."""
        self._is_cut = True
        with self._lock:
            sockets = list(self._sockets)
        for waited_on in sockets:
            try:
                waited_on.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # It has ended by itself.

    def _forget(self) -> None:
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for waited_on in sockets:
            waited_on.close()


def _body(response: requests.Response) -> bytes:
    """The body as far as MAX_BYTES and one more. Raises NoAnswer where it comes in too many pieces."""
    body = bytearray()
    for _ in range(MAX_PIECES):
        # The last, empty read is the one that tells of a body that broke off.
        if len(body) > MAX_BYTES or not (more := response.raw.read1(PIECE, decode_content=False)):
            return bytes(body)
        body += more
        if len(body) > LARGE:
            time.sleep(BREATH)
    raise NoAnswer(f"its answer comes in more than {MAX_PIECES} pieces", again=False)


_here = threading.local()


def _watch(waited_on: socket.socket | None) -> None:
    exchange = getattr(_here, "exchange", None)
    if waited_on is not None and exchange is not None:
        exchange.watch(waited_on)


class _Head(http.client.HTTPResponse):
    """Python's own reads answers such as "100 Continue", and the lines after the last chunk, for ever."""

    _interim = 0

    def _read_status(self) -> tuple[str, int, str]:
        self._interim += 1
        if self._interim > MAX_INTERIM + 1:
            raise NoAnswer(f"it sends more than {MAX_INTERIM} answers before the one that counts", again=False)
        return super()._read_status()  # type: ignore[misc]

    def _read_and_discard_trailer(self) -> None:
        for _ in range(MAX_TRAILERS):
            if self.fp.readline(LINE) in (b"\r\n", b"\n", b""):
                return
        raise NoAnswer(f"its answer's end has more than {MAX_TRAILERS} lines", again=False)


class _Plain(HTTPConnection):
    response_class = _Head

    def _new_conn(self) -> socket.socket:
        """Here, and not when it is connected: TLS may drip too."""
        made = super()._new_conn()
        _watch(made)
        return made

    def request(self, *args: Any, **kwargs: Any) -> None:
        _watch(self.sock)  # A kept connection is not connected again.
        super().request(*args, **kwargs)

    def getresponse(self) -> Any:
        try:
            return super().getresponse()
        except http.client.RemoteDisconnected:
            raise
        except http.client.HTTPException as failure:
            raise NoAnswer(_HEADS.get(type(failure), "its answer is no HTTP"), again=False) from None


# What Python's reader of heads refuses: more than 100 lines, a line of more than 64 KiB.
_HEADS = {
    http.client.HTTPException: "its answer's head has more than 100 lines",
    http.client.LineTooLong: f"its answer's head has a line of more than {LINE} bytes",
}


class _Secure(_Plain, HTTPSConnection):
    pass


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}


def _explained(failure: Exception, seconds: float) -> NoAnswer:
    """A plain reason for a failure; never its own text, which may tell of names and keys."""
    match failure:
        case HTTPError(__cause__=http.client.LineTooLong()):
            return NoAnswer(f"its answer has a line of more than {LINE} bytes between two chunks", again=False)
        case requests.Timeout():
            return NoAnswer(f"it did not answer within {seconds:.3g} seconds", again=False)
        case requests.exceptions.SSLError():
            return NoAnswer("no secure connection could be made, or its certificate is not trusted", again=False)
        case requests.exceptions.ContentDecodingError():
            return NoAnswer("its answer is compressed, which was not asked for", again=False)
        case requests.exceptions.InvalidURL() | requests.exceptions.InvalidSchema():
            return NoAnswer("its address cannot be used", again=False)
        case ValueError():
            return NoAnswer("its answer is no HTTP", again=False)
        case _:
            return NoAnswer("nothing answers there, or the connection broke off", again=True)
