"""A bad request, what it is made of, and bodies that are bad at every door that takes JSON."""

import json
from dataclasses import dataclass, field

NIL = "00000000-0000-0000-0000-000000000000"
BIG, HUGE = "9" * 30, "9" * 5_000
TEXT = "application/json"
GOOD = {"project_name": "Wind farm", "total_amount": 1, "maturity_years": 1, "expected_tri": 1, "dscr": 1}


@dataclass(frozen=True, slots=True)
class Bad:
    """A request that cannot be taken. `path` is quoted already; `statuses` are those that say so."""

    method: str
    path: str
    statuses: tuple[int, ...]
    body: bytes = b""
    kind: str = TEXT
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.path[:80]} {self.kind[:40]} {self.body[:60]!r} {str(self.headers)[:100]}"


def get(path: str, *statuses: int, **headers: str) -> Bad:
    return Bad("GET", path, statuses or (400,), headers=_named(headers))


def post(path: str, body: object, *statuses: int, method: str = "POST", kind: str = TEXT, **headers: str) -> Bad:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Bad(method, path, statuses or (400,), sent, kind, _named(headers))


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


# Bodies that are no JSON, or more than any JSON that is read.
NOT_JSON = [
    b"{",
    b"[}",
    b"nul",
    b"'a'",
    b"{'a': 1}",
    b'{"a": 1,}',
    b'{"a": NaN}',
    b'{"a": Infinity}',
    b'{"a": -Infinity}',
    b'{"a": 01}',
    b'{"a": 1e}',
    b'{"a": "\xff"}',
    b"\xef\xbb\xbf{",
    b"\xff\xfe{\x00}\x00",
    b"\x00",
    b"\x1f\x8b\x08\x00",
    b'{"a": "\x01"}',
    b"{" * 100_000,
    b"[" * 100_000 + b"]" * 100_000,
    b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
    b"--- !!python/object/apply:os.system ['true']",
    b"a=1&b=2",
]
# JSON that is no object where one is wanted.
NO_OBJECT = [b"null", b"true", b"1", b'"text"', b"1.5e300", b"-0", b'""']
