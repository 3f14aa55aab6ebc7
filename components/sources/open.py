"""Open a source of faces as blocks of rows: a CSV, pictures, or drawn faces."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from emotion_ai.faces.arrays import FacesInfo
from emotion_ai.faces.kinds import KindName
from emotion_ai.faces.labels import EmotionReader, label_set_names
from emotion_ai.sources.checks import DataChecks
from emotion_ai.sources.csv_table import Block, open_table, read_blocks
from emotion_ai.sources.pictures import first_of_each_emotion, open_pictures, read_pictures
from emotion_ai.sources.uri import is_sample


class Source(NamedTuple):
    """An open source of faces.

    Attributes:
        uri: The source's URI; for drawn faces, a file in a temporary folder.
        blocks: The source's rows.
        examples: Blocks with the first row of each emotion, if there is one, and perhaps others.
            Reads no more pictures than that. Read either this or `blocks`.
        ignored_columns: Names of the columns that are not read.
        files: The picture of each data row; empty for a CSV.
        skipped: Files in the folder or archive that are no pictures.
    """

    uri: str
    blocks: Iterator[Block]
    examples: Iterator[Block]
    ignored_columns: tuple[str, ...]
    files: Sequence[str]
    skipped: Sequence[str] = ()


@contextlib.contextmanager
def open_source(info: FacesInfo, checks: DataChecks, selection: str = "") -> Iterator[Source]:
    """Open a source of faces.

    Args:
        info: Its `source` is opened, as faces of its `kind` and `label_set`.
        checks: The checks of its rows.
        selection: The emotions to learn as the user wrote them, "" for all of the label set; see
            `EmotionReader`.

    Yields:
        The open source.

    Raises:
        InputError: The source is missing, damaged or of another kind; also while its blocks are
            read.
        Unavailable: The storage failed.
    """
    names = label_set_names(info.label_set) if info.label_set else ()
    emotions = EmotionReader(names, selection)
    with (
        _draw_sample(info.source, info.kind) as uri,
        open_pictures(uri, info.kind, emotions) as pictures,
    ):
        if pictures is not None:
            yield Source(
                uri=uri,
                blocks=read_pictures(pictures, checks),
                examples=read_pictures(first_of_each_emotion(pictures), checks),
                ignored_columns=(),
                files=pictures.names,
                skipped=pictures.skipped,
            )
            return
        table = open_table(uri, info.kind)
        blocks = read_blocks(table, emotions, checks)
        yield Source(
            uri=uri,
            blocks=blocks,
            examples=blocks,
            ignored_columns=table.columns.ignored,
            files=(),
        )


@contextlib.contextmanager
def _draw_sample(source: str, kind: KindName) -> Iterator[str]:
    """Yield the URI itself, or the path of a sample drawn to a temporary folder."""
    if not is_sample(source):
        yield source
        return
    from emotion_ai.sample.files import CSV_NAMES, write_sample
    from emotion_ai.sample.uri import parse_sample_uri

    with tempfile.TemporaryDirectory() as folder:
        write_sample(folder, *parse_sample_uri(source))
        yield str(Path(folder, CSV_NAMES[kind]))
