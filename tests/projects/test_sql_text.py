"""SQL in a terminal: folded at blanks that mean nothing, and nowhere else."""

import pytest

from projects.management.sql_text import folded, visible


@pytest.mark.parametrize(
    "literal",
    ["'a ' || 'it''s  b'", '"a  ""b"', r"E'a\'  b'", "$$a  'b$$", "$x$a  $$ b$x$", "/* a  ' */ 1", "1 - -2 / 3"],
)
def test_a_folded_statement_is_the_same_statement(literal: str) -> None:
    statement = f"SELECT {literal}, " + f"{literal} AS x, " * 30 + "1"
    lines = folded(statement, indent="    ").split("\n")
    assert len(lines) > 3
    assert " ".join(line[4:] if not number else line[6:] for number, line in enumerate(lines)) == statement


def test_a_comment_ends_where_its_line_does() -> None:
    statement = "SELECT TRY(a -- note  this\n+ 1\n) " + ", b" * 60
    assert "\n      + 1\n" in folded(statement, indent="    ")
    assert "-- note  this\n" in folded(statement, indent="    ")


def test_what_would_steer_the_terminal_is_written_out() -> None:
    assert visible("a\x1b[31m\tb\u202e é 日\n") == "a\\x1b[31m\\tb\\u202e é 日\n"
