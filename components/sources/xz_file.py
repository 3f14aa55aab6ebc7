"""Unpack .xz within a bound of memory; `lzma.LZMAFile` takes what the file asks for."""

import io
import lzma
from typing import Any, BinaryIO

from emotion_ai.errors import InputError

# The file says how much memory unpacking it takes, up to 4 GiB; for `xz -9` it is 65 MiB.
MAX_MEMORY = 128 * 1024 * 1024
_PACKED_BYTES = 64 * 1024
# What liblzma's error is called in Python, which has no type for it.
_TOO_MUCH = "Memory usage limit exceeded"


class XzFile(io.RawIOBase):
    """The unpacked bytes of an .xz file of any number of streams.

    Args:
        source: What messages call the file.
        packed: The file, at its start.
    """

    def __init__(self, source: str, packed: BinaryIO) -> None:
        self._source = source
        self._packed = packed
        self._rewind()

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in the unpacked bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position from the start; a former one unpacks everything before it again."""
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("only positions from the start")
        if offset < self._position:
            self._rewind()
        while self._position < offset and self.read(min(offset - self._position, _PACKED_BYTES)):
            pass
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Unpack at most as many bytes as the buffer takes; 0 at the end."""
        view = memoryview(buffer)
        try:
            data = self._unpack(len(view))
        except lzma.LZMAError as error:
            if str(error) != _TOO_MUCH:
                raise
            raise InputError(
                f"{self._source}: unpacking it takes more than {MAX_MEMORY >> 20} MiB of memory; "
                "unpack it yourself (xz -d) or pack it anew (xz -9)"
            ) from None
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _rewind(self) -> None:
        self._packed.seek(0)
        self._position = 0
        self._begin_stream()

    def _begin_stream(self) -> None:
        self._decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_MEMORY)

    def _unpack(self, size: int) -> bytes:
        """Return the next bytes, at most `size`; none at the end of the last stream."""
        while size:
            packed = b""
            if self._decompressor.eof:
                # Streams may be padded with zeros.
                packed = self._decompressor.unused_data.lstrip(b"\0") or self._next_packed()
                if not packed:
                    return b""
                self._begin_stream()
            elif self._decompressor.needs_input:
                packed = self._packed.read(_PACKED_BYTES)
                if not packed:
                    raise EOFError("the file ends early")
            if data := self._decompressor.decompress(packed, size):
                return data
        return b""

    def _next_packed(self) -> bytes:
        """Return packed bytes after a stream; none at the end of the file."""
        while packed := self._packed.read(_PACKED_BYTES):
            if packed := packed.lstrip(b"\0"):
                return packed
        return b""
