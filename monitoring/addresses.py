"""Whose address a request comes from: the connection's own, or what a proxy that the operator named says of it."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from django.conf import settings
from django.http import HttpRequest

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

HOUSEHOLD = 64  # bits: who has one IPv6 address has all of its /64 (RFC 6177), and could use another for each request


def client_address(request: HttpRequest) -> str | None:
    """The caller's address as text, or None where the connection has none."""
    found = _found(request)
    return str(found) if found else None


def household(request: HttpRequest) -> str:
    """The caller's address, of IPv6 its /64: what is counted as one caller."""
    return _household(_found(request))


def _found(request: HttpRequest) -> Address | None:
    meta = request.META
    return _caller(meta.get("REMOTE_ADDR", ""), meta.get("HTTP_X_FORWARDED_FOR", ""), tuple(settings.TRUSTED_PROXIES))


@lru_cache(maxsize=4096)
def _caller(remote: str, forwarded: str, trusted: Sequence[Network]) -> Address | None:
    """The first from the right that is no proxy of ours: each adds there whom it heard, and what stands left of it anybody can write."""
    caller = _parsed(remote)
    for said in reversed(forwarded.split(",") if forwarded else ()):
        if caller is None or not any(caller in network for network in trusted):
            break
        before = _parsed(said.strip())
        if before is None:
            break
        caller = before
    return caller


def _parsed(text: str) -> Address | None:
    """An IPv4 address that is written as IPv6 (::ffff:10.0.0.1) is that IPv4 address."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


@lru_cache(maxsize=4096)
def _household(address: Address | None) -> str:
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, HOUSEHOLD), strict=False))
    return str(address or "")
