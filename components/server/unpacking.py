"""Unpacks messages that callers have compressed.

gRPC would do it on the event loop, where 15 KB can take 70 ms of everybody's time: the server lets
it hand messages over as they come.
"""

import zlib

import grpc

from emotion_ai.server.errors import StatusError

# RFC 1952. As protobuf, this would be a field of a type that does not exist.
_GZIP = b"\x1f\x8b"
# RFC 1950, section 2.2, with the usual window. This would be field 15, which no request has.
_ZLIB = b"\x78"


def is_packed(data: bytes) -> bool:
    """Return whether a message is compressed with gRPC's `gzip` or `deflate`."""
    return data.startswith(_GZIP) or (
        data.startswith(_ZLIB) and int.from_bytes(data[:2], "big") % 31 == 0
    )


def unpack(data: bytes, max_bytes: int) -> bytes:
    """Unpack a message.

    Args:
        data: The compressed message.
        max_bytes: The limit of the result; a negative number is none, as in gRPC.

    Raises:
        StatusError: RESOURCE_EXHAUSTED for a larger message; INTERNAL for a damaged one.
    """
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        unpacked = unpacker.decompress(data, max(0, max_bytes + 1))
    except zlib.error as error:
        raise StatusError(
            grpc.StatusCode.INTERNAL, f"the message cannot be unpacked: {error}"
        ) from None
    if 0 <= max_bytes < len(unpacked):
        raise StatusError(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"Received message larger than max: unpacked it has more than {max_bytes} bytes",
        )
    if not unpacker.eof:
        raise StatusError(grpc.StatusCode.INTERNAL, "the message cannot be unpacked: it is cut off")
    return unpacked
