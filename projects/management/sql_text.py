"""SQL in a terminal: folded where a line may end, so that what is copied from there runs as what was shown."""

import re
from collections.abc import Iterator

WIDTH = 110  # characters of a line, where the statement has spaces to fold it at

# What must stay whole: literals, quoted names, comments; then blanks, and everything else.
_PIECE = re.compile(
    r"""[eE]'(?:\\.|''|[^'\\])*' | '(?:''|[^'])*' | "(?:""|[^"])*" | \$(\w*)\$.*?\$\1\$ | --[^\n]*\n? | /\*.*?\*/
      | [^\S\n]+ | \n | [^\s'"$/-]+ | .""",
    re.DOTALL | re.VERBOSE,
)


def folded(statement: str, *, indent: str) -> str:
    """The statement in lines, all indented, those after the first a little more."""
    lines: list[str] = []
    line: list[str] = []
    for word in _words(statement):
        if line and len(indent) + len(" ".join([*line, word])) > WIDTH:
            end = _end_of(line)
            lines.append(" ".join(line[:end]))
            line = line[end:]
        line.append(word)
        if word.endswith("\n"):
            lines.append(" ".join(line).rstrip("\n"))
            line = []
    return "\n".join(indent + ("  " if number else "") + line for number, line in enumerate([*lines, " ".join(line)]) if line)


def _end_of(line: list[str]) -> int:
    """How many words of a full line stay on it: up to its last comma, if that leaves it more than half full."""
    ends = [number for number, word in enumerate(line, 1) if word.endswith(",")]
    return ends[-1] if ends and len(" ".join(line[: ends[-1]])) * 2 > WIDTH else len(line)


def _words(statement: str) -> Iterator[str]:
    """What stands between blanks outside of literals and comments; one that ends a line of its own ends with a newline."""
    word = ""
    for found in _PIECE.finditer(statement):
        piece = found.group()
        if piece.isspace() and piece != "\n":
            if word:
                yield word
            word = ""
        elif piece.endswith("\n"):
            yield word + piece
            word = ""
        else:
            word += piece
    if word:
        yield word


def visible(text: str) -> str:
    """The text with what would steer the terminal written out, as \\x1b."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
