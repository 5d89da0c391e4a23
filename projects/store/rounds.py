"""Readers who come while another reads the same table wait for a round of their own, which is one statement for all of them.

To plan a statement for sixteen keys takes hardly longer than for one. Who comes alone waits for nobody.
"""

import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

Found = Mapping[Any, str] | None  # the rows by the value of their key; None where each has to be read by itself
Read = Callable[[Mapping[Any, str]], Found]  # takes the keys: each one's value, and its cell


@dataclass(slots=True, eq=False)
class _Round:
    keys: dict[Any, str] = field(default_factory=dict)
    found: Found = None
    turn: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)


class Rounds:
    """One read at a time of each table, and the round that gathers meanwhile.

    A round begins after the last of its readers came, so each of them sees whatever was committed before.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gathering: dict[Hashable, _Round | None] = {}  # for each table that is being read

    def read(self, table: Hashable, value: Any, cell: str, run: Read) -> Found:
        """What `run` found for this key and for those that went with it. Raises what `run` raises to the one who ran it."""
        with self._lock:
            is_free = table not in self._gathering
            mine = None if is_free else self._gathering[table]
            leads = mine is None
            if mine is None:
                mine = _Round()
                self._gathering[table] = None if is_free else mine
            mine.keys[value] = cell
        if not leads:
            mine.done.wait()
            return mine.found
        if not is_free:
            mine.turn.wait()
        try:
            mine.found = run(mine.keys)
        finally:
            mine.done.set()
            self._pass_on(table)
        return mine.found

    def _pass_on(self, table: Hashable) -> None:
        """Ends this read; the round that has gathered begins, and takes in nobody else."""
        with self._lock:
            following = self._gathering.pop(table)
            if following is not None:
                self._gathering[table] = None
                following.turn.set()
