"""What a person gives for a plan's rows, as fields of a form, and read back as the inputs that REST takes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from projects import plans
from projects.errors import InputsRefused
from projects.evolution.backfill import ANSWERED
from projects.models import Plan
from schema_registry.errors import Problem
from schema_registry.schema import ColumnSchema, TableSchema

Inputs = Mapping[str, Mapping[str, Any]]  # by column, as POST /admin/plans takes them
BLANK_PAIRS = 2  # lines of a mapping beyond those that are known to be needed
CHOICES = {
    "constant": "One value for all of them",
    "expression": "An expression over the row",
    "mapping": "A new value for each old one",
    "factor": "A factor, and an offset where there is one",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What may be given for one column of a plan.

    `kinds` are the sorts of values that it takes; `old_names` the columns that would go, one of which it may be under another name, and
    `likely` the one that looks like it; `old_values` those that a mapping should name. `given` is what was given, `error` why not.
    """

    column: ColumnSchema
    kinds: Sequence[str] = ()
    old_names: Sequence[str] = ()
    likely: str = ""
    old_values: Sequence[str] = ()
    is_needed: bool = False
    given: Mapping[str, Any]
    error: str = ""

    @property
    def name(self) -> str:
        return self.column.name

    @property
    def chosen(self) -> str:
        """The sort of values that is chosen: the given one, else the likeliest where one is needed."""
        found = next((kind for kind in self.kinds if kind in self.given), "")
        likeliest = "mapping" if self.old_values and "mapping" in self.kinds else next(iter(self.kinds), "")
        return found or (likeliest if self.is_needed else "")

    @property
    def choices(self) -> list[tuple[str, str]]:
        return [(kind, CHOICES[kind]) for kind in self.kinds]

    @property
    def values(self) -> Sequence[str]:
        """The few values that there are to choose from, if they are few."""
        if self.column.multivalued:
            return ()
        return ("true", "false") if self.column.type.base == "BOOLEAN" else self.column.enum or ()

    @property
    def constant(self) -> str:
        found = self.given.get("constant", "")
        return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The lines of the mapping: what was given, what should be, and a few empty ones."""
        given = {old: "" if new is None else new for old, new in self.given.get("mapping", {}).items()}
        wanted = {old: "" for old in self.old_values if old not in given}
        return [*given.items(), *wanted.items(), *[("", "")] * BLANK_PAIRS]


def asked(plan: Plan, given: Inputs, problems: Sequence[Problem] = ()) -> dict[str, Asked]:
    """The columns that something may be given for, by name; the problems are those of InputsRefused."""
    if plan.target is None or plan.kind not in (Plan.Kind.CHANGE, Plan.Kind.UNDO, Plan.Kind.REPAIR):
        return {}
    base = TableSchema.from_json(plan.base) if plan.base else None
    errors = {problem.pointer.removeprefix("/inputs/"): problem.detail for problem in problems}
    before = {new: base.column(old) for old, new in plan.pairs} if base else {}
    likely = {one.column: one.renamed_from for one in plans.suggested(plan)}
    found = (
        _asked(plan, c, before.get(c.name), likely=likely.get(c.name, ""), given=given.get(c.name, {}), error=errors.get(c.name, ""))
        for c in TableSchema.from_json(plan.target).columns
    )
    return {one.name: one for one in found if one.kinds or one.old_names or one.error}


def _asked(plan: Plan, column: ColumnSchema, old: ColumnSchema | None, *, likely: str, given: Mapping[str, Any], error: str) -> Asked:
    steps = [step for step in plan.steps if step["column"] == column.name and step["change"] != "drop_column"]
    changes = {step["change"] for step in steps}
    is_answered = bool(given or any(step["rows_in_the_way"] for step in steps))
    kinds = ["factor"] if is_answered and any(step["class"] == "meaning" for step in steps) else []
    if changes & ANSWERED and is_answered:
        kinds += ["constant", "expression"]
        kinds += ["mapping"] if old and not (old.multivalued or column.multivalued) else []
    old_names = _old_names(plan, given) if plan.kind != Plan.Kind.UNDO and (changes & {"add_column"} or "renamed_from" in given) else []
    return Asked(
        column=column,
        kinds=kinds,
        old_names=old_names,
        likely=likely,
        old_values=list(dict.fromkeys(_old_values(steps))),
        is_needed=any(step["rows_broken"] for step in steps),
        given=given,
        error=error,
    )


def _old_names(plan: Plan, given: Mapping[str, Any]) -> list[str]:
    going = [step["column"] for step in plan.steps if step["change"] == "drop_column"]
    before = given.get("renamed_from")
    return going if before is None or before in going else [before, *going]


def _old_values(steps: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The values that stand in the way, as far as the steps name them."""
    for step in steps:
        if step["change"] == "remove_enum_value" and step["rows_in_the_way"]:
            yield step["before"]
        if step["change"] == "set_enum":
            yield from (one["value"] for one in step["sample"] if one["value"] is not None)


def read(post: QueryDict, columns: Mapping[str, Asked]) -> dict[str, dict[str, Any]]:
    """The inputs that a form's answer gives."""
    given = {name: _read(post, one) for name, one in columns.items()}
    return {name: one for name, one in given.items() if one}


def words(given: Mapping[str, Any]) -> str:
    """What was given for one column, as a person reads it."""
    said = [f"it was {given['renamed_from']}"] if "renamed_from" in given else []
    said += [f"{old} becomes {'null' if new is None else new}" for old, new in given.get("mapping", {}).items()]
    said += [f"{kind} {given[kind]}" for kind in ("constant", "expression", "factor") if kind in given]
    said += [f"offset {given['offset']}"] if given.get("offset", "0") not in ("0", 0) else []
    return ", ".join(said)


def check_filled(table: str, inputs: Inputs) -> None:
    """Raises InputsRefused for what was chosen and left empty: an empty text is a value that nobody means by it."""
    words = {"constant": "Give the value that these rows get; for an empty text, give the expression ''.", "mapping": "Give an old value."}
    faults = [
        Problem(f"/inputs/{name}", "empty", words[kind]) for name, one in inputs.items() for kind in words if kind in one and not one[kind]
    ]
    if faults:
        raise InputsRefused(table=table, problems=tuple(faults))


def _read(post: QueryDict, one: Asked) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if before := post.get(f"renamed_from.{one.name}"):
        said["renamed_from"] = before
    match post.get(f"answer.{one.name}"):
        case "constant":
            said["constant"] = _value(one.column, post.get(f"constant.{one.name}", ""))
        case "expression":
            said["expression"] = post.get(f"expression.{one.name}", "")
        case "mapping":
            pairs = zip(post.getlist(f"old.{one.name}"), post.getlist(f"new.{one.name}"), strict=False)
            said["mapping"] = {old: new or None for old, new in pairs if old}
        case "factor":
            offset = post.get(f"offset.{one.name}", "")
            said |= {"factor": post.get(f"factor.{one.name}", "")} | ({"offset": offset} if offset else {})
    return said


def _value(column: ColumnSchema, text: str) -> Any:
    """A list and a document are written as JSON; what is none stays a text, which is then refused in words."""
    if not text or not (column.multivalued or column.type.base == "JSON"):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
