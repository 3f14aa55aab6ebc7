"""Name files that are no CSV by their first bytes, and say what to do with each."""

import io
import re

from emotion_ai.errors import InputError

# How many bytes `refuse_other_formats` looks at.
HEAD_BYTES = 4096
_AS_CSV = "save it as CSV"
_UNPACK = "unpack it and name the CSV or the folder of pictures in it"
# First bytes, what the file is, what to do. Those of pictures are left to the reader of pictures.
_FORMATS: tuple[tuple[bytes, str, str], ...] = (
    (b"\xff\xfe\0\0", "text in UTF-32", "save it as UTF-8"),
    (b"\0\0\xfe\xff", "text in UTF-32", "save it as UTF-8"),
    (b"PAR1", "a Parquet file", f"{_AS_CSV}, as pandas.read_parquet(...).to_csv(...) does"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook (.xls)", f"{_AS_CSV} in Excel"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard", "unpack it (zstd -d)"),
    (b"\x04\x22\x4d\x18", "compressed with LZ4", "unpack it (lz4 -d)"),
    (b"\x5d\0\0", "compressed with LZMA", "unpack it (xz -d --format=lzma)"),
    (b"\x1f\x8b", "compressed twice", "unpack it once"),
    (b"BZh", "compressed twice", "unpack it once"),
    (b"\xfd7zXZ\0", "compressed twice", "unpack it once"),
    (b"PK\x05\x06", "an empty zip", "pack it anew"),
    (b"PK\x07\x08", "a part of a zip in several parts", "join the parts or pack it anew"),
    (b"PK\x03\x04", "a zip inside another archive", "unpack the outer one"),
    (b"\x89HDF", "an HDF5 file", f"{_AS_CSV}, as pandas.read_hdf(...).to_csv(...) does"),
    (b"\x93NUMPY", "a NumPy array", "save it as CSV with the columns' names"),
    (b"SQLite format 3", "an SQLite database", f"{_AS_CSV}: export the table"),
    (b"%PDF", "a PDF", "name the CSV"),
    (b"\x80\x04\x95", "a pickle, which is never read", f"{_AS_CSV}, as DataFrame.to_csv does"),
    (b"\x80\x05\x95", "a pickle, which is never read", f"{_AS_CSV}, as DataFrame.to_csv does"),
    (b"version https://git-lfs", "a pointer of Git LFS", "fetch the file itself (git lfs pull)"),
    (b"\x89PNG", "a picture", "name the folder with the pictures of each emotion"),
    (b"\xff\xd8\xff", "a picture", "name the folder with the pictures of each emotion"),
)
_MARKUP = re.compile(rb"\s*(<!doctype|<html|<\?xml)", re.IGNORECASE)
_JSON = re.compile(rb"\s*[\[{]\s*[\[{\"]")
# A member that only this kind of zip has, what it is, what to do.
_ZIPS = (
    ("xl/workbook.xml", "an Excel workbook (.xlsx)", f"{_AS_CSV} (CSV UTF-8) in Excel"),
    ("xl/workbook.bin", "an Excel workbook (.xlsb)", f"{_AS_CSV} (CSV UTF-8) in Excel"),
    ("word/document.xml", "a Word document", "name the CSV"),
    ("content.xml", "an OpenDocument file", f"{_AS_CSV} in LibreOffice"),
)


def refuse_other_formats(source: str, head: bytes) -> None:
    """Refuse what is no text, and text that is known to be no CSV.

    Args:
        source: What messages call the file.
        head: Its first `HEAD_BYTES`, unpacked.

    Raises:
        InputError: It is no CSV; the message says what it is and what to do.
    """
    head = head[:HEAD_BYTES]
    for magic, what, advice in _FORMATS:
        if head.startswith(magic):
            raise InputError(f"{source}: {what}; {advice}")
    if _MARKUP.match(head.removeprefix(b"\xef\xbb\xbf")):
        raise InputError(
            f"{source}: a web page or XML, perhaps a login page instead of the download; download "
            "the CSV again"
        )
    if _JSON.match(head):
        raise InputError(f"{source}: JSON; {_AS_CSV}, as pandas.read_json(...).to_csv(...) does")
    if b"\0" in head:
        raise InputError(
            f"{source}: binary data, or UTF-16 or UTF-32 without a byte order mark; expected a "
            "CSV: save it as UTF-8"
        )


def refuse_other_zips(source: str, names: list[str]) -> None:
    """Refuse a zip that is a document of an office program or a file of arrays.

    Args:
        source: What messages call the file.
        names: The names of its members.

    Raises:
        InputError: It is such a file; the message says what to do.
    """
    for member, what, advice in _ZIPS:
        if member in names:
            raise InputError(f"{source}: {what}; {advice}")
    if names and all(name.endswith(".npy") for name in names):
        raise InputError(f"{source}: NumPy arrays (.npz); save them as CSV")


def text_encoding(head: bytes) -> str | None:
    """Return the encoding of text that is read line by line after decoding, None for plain lines.

    Args:
        head: The text's first bytes, as many as may hold a line.

    Returns:
        "utf-16" for text with that byte order mark, "utf-8" for lines that end in CR alone, as old
        programs for the Macintosh write them.
    """
    # With two zeros behind it, the first is that of UTF-32.
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) and head[2:4] != b"\0\0":
        return "utf-16"
    return "utf-8" if b"\r" in head and b"\n" not in head else None


class DecodedLines:
    """Lines of UTF-8 from a text in another encoding, or with other line ends.

    Args:
        stream: The bytes of the text.
        encoding: Their encoding, from `text_encoding`.
    """

    def __init__(self, stream: io.BufferedReader, encoding: str) -> None:
        # Lone bytes of UTF-8 text pass unchanged; UTF-16 has no such way.
        self._errors = "surrogateescape" if encoding == "utf-8" else "replace"
        self._text = io.TextIOWrapper(stream, encoding, self._errors, newline=None)

    def readline(self, size: int) -> bytes:
        """Read a line of at most `size` characters, as UTF-8."""
        return self._text.readline(size).encode("utf-8", self._errors)
