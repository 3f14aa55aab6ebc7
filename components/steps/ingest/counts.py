"""Counts of a source while it is read, its first bad rows, and an index of the faces kept."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emotion_ai.faces.arrays import UNASSIGNED, FacesInfo
from emotion_ai.faces.groups import FaceGroups
from emotion_ai.sources.csv_table import BadRow, Block

# Bad rows kept for the report, for each check; all of them are counted.
_MAX_BAD_ROWS = 200


@dataclass
class IngestCounts:
    """Counts of a source; grows by about 30 bytes for each face kept.

    Attributes:
        rows_read: All data rows.
        rows_left_out: Rows with a bad cell.
        rows_of_other_emotions: Good rows of emotions that are not selected.
        labels_corrected: Good rows whose label people have corrected.
        rows_left_out_by_correction: Good rows that people have left out.
        groups: The groups of the rows; None if the source names none.
        emotion_words: Good rows by emotion as the source writes it, and its code.
        split_words: Good rows by split as the source writes it.
        code_counts: Rows by the source's emotion code, before any selection, [256].
        bad_counts: Bad rows by check.
        bad_rows: The first bad rows by check.
        row_index: The results of `check_results.index_rows`, one for each block.
    """

    rows_read: int = 0
    rows_left_out: int = 0
    rows_of_other_emotions: int = 0
    labels_corrected: int = 0
    rows_left_out_by_correction: int = 0
    groups: FaceGroups | None = None
    emotion_words: Counter[tuple[str, int]] = field(default_factory=Counter)
    split_words: Counter[str] = field(default_factory=Counter)
    code_counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, dtype=np.int64))
    bad_counts: Counter[str] = field(default_factory=Counter)
    bad_rows: dict[str, list[BadRow]] = field(default_factory=lambda: defaultdict(list))
    row_index: list[pd.DataFrame] = field(default_factory=list)

    def add_block(self, block: Block) -> None:
        """Count what a block says of its rows."""
        self.rows_read += block.rows_read
        self.emotion_words += block.emotion_words
        self.split_words += block.split_words
        self._add_bad(block.bad)

    def _add_bad(self, rows: list[BadRow]) -> None:
        """Count a block's bad rows, each once for each check, and keep the first of them."""
        self.rows_left_out += len({row.row for row in rows})
        first: dict[tuple[str, int], BadRow] = {}
        for row in sorted(rows, key=lambda bad: bad.row):
            first.setdefault((row.check, row.row), row)
        for (check, _), row in first.items():
            self.bad_counts[check] += 1
            if len(self.bad_rows[check]) < _MAX_BAD_ROWS:
                self.bad_rows[check].append(row)

    def faces_by_split_and_emotion(self, info: FacesInfo) -> dict[str, int]:
        """Return faces kept by split ("split/Training") and by emotion ("emotion/happy")."""
        names = {**dict(enumerate(info.split_names)), UNASSIGNED: "none"}
        splits = self.faces_index()["split"].value_counts()
        counts = {f"split/{names[code]}": int(splits[code]) for code in sorted(splits.index)}
        emotions = self.faces_by_emotion(info.labels) if info.labels else {}
        return counts | {f"emotion/{label}": count for label, count in emotions.items()}

    def faces_by_emotion(self, labels: tuple[str, ...]) -> dict[str, int]:
        """Return faces kept by emotion, in the order of `labels`."""
        counts = np.bincount(self.faces_index()["target"], minlength=len(labels))
        return dict(zip(labels, counts.tolist(), strict=True))

    def faces_by_group(self) -> dict[str, dict[str, int]]:
        """Return faces kept by the columns of the source's groups, and by group."""
        if self.groups is None:
            return {}
        return self.groups.faces_by_group(self.faces_index()["row"].to_numpy())

    def faces_index(self) -> pd.DataFrame:
        """Return the index of all faces kept."""
        return pd.concat(self.row_index, ignore_index=True)
