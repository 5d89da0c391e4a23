"""The order of a list's rows, and the rows that come after a place in it.

A place is the values of the sorted columns and of the key in one row, so it stays what it is while other rows come and go; a row's
number in the file does not, for DuckDB moves rows when it folds deleted ones away.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from projects.store.sql import cell_of, literal, quote, value_of
from schema_registry.schema import ColumnSchema, TableSchema

Sort = Sequence[tuple[ColumnSchema, bool]]  # columns, each with whether it runs down
Place = tuple[str | None, ...]  # a value as text, or None for null, for each term of an order


@dataclass(frozen=True, slots=True)
class Term:
    """One column of an order; one that is read backward has its nulls first."""

    column: ColumnSchema
    descending: bool
    nulls_first: bool = False

    @property
    def name(self) -> str:
        return quote(self.column.name)

    @property
    def sql(self) -> str:
        """Nulls last whichever way the column runs, and so first where the order is read backward."""
        nulls = "" if self.column.required else " NULLS FIRST" if self.nulls_first else " NULLS LAST"
        return f"{self.name} {'DESC' if self.descending else 'ASC'}{nulls}"

    @property
    def text(self) -> str:
        """What `str` makes the text of that `value` takes back, NaN too; the less there is to cast, the sooner it is planned."""
        kind = self.column.type
        if self.column.multivalued:
            return cell_of(self.column, self.name)
        return self.name if kind.is_integer or kind.base in ("VARCHAR", "UUID") else f"{self.name}::VARCHAR"

    def value(self, text: str) -> str:
        return value_of(self.column, literal(text)) if self.column.multivalued else f"{literal(text)}::{self.column.type}"


def terms(schema: TableSchema, sort: Sort, *, backward: bool = False) -> tuple[Term, ...]:
    """The order that a sort asks for, or its reverse; the key decides between equals."""
    sorted_by = {c.name for c, _ in sort}
    whole = (*sort, *((c, False) for c in schema.key_columns if c.name not in sorted_by))
    return tuple(Term(c, down is not backward, backward) for c, down in whole)


def order_by(schema: TableSchema, sort: Sort, *, backward: bool = False) -> str:
    """The clause, with a space before it; nothing where there is neither a sort nor a key."""
    order = ", ".join(term.sql for term in terms(schema, sort, backward=backward))
    return f" ORDER BY {order}" if order else ""


def place(schema: TableSchema, sort: Sort) -> list[str]:
    """The expressions that `place_of` makes a row's place of."""
    return [term.text for term in terms(schema, sort)]


def place_of(values: Iterable[object]) -> Place:
    return tuple(None if value is None else str(value) for value in values)


def after(schema: TableSchema, sort: Sort, place: Place, *, backward: bool = False) -> str:
    """The condition that a row comes after the place, or before it where the order is read backward."""
    order = terms(schema, sort, backward=backward)
    return _after(list(zip(order, place, strict=True)))


def _after(pairs: list[tuple[Term, str | None]]) -> str:
    """After it by the first column, or level with it there and after it by the others."""
    (term, text), others = pairs[0], pairs[1:]
    level = f"{term.name} IS NULL" if text is None else f"{term.name} = {term.value(text)}"
    further = " OR ".join(_further(term, text))
    if not others:
        return f"({further or 'false'})"
    rest = f"{level} AND {_after(others)}"
    if text is not None and term.column.required:  # Said first by itself, it lets DuckDB pass by whole blocks of rows.
        return f"({term.name} {'<=' if term.descending else '>='} {term.value(text)} AND ({further} OR {rest}))"
    return f"({' OR '.join(filter(None, (further, rest)))})"


def _further(term: Term, text: str | None) -> Iterator[str]:
    """Nothing comes after a null but a null, or, where nulls are first, every value."""
    if text is None:
        if term.nulls_first:
            yield f"{term.name} IS NOT NULL"
        return
    yield f"{term.name} {'<' if term.descending else '>'} {term.value(text)}"
    if not (term.column.required or term.nulls_first):
        yield f"{term.name} IS NULL"
