"""Files and folders of pictures, predicted onto standard output or, resumably, into a file."""

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from emotion_ai.apps.predict.files import PictureFile, copy_names, picture_files
from emotion_ai.apps.predict.journal import open_journal
from emotion_ai.client.client import Client
from emotion_ai.client.records import (
    Record,
    Records,
    check_packages,
    format_of,
    json_line,
    write_parquet,
    write_text,
)
from emotion_ai.client.results import Prediction
from emotion_ai.errors import InputError
from emotion_ai.storage import translate_errors
from emotion_ai.storage.atomic_files import atomic_write, flush, flush_folder

# Is told of each picture once it is answered.
Watcher = Callable[[PictureFile, Prediction], None]


def predict_paths(
    paths: Sequence[Path],
    client: Client,
    timeout: float,
    format: str = "",
    output: Path | None = None,
    annotate: Path | None = None,
) -> None:
    """Predict picture files, and those in folders and theirs, with a progress bar on a terminal.

    Without `output` the records go to standard output as `format`: `jsonl` (the default where it is
    no terminal), `csv` or `table`. With it they go to that file, in the format of its suffix where
    `format` is "", and `parquet` is one of them: the file appears whole at the end; until then a
    journal beside it holds what is done, and the same call goes on from there. `annotate` is a
    folder for copies of the pictures with what was seen drawn on them.

    A bad picture has its reason in its record. Raises `InputError` once all the others are done,
    and where an argument cannot be; `Unavailable` naming the server.
    """
    seen = output is None and sys.stdout.isatty()
    chosen = format_of(format, output) or ("table" if seen else "jsonl")
    check_packages(chosen)
    files = picture_files(paths, apart_from=annotate)
    bad: list[Prediction] = []

    def note_failure(file: PictureFile, prediction: Prediction) -> None:
        if prediction.error is not None:
            bad.append(prediction)

    watchers = [note_failure, *([_annotator(files, annotate)] if annotate else [])]
    with _progress(len(files)) as advance:
        watchers.append(advance)
        if output is None:
            _print(files, client, timeout, chosen, watchers)
        else:
            _write(files, client, timeout, chosen, output, watchers)
    if bad:
        others = f"; so could {len(bad) - 1} of the others not" if len(bad) > 1 else ""
        raise InputError(f"{bad[0].error}{others}")


def _records(
    files: Sequence[PictureFile], client: Client, timeout: float, watchers: Sequence[Watcher]
) -> Iterator[Record]:
    answers = client.predict_many((file.path for file in files), timeout=timeout)
    for file, prediction in zip(files, answers, strict=True):
        for watch in watchers:
            watch(file, prediction)
        yield prediction.as_dict()


def _print(
    files: Sequence[PictureFile],
    client: Client,
    timeout: float,
    format: str,
    watchers: Sequence[Watcher],
) -> None:
    if format == "parquet":
        raise InputError(
            "format parquet is no text for a screen; name a file: --output FILE.parquet"
        )
    records = _records(files, client, timeout, watchers)
    if format == "jsonl":
        for record in records:
            sys.stdout.write(json_line(record))
            sys.stdout.flush()
        return
    held = list(records)
    write_text(lambda: held, format, sys.stdout)


def _write(
    files: Sequence[PictureFile],
    client: Client,
    timeout: float,
    format: str,
    output: Path,
    watchers: Sequence[Watcher],
) -> None:
    detector = client.detector
    settings = {
        "server": client.address,
        "version": client.version,
        "faces": [type(detector).__name__, getattr(detector, "side", None)],
    }
    with open_journal(output, settings) as journal:
        missing = [file for file in files if file.path not in journal]
        for file, record in zip(missing, _records(missing, client, timeout, watchers), strict=True):
            journal.add(file.path, record)
        _write_whole(output, format, lambda: (journal.record(file.path) for file in files))


def _write_whole(output: Path, format: str, records: Records) -> None:
    with translate_errors(str(output)), atomic_write(output) as file:
        if format == "parquet":
            write_parquet(records, file)
        else:
            text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
            write_text(records, format, text)
            text.detach()
        flush(file)
        os.replace(file.name, output)
    flush_folder(output.parent)


def _annotator(files: Sequence[PictureFile], folder: Path) -> Watcher:
    from emotion_ai.client.drawing import annotate_file

    names = dict(zip(files, copy_names(files, ".jpg"), strict=True))

    def annotate(file: PictureFile, prediction: Prediction) -> None:
        if prediction.error is None:
            annotate_file(file.path, prediction.faces, folder / names[file])

    return annotate


@contextlib.contextmanager
def _progress(count: int) -> Iterator[Watcher]:
    """A bar on standard error, where that is a terminal and there is more than one picture."""
    if count < 2 or not sys.stderr.isatty():
        yield lambda file, prediction: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress("pictures", *columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=count)
        yield lambda file, prediction: progress.advance(task)
