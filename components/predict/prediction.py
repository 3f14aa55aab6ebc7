"""From picture files to named emotions and keypoints: each picture is taken as one face."""

import csv
import io
import json
import shutil
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from components.errors import BadInput, Unavailable
from components.faces.keypoints import FRAME, NAMES
from components.predict.client import Answer, Client

MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_PIXELS = 64_000_000
# A face in fewer pixels a side shows nothing that could be told.
MIN_SIDE = 16
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP")
# Bounds a request: 64 faces are 576 KiB.
_BATCH = 64


def predict_files(
    paths: Sequence[str | Path], server: str, timeout: float = 30.0
) -> list[dict[str, Any]]:
    """Emotion and keypoints of each picture, as the server at HOST:PORT sees them.

    One dict a file: `file`, `emotion`, `probabilities` {emotion: p}, `keypoints` {name: [x, y]} in
    pixels of the given picture as it is shown upright, (0, 0) the centre of its first pixel, and
    `model_version`. `timeout` in seconds holds for each request of up to 64 pictures.

    Raises `BadInput` naming the file that is no picture, before anything is sent for its batch,
    and `Unavailable` naming the server.
    """
    results: list[dict[str, Any]] = []
    with Client(server) as client:
        for start in range(0, len(paths), _BATCH):
            batch = paths[start : start + _BATCH]
            faces, sizes = zip(*(read_face(path) for path in batch), strict=True)
            answer = client.predict_arrays(np.stack(faces)[..., None], timeout=timeout)
            try:
                results += _named(batch, sizes, answer)
            except (KeyError, IndexError, ValueError) as error:
                raise Unavailable(
                    f"server {server}: its model's outputs are not those of emotion_ai: {error!r}"
                ) from None
    return results


def read_face(path: str | Path) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """A picture as uint8 [96, 96] gray, by area averaging, and its own (width, height).

    The EXIF orientation is applied first. Raises `BadInput` naming the file where it is missing,
    no picture, truncated, over `MAX_FILE_BYTES` or `MAX_PIXELS`, or under `MIN_SIDE`.
    """
    expected = f"expected a picture ({', '.join(FORMATS)})"
    try:
        with warnings.catch_warnings(), Path(path).open("rb") as file:
            # Pillow's own bound only warns at first; ours is checked below, before the decoding.
            # It also warns of each damaged tag that it passes over.
            warnings.simplefilter("ignore")
            data = file.read(MAX_FILE_BYTES + 1)
            if len(data) > MAX_FILE_BYTES:
                raise BadInput(f"{path}: more than {MAX_FILE_BYTES >> 20} MiB; {expected}")
            with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
                _check_size(path, *picture.size)
                upright = ImageOps.exif_transpose(picture)
                # In floats: Pillow's averages of bytes are rounded twice, always upwards.
                gray = _gray(upright).convert("F")
                face = gray.resize((FRAME, FRAME), Image.Resampling.BOX)
                return np.rint(np.asarray(face)).astype(np.uint8), upright.size
    except UnidentifiedImageError:
        raise BadInput(f"{path}: not a picture; {expected}") from None
    except Image.DecompressionBombError as error:
        raise BadInput(f"{path}: too large: {error}") from None
    except (OSError, SyntaxError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInput(f"{path}: cannot be read: {reason}; {expected}") from None


def _check_size(path: str | Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise BadInput(
            f"{path}: {width}x{height} pixels; at most {MAX_PIXELS:,} can be read: make it smaller"
        )
    if min(width, height) < MIN_SIDE:
        raise BadInput(
            f"{path}: {width}x{height} pixels; expected a face of at least {MIN_SIDE} a side"
        )


def _gray(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):
        # 16 bits a pixel: Pillow would clip at 255 where the high byte is wanted.
        return Image.fromarray((np.asarray(picture).astype(np.uint32) >> 8).astype(np.uint8))
    return picture.convert("L")


def _named(
    paths: Sequence[str | Path], sizes: Sequence[tuple[int, int]], answer: Answer
) -> Iterator[dict[str, Any]]:
    outputs = answer.outputs
    for k, (path, (width, height)) in enumerate(zip(paths, sizes, strict=True)):
        scale = np.array([width, height]) / FRAME
        # Pixel centres lie at whole numbers, so half a pixel is added before scaling.
        points = (outputs["keypoints"][k].astype(np.float64) + 0.5) * scale - 0.5
        labels = [label.decode() for label in outputs["emotion_labels"][k]]
        shares = [round(float(p), 6) for p in outputs["emotion_probabilities"][k]]
        yield {
            "file": str(path),
            "emotion": outputs["emotion"][k].decode(),
            "probabilities": dict(zip(labels, shares, strict=True)),
            "keypoints": {
                name: [round(float(x), 2), round(float(y), 2)]
                for name, (x, y) in zip(NAMES, points, strict=True)
            },
            "model_version": answer.version,
        }


def render(results: Sequence[dict[str, Any]], format: str) -> str:
    """The results of `predict_files` as text: `json` (one array), `csv` or `table`.

    The csv has a column for each probability and two for each keypoint, `NAME_x` and `NAME_y` as
    in Kaggle's files; the table leaves the keypoints out. Raises `BadInput` for another format.
    """
    if format == "json":
        return json.dumps(list(results), indent=2, ensure_ascii=False) + "\n"
    if format == "csv":
        return _csv(results)
    if format == "table":
        return _table(results)
    raise BadInput(f"format {format!r} is unknown; expected json, csv or table")


def _csv(results: Sequence[dict[str, Any]]) -> str:
    rows = [_flat(result) for result in results]
    # Two label sets can meet in one run: a rollout may happen between two requests.
    columns = dict.fromkeys(name for row in rows for name in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _flat(result: dict[str, Any]) -> dict[str, Any]:
    row = {name: result[name] for name in ("file", "emotion", "model_version")}
    row |= {f"probability_{name}": p for name, p in result["probabilities"].items()}
    for name, (x, y) in result["keypoints"].items():
        row |= {f"{name}_x": x, f"{name}_y": y}
    return row


def _table(results: Sequence[dict[str, Any]]) -> str:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    labels = list(dict.fromkeys(name for result in results for name in result["probabilities"]))
    table = Table("file", "emotion")
    for label in labels:
        table.add_column(escape(label), justify="right")
    table.add_column("version", justify="right")
    for result in results:
        shares = result["probabilities"]
        table.add_row(
            escape(result["file"]),
            escape(result["emotion"]),
            *(f"{shares[label]:.3f}" if label in shares else "" for label in labels),
            str(result["model_version"]),
        )
    text = io.StringIO()
    Console(file=text, width=shutil.get_terminal_size((120, 24)).columns).print(table)
    return text.getvalue()
