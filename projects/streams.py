"""Answers that are sent as they are made: each holds a slot, is begun before its head is sent, and packed where the client takes that."""

import zlib
from collections.abc import Callable, Iterator
from socket import MSG_DONTWAIT, MSG_PEEK
from typing import IO, Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.cache import patch_vary_headers

from projects.formats import weighed
from projects.slots import Streaming
from projects.store.spool import PIECE

SMALL = 1024  # bytes that are not worth packing
QUICK = 1  # zlib's level; a higher one takes twice the time for a tenth of the size
GZIP = 31  # zlib's own sign for a gzip head


class Begun(Streaming[bytes]):
    """Chunks of which the first is there: what fails at it fails as an error of its own, with the slot given back."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__(chunks)
        try:
            self.first: bytes | None = next(self._chunks, b"")
        except BaseException:
            self.close()
            raise

    def __next__(self) -> bytes:
        if self.first is None:
            return super().__next__()
        first, self.first = self.first, None
        return first


class Packed(Iterator[bytes]):
    """Chunks as gzip, each as soon as there is enough of it."""

    def __init__(self, chunks: Begun) -> None:
        self._chunks, self._packer, self._ended = chunks, zlib.compressobj(QUICK, zlib.DEFLATED, GZIP), False

    def __next__(self) -> bytes:
        for chunk in self._chunks:
            if packed := self._packer.compress(chunk):
                return packed
        if self._ended:
            raise StopIteration
        self._ended = True
        return self._packer.flush()

    def close(self) -> None:
        self._chunks.close()


def streamed(request: HttpRequest, chunks: Iterator[bytes], kind: str, *, packs: bool) -> StreamingHttpResponse:
    """The chunks as an answer that is sent while they are made; with `packs` as gzip where the client takes it and they are not few.

    Raises TooManyStreams, and what the first chunk raises.
    """
    begun = Begun(chunks)
    if request.method == "HEAD":  # gunicorn would read the whole of it, and send nothing.
        begun.close()
        return StreamingHttpResponse([], content_type=kind)
    if not packs:
        return StreamingHttpResponse(begun, content_type=kind)
    is_packed = takes_gzip(request) and len(begun.first or b"") >= SMALL
    return _varied(StreamingHttpResponse(Packed(begun) if is_packed else begun, content_type=kind), is_packed)


def packed(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
    """A whole answer, as gzip where the client takes it and it is not small. An ETag that it has must be a weak one."""
    is_packed = takes_gzip(request) and len(answer.content) >= SMALL
    if is_packed:
        answer.content = zlib.compress(answer.content, QUICK, GZIP)
    return _varied(answer, is_packed)


def _varied(answer: Any, is_packed: bool) -> Any:
    patch_vary_headers(answer, ["Accept-Encoding"])
    if is_packed:
        answer["Content-Encoding"] = "gzip"
    return answer


def takes_gzip(request: HttpRequest) -> bool:
    """Whether the client takes gzip (RFC 9110, 12.5.3)."""
    given = dict(weighed(request.headers.get("Accept-Encoding", "")))
    return given.get("gzip", given.get("*", 0.0)) > 0


class Pieces(Iterator[bytes]):
    """A file in pieces, closed once the answer is."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.close = file.close

    def __next__(self) -> bytes:
        if piece := self._file.read(PIECE):
            return piece
        raise StopIteration


def leaving(request: HttpRequest) -> Callable[[], bool]:
    """Asks whether the client has closed its connection, as far as the server under us lets us see it."""
    socket = request.META.get("gunicorn.socket")

    def is_gone() -> bool:
        try:
            return socket is not None and socket.recv(1, MSG_PEEK | MSG_DONTWAIT) == b""
        except (BlockingIOError, ValueError):  # An encrypted connection cannot be peeked at.
            return False
        except OSError:
            return True

    return is_gone
