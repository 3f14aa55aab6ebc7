"""What is remembered of a source: counts, the first bad rows, a line for each face kept."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emotion_ai.faces.arrays import UNASSIGNED, FacesInfo
from emotion_ai.sources.csv_table import BadRow

# Bad rows kept to be shown, for each check; all of them are counted.
_BAD_ROWS_KEPT = 200


@dataclass
class IngestCounts:
    """Grows by some thirty bytes a face kept; `row_index` holds `check_results.index_rows`."""

    read: int = 0
    left_out: int = 0
    other_emotions: int = 0
    # Rows by emotion code as in the source, before any selection.
    codes: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, dtype=np.int64))
    bad_counts: Counter[str] = field(default_factory=Counter)
    bad: dict[str, list[BadRow]] = field(default_factory=lambda: defaultdict(list))
    row_index: list[pd.DataFrame] = field(default_factory=list)

    def add_bad(self, rows: list[BadRow]) -> None:
        """Count a block's bad rows, each once a check, and keep the first of them."""
        self.left_out += len({row.row for row in rows})
        first: dict[tuple[str, int], BadRow] = {}
        for row in sorted(rows, key=lambda each: each.row):
            first.setdefault((row.check, row.row), row)
        for (check, _), row in first.items():
            self.bad_counts[check] += 1
            if len(self.bad[check]) < _BAD_ROWS_KEPT:
                self.bad[check].append(row)

    def counts(self, info: FacesInfo) -> dict[str, int]:
        """Rows kept by split ("split/Training") and by emotion ("emotion/happy")."""
        names = {**dict(enumerate(info.split_names)), UNASSIGNED: "none"}
        splits = self.faces()["split"].value_counts()
        counts = {f"split/{names[code]}": int(splits[code]) for code in sorted(splits.index)}
        emotions = self.by_emotion(info.labels) if info.labels else {}
        return counts | {f"emotion/{label}": count for label, count in emotions.items()}

    def by_emotion(self, labels: tuple[str, ...]) -> dict[str, int]:
        """Faces kept of each emotion, in the order of `labels`."""
        counts = np.bincount(self.faces()["target"], minlength=len(labels))
        return dict(zip(labels, counts.tolist(), strict=True))

    def faces(self) -> pd.DataFrame:
        """The index of all faces kept."""
        return pd.concat(self.row_index, ignore_index=True)
