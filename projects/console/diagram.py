"""The entity diagram in the console: the live tables and what refers to what, drawn here as SVG."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from projects.console.layout import HEAD, LINE, Arrow, Box, layout
from projects.console.places import table_page
from projects.console.tables import TABLES
from projects.errors import ProjectsError
from projects.store.books import LiveTable
from projects.store.connection import Store, get_store
from projects.store.references import Reference, references_of
from schema_registry.pages import Page

MOST = 60  # boxes of a drawing that a person can still read
LONGEST = 26  # characters of a name or a type in a box; the whole stands in its title
CHARACTER, PADDING = 8, 12  # pixels


@dataclass(frozen=True, slots=True)
class Shape:
    """A box as it is drawn: its words, with a place for each line."""

    name: str
    address: str
    text: str
    words: str
    x: int
    y: int
    width: int
    height: int
    lines: list[dict[str, Any]]
    rest: str

    @property
    def left(self) -> int:
        """Where its words begin."""
        return self.x + PADDING

    @property
    def right(self) -> int:
        return self.x + self.width

    @property
    def inner_right(self) -> int:
        """Where its words end."""
        return self.right - PADDING

    @property
    def head(self) -> str:
        """The path of its head, round at its upper corners."""
        return f"M{self.x} {self.y + HEAD}v{6 - HEAD}q0 -6 6 -6h{self.width - 12}q6 0 6 6v{HEAD - 6}z"

    @property
    def name_y(self) -> int:
        return self.y + 22

    @property
    def rest_y(self) -> int:
        """The line above its last words."""
        return self.y + self.height - LINE


class Diagram(Page):
    """The tables that refer or are referred to, drawn; the others as a list. `q` narrows both, and keeps what is next to a table."""

    title = "Diagram"
    template_name = "console/diagram.html"
    crumbs = [TABLES]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        words = self.request.GET.get("q", "").strip()
        try:
            shown = _drawn(get_store(), words.casefold())
        except ProjectsError as error:
            shown = {"problem": str(error)}
        return super().get_context_data(words=words, **shown, **kwargs)


def _drawn(store: Store, words: str) -> dict[str, Any]:
    live = store.tables()
    found = [reference for table in live for reference in references_of(store, table.schema)]
    near: dict[str, set[str]] = {}
    for reference in found:
        if reference.target:
            near.setdefault(reference.table, set()).add(reference.to)
            near.setdefault(reference.to, set()).add(reference.table)
    named = {table.name for table in live if words in table.name.casefold()}
    chosen = {name for name in near if name in named or (words and near[name] & named)}
    most = set(sorted(chosen, key=lambda name: (name not in named, -len(near[name]), name.casefold()))[:MOST])
    return {
        **_picture([table for table in live if table.name in most], [r for r in found if {r.table, r.to} <= most]),
        "related": len(chosen),
        "all": len(live),
        "alone": [{"name": t.name, "address": table_page(t.name)} for t in live if t.name in named and t.name not in near],
        "references": [_told(r) for r in found if r.table in most or r.to in most or (r.table in named and not r.target)],
    }


def _told(reference: Reference) -> dict[str, str]:
    """A reference in words, for those who do not see the drawing, and for those that lead nowhere."""
    to = f"{reference.to}.{reference.target.name}" if reference.target else ""
    return {
        "from": f"{reference.table}.{reference.column.name}",
        "from_address": table_page(reference.table),
        "to": to or reference.column.references or "",
        "to_address": table_page(reference.to) if to else "",
    }


def _picture(tables: Sequence[LiveTable], references: Iterable[Reference]) -> dict[str, Any]:
    drawn = [reference for reference in references if reference.target]
    lines = {table.name: _lines(table, drawn) for table in tables}
    boxes = [Box(table.name, _width(table, lines[table.name]), len(lines[table.name]) + 1) for table in tables]
    arrows = [_arrow(reference, lines) for reference in drawn]
    drawing = layout(boxes, arrows)
    shapes = [_shape(table, box, lines[table.name], drawing.corners[box.name], drawn) for table, box in zip(tables, boxes, strict=True)]
    paths = [{"path": path, "source": r.table, "target": r.to, **_told(r)} for r, path in zip(drawn, drawing.paths, strict=True)]
    return {"shapes": shapes, "paths": paths, "width": drawing.width, "height": drawing.height}


def _lines(table: LiveTable, references: Iterable[Reference]) -> list[str]:
    """The columns that a box shows: the key, what refers, and what is referred to."""
    shown = {column.name for column in table.schema.key_columns}
    for reference in references:
        if reference.table == table.name:
            shown.add(reference.column.name)
        if reference.to == table.name and reference.target:
            shown.add(reference.target.name)
    return [column.name for column in table.schema.stored_columns if column.name in shown]


def _arrow(reference: Reference, lines: dict[str, list[str]]) -> Arrow:
    target = reference.target.name if reference.target else ""
    return Arrow(reference.table, lines[reference.table].index(reference.column.name), reference.to, lines[reference.to].index(target))


def _width(table: LiveTable, lines: Sequence[str]) -> int:
    types = {column.name: column.sql_type for column in table.schema.columns}
    longest = max([len(_short(table.name)) + 2, *(len(_short(name)) + len(_short(types[name])) + 10 for name in lines)])
    return longest * CHARACTER + 2 * PADDING


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _shape(table: LiveTable, box: Box, lines: Sequence[str], corner: tuple[int, int], references: Iterable[Reference]) -> Shape:
    keys = {column.name for column in table.schema.key_columns}
    referring = {r.column.name: r.column.references or "" for r in references if r.table == table.name}
    by_name = {column.name: column for column in table.schema.columns}
    x, y = corner
    shown = [
        {
            "name": _short(name),
            "type": _short(by_name[name].sql_type),
            "mark": " ".join([*(["key"] if name in keys else []), *(["ref"] if name in referring else [])]),
            "y": y + HEAD + LINE * place,
            "title": f"{name} {by_name[name].sql_type}",
        }
        for place, name in enumerate(lines)
    ]
    more = len(table.schema.columns) - len(lines)
    said = "; ".join(f"{name} refers to {target}" for name, target in referring.items())
    words = f"{table.name}: {len(table.schema.columns)} columns, key {', '.join(table.schema.primary_key)}" + (f"; {said}" if said else "")
    rest = f"{more} more column{'' if more == 1 else 's'}" if more else "no more columns"
    return Shape(table.name, table_page(table.name), _short(table.name), words, x, y, box.width, box.height, shown, rest)
