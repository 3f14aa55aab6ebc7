"""Read a source of faces, check it, and write the faces artifact and the data report.

Reads faces (a CSV or pictures, local or gs://, or drawn ones) and their NAME.subjects.csv; writes a
faces artifact, an HTML report and its statistics as JSON. Fails, after writing the report, when
more rows break a check than its share in `DataChecks` tolerates; up to that share they are left out
and listed.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from emotion_ai import storage
from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import INFO_FILE, Faces, FacesInfo, FacesWriter, Rows
from emotion_ai.faces.file_names import FILE_NAMES, write_file_names
from emotion_ai.faces.kinds import EXPRESSION, kind_of
from emotion_ai.faces.labels import label_set_names, select_emotions
from emotion_ai.settings import validate_settings
from emotion_ai.sources.checks import DataChecks
from emotion_ai.sources.open import Source, open_source
from emotion_ai.sources.subjects import look_up_subjects, read_subjects
from emotion_ai.sources.uri import fingerprint as fingerprint_of
from emotion_ai.sources.uri import subjects_uri
from emotion_ai.steps.ingest import check_results as findings
from emotion_ai.steps.ingest.check_results import CheckResult
from emotion_ai.steps.ingest.counts import IngestCounts
from emotion_ai.steps.ingest.statistics import summarise
from emotion_ai.storage.atomic_files import remove_on_failure

_OTHER_EMOTION = 255


def run(
    source: str,
    fingerprint: str,
    kind: str,
    label_set: str,
    emotions: str,
    checks: dict[str, Any],
    faces_path: str,
    report_path: str,
    statistics_path: str,
) -> None:
    """Turn a source into a faces artifact with a data report.

    `kind` is "keypoints" (96x96 images) or "expression" (48x48). `fingerprint` is what resolve
    saw ("" is not compared). `label_set` and `emotions` (names, comma-separated, "" for all) matter
    to expressions alone: rows of other emotions are left out, and codes follow `select_emotions`.
    `checks` are the fields of `DataChecks`.

    Raises `InputError` for a source that breaks its schema beyond the tolerated share or has
    changed since it was fingerprinted, `Unavailable` where the storage fails.
    """
    limits = validate_settings(DataChecks, checks, "checks")
    info = _describe(source, fingerprint, kind, label_set, emotions)
    with remove_on_failure(Path(faces_path, INFO_FILE), Path(faces_path, FILE_NAMES)):
        opened, tally = _write_faces(info, limits, faces_path)
        found = _findings(tally, info, limits, opened.files)
        faces = Faces(faces_path)
        statistics = summarise(faces, tally, found, opened.ignored_columns)
        storage.write_bytes(statistics_path, json.dumps(statistics, indent=1).encode() + b"\n")
        # With matplotlib, a third of this step's start: a source is read and refused without.
        from emotion_ai.steps.ingest.report import write_report

        write_report(report_path, faces, tally, found, statistics)
        stopping = [finding for finding in found if finding.verdict == "stop"]
        if stopping:
            raise InputError(_refusal(source, stopping, tally))


def _write_faces(
    info: FacesInfo, limits: DataChecks, faces_path: str
) -> tuple[Source, IngestCounts]:
    with open_source(info, limits) as opened, FacesWriter(faces_path, info) as writer:
        tally = _copy_faces(opened, info, limits, writer)
        if opened.files:
            write_file_names(faces_path, opened.files)
        # Taken after the last row, so that it stands for the content that was read.
        now = fingerprint_of(info.source)
        if info.fingerprint not in ("", now):
            raise InputError(
                f"{info.source}: changed while the run went on; run again to read it anew"
            )
        info = info.model_copy(update={"fingerprint": now, "split_names": opened.split_names})
        writer.info = info.model_copy(update={"counts": tally.counts(info)})
    return opened, tally


def _describe(source: str, fingerprint: str, kind: str, label_set: str, emotions: str) -> FacesInfo:
    face_kind = kind_of(kind)
    with_emotions = face_kind is EXPRESSION
    return FacesInfo(
        kind=face_kind.name,
        label_set=label_set if with_emotions else "",
        labels=select_emotions(label_set, emotions) if with_emotions else (),
        image_size=face_kind.image_size,
        source=source,
        fingerprint=fingerprint,
    )


def _copy_faces(
    source: Source, info: FacesInfo, limits: DataChecks, writer: FacesWriter
) -> IngestCounts:
    tally = IngestCounts()
    names = label_set_names(info.label_set) if info.labels else ()
    subjects = read_subjects(source.uri, limits.max_rows)
    for block in source.blocks:
        tally.read += block.rows_read
        tally.add_bad(block.bad)
        rows = _select(block.rows, names, info.labels, tally) if names else block.rows
        if subjects is not None:
            rows = replace(rows, subject=look_up_subjects(subjects, rows.row))
        writer.append(rows)
        tally.row_index.append(findings.index_rows(rows))
    if not tally.read:
        raise InputError(f"{source.uri}: no row of data below the header")
    if subjects is not None and len(subjects) > tally.read:
        raise InputError(
            f"{subjects_uri(source.uri)}: column row: {len(subjects) - 1} is beyond the last "
            f"data row of {source.uri}, {tally.read - 1} (counted from 0)"
        )
    return tally


def _select(
    rows: Rows, names: tuple[str, ...], labels: tuple[str, ...], tally: IngestCounts
) -> Rows:
    """The rows of the emotions to learn, their codes made those of `labels`; counts all codes."""
    tally.codes += np.bincount(rows.targets, minlength=len(tally.codes))
    positions = [labels.index(name) if name in labels else _OTHER_EMOTION for name in names]
    targets = np.array(positions, dtype=np.uint8)[rows.targets]
    wanted = targets != _OTHER_EMOTION
    tally.other_emotions += int(np.count_nonzero(~wanted))
    return replace(rows, targets=targets).take(wanted)


def _findings(
    tally: IngestCounts, info: FacesInfo, limits: DataChecks, files: Sequence[str]
) -> list[CheckResult]:
    found = findings.row_findings(info.kind, tally, limits)
    found += findings.set_findings(tally.faces(), limits)
    # Folders name the emotions, so no code can be taken for another label set's.
    if info.label_set == "fer7" and not files:
        found.append(findings.course5_finding(tally.codes, limits))
    if info.labels:
        found.append(findings.balance_finding(tally.by_emotion(info.labels), limits))
    if files:
        found = [replace(each, files=[files[row] for row in each.rows]) for each in found]
    return found


def _refusal(source: str, stopping: list[CheckResult], tally: IngestCounts) -> str:
    """The sentence that says why a source is refused, with its first bad cell."""
    finding = stopping[0]
    message = (
        f"{source}: {finding.title}: rows {finding.count}, share {finding.value:.2%}, expected "
        f"{finding.bound} {finding.limit:.2%} (data check {finding.check})"
    )
    if tally.bad[finding.check]:
        first = tally.bad[finding.check][0]
        message += f"; the first is {first.location}: {first.message}"
    elif finding.files:
        message += f"; the first are {', '.join(finding.files[:5])}"
    elif finding.rows:
        message += f"; the first are data rows {finding.rows[:5]} counted from 0"
    elif finding.note:
        message += f"; {finding.note}"
    if len(stopping) > 1:
        message += f"; also over their limits: {', '.join(each.check for each in stopping[1:])}"
    return message
