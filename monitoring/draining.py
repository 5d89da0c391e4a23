"""Whether the server has been told to stop: it is ready no more from then on, and goes on serving what comes."""

_begun = False  # A plain value, for a signal's handler must not wait for a lock.


def begin() -> bool:
    """Says from now on that the server stops; False where that was said before."""
    global _begun
    was_begun, _begun = _begun, True
    return not was_begun


def is_draining() -> bool:
    return _begun


def forget() -> None:
    """As if nobody had said so, for a test's end."""
    global _begun  # noqa: PLW0603
    _begun = False
