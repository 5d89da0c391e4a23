"""Whether the server has been told to stop: it is ready no more from then on, and goes on serving what comes."""

import threading

_begun = threading.Event()


def begin() -> None:
    """Says from now on that the server stops; a signal's handler may call it."""
    _begun.set()


def is_draining() -> bool:
    return _begun.is_set()


def forget() -> None:
    """As if nobody had said so, for a test's end."""
    _begun.clear()
