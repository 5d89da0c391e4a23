"""Rows in the shape of one of their table's versions: whether that can be, and how.

A shape is names, types, units and the order of columns. What a value may be (required, enum, bounds) is the live schema's to say.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_

from django.db.models import Q, QuerySet

from projects.aliases import Names
from projects.errors import VersionUnmapped
from projects.models import Plan
from projects.store import sql
from projects.store.books import LiveTable
from projects.store.conversion import converted, is_exact
from schema_registry import snapshots
from schema_registry.diff import paired
from schema_registry.errors import Problem
from schema_registry.models import Snapshot
from schema_registry.schema import ColumnSchema, TableSchema

Origins = Mapping[str, ColumnSchema]  # the live column behind each of a version's columns, by the name that the version has for it


@dataclass(frozen=True, slots=True)
class Shape:
    """A version's shape of a live table: `schema` is the version's under the table's present name; the problems say what is not total."""

    live: TableSchema
    schema: TableSchema
    origins: Origins
    unreadable: tuple[Problem, ...]
    unwritable: tuple[Problem, ...]

    @property
    def source(self) -> str:
        """The table's rows as the version has them, as a relation."""
        pairs = ((self.origins[column.name], column) for column in self.schema.columns)
        values = (f"{converted(live, column, sql.quote(live.name))} AS {sql.quote(column.name)}" for live, column in pairs)
        return f"(SELECT {', '.join(values)} FROM {sql.table(self.live.name)})"

    @property
    def read(self) -> TableSchema:
        """The version's columns, of which those that may be null now are not required."""
        required = {name: origin.required for name, origin in self.origins.items()}
        return replace(self.schema, columns=tuple(replace(c, required=c.required and required[c.name]) for c in self.schema.columns))

    @property
    def written(self) -> TableSchema:
        """The version's columns by their names, each with the live one's type and rules."""
        return replace(self.schema, columns=tuple(replace(self.origins[c.name], name=c.name) for c in self.schema.columns))


def mapped(live: TableSchema, version: TableSchema, origins: Origins, scaled: Collection[str] = ()) -> Shape:
    """The shape of a version, with all that keeps its rows from being read or written.

    `scaled` are the live columns whose values were converted to another unit since.
    """
    lost: list[Problem] = []  # neither read nor written
    wide: list[Problem] = []
    narrow: list[Problem] = []
    for column in version.columns:
        name, origin = column.name, origins.get(column.name)
        if origin is None:
            lost.append(_problem(name, "dropped", "is there no longer"))
        elif reason := _another(column, origin, scaled):
            lost.append(_problem(name, "meaning", reason))
        else:
            if not is_exact(origin, column):
                wide.append(_problem(name, "type", f"is {origin.sql_type} now, and not every such value is {column.sql_type}"))
            if not is_exact(column, origin):
                narrow.append(_problem(name, "type", f"is {origin.sql_type} now, which does not take every {column.sql_type}"))
    keys = [origins[c.name].name for c in version.key_columns if c.name in origins]
    if keys != [c.name for c in live.key_columns]:
        lost.append(Problem("", "key", f"the key is {', '.join(live.primary_key)} now"))
    known = {origin.name for origin in origins.values()}
    needed = (c for c in live.columns if c.required and c.default is None and not c.generated and c.name not in known)
    unknown = (_problem(c.name, "required", "is required now, and the version does not have it") for c in needed)
    schema = replace(version, name=live.name)
    return Shape(live, schema, origins, unreadable=(*lost, *wide), unwritable=(*lost, *narrow, *unknown))


def _another(column: ColumnSchema, origin: ColumnSchema, scaled: Collection[str]) -> str:
    """Why no value of the one column is one of the other, whatever their types, or nothing."""
    if column.multivalued != origin.multivalued:
        return f"holds {'lists' if origin.multivalued else 'single values'} now"
    if column.unit and origin.unit and column.unit != origin.unit and origin.type.is_number:
        return f"is in {origin.unit} now, not in {column.unit}"
    if origin.name in scaled and not (column.unit and column.unit == origin.unit):
        return "is in another unit now"
    return ""


def _problem(name: str, code: str, reason: str) -> Problem:
    return Problem(f"/{name}", code, f"{name} {reason}")


class _InVersion(Names):
    """The names and rows of a live table as a version has them; the old names of its columns do not count."""

    __slots__ = ("_shape",)

    def __init__(self, live: LiveTable, asked: str, shape: Shape, *, writes: bool) -> None:
        super().__init__(live, asked)
        self._shape, self.aliases = shape, ()
        self.schema, self.source = (shape.written, "") if writes else (shape.read, shape.source)

    def stored_column(self, column: ColumnSchema) -> ColumnSchema:
        return self._shape.origins[column.name]

    def stored_cells(self, cells: dict[str, str | None], *, is_new: bool = False) -> dict[str, str | None]:
        stored = {self._shape.origins[name].name: cell for name, cell in cells.items()}
        return {c.name: stored.get(c.name, c.default) for c in self.live.schema.columns} if is_new else stored

    def shown_row(self, row: str) -> str:
        """A row that is read and written has the same types in both shapes, so its values stay as they stand."""
        values = _values(row)
        shown = (f"{json.dumps(c.name, ensure_ascii=False)}:{values[self.stored_column(c).name]}" for c in self.schema.columns)
        return f"{{{','.join(shown)}}}"


_PARTS = json.JSONDecoder(parse_int=str, parse_float=str)


def _values(row: str) -> dict[str, str]:
    """The texts of a row's values, by name; DuckDB writes no space between them."""
    found, place = {}, 0
    while row[place] != "}":
        name, start = _PARTS.raw_decode(row, place + 1)
        _, place = _PARTS.raw_decode(row, start + 1)
        found[name] = row[start + 1 : place]
    return found


# Which column was which.


def names(live: LiveTable, asked: str, version: int | None, *, reads: bool = False, writes: bool = False) -> Names:
    """What a request sees of a table: the table as it is, or as a version has it, to read its rows, to write them, or both.

    Versions are counted under the name that the request has for the table. Raises NoSnapshot, UnknownVersion, VersionUnmapped.
    """
    if version is None:
        return Names(live, asked)
    snapshot = snapshots.version(asked, version)
    shape = mapped(live.schema, snapshot.as_schema(), *_followed(live, snapshot))
    for deed, problems in (("written", shape.unwritable if writes else ()), ("read", shape.unreadable if reads else ())):
        if problems:
            reason = "; ".join(problem.detail for problem in problems)
            raise VersionUnmapped(table=live.name, version=version, deed=deed, reason=reason, problems=problems)
    return _InVersion(live, asked, shape, writes=writes)


def _followed(live: LiveTable, snapshot: Snapshot) -> tuple[Origins, set[str]]:
    """The live column behind each of a snapshot's, and the live columns that were converted to another unit since.

    The plans that were applied say it, for they moved the values: they are followed from the live schema back to the snapshot's, or,
    where the table never had that, to the first later schema that it had. The rest of the way is by hints, ids and names, as a plan
    would go it. So a name that was given to another column meanwhile is never taken for the old one.
    """
    stage, fingerprint, scaled = live.schema, live.schema.fingerprint, set()
    origins = {column.name: column for column in live.schema.columns}  # by the stage's names
    for plan in _plans(live):
        if fingerprint == snapshot.fingerprint:
            break
        if plan.target_fingerprint != fingerprint and (fingerprint or plan.state != Plan.State.APPLIED):
            continue  # It was undone, or was another table's of that name.
        if _is_earlier(plan, snapshot):
            break
        scaled |= {origin.name for name, origin in origins.items() if "factor" in plan.inputs.get(name, {})}
        origins = {before: origins[after] for before, after in plan.pairs if after in origins}
        # What was adopted had been altered by hand, where names are all there is to go by.
        stage, fingerprint = TableSchema.from_json(plan.base or {}), "" if plan.kind == Plan.Kind.ADOPT else plan.base_fingerprint
    return _by_hints(stage, origins, snapshot, is_later=_is_later(live, snapshot)), scaled


def _plans(live: LiveTable) -> QuerySet[Plan]:
    """The plans that brought the table from one schema to another, newest first; an undo is told by the plan that it takes back.

    The file has what a plan did a moment before the plan says so, hence those that are being applied.
    """
    called = {live.name, *(alias.name for alias in live.aliases if alias.column is None)}
    of_table = reduce(or_, (Q(table__iexact=name) for name in called))
    begun = (Plan.State.APPLYING, Plan.State.APPLIED, Plan.State.UNDONE)
    done = Plan.objects.filter(of_table, state__in=begun, kind__in=(Plan.Kind.CHANGE, Plan.Kind.ADOPT))
    return done.exclude(target_fingerprint="").defer("steps", "outcome").order_by("-pk")


def _is_earlier(plan: Plan, snapshot: Snapshot) -> bool:
    """Whether the table was older than the snapshot before the plan, and not after it."""
    base, target = ((schema or {})["name"].casefold() for schema in (plan.base, plan.target))
    return bool(target == snapshot.table_key and (base != target or (plan.from_version or 0) < snapshot.number))


def _is_later(live: LiveTable, snapshot: Snapshot) -> bool:
    """Whether the table has not come to the snapshot yet."""
    return bool(live.name.casefold() == snapshot.table_key and live.version < snapshot.number)


def _by_hints(stage: TableSchema, origins: Origins, snapshot: Snapshot, *, is_later: bool) -> Origins:
    version = snapshot.as_schema()
    if is_later:
        pairs = [(pair.wanted, pair.live) for pair in paired(stage, version)]
    else:
        pairs = [(pair.live, pair.wanted) for pair in paired(version, stage)]
    return {column.name: origins[staged.name] for column, staged in pairs if staged.name in origins}
