"""Whom a request's Host header names, against pages of other sites in a visitor's browser.

A page of another site can send its visitors' browsers to a server on their own machine, under a
name of its own that it resolves to that machine's address (DNS rebinding). An IP address or
`localhost` cannot belong to another site.
"""

import contextlib
import ipaddress
import re

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")


def host_name(header: str) -> str | None:
    """Return the name or address in a Host header, in lower case; None where it is invalid."""
    match = _HOST.fullmatch(header)
    return match[1].lower().strip("[]") if match else None


def is_local_name(name: str) -> bool:
    """Whether no other site can have this name."""
    return name == "localhost" or _is_ip_address(name)


def is_own_host(header: str, listened_on: str) -> bool:
    """Whether a Host header may be that of the server that listens on an address.

    On addresses other than loopback, servers have names that they do not know.
    """
    name = host_name(header)
    if name is None:
        return False
    if is_local_name(name) or name == listened_on.lower():
        return True
    return not (listened_on == "localhost" or _is_loopback(listened_on))


def _is_ip_address(name: str) -> bool:
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(name))
    return False


def _is_loopback(name: str) -> bool:
    return _is_ip_address(name) and ipaddress.ip_address(name).is_loopback
