"""Strip shared libraries of what the loader never reads: symbol tables for debuggers.

    python strip_symbols.py LIBRARY ...

They are a quarter of TensorFlow's library, and `strip` would need a compiler's tools in the build.
The loader reads the program headers (ELF-64, System V ABI, chapter 5), so the file may end where
the last segment in them ends; the table of sections after it is cut too.
"""

import os
import struct
import sys
from pathlib import Path

_PROGRAM_HEADERS = 0x20
_SECTION_HEADERS = 0x28
_COUNTS = 0x36


def strip(path: Path) -> int:
    """Strip a library in place.

    Returns:
        The bytes saved.

    Raises:
        ValueError: The file is not a little-endian ELF-64 file.
    """
    with path.open("r+b") as file:
        header = file.read(64)
        if header[:6] != b"\x7fELF\x02\x01":
            raise ValueError(f"{path}: expected a little-endian ELF-64 file")
        (start,) = struct.unpack_from("<Q", header, _PROGRAM_HEADERS)
        size, count = struct.unpack_from("<HH", header, _COUNTS)
        file.seek(start)
        table = file.read(size * count)
        ends = [start + len(table)]
        for k in range(count):
            offset, _, _, length = struct.unpack_from("<QQQQ", table, k * size + 8)
            ends.append(offset + length)
        before = os.fstat(file.fileno()).st_size
        if max(ends) > before:
            raise ValueError(f"{path}: its segments end beyond the file")
        file.seek(_SECTION_HEADERS)
        file.write(bytes(8))
        # The section headers' size, count and the index of their names.
        file.seek(_COUNTS + 4)
        file.write(bytes(6))
        file.truncate(max(ends))
        return before - max(ends)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        sys.stdout.write(f"{name}: {strip(Path(name)) / 1e6:.1f} MB\n")
