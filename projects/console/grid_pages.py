"""The pages of a list in the grid: forward and back by the place of a row, and the last page without those before it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from projects import cursors
from projects.aliases import Names
from projects.errors import BadRequest
from projects.filters import Listing, parse_listing
from projects.store import grid
from projects.store.connection import Store

SIZES = (25, 50, 100, 250)  # rows of a page
SIZE = 50
LAST, BACK = "last", "-"  # the cursor of the last page, and what stands before one whose page ends there


@dataclass(frozen=True, slots=True)
class Paged:
    """A page of rows in the list's order; `previous` and `next` are cursors, None also where a value is too long for an address."""

    rows: list[grid.Shown]
    is_first: bool
    is_last: bool
    previous: str | None
    next: str | None

    @property
    def is_whole(self) -> bool:
        """Whether there are no other pages."""
        return self.is_first and self.is_last


NOTHING = Paged([], True, True, None, None)


def read(names: Names, pairs: Iterable[tuple[str, str]]) -> Listing:
    """The list that the grid's address asks for. Raises BadRequest."""
    listing = parse_listing(names, pairs)
    if listing.limit and listing.limit > SIZES[-1]:
        raise BadRequest(detail=f"A page here has at most {SIZES[-1]} rows; an export has them all.")
    return replace(listing, limit=listing.limit or SIZE)


def page(store: Store, names: Names, listing: Listing) -> Paged:
    """The page that the list's cursor asks for; the first where nothing stands before it, the last where nothing stands after it.

    Raises BadRequest, SchemaMoved.
    """
    is_end, backward = listing.cursor == LAST, listing.cursor == LAST or listing.cursor.startswith(BACK)
    cursor = "" if is_end or not listing.cursor else listing.cursor.removeprefix(BACK) or BACK
    begun = cursors.opened(names, replace(listing, cursor=cursor))
    found = grid.page(store, names.schema, replace(begun, backward=backward))
    goes_on = bool(listing.cursor or listing.offset)
    if goes_on and backward and not is_end and not found.more:
        return page(store, names, replace(listing, cursor=""))  # Fewer rows than a page has stood before it.
    if goes_on and not backward and not found.rows:
        return page(store, names, replace(listing, cursor=LAST, offset=0))
    rows = found.rows[::-1] if backward else found.rows
    is_first, is_last = (not found.more, is_end) if backward else (not goes_on, not found.more)
    previous = None if is_first else cursors.sealed(names, listing, rows[0].place)
    following = None if is_last else cursors.sealed(names, listing, rows[-1].place)
    return Paged(rows, is_first, is_last, previous and BACK + previous, following)
