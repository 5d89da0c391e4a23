"""A folder of JSON documents: only regular `*.json` files directly in it, each known by its stem."""

import os
import stat
from pathlib import Path

SAMPLE = Path(__file__).with_name("documents")


def stems(folder: Path) -> tuple[str, ...]:
    """The ids of the folder's documents, sorted; symbolic links are no documents. Raises OSError."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.name.endswith(".json") and entry.is_file(follow_symlinks=False)]
    return tuple(sorted(name.removesuffix(".json") for name in names if name.isprintable() and name != ".json"))


def content(folder: Path, stem: str) -> bytes | None:
    """The bytes of one document as the file has them now, or None; a name that is not in the list opens nothing."""
    if stem not in stems(folder):
        return None
    try:
        descriptor = os.open(folder / f"{stem}.json", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read() if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
