"""Labels that people have corrected: the optional NAME.corrections.csv beside NAME.csv.

Its columns are `row,emotion,corrected`: a data row, the emotion that the source gives it, and the
one that the face shows; "none" leaves the row out, and an empty cell leaves it as it is.
`emotion-ai audit` finds candidates. The source itself stays as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import Rows
from emotion_ai.faces.labels import EmotionReader
from emotion_ai.sources.sidecar import read_cells, read_rows, refuse_cell
from emotion_ai.sources.uri import corrections_uri

COLUMNS = ("row", "emotion", "corrected")
# What `corrected` says of a face that shows no emotion of the label set.
LEFT_OUT = "none"
_LEFT_OUT_CODE = 254


@dataclass
class Corrections:
    """The corrections of a source, and how many were made so far.

    Attributes:
        uri: Their file.
        rows: Data rows, int64 [n], each once, in order.
        before: Codes of the label set as the source has them, uint8 [n].
        after: The codes that are right, uint8 [n].
        changed: Rows that got another label.
        left_out: Rows that were left out.
    """

    uri: str
    rows: NDArray[np.int64]
    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    changed: int = 0
    left_out: int = 0

    def apply(self, rows: Rows, names: Sequence[str]) -> Rows:
        """Correct the labels of rows, and leave out those that are to be left out.

        Args:
            rows: Rows of the source, with codes of the label set.
            names: The label set's emotions.

        Raises:
            InputError: A row has another label in the source than the corrections say.
        """
        _, own, theirs = np.intersect1d(rows.row, self.rows, return_indices=True)
        for at in np.flatnonzero(rows.targets[own] != self.before[theirs])[:1]:
            row, code = rows.row[own[at]], rows.targets[own[at]]
            found = names[code] if code < len(names) else "another emotion"
            raise InputError(
                f"{self.uri}: data row {row} (from 0) is {found} in the source, not "
                f"{names[self.before[theirs[at]]]}: these are corrections of another file"
            )
        targets = rows.targets.copy()
        targets[own] = self.after[theirs]
        is_kept = targets != _LEFT_OUT_CODE
        self.left_out += int(np.count_nonzero(~is_kept))
        self.changed += int(np.count_nonzero((targets != rows.targets) & is_kept))
        return replace(rows, targets=targets).take(is_kept)

    def check_end(self, rows_read: int) -> None:
        """Raise `InputError` if corrections are beyond the last row of the source."""
        if len(self.rows) and self.rows[-1] >= rows_read:
            raise InputError(
                f"{self.uri}: column row: {self.rows[-1]} is beyond the source's last data row, "
                f"{rows_read - 1} (counted from 0)"
            )


def read_corrections(source: str, names: Sequence[str], max_rows: int) -> Corrections | None:
    """Read the corrections of a source.

    Args:
        source: The source's URI; its corrections are at `corrections_uri(source)`.
        names: The label set's emotions in the order of their codes; none for keypoints.
        max_rows: The number of rows that the source may have.

    Returns:
        The corrections; None if there is no such file.

    Raises:
        InputError: The file is no such CSV, names an unknown emotion or a row twice, or the source
            has keypoints.
        Unavailable: The storage failed.
    """
    uri = corrections_uri(source)
    if not storage.exists(uri):
        return None
    if not names:
        raise InputError(f"{uri}: corrects emotions, and the source has keypoints; rename the file")
    cells = read_cells(uri, COLUMNS, max_rows)
    cells = cells[cells["corrected"] != ""]
    rows = read_rows(uri, cells["row"], max_rows)
    codes = {}
    reader = EmotionReader(tuple(names))
    for column in ("emotion", "corrected"):
        found = cells[column].map(reader.code_of)
        if column == "corrected":
            found = found.mask(cells[column].str.lower() == LEFT_OUT, _LEFT_OUT_CODE)
        words = ", ".join(names) + (f", or {LEFT_OUT}" if column == "corrected" else "")
        refuse_cell(uri, cells[column], found.notna(), f"one of {words}")
        codes[column] = found.to_numpy(np.uint8)
    order = np.argsort(rows)
    return Corrections(uri, rows[order], codes["emotion"][order], codes["corrected"][order])
