"""A plan as a person reads it in a terminal: each step with its evidence, a sample of rows, and its exact SQL uncut."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console

from projects.management.sql_text import folded, visible
from projects.plans import OPEN

Plain = Mapping[str, Any]  # a plan, or a part of one, as REST answers it

LONGEST = 60  # characters of a value in a sample
_COLOURS = {"apply": "", "wait": "yellow", "refuse": "red"}
_ACTIONS = {"apply": "", "wait": ", waits", "refuse": ", refused by the policy"}


def console() -> Console:
    """Where a command prints: no line is cut or folded by the terminal's width, no text is taken for markup."""
    return Console(soft_wrap=True, highlight=False, markup=False, emoji=False)


def show(out: Console, plan: Plain) -> None:
    """The whole plan: who did what, each step, what it waits for, what it did."""
    for line in head(plan):
        out.print(visible(line))
    show_steps(out, plan)
    for line in _end(plan):
        out.print(visible(line))


def show_steps(out: Console, plan: Plain) -> None:
    """Each step with its class, evidence and SQL, then what a rebuild takes."""
    is_open = plan["state"] in OPEN
    for number, step in enumerate(plan["steps"], 1):
        action = step["action"] if is_open else "apply"
        out.print(visible(f"  {number}. {step['class']}{_ACTIONS[action]}: {step['why']}"), style=_COLOURS[action])
        for line in (*_evidence(step), *_sampled(step["sample"])):
            out.print(visible(f"     {line}"))
        for statement in step["sql"]:
            out.print(visible(folded(statement, indent="       ") + ";"))
    if is_open and (needed := plan["estimate"]):
        out.print(f"  The rebuild takes about {needed['seconds']} s, and {_size(needed['bytes'])} of disk beside the table.")


def head(plan: Plain) -> Iterator[str]:
    """What plan it is, of what, and who decided what about it."""
    known = f"plan {plan['id']}, {plan['state']}" if plan["id"] else "a plan that is only shown"
    undone = f" of plan {plan['undoes']}" if plan["undoes"] else ""
    yield f"{plan['table']}, {_versions(plan)}: {known}, {plan['kind']}{undone}"
    yield from (f"  {line}" for line in _decisions(plan))
    for column, given in plan["inputs"].items():
        yield f"  given for {column}: {', '.join(f'{name} {value}' for name, value in given.items())}"


def _decisions(plan: Plain) -> Iterator[str]:
    if plan["created_at"]:
        yield f"proposed by {plan['created_by']}, {moment(plan['created_at'])}"
    if plan["approved_by"]:
        yield f"approved by {plan['approved_by']}"
    if plan["finished_at"]:
        yield f"{plan['state']}{' by ' + plan['applied_by'] if plan['applied_by'] else ''}, {moment(plan['finished_at'])}"
    if plan["reason"]:
        yield f"reason: {plan['reason']}"


def moment(text: str) -> str:
    """An ISO moment in UTC, to the second."""
    return f"{text[:19].replace('T', ' ')} UTC"


def _versions(plan: Plain) -> str:
    before, after = plan["from_version"], plan["to_version"]
    return f"version {after}" if before in (None, after) else f"version {before} to {after}"


def _evidence(step: Plain) -> Iterator[str]:
    said = f"Rows in the way: {step['rows_in_the_way']:,} of {step['rows_total']:,}."
    if step["rows_lost"]:
        said += f" {step['rows_lost']:,} would lose a value{', which is archived first' if step['archive'] else ''}."
    if step["rows_broken"]:
        said += f" {step['rows_broken']:,} cannot be kept without {step['needs'] or 'other values'}."
    yield said


def _sampled(sample: Sequence[Plain]) -> list[str]:
    if not sample:
        return []
    rows = [[_cell(row[name]) for name in ("key", "value", "becomes")] for row in sample]
    return [f"  {line}" for line in aligned([["row", "value", "becomes"], *rows])]


def _cell(value: str | None) -> str:
    if value is None:
        return "null"
    shown = visible(value).replace("\n", "\\n") or "''"
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}..."


def _size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def _end(plan: Plain) -> Iterator[str]:
    did = plan["outcome"]
    if "rows" in did:
        yield f"  It left {did['rows']:,} rows{', in ' + format(did['seconds'], '.1f') + ' s' if 'seconds' in did else ''}."
    if did.get("archive"):
        yield f"  Archive: {did['archive']['file']}, {did['archive']['rows']:,} rows, SHA-256 {did['archive']['sha256']}"
    if plan["error"]:
        yield f"  {plan['error']}"
    if plan["waits_for"]:
        yield f"  It waits: {plan['waits_for']}"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines, each column as wide as its widest cell."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
