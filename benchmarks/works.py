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
    """What each side does in a round; `refused` is the status with which the server says that it does not know the format, else 0."""

    name: str
    ours: Do
    raw: Do
    bare: Do | None = None
    aim: Aim | None = None
    refused: int = 0


@dataclass
class Done:
    """What was measured of a work: an outcome of each side for each round, and every figure a median of the rounds' own."""

    work: Work
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
    for _ in range(0 if work.refused else rounds):
        for side in ("ours", "raw", "bare"):
            if do := getattr(work, side):
                done.sides.setdefault(side, []).append(do())
    return done
