"""What becomes of each class of changes: applied, left to wait for a person, or refused; a setting, overridden table by table."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.conf import settings

from projects.errors import BadRequest
from projects.evolution.plan import Step

CLASSES = ("additive", "metadata", "rename", "strengthening", "destructive", "meaning")
ACTIONS = ("apply", "wait", "refuse")
Known = tuple[str, str | None, str | None, str | None]  # a change as a person knows it again: kind, column, before, after


def read_policy(given: Any) -> dict[str, str]:
    """A table's own policy as a person sent it. Raises BadRequest."""
    if not isinstance(given, Mapping) or set(given) - set(CLASSES) or set(map(str, given.values())) - set(ACTIONS):
        raise BadRequest(detail=f"policy has an action ({', '.join(ACTIONS)}) for any of {', '.join(CLASSES)}.")
    return {str(name): str(action) for name, action in given.items()}


def decide(planned: Sequence[Step], own: Mapping[str, str], undone: Collection[Known] = ()) -> list[Step]:
    """The steps with what the policy says of each.

    Rows in the way make a strengthening wait; broken rows make anything wait, for nothing can be done with them. A change that was undone
    waits for a person, however harmless.
    """
    policy = settings.EVOLUTION_POLICY | dict(own)
    return [replace(step, action=_action(step, policy[step.change_class or step.change.change_class], undone)) for step in planned]


def _action(step: Step, action: str, undone: Collection[Known]) -> str:
    if action != "apply":
        return action
    is_in_the_way = step.rows_in_the_way and (step.change_class or step.change.change_class) == "strengthening"
    return "wait" if is_in_the_way or step.rows_broken or known(step) in undone else "apply"


def known(step: Step) -> Known:
    """The change as it is known again in another plan."""
    return step.change.kind, step.change.column, step.change.before, step.change.after
