"""A table altered by the store's one door for it, with nobody's plan: for tests of what stands around a change."""

from collections.abc import Sequence

from projects.store.books import LiveTable
from projects.store.connection import Store
from projects.store.evolve import Evolution, evolve
from schema_registry.schema import TableSchema


def alter(
    store: Store, base: LiveTable, schema: TableSchema, statements: Sequence[str], *, version: int, provenance: str, actor: str
) -> None:
    """Brings the table from `base` to the schema. The caller holds its lock alone."""
    made = {"version": version, "provenance": provenance, "actor": actor}
    evolve(store, Evolution(plan=0, base=base, wanted=schema, statements=statements, aliases=base.aliases, **made))
