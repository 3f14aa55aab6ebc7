"""Write the page on which a person looks through doubtful labels, and saves corrections."""

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup
from numpy.typing import NDArray

from emotion_ai.apps.audit.ranking import Suspect
from emotion_ai.html_page import Section, image_html, write_page

_HELP = Markup(
    "<p>Click a face to give it the label under it, or choose another one; "
    "<b>none</b> leaves it out. Then save: put the file beside the source, under its name, and the "
    "next run reads it. What you chose stays in this browser.</p>"
)
_FACE = Markup(
    '<figure data-row="{row}" data-emotion="{emotion}" data-suggested="{suggested}">'
    '<button type="button" aria-label="{where}: {suggested}" title="{where}">{image}</button>'
    "<figcaption><b>{emotion}</b> {own}<br>{suggested} {other}</figcaption>"
    '<select aria-label="{where}"><option value="">keep {emotion}</option>{options}'
    '<option value="none">none</option></select></figure>'
)
_OPTION = Markup('<option value="{0}">{0}</option>')


class Audit(NamedTuple):
    """What the page is about.

    Attributes:
        source: The data set's URI.
        fingerprint: Of its content.
        corrections_file: The name of the file of its corrections.
        network: Whose features judged: "pretrained", or a release.
        labels: The emotions, in the order of their codes.
        faces: How many labels were judged.
        earlier: Corrections that are there already: row, emotion in the source, corrected.
    """

    source: str
    fingerprint: str
    corrections_file: str
    network: str
    labels: tuple[str, ...]
    faces: int
    earlier: Sequence[tuple[int, str, str]]


def write_audit_page(
    path: Path,
    audit: Audit,
    suspects: Sequence[Suspect],
    images: NDArray,
    rows: Sequence[int],
    files: Mapping[int, str],
) -> None:
    """Write the page.

    Args:
        path: The HTML file.
        audit: What it is about.
        suspects: The labels to look at, in order.
        images: Their faces, uint8 [n, H, W].
        rows: Their data rows.
        files: Names of picture files by data row; empty for a CSV.

    Raises:
        Unavailable: The file cannot be written.
    """
    faces = Markup("\n").join(
        _face_html(suspect, image, row, files.get(row, f"row {row}"), audit.labels)
        for suspect, image, row in zip(suspects, images, rows, strict=True)
    )
    data = {
        "key": f"emotion-ai audit {audit.fingerprint}",
        "file": audit.corrections_file,
        "earlier": audit.earlier,
    }
    # In a script a "<" could begin its end.
    text = Markup(json.dumps(data).replace("<", "\\u003c"))  # noqa: S704
    html = Markup(
        "<style>{style}</style>{help}<p class=save><button type=button id=save>Save corrections"
        "</button> <span id=count></span></p><div class=faces>{faces}</div>"
        '<script type="application/json" id=audit>{data}</script><script>{script}</script>'
    ).format(
        style=_own("audit.css"),
        help=_HELP,
        faces=faces,
        data=text,
        script=_own("audit.js"),
    )
    lead = (
        f"The {len(suspects):,} most doubtful of {audit.faces:,} labels of {audit.source}, judged "
        "by what has not seen them: the label's share comes first, then the likeliest other one."
    )
    tiles = [
        ("labels judged", f"{audit.faces:,}"),
        ("shown", f"{len(suspects):,}"),
        ("corrected before", f"{len(audit.earlier):,}"),
        ("features of", audit.network),
    ]
    write_page(path, "Label audit", lead, tiles, [Section("Faces to look at", html)])


def _own(name: str) -> Markup:
    text = (resources.files("emotion_ai.apps.audit") / "assets" / name).read_text("utf-8")
    # It comes with the package.
    return Markup(text)  # noqa: S704


def _face_html(
    suspect: Suspect, image: NDArray, row: int, where: str, labels: Sequence[str]
) -> Markup:
    emotion, suggested = labels[suspect.emotion], labels[suspect.suggested]
    others = [label for label in labels if label != emotion]
    return _FACE.format(
        row=row,
        emotion=emotion,
        suggested=suggested,
        where=where,
        image=image_html(image, where),
        own=_share(suspect.probability),
        other=_share(suspect.suggested_probability),
        options=Markup("").join(map(_OPTION.format, others)),
    )


def _share(probability: float) -> str:
    return f"{probability:.0%}" if probability >= 0.01 else "<1%"
