"""A profile of the server while it serves: every few milliseconds, where each thread that works for a request stands.

A place is the deepest function of ours, with the line where it waits for DuckDB or another package; `inside` is that package.
"""

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

ROOT = str(Path(__file__).parents[1])
EVERY = 0.002  # seconds
# How long a thread in Python may go on when another wants its turn. With the usual 5 ms the looks would fall where a thread gives way by
# itself, which is where it waits for a file or a socket, and never where it computes.
SWITCH, USUAL = 0.00005, sys.getswitchinterval()
WRITER = "duckspawn-writer"

Place = tuple[str, str, str]  # thread, place, inside


class Sampler:
    """Counts places between `begin` and `end`."""

    def __init__(self) -> None:
        self._counts: Counter[Place] = Counter()
        self._looks, self._over, self._thread = 0, threading.Event(), None

    def begin(self) -> None:
        self._counts, self._looks, self._over = Counter(), 0, threading.Event()
        sys.setswitchinterval(SWITCH)
        self._began = time.perf_counter()
        self._thread = threading.Thread(target=self._look, name="sampler", daemon=True)
        self._thread.start()

    def end(self) -> list[tuple[Place, float]]:
        """The places, and in how many seconds a thread stood there, longest first."""
        self._over.set()
        self._thread.join()
        sys.setswitchinterval(USUAL)
        each = (time.perf_counter() - self._began) / max(1, self._looks)
        return [(place, count * each) for place, count in self._counts.most_common()]

    def _look(self) -> None:
        while not self._over.wait(EVERY):
            names = {thread.ident: thread.name for thread in threading.enumerate()}
            for ident, frame in sys._current_frames().items():
                if place := _place(names.get(ident, ""), frame):
                    self._counts[place] += 1
            self._looks += 1


def _place(thread: str, leaf: FrameType) -> Place | None:
    frames = list(_outwards(leaf))
    if thread == WRITER:
        if leaf.f_code.co_name == "_take":  # It waits for work.
            return None
    elif thread == "MainThread" or not any(f.f_code.co_filename.endswith("workers/gthread.py") for f in frames):
        return None
    own = next((f for f in frames if _is_ours(f)), None)
    where = f"{Path(own.f_code.co_filename).relative_to(ROOT)}:{own.f_code.co_name}" if own else f"gunicorn:{leaf.f_code.co_name}"
    inside = f"line {own.f_lineno}" if own is leaf else _package(leaf)
    return ("writer" if thread == WRITER else "request", where, inside)


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame:
        yield frame
        frame = frame.f_back


def _is_ours(frame: FrameType) -> bool:
    name = frame.f_code.co_filename
    return name.startswith(ROOT) and "site-packages" not in name and "/benchmarks/" not in name


def _package(frame: FrameType) -> str:
    """The package, or the module of the standard library, of a frame that is not ours."""
    path = Path(frame.f_code.co_filename)
    parts = path.parts
    return parts[parts.index("site-packages") + 1] if "site-packages" in parts else f"{path.stem}.{frame.f_code.co_name}"
