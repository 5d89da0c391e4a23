"""One bounded HTTP request: however a server hangs or drips, its caller waits no longer than the seconds it gave."""

import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

MAX_BYTES = 16 * 2**20  # bytes of one answer's body


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
        self._sockets: list[socket.socket] = []
        self._is_cut = False
        self.answer: Answer | None = None
        self.failure: NoAnswer | None = None

    def run(self) -> None:
        _here.exchange = self
        try:
            self.answer = self._exchange()
        except (requests.RequestException, HTTPError, OSError, ValueError) as failure:
            self.failure = _explained(failure, self.seconds)

    def _exchange(self) -> Answer:
        with self._ask(self._url, stream=True, allow_redirects=False, timeout=self.seconds, **self._options) as response:
            body = b""
            # The last, empty read is the one that tells of a body that broke off.
            while len(body) <= MAX_BYTES and (more := response.raw.read(MAX_BYTES + 1 - len(body), decode_content=False)):
                body += more
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise requests.exceptions.ContentDecodingError
            return Answer(response.status_code, response.headers, body[:MAX_BYTES], len(body) <= MAX_BYTES)

    def watch(self, waited_on: socket.socket) -> None:
        """Remembers the socket; one that is opened after the cut is ended at once."""
        with self._lock:
            self._sockets.append(waited_on)
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


_here = threading.local()


def _watch(connection: HTTPConnection) -> None:
    exchange = getattr(_here, "exchange", None)
    if connection.sock is not None and exchange is not None:
        exchange.watch(connection.sock)


class _Plain(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _watch(self)

    def request(self, *args: Any, **kwargs: Any) -> None:
        _watch(self)  # A kept connection is not connected again.
        super().request(*args, **kwargs)


class _Secure(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _watch(self)

    def request(self, *args: Any, **kwargs: Any) -> None:
        _watch(self)
        super().request(*args, **kwargs)


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
