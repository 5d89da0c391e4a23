"""Cursors: where a list goes on, sealed into a text that is good for that list alone."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

from django.core.signing import BadSignature, Signer

from projects.aliases import Names
from projects.errors import BadRequest
from projects.filters import Listing
from projects.store.conditions import holds
from projects.store.ordering import Place, order_by
from schema_registry.errors import Problem

LONGEST = 4000  # characters; an address has to hold it
_signer = Signer(salt="projects.cursors")


def sealed(names: Names, listing: Listing, place: Place) -> str | None:
    """The place as a cursor of this list, or None where a value in it is too long for an address."""
    cursor = _signer.sign_object([_list_of(names, listing), *place], compress=True)
    return cursor if len(cursor) <= LONGEST else None


def opened(names: Names, listing: Listing) -> Listing:
    """The list from its cursor's place on. Raises BadRequest where the cursor is not one of this list's."""
    if not listing.cursor:
        return listing
    try:
        of, *place = _signer.unsign_object(listing.cursor)
    except (BadSignature, ValueError):
        raise _refused("The cursor is none that was given here; begin again without it.") from None
    if of != _list_of(names, listing):
        raise _refused("The cursor belongs to another sort, filter or version of the table's schema; begin again without it.")
    return replace(listing, after=tuple(place))


def _refused(reason: str) -> BadRequest:
    return BadRequest(detail=reason, problems=(Problem("?cursor", "parameter", reason),))


def _list_of(names: Names, listing: Listing) -> str:
    """What the cursor is bound to, in a few characters."""
    live = names.live
    parts: list[Any] = [live.name, live.version, live.schema.fingerprint, names.schema.fingerprint]
    parts += [names.source, holds(listing.filter), order_by(names.schema, listing.sort)]
    return sha256(repr(parts).encode()).hexdigest()[:16]
