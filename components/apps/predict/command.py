"""Predict files and folders of pictures onto standard output or, resumably, into a file."""

import contextlib
import io
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from emotion_ai.apps.predict.files import PictureFile, copy_names, find_pictures
from emotion_ai.apps.predict.journal import open_journal
from emotion_ai.apps.predict.output import (
    RecordSource,
    choose_format,
    write_parquet,
    write_text,
)
from emotion_ai.client.predictor import Predictor
from emotion_ai.client.records import Record, check_packages, face_columns, json_line
from emotion_ai.client.results import Prediction
from emotion_ai.errors import InputError, one_line
from emotion_ai.storage import translate_errors
from emotion_ai.storage.atomic_files import (
    atomic_write,
    complete,
    flush_folder,
    follow_links,
    make_private_folder,
)
from emotion_ai.terminal import clean_console

OnPrediction = Callable[[PictureFile, Prediction], None]


class Copies(NamedTuple):
    """Copies of the pictures with the predictions drawn on them.

    Attributes:
        folder: Where they go.
        blur: Whether their faces are hidden.
    """

    folder: Path
    blur: bool = False


def predict_paths(
    paths: Sequence[Path],
    predictor: Predictor,
    format: str = "",
    output: Path | None = None,
    copies: Copies | None = None,
    about: Mapping[str, str] = {},
) -> None:
    """Predict the faces in picture files and folders of them, with a progress bar on a terminal.

    With `output` the predictions are written to that file, which appears when it is complete. Until
    then a journal beside it holds the finished records, and the same call resumes from there. A
    picture that cannot be read has the reason in its record.

    Args:
        paths: Picture files, and folders that are searched with their subfolders.
        predictor: Detects and predicts the faces.
        format: `jsonl`, `csv`, `table` or, with `output`, `parquet`; "" for that of the output's
            suffix, else `table` on a terminal and `jsonl` elsewhere.
        output: The file to write; None for standard output.
        copies: What to draw, and where; None for nothing.
        about: The purpose by `PURPOSE`, if one is declared: a part of every record and copy.

    Raises:
        InputError: A picture could not be read, raised after all others are done; or an argument
            is invalid.
        Unavailable: The server failed, or a file could not be written.
    """
    on_terminal = output is None and sys.stdout.isatty()
    chosen = choose_format(format, output) or ("table" if on_terminal else "jsonl")
    check_packages(chosen)
    output = output and follow_links(output)
    files = find_pictures(paths, exclude=copies and copies.folder)
    _check_targets(files, output, copies and copies.folder)
    failed: list[str] = []

    def collect_failure(file: PictureFile, prediction: Prediction) -> None:
        if prediction.error is not None:
            failed.append(prediction.error)

    callbacks = [collect_failure, *([_annotator(files, copies, about)] if copies else [])]
    with _progress(len(files)) as advance:
        callbacks.append(advance)
        if output is None:
            _print(files, predictor, chosen, callbacks, about)
        else:
            failed += _write(files, predictor, chosen, output, callbacks, about, copies)
    if len(failed) == 1:
        raise InputError(failed[0])
    if failed:
        sys.stderr.writelines(f"{one_line(error)}\n" for error in failed)
        raise InputError(f"{len(failed):,} of {len(files):,} pictures could not be read")


def _check_targets(
    files: Sequence[PictureFile], output: Path | None, annotate: Path | None
) -> None:
    """Raise `InputError` where a result would be written over a picture."""
    sources = {file.path.resolve() for file in files}
    targets = [output] if output else []
    if annotate:
        targets += [annotate / name for name in copy_names(files, ".jpg")]
    for target in targets:
        if target.resolve() in sources:
            raise InputError(f"{target}: this is one of the pictures; name another place")


def _predict(
    files: Sequence[PictureFile],
    predictor: Predictor,
    callbacks: Sequence[OnPrediction],
    about: Mapping[str, str],
) -> Iterator[Record]:
    predictions = predictor.predict_many(file.path for file in files)
    for file, prediction in zip(files, predictions, strict=True):
        for callback in callbacks:
            callback(file, prediction)
        yield {**prediction.as_dict(), **about}


def _print(
    files: Sequence[PictureFile],
    predictor: Predictor,
    format: str,
    callbacks: Sequence[OnPrediction],
    about: Mapping[str, str],
) -> None:
    if format == "parquet":
        raise InputError("format parquet is binary; name a file: --output FILE.parquet")
    records = _predict(files, predictor, callbacks, about)
    if format == "jsonl":
        for record in records:
            sys.stdout.write(json_line(record))
            sys.stdout.flush()
        return
    collected = list(records)
    write_text(lambda: collected, format, sys.stdout)


def _write(
    files: Sequence[PictureFile],
    predictor: Predictor,
    format: str,
    output: Path,
    callbacks: Sequence[OnPrediction],
    about: Mapping[str, str],
    copies: Copies | None,
) -> list[str]:
    """Predict the pictures that the journal lacks; return why others in it could not be read."""
    detector = predictor.detector
    settings = {
        "server": predictor.address,
        "version": predictor.version,
        "faces": [type(detector).__name__, getattr(detector, "side", None)],
        "columns": face_columns(()),
        "about": dict(about),
        # Copies that an interrupted command drew otherwise would stay as they are.
        "copies": copies and [str(copies.folder), copies.blur],
    }
    with open_journal(output, settings) as journal:
        remaining = [file for file in files if file.path not in journal]
        before = (journal.record(file.path) for file in files if file.path in journal)
        failed_before = [str(record["error"]) for record in before if "error" in record]
        records = _predict(remaining, predictor, callbacks, about)
        for file, record in zip(remaining, records, strict=True):
            journal.add(file.path, record)
        _write_output(output, format, lambda: (journal.record(file.path) for file in files))
    return failed_before


def _write_output(output: Path, format: str, records: RecordSource) -> None:
    with translate_errors(str(output)), atomic_write(output) as file:
        if format == "parquet":
            write_parquet(records, file)
        else:
            text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
            write_text(records, format, text)
            text.detach()
        complete(file, output)
    flush_folder(output.parent)


def _annotator(
    files: Sequence[PictureFile], copies: Copies, about: Mapping[str, str]
) -> OnPrediction:
    from emotion_ai.client.drawing import annotate, annotate_blurred, annotate_file

    folder = copies.folder
    draw = annotate_blurred if copies.blur else annotate
    names = dict(zip(files, copy_names(files, ".jpg"), strict=True))
    with translate_errors(str(folder)):
        make_private_folder(folder)

    def draw_copy(file: PictureFile, prediction: Prediction) -> None:
        if prediction.error is None:
            annotate_file(file.path, prediction.faces, folder / names[file], draw, about)

    return draw_copy


@contextlib.contextmanager
def _progress(count: int) -> Iterator[OnPrediction]:
    """Show a bar on standard error, if that is a terminal and there are several pictures."""
    if count < 2 or not sys.stderr.isatty():
        yield lambda file, prediction: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(
        "pictures", *columns, console=clean_console(sys.stderr), transient=True
    ) as progress:
        task = progress.add_task("", total=count)
        yield lambda file, prediction: progress.advance(task)
