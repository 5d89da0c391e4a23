"""What is answered to somebody who comes too often."""

from schema_registry.errors import SpawnError


class AuthError(SpawnError):
    """This needs other credentials."""


class TooManyRequests(AuthError):
    """These are too many requests; try again in {wait} s."""

    wait: int


class LoginSlowed(AuthError):
    """Too many logins failed with this name from this address; try again in {wait} s."""

    wait: int
