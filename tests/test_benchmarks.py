"""The benchmark still runs; what it measures is for people to read, and no test."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.settings import STATIC_ROOT

ROOT = Path(__file__).parents[1]
LINES = (
    "create, 1 client",
    "create, 16 clients",
    "point read, 1 client",
    "point read, 16 clients",
    "first page",
    "CSV load",
    "first start",
    "start again",
    "idle memory",
)


@pytest.mark.long
def test_the_benchmark_prints_a_line_for_each_work(tmp_path: Path) -> None:
    table = tmp_path / "table.md"
    command = [sys.executable, "benchmarks/run.py", "--quick", "--rounds", "1", "--markdown", str(table)]
    environment = os.environ | {"STATIC_DIR": STATIC_ROOT}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    for line in LINES:
        assert line in done.stdout
        assert f"| {line}" in table.read_text()
    assert "cores" in done.stdout
