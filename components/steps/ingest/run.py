"""Read a source of faces, check it, and write the faces artifact and the data report."""

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
from emotion_ai.faces.groups import GROUPS, write_groups
from emotion_ai.faces.kinds import EXPRESSION, KEYPOINTS, kind_of
from emotion_ai.faces.labels import OTHER_EMOTION, label_set_names, select_emotions
from emotion_ai.faces.split_words import name_splits
from emotion_ai.settings import validate_settings
from emotion_ai.sources.checks import DataChecks
from emotion_ai.sources.corrections import read_corrections
from emotion_ai.sources.groups import check_last_row, read_source_groups
from emotion_ai.sources.open import Source, open_source
from emotion_ai.sources.subjects import look_up_subjects, read_subjects
from emotion_ai.sources.uri import fingerprint as compute_fingerprint
from emotion_ai.sources.uri import subjects_uri
from emotion_ai.steps.ingest.check_results import (
    CheckResult,
    check_class_balance,
    check_course5_as_fer7,
    check_faces,
    check_keypoint_middle,
    check_rows,
    index_rows,
)
from emotion_ai.steps.ingest.counts import IngestCounts
from emotion_ai.steps.ingest.statistics import headlines, summarise
from emotion_ai.storage.atomic_files import remove_on_failure


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
) -> dict[str, float]:
    """Turn a source into a faces artifact with a data report.

    Rows that break a check are left out and listed, up to the tolerated share. The report is
    written even if the source is refused.

    Args:
        source: Path, gs:// or sample:// URI of a CSV or of pictures; NAME.subjects.csv beside it
            names the persons, NAME.corrections.csv corrects labels, NAME.groups.csv has groups.
        fingerprint: The source's fingerprint when the run started; "" to skip the comparison.
        kind: "keypoints" (96x96 images) or "expression" (48x48 images).
        label_set: "fer7" or "course5"; ignored for keypoints.
        emotions: Emotions to keep, separated by commas; "" for all. Rows of other emotions are left
            out; codes follow `select_emotions`.
        checks: The fields of `DataChecks`.
        faces_path: Folder to write: images uint8 [n, H, W] and their targets, see `faces.arrays`.
        report_path: HTML page to write.
        statistics_path: JSON file to write.

    Returns:
        The counts that KFP shows, by plain names.

    Raises:
        InputError: A setting is invalid, more rows break a check than tolerated, or the source
            has changed since its fingerprint was taken.
        Unavailable: The storage failed.
    """
    data_checks = validate_settings(DataChecks, checks, "checks")
    info = _faces_info(source, fingerprint, kind, label_set, emotions)
    with remove_on_failure(*(Path(faces_path, name) for name in (INFO_FILE, FILE_NAMES, GROUPS))):
        opened, counts = _write_faces(info, data_checks, emotions, faces_path)
        results = _run_checks(counts, info, data_checks, opened.files)
        faces = Faces(faces_path)
        statistics = summarise(faces, counts, results, opened)
        storage.write_bytes(statistics_path, json.dumps(statistics, indent=1).encode() + b"\n")
        # Imported late: matplotlib takes a third of this step's start.
        from emotion_ai.steps.ingest.report import write_report

        write_report(report_path, faces, counts, results, statistics)
        failed = [result for result in results if result.verdict == "stop"]
        if failed:
            raise InputError(_refusal_message(source, failed, counts))
    return headlines(statistics)


def _write_faces(
    info: FacesInfo, checks: DataChecks, emotions: str, faces_path: str
) -> tuple[Source, IngestCounts]:
    with (
        open_source(info, checks, emotions) as source,
        FacesWriter(faces_path, info) as writer,
    ):
        counts = _copy_faces(source, info, checks, writer)
        if groups := counts.groups:
            write_groups(faces_path, groups)
        if source.files:
            write_file_names(faces_path, source.files)
        # Computed after the last row, so that it is the fingerprint of what was read.
        fingerprint = compute_fingerprint(info.source)
        if info.fingerprint not in ("", fingerprint):
            raise InputError(
                f"{info.source}: changed while the run went on; run again to read it anew"
            )
        info = info.model_copy(
            update={"fingerprint": fingerprint, "split_names": name_splits(counts.split_words)}
        )
        face_counts = counts.faces_by_split_and_emotion(info)
        writer.info = info.model_copy(update={"counts": face_counts})
    return source, counts


def _faces_info(
    source: str, fingerprint: str, kind: str, label_set: str, emotions: str
) -> FacesInfo:
    face_kind = kind_of(kind)
    has_emotions = face_kind is EXPRESSION
    return FacesInfo(
        kind=face_kind.name,
        label_set=label_set if has_emotions else "",
        labels=select_emotions(label_set, emotions) if has_emotions else (),
        image_size=face_kind.image_size,
        source=source,
        fingerprint=fingerprint,
    )


def _copy_faces(
    source: Source, info: FacesInfo, checks: DataChecks, writer: FacesWriter
) -> IngestCounts:
    counts = IngestCounts()
    names = label_set_names(info.label_set) if info.labels else ()
    subjects = read_subjects(source.uri, checks.max_rows)
    corrections = read_corrections(source.uri, names, checks.max_rows)
    counts.groups = read_source_groups(source.uri, source.files, checks.max_rows)
    for block in source.blocks:
        counts.add_block(block)
        rows = block.rows if corrections is None else corrections.apply(block.rows, names)
        if names:
            rows = _select_emotions(rows, names, info.labels, counts)
        if subjects is not None:
            rows = replace(rows, subject=look_up_subjects(subjects, rows.row))
        writer.append(rows)
        counts.row_index.append(index_rows(rows))
    if not counts.rows_read:
        raise InputError(f"{source.uri}: no row of data below the header")
    if subjects is not None and len(subjects) > counts.rows_read:
        raise InputError(
            f"{subjects_uri(source.uri)}: column row: {len(subjects) - 1} is beyond the last "
            f"data row of {source.uri}, {counts.rows_read - 1} (counted from 0)"
        )
    if counts.groups is not None:
        check_last_row(source.uri, counts.groups, counts.rows_read)
    if corrections is not None:
        corrections.check_end(counts.rows_read)
        counts.labels_corrected = corrections.changed
        counts.rows_left_out_by_correction = corrections.left_out
    return counts


def _select_emotions(
    rows: Rows, names: tuple[str, ...], labels: tuple[str, ...], counts: IngestCounts
) -> Rows:
    """Keep the rows of the emotions in `labels`, with their codes; count the source's codes."""
    counts.code_counts += np.bincount(rows.targets, minlength=len(counts.code_counts))
    codes = np.full(len(counts.code_counts), OTHER_EMOTION, dtype=np.uint8)
    for code, name in enumerate(names):
        if name in labels:
            codes[code] = labels.index(name)
    targets = codes[rows.targets]
    is_selected = targets != OTHER_EMOTION
    counts.rows_of_other_emotions += int(np.count_nonzero(~is_selected))
    return replace(rows, targets=targets).take(is_selected)


def _run_checks(
    counts: IngestCounts, info: FacesInfo, checks: DataChecks, files: Sequence[str]
) -> list[CheckResult]:
    results = check_rows(info.kind, counts, checks)
    results += check_faces(counts.faces_index(), checks)
    if info.kind == KEYPOINTS.name and counts.rows_read > counts.rows_left_out:
        results.append(check_keypoint_middle(counts.faces_index(), checks))
    # Only numbers can be the codes of another label set; folders are named by emotion.
    has_codes = not files and any(word.isdecimal() for word, _ in counts.emotion_words)
    if info.label_set == "fer7" and has_codes:
        results.append(check_course5_as_fer7(counts.code_counts, checks))
    if info.labels:
        results.append(check_class_balance(counts.faces_by_emotion(info.labels), checks))
    if files:
        results = [replace(r, files=[files[row] for row in r.rows]) for r in results]
    return results


def _refusal_message(source: str, failed: list[CheckResult], counts: IngestCounts) -> str:
    """Say in one sentence why a source is refused, with its first bad cell."""
    result = failed[0]
    message = (
        f"{source}: {result.title}: rows {result.count}, share {result.value:.2%}, expected "
        f"{result.bound} {result.limit:.2%} (data check {result.check})"
    )
    if counts.bad_rows[result.check]:
        first = counts.bad_rows[result.check][0]
        message += f"; the first is {first.location}: {first.message}"
    elif result.files:
        message += f"; the first are {', '.join(result.files[:5])}"
    elif result.rows:
        message += f"; the first are data rows {result.rows[:5]} counted from 0"
    elif result.note:
        message += f"; {result.note}"
    if len(failed) > 1:
        message += f"; also over their limits: {', '.join(r.check for r in failed[1:])}"
    return message
