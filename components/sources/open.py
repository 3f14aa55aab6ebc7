"""A source of faces opened as blocks of rows, whatever its form: a CSV, pictures or drawn faces."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from emotion_ai.faces.arrays import FacesInfo
from emotion_ai.faces.kinds import KindName
from emotion_ai.faces.labels import label_set_names
from emotion_ai.sources.checks import DataChecks
from emotion_ai.sources.csv_table import Block, open_table, read_blocks
from emotion_ai.sources.folders import name_splits
from emotion_ai.sources.pictures import open_pictures, read_pictures
from emotion_ai.sources.schema import SPLITS
from emotion_ai.sources.uri import is_sample


class Source(NamedTuple):
    """An open source; `address` is where it lies, for drawn faces in a temporary folder."""

    address: str
    blocks: Iterator[Block]
    # What the source calls splits 0, 1, 2.
    split_names: tuple[str, str, str]
    ignored_columns: tuple[str, ...]
    # The picture of each data row; empty for a CSV.
    files: Sequence[str]


@contextlib.contextmanager
def open_source(info: FacesInfo, checks: DataChecks) -> Iterator[Source]:
    """Open `info.source`, of `info.kind` and `info.label_set`.

    Raises `InputError` for a source of another form or kind, also while its blocks are read, and
    `Unavailable` where the storage fails.
    """
    names = label_set_names(info.label_set) if info.label_set else ()
    with (
        _readable(info.source, info.kind) as address,
        open_pictures(address, info.kind, info.label_set) as pictures,
    ):
        if pictures is not None:
            splits = name_splits(pictures.names, names)
            yield Source(address, read_pictures(pictures, checks), splits, (), pictures.names)
            return
        table = open_table(address, info.kind)
        usage = "usage" in table.columns.position
        first, second, third = SPLITS
        yield Source(
            address,
            read_blocks(table, len(names), checks),
            (first, second, third) if usage else info.split_names,
            table.columns.ignored,
            (),
        )


@contextlib.contextmanager
def _readable(source: str, kind: KindName) -> Iterator[str]:
    if not is_sample(source):
        yield source
        return
    from emotion_ai.sample.files import FILE_NAMES, write_sample
    from emotion_ai.sample.uri import parse_sample_uri

    with tempfile.TemporaryDirectory() as folder:
        write_sample(folder, *parse_sample_uri(source))
        yield str(Path(folder, FILE_NAMES[kind]))
