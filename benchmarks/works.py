"""A work: the same thing done by each side, a round after the other, and the aim that it has."""

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from benchmarks.callers import Outcome

Do = Callable[[], Outcome]


@dataclass(frozen=True)
class Aim:
    """How fast ours should be: at least so much `of` the raw or the bare rate, or so many milliseconds `over` raw's p50 at most."""

    of: str = ""
    least: float = 0.0
    over: float = 0.0

    def __str__(self) -> str:
        return f"{self.least:g} of {self.of}" if self.of else f"{self.over:g} ms over raw"

    def is_met(self, done: "Done") -> bool:
        if self.of:
            return done.ratio(self.of) >= self.least
        return done.over_raw() <= self.over


@dataclass(frozen=True)
class Work:
    """What each side does in a round. `ready` comes before the first; it gives the server's status where it lacks a format, else 0."""

    name: str
    ours: Do
    raw: Do
    bare: Do | None = None
    aim: Aim | None = None
    ready: Callable[[], int] | None = None


@dataclass
class Done:
    """What was measured of a work: an outcome of each side for each round, and every figure a median of the rounds' own.

    Where `why_not` says something, nothing was.
    """

    work: Work
    why_not: str = ""
    sides: dict[str, list[Outcome]] = field(default_factory=dict)

    def median(self, side: str, figure: Callable[[Outcome], float]) -> float:
        return median(figure(outcome) for outcome in self.sides[side])

    def ratio(self, other: str) -> float:
        """Our rate as a share of the other's."""
        return median(ours.rate / theirs.rate for ours, theirs in zip(self.sides["ours"], self.sides[other], strict=True))

    def over_raw(self) -> float:
        """How many milliseconds our p50 is over raw's."""
        pairs = zip(self.sides["ours"], self.sides["raw"], strict=True)
        return median(ours.milliseconds(50) - raw.milliseconds(50) for ours, raw in pairs)


def measure(work: Work, rounds: int) -> Done:
    """In each round ours, raw and bare, one after the other, so that what slows the machine for a while slows all of them."""
    done = Done(work)
    try:
        if status := work.ready() if work.ready else 0:
            done.why_not = f"not offered ({status})"
            return done
        for _ in range(rounds):
            for side in ("ours", "raw", "bare"):
                if do := getattr(work, side):
                    done.sides.setdefault(side, []).append(do())
    except RuntimeError as error:  # The other works are measured all the same.
        done.why_not = f"failed: {' '.join(str(error).replace('|', '/').split())[:200]}"
    return done
