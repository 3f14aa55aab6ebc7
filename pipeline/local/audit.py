"""Find the labels of a run's data that are the most doubtful; write a page or a table of them."""

import csv
import io
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from emotion_ai import storage
from emotion_ai.apps.audit.page import Audit, write_audit_page
from emotion_ai.apps.audit.ranking import Suspect, rank
from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import Faces
from emotion_ai.faces.file_names import pick_file_names
from emotion_ai.faces.labels import label_set_names
from emotion_ai.networks.weights import PRETRAINED
from emotion_ai.pipeline.local.faces import ingest_expression
from emotion_ai.pipeline.local.run import with_absolute_paths
from emotion_ai.pipeline.settings import RunSettings
from emotion_ai.registry.champion import read_champion
from emotion_ai.registry.releases import is_version, read_release, release_uri
from emotion_ai.sources.corrections import LEFT_OUT, read_corrections
from emotion_ai.sources.uri import corrections_uri, is_sample
from emotion_ai.steps.evaluate.bootstrap import number_people
from emotion_ai.storage.atomic_files import check_writable_name

_SUFFIXES = (".html", ".csv")
_COLUMNS = ("row", "file", "emotion", "probability", "suggested", "suggested_probability")


def write_audit(
    settings: RunSettings, release: str, count: int, output: Path, on_faces: Callable[[int], None]
) -> int:
    """Rank the labels of a run's expression source by doubt, and write the first of them.

    Args:
        settings: The settings of the run.
        release: Whose features to judge by: "pretrained", "champion" or the number of a release.
        count: How many labels to show.
        output: The page (.html) or table (.csv) to write.
        on_faces: Called with the number of faces that the network has seen so far.

    Returns:
        How many labels were judged.

    Raises:
        InputError: The source, a setting or the output is invalid, or there are too few faces.
        Unavailable: A storage failed.
    """
    if output.suffix not in _SUFFIXES:
        raise InputError(f"{output}: expected the name of a file {' or '.join(_SUFFIXES)}")
    check_writable_name(output)
    settings = with_absolute_paths(settings)
    address = _find_network(release, settings.registry)
    with tempfile.TemporaryDirectory(prefix="audit-") as folder:
        faces = ingest_expression(settings, Path(folder, "faces"))
        suspects = _rank(faces, address, count, on_faces)
        shown = faces.take(np.array([suspect.position for suspect in suspects]))
        rows = shown.row.tolist()
        files = pick_file_names(faces.path, rows)
        if output.suffix == ".csv":
            storage.write_bytes(str(output), _table(suspects, rows, files, faces.info.labels))
        else:
            audit = _describe(settings, address, faces)
            write_audit_page(output, audit, suspects, shown.images, rows, files)
        return len(faces)


def _find_network(release: str, registry: str) -> str:
    """Return the address of the network that judges, for `read_features`."""
    if release == PRETRAINED:
        return release
    if release == "champion":
        version = read_champion(registry)
    else:
        version = int(release) if is_version(release) else None
    if version is None:
        raise InputError(
            f"--release {release[:30]!r}: expected {PRETRAINED}, or the number of a release or the "
            f"champion of {registry}"
        )
    read_release(registry, version)
    return release_uri(registry, version)


def _rank(
    faces: Faces, address: str, count: int, on_faces: Callable[[int], None]
) -> Sequence[Suspect]:
    # Imported late: Keras takes seconds.
    from emotion_ai.networks.doubt import out_of_fold, read_features

    features = read_features(faces, address, on_faces)
    targets = faces.column("targets")
    people = number_people(faces.column("subject"))
    return rank(out_of_fold(features, targets, people, len(faces.info.labels)), targets, count)


def _describe(settings: RunSettings, address: str, faces: Faces) -> Audit:
    source, info = settings.expression, faces.info
    file = "corrections.csv" if is_sample(source) else Path(corrections_uri(source)).name
    earlier = [] if is_sample(source) else _read_earlier(settings)
    return Audit(source, info.fingerprint, file, address, info.labels, len(faces), earlier)


def _read_earlier(settings: RunSettings) -> list[tuple[int, str, str]]:
    """Read the corrections that are there: data rows, the emotion in the source, the right one."""
    names = label_set_names(settings.label_set)
    found = read_corrections(settings.expression, names, settings.checks.max_rows)
    if found is None:
        return []
    words = dict(enumerate(names))
    before = [words[code] for code in found.before.tolist()]
    after = [words.get(code, LEFT_OUT) for code in found.after.tolist()]
    return list(zip(found.rows.tolist(), before, after, strict=True))


def _table(
    suspects: Sequence[Suspect], rows: Sequence[int], files: dict[int, str], labels: Sequence[str]
) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row, suspect in zip(rows, suspects, strict=True):
        own, other = f"{suspect.probability:.4f}", f"{suspect.suggested_probability:.4f}"
        emotion, suggested = labels[suspect.emotion], labels[suspect.suggested]
        writer.writerow((row, files.get(row, ""), emotion, own, suggested, other))
    return text.getvalue().encode()
