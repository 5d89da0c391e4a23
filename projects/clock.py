"""The machine's clock, which people and time servers set: how far it has leapt while this process ran."""

import time
from datetime import timedelta

LEAP = timedelta(hours=1)  # what no time server's small steps come to

_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # goes on while the machine sleeps
_began = (time.time(), time.clock_gettime(_BOOT))


def leapt() -> timedelta:
    """By how much the clock was set since this process began, forward or, below zero, back."""
    wall, steady = _began
    return timedelta(seconds=(time.time() - wall) - (time.clock_gettime(_BOOT) - steady))


def is_trusted() -> bool:
    """Whether what is thrown away for its age may be: not after a leap, by which everything is old."""
    return abs(leapt()) < LEAP
