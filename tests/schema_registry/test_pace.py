"""What reads an ontology leaves Python to requests: a little always, and most of it once it has read for long."""

import time

import pytest

from schema_registry import pace


def test_who_reads_for_long_rests_and_who_reads_little_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []
    monkeypatch.setattr(time, "sleep", rests.append)
    pace.breathe()
    with pace.reading():
        pace.breathe()
        busy = time.thread_time()
        while time.thread_time() - busy <= pace.FREE:
            pass
        pace.breathe()
    with pace.reading():
        pace.breathe()
    outside, short, long, anew = rests
    assert (outside, short, anew) == (pace.MOMENT,) * 3
    assert long >= pace.REST * pace.FREE
