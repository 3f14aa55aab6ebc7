"""Describe a file within it, in XMP (ISO 16684-1), which programs for pictures and videos show."""

import html
from collections.abc import Mapping

_HEAD = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">'
    '<dc:description><rdf:Alt><rdf:li xml:lang="x-default">'
)
_TAIL = (
    "</rdf:li></rdf:Alt></dc:description></rdf:Description></rdf:RDF></x:xmpmeta>"
    '<?xpacket end="r"?>'
)


def describe(about: Mapping[str, str]) -> str:
    """Write values by name as a text.

    Example:
        >>> describe({"purpose": "study 12"})
        'purpose: study 12'
    """
    return "; ".join(f"{name}: {text}" for name, text in about.items())


def xmp_packet(about: Mapping[str, str]) -> bytes:
    """Return a packet whose description has these values by name; empty without any."""
    description = html.escape(describe(about), quote=False)
    return f"{_HEAD}{description}{_TAIL}".encode() if about else b""
