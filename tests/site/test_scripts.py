"""script/server on a machine that has Python and nothing of ours: the requirements here are none, and manage.py only speaks."""

import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "script", tmp_path / "script")
    (tmp_path / "requirements.txt").write_text("# none\n")
    (tmp_path / "manage.py").write_text("import sys; print('manage', *sys.argv[1:])\n")
    return tmp_path


def run(checkout: Path, *arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
    environment = {"PATH": path or "/usr/local/bin:/usr/bin:/bin", "HOME": str(checkout)}
    if not path:
        environment["PYTHON"] = str(Path(ROOT / ".venv/bin/python"))
    return subprocess.run(
        ["/bin/sh", "script/server", *arguments], cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )


def test_the_first_start_makes_what_is_missing_and_the_second_leaves_it(checkout):
    first = run(checkout, "--quiet")
    assert first.stdout.splitlines()[-1] == "manage up --quiet", first.stderr
    assert "USE_MOCK_ONTO_SERVER=true" in (checkout / ".env").read_text()
    (checkout / ".env").write_text("PORT=9000\n")
    stamp = checkout / ".venv/installed-requirements.txt"
    installed_at = stamp.stat().st_mtime_ns
    second = run(checkout)
    assert second.stdout == "manage up\n" and second.stderr == ""
    assert (checkout / ".env").read_text() == "PORT=9000\n"
    assert stamp.stat().st_mtime_ns == installed_at
    (checkout / "requirements.txt").write_text("# none yet\n")
    assert run(checkout).returncode == 0
    assert stamp.stat().st_mtime_ns > installed_at


def test_a_python_that_is_too_old_is_refused_with_the_way_out(checkout):
    tools = checkout / "bin"
    tools.mkdir()
    for name in ("dirname", "cat", "rm"):
        (tools / name).symlink_to(shutil.which(name) or name)
    old = tools / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n')
    old.chmod(0o755)
    answer = run(checkout, path=str(tools))
    assert answer.returncode != 0
    assert "needs Python 3.11 or later" in answer.stderr and "Python 3.9.2" in answer.stderr
    assert "apt-get install python3" in answer.stderr
    assert not (checkout / ".venv").exists()


def test_a_known_vulnerability_is_told_and_fails_and_what_nobody_knows_is_told_too():
    verdict = runpy.run_path(str(ROOT / "script" / "audit.py"))["verdict"]
    sound, unknown = {"name": "a", "version": "1", "vulns": []}, {"name": "b", "skip_reason": "not found"}
    bad = {"name": "c", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"]}]}
    said, is_well = verdict({"dependencies": [sound, unknown]})
    assert is_well
    assert "1 packages are not known there" in said[-1]
    said, is_well = verdict({"dependencies": [sound, bad]})
    assert not is_well
    assert said[0] == "c 2: PYSEC-1, mended in 2.1"
