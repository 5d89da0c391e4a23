"""Conditional requests on one row (RFC 9110, section 13): its tag, and what If-Match and If-None-Match ask of it."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from projects.errors import BadRequest, PreconditionFailed

_MEMBER = re.compile(r'[ \t]*(?:(W/)?("[!#-~\x80-\xff]*"))?[ \t]*(?:,|\Z)')


def tag_of(row: str) -> str:
    """The strong entity tag of a row's JSON text as it is answered."""
    return f'"{hashlib.blake2b(row.encode(), digest_size=16).hexdigest()}"'


@dataclass(frozen=True, slots=True)
class Tags:
    """The tags of one header; `anything` is `*`, which means any row that is there."""

    anything: bool
    strong: frozenset[str] = frozenset()
    weak: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Preconditions:
    """What a request asks of the row before it reads or writes it."""

    match: Tags | None = None
    none_match: Tags | None = None

    def refusal(self, table: str, key: str, row: str | None, *, reads: bool = False) -> PreconditionFailed | None:
        """What stands against it, by the row's text now, None where there is none; who only `reads` a known row is not refused."""
        reason = self._mismatch(row)
        if not reason and not reads and row is not None and self.is_known(row):
            reason = "is there already, and If-None-Match wants none; send If-Match with its ETag to change it"
        return PreconditionFailed(table=table, key=key, reason=reason) if reason else None

    def _mismatch(self, row: str | None) -> str:
        if self.match is None:
            return ""
        if row is None:
            return "is not there, and If-Match wants one that is; leave it out to create the row"
        if self.match.anything or tag_of(row) in self.match.strong:
            return ""
        return "is not as If-Match names it; get it again, look at what changed, and send the ETag that it has then"

    def is_known(self, row: str) -> bool:
        """Whether If-None-Match has the row; a weak tag of the same text counts here."""
        tags = self.none_match
        return tags is not None and (tags.anything or tag_of(row) in tags.strong | tags.weak)


def read(meta: Mapping[str, Any]) -> Preconditions | None:
    """What the request's headers ask, None where they ask nothing. Raises BadRequest."""
    match, none_match = meta.get("HTTP_IF_MATCH"), meta.get("HTTP_IF_NONE_MATCH")
    if match is None and none_match is None:
        return None
    return Preconditions(_tags("If-Match", match), _tags("If-None-Match", none_match))


def _tags(header: str, text: str | None) -> Tags | None:
    if text is None:
        return None
    if text.strip(" \t") == "*":
        return Tags(anything=True)
    strong: set[str] = set()
    weak: set[str] = set()
    place = 0
    while place < len(text):
        member = _MEMBER.match(text, place)
        if member is None:
            break
        place = member.end()
        if member[2]:
            (weak if member[1] else strong).add(member[2])
    if place < len(text) or not (strong or weak):
        raise BadRequest(detail=f'{header} is *, or tags such as "0f3a" in their quotes with commas between them.')
    return Tags(anything=False, strong=frozenset(strong), weak=frozenset(weak))
