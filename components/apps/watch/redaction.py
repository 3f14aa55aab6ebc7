"""Remove what is secret from an address, to show it in messages."""

from urllib.parse import urlsplit, urlunsplit


def redact(address: str) -> str:
    """Remove the user name, password, query and fragment from an address."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return f"{address.partition('://')[0]}://..."
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))
