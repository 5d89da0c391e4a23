"""The console's static files are collected once, and again when they are others."""

from pathlib import Path

import pytest

from projects.management.static_files import collect


@pytest.fixture
def root(settings, tmp_path: Path) -> Path:
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STATICFILES_DIRS = [tmp_path / "own"]
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "one.css").write_text("a {}")
    settings.INSTALLED_APPS = ["django.contrib.staticfiles"]
    return tmp_path / "static"


def test_what_is_collected_is_not_collected_again(root: Path) -> None:
    assert collect() is True
    assert (root / "one.css").read_text() == "a {}"
    assert collect() is False


def test_what_has_changed_is_collected_anew(root: Path, tmp_path: Path) -> None:
    collect()
    (tmp_path / "own" / "one.css").write_text("b {}  ")
    assert collect() is True
    assert (root / "one.css").read_text() == "b {}  "


def test_what_was_left_half_done_is_done_again(root: Path) -> None:
    collect()
    (root / "collected").unlink()
    assert collect() is True
