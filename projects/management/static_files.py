"""The console's static files, collected when they are others than at the last start: hashing and packing them takes seconds."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command

MARK = "collected"  # a file beside the collected ones; it says of which


def collect() -> bool:
    """Collects them into STATIC_DIR; False where what is there is what would be."""
    root = Path(settings.STATIC_ROOT)
    sources = [(name, storage.path(name)) for finder in get_finders() for name, storage in finder.list([])]
    mark, wanted = root / MARK, _fingerprint(path for _, path in sources)
    if mark.exists() and mark.read_text() == wanted:
        return False
    mark.unlink(missing_ok=True)
    for name, _ in sources:  # A copy that is younger than a source that changed would be left as it is.
        (root / name).unlink(missing_ok=True)
    call_command("collectstatic", interactive=False, verbosity=0)
    mark.write_text(wanted)
    return True


def _fingerprint(paths: Iterable[str]) -> str:
    """SHA-256 of every source's path, size and time."""
    facts = ((path, stat.st_size, stat.st_mtime_ns) for path in sorted(paths) if (stat := Path(path).stat()))
    return hashlib.sha256(repr(list(facts)).encode()).hexdigest()
