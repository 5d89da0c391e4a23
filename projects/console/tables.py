"""The tables in the console: all of them, with how large each is and whether it is in step."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Paginator
from django.utils.functional import cached_property

from projects import described, drift
from projects.console.places import table_page
from projects.drift import Drift
from projects.errors import ProjectsError
from projects.models import ManagedTable
from projects.store.books import LiveTable
from projects.store.connection import Store, get_store
from schema_registry.pages import Page

TABLES = ("Tables", "/console/tables/")
ON_A_PAGE = 25
STATES = ("in step", "behind", "altered", "missing", "orphaned", "unknown", "plan waits", "pinned", "read-only", "dropped")


@dataclass(frozen=True, slots=True)
class Line:
    """A table of the list: as DuckDB has it, where it does, and what people decided about it, where somebody did."""

    name: str
    live: LiveTable | None
    drifted: Drift | None
    record: ManagedTable | None

    @property
    def address(self) -> str:
        return table_page(self.name)

    @property
    def states(self) -> list[str]:
        """The words of its labels; each is one that the list can be narrowed to."""
        if self.live is None:
            return ["dropped"] if self.record and self.record.dropped_at else []
        drifted = [self.drifted.state, *(["plan waits"] if self.drifted.plan else [])] if self.drifted else []
        return [*drifted, *decided(self.record)]


def decided(record: ManagedTable | None) -> list[str]:
    """What people decided about a table, as labels."""
    given = (("pinned", record.pinned), ("read-only", record.read_only)) if record else ()
    return [word for word, is_so in given if is_so]


def lines(store: Store) -> list[Line]:
    """Every table that is live or was, by name. Raises as `Store.tables`."""
    live = {table.name.casefold(): table for table in store.tables()}
    records = {record.name.casefold(): record for record in ManagedTable.objects.all()}
    drifts = drift.look(store, list(live.values()))
    found = []
    for key in sorted({*live, *records}):
        table, record = live.get(key), records.get(key)
        found.append(Line(table.name if table else records[key].name, table, drifts.get(key), record))
    return found


def chosen(found: Sequence[Line], words: str, state: str) -> list[Line]:
    """The lines whose name or description has the words, in a state; a state that there is none of is none."""
    wanted = words.casefold().strip()
    return [line for line in found if wanted in _text(line) and (state not in STATES or state in line.states)]


def _text(line: Line) -> str:
    return f"{line.name}\n{line.live.schema.description if line.live else ''}".casefold()


class Tables(Page):
    """The list: a page of the tables, narrowed by `q` and `state`."""

    title = "Tables"
    template_name = "console/tables.html"

    @cached_property
    def lines(self) -> tuple[list[Line], str]:
        """The tables, and why DuckDB cannot be read where it cannot."""
        try:
            return lines(get_store()), ""
        except ProjectsError as error:
            return [Line(record.name, None, None, record) for record in ManagedTable.objects.all()], str(error)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        found, problem = self.lines
        words, state = self.request.GET.get("q", ""), self.request.GET.get("state", "")
        counted = Counter(word for line in found for word in line.states)
        page = Paginator(chosen(found, words, state), ON_A_PAGE).get_page(self.request.GET.get("page"))
        return super().get_context_data(
            page=page,
            rows=[{"line": line, "seen": seen} for line, seen in _measured(list(page.object_list), problem)],
            all=len(found),
            states=[{"word": word, "count": counted[word]} for word in STATES if counted[word] or word == state],
            words=words,
            state=state if state in STATES else "",
            problem=problem,
            strangers=[] if problem else sorted(drift.foreign(get_store())),
            **kwargs,
        )


def _measured(found: Sequence[Line], problem: str) -> list[tuple[Line, dict[str, Any] | None]]:
    """Each line with what DuckDB says of it now, if anything."""
    live = [line.live for line in found if line.live]
    drifts = {line.live.name.casefold(): line.drifted for line in found if line.live and line.drifted}
    seen = {} if problem else {one["name"].casefold(): one for one in described.summaries(get_store(), live, drifts)}
    return [(line, seen.get(line.name.casefold())) for line in found]
