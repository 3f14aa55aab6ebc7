"""Write the validation report: verdict, checks, golden faces and the server's log."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from emotion_ai.html_page import Section, image_html, table_html, write_page
from emotion_ai.serving_api.golden import Golden
from emotion_ai.steps.validate.checks import Check

_SCALE = 2
_DOT = np.array([0, 158, 115], dtype=np.uint8)


def write_report(
    path: str, accepted: bool, checks: Sequence[Check], golden: Golden, log_tail: str
) -> None:
    """Write the validation report as an HTML page.

    Args:
        path: The file to write.
        accepted: The verdict.
        checks: The results of all checks.
        golden: The golden answers.
        log_tail: The end of the server's log.
    """
    failed = [check for check in checks if not check.passed]
    names = ", ".join(check.name for check in failed)
    verdict = f"Not passed: {names}." if failed else "It is within every limit."
    lead = f"A model server loaded the SavedModel and answered requests as for a client. {verdict}"
    tiles: list[tuple[str, object]] = [("verdict", "accepted" if accepted else "rejected")]
    tiles += [
        (check.name.removeprefix("latency/").replace("_", " "), f"{check.value:.1f}")
        for check in checks
        if check.name.startswith("latency/") and check.value is not None
    ]
    emotions = ", ".join(golden.emotion.astype(str))
    sections = [
        Section(
            "Checks", table_html(("check", "result", "value", "limit", ""), map(_check_row, checks))
        ),
        Section(
            "Golden faces",
            Markup("{}<p>{}</p>").format(
                image_html(_draw_faces(golden), "the golden faces with the expected keypoints"),
                f"Expected emotions: {emotions}. They become the release's warm-up requests.",
            ),
        ),
        Section(
            "The server's log",
            Markup('<pre class="scroll">{}</pre>').format(log_tail or "The server wrote nothing."),
        ),
    ]
    write_page(path, "Validation in the model server", lead, tiles, sections)


def _check_row(check: Check) -> tuple[object, ...]:
    style, word = ("good", "passed") if check.passed else ("bad", "failed")
    if not check.passed and not check.blocking:
        word = "warns"
    result = Markup('<span class="{}">{}</span>').format(style, word)
    value = "" if check.value is None else check.value
    return check.name, result, value, "" if check.limit is None else check.limit, check.sentence


def _draw_faces(golden: Golden) -> NDArray[np.uint8]:
    faces = []
    for image, points in zip(golden.images[..., 0], golden.keypoints, strict=True):
        face = np.repeat(np.repeat(image, _SCALE, axis=0), _SCALE, axis=1)
        face = np.stack([face] * 3, axis=-1)
        # A pixel's centre has whole coordinates; enlarged, it covers _SCALE pixels.
        centres = np.nan_to_num((points + 0.5) * _SCALE).round().astype(int)
        for x, y in centres.clip(1, len(face) - 2):
            face[y - 1 : y + 2, x - 1 : x + 2] = _DOT
        faces.append(face)
    return np.concatenate(faces, axis=1)
