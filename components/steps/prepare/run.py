"""Split the faces, measure the train split, and record the augmentation."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emotion_ai.errors import InputError
from emotion_ai.faces.arrays import (
    INFO_FILE,
    TRAIN,
    UNASSIGNED,
    Faces,
    FacesInfo,
    FacesWriter,
    Rows,
)
from emotion_ai.faces.augmentation import AugmentationPolicy
from emotion_ai.faces.file_names import FILE_NAMES, copy_file_names
from emotion_ai.faces.groups import GROUPS, copy_groups
from emotion_ai.faces.kinds import KINDS
from emotion_ai.settings import validate_settings
from emotion_ai.steps.prepare.preview import write_preview
from emotion_ai.steps.prepare.splitting import (
    SPLIT_KEYS,
    SPLITS,
    Assignment,
    assign_splits,
    content_hashes,
)
from emotion_ai.storage.atomic_files import remove_on_failure

# Images held in memory at once.
_BATCH = 1024


class _PixelStatistics(NamedTuple):
    """What is kept of each row's pixels; arrays have shape [n]."""

    hashes: NDArray[np.uint64]
    constant: NDArray[np.bool_]
    total: NDArray[np.int64]
    total_of_squares: NDArray[np.int64]


def run(
    faces_path: str, augmentation: dict[str, Any], prepared_path: str, preview_path: str
) -> None:
    """Write faces with disjoint splits, the train split's statistics and the augmentation policy.

    Pixels and targets stay unchanged; `splitting` says which rows are dropped. faces.json gains
    `mean` and `deviation` (of train's pixels, 0-255), `augmentation`, `split_names` (with a note if
    the split was carved from train) and `counts`:

        train, validation, test             rows
        train/happy, ...                    rows of an emotion, or rows with that keypoint annotated
        dropped_constant                    constant images, in train
        dropped_train_copy                  train images that validation or test has too
        dropped_validation_copy             validation images that test has too
        dropped_train_person, dropped_validation_person     the same for people
        carved_validation, ...              1 if the source lacked the split

    Args:
        faces_path: Folder of the ingested faces, see `faces.arrays`.
        augmentation: The fields of `AugmentationPolicy`.
        prepared_path: Folder to write, in the same format.
        preview_path: HTML page to write.

    Raises:
        InputError: An augmentation setting is invalid, no faces are left, a split is empty, or a
            split lacks an emotion or a keypoint.
        Unavailable: An output cannot be written.
    """
    policy = validate_settings(AugmentationPolicy, augmentation, "augmentation")
    faces = Faces(faces_path)
    if not len(faces):
        raise InputError(f"{faces.info.source}: no row is left to prepare; see the data report")
    pixels = _measure_pixels(faces)
    assignment = assign_splits(
        faces.column("split"), faces.column("subject"), pixels.hashes, pixels.constant
    )
    names = _split_names(faces, assignment)
    counts = faces.info.counts | _count_rows(faces, assignment)
    _check_splits(faces.info, names, counts)
    mean, deviation = _train_statistics(faces.info, pixels, assignment.split)
    update = {
        "split_names": names,
        "mean": mean,
        "deviation": deviation,
        "augmentation": policy.model_dump(),
        "counts": counts,
    }
    with remove_on_failure(
        *(Path(prepared_path, name) for name in (INFO_FILE, FILE_NAMES, GROUPS))
    ):
        with FacesWriter(prepared_path, faces.info.model_copy(update=update)) as writer:
            copy_file_names(faces.path, prepared_path)
            copy_groups(faces.path, prepared_path)
            _write_rows(faces, assignment.split, writer)
        write_preview(Faces(prepared_path), policy, preview_path)


def _measure_pixels(faces: Faces) -> _PixelStatistics:
    parts = []
    for start in range(0, len(faces), _BATCH):
        images = faces.take(np.arange(start, min(len(faces), start + _BATCH))).images
        flat = images.reshape(len(images), -1)
        squares = np.square(flat, dtype=np.uint16)
        parts.append(
            _PixelStatistics(
                content_hashes(images),
                flat.min(axis=1) == flat.max(axis=1),
                flat.sum(axis=1, dtype=np.int64),
                squares.sum(axis=1, dtype=np.int64),
            )
        )
    return _PixelStatistics(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _split_names(faces: Faces, assignment: Assignment) -> tuple[str, str, str]:
    names = list(faces.info.split_names)
    if (faces.column("split") != UNASSIGNED).any():
        for split in assignment.carved:
            names[split] = f"{SPLIT_KEYS[split]} carved from {names[TRAIN]}"
    return names[0], names[1], names[2]


def _count_rows(faces: Faces, assignment: Assignment) -> dict[str, int]:
    targets = faces.column("targets")
    counts = {}
    for split, key in zip(SPLITS, SPLIT_KEYS, strict=True):
        in_split = assignment.split == split
        counts[f"carved_{key}"] = int(split in assignment.carved)
        counts[key] = int(in_split.sum())
        if faces.info.labels:
            rows = np.bincount(targets[in_split], minlength=len(faces.info.labels))
        else:
            rows = (~np.isnan(targets[in_split]).any(axis=2)).sum(axis=0)
        for name, number in zip(faces.info.target_names, rows, strict=True):
            counts[f"{key}/{name}"] = int(number)
    return counts | assignment.dropped


def _check_splits(info: FacesInfo, names: tuple[str, ...], counts: dict[str, int]) -> None:
    target_noun = KINDS[info.kind].target
    for key, name in zip(SPLIT_KEYS, names, strict=True):
        if not counts[key]:
            raise InputError(
                f"{info.source}: split {name} ends empty (train {counts['train']}, validation "
                f"{counts['validation']}, test {counts['test']} rows); give it more rows"
            )
        missing = [target for target in info.target_names if not counts[f"{key}/{target}"]]
        if missing:
            raise InputError(
                f"{info.source}: split {name} of {counts[key]} rows has none with {target_noun} "
                f"{', '.join(missing)}; give it such rows"
                + (" or leave the emotion out" if target_noun == "emotion" else "")
            )


def _train_statistics(
    info: FacesInfo, pixels: _PixelStatistics, split: NDArray[np.uint8]
) -> tuple[float, float]:
    train = split == TRAIN
    pixel_count = int(train.sum()) * info.image_size**2
    mean = int(pixels.total[train].sum()) / pixel_count
    mean_of_squares = int(pixels.total_of_squares[train].sum()) / pixel_count
    return mean, max(0.0, mean_of_squares - mean * mean) ** 0.5


def _write_rows(faces: Faces, split: NDArray[np.uint8], writer: FacesWriter) -> None:
    kept = np.flatnonzero(split != UNASSIGNED)
    for start in range(0, len(kept), _BATCH):
        index = kept[start : start + _BATCH]
        rows = faces.take(index)
        writer.append(Rows(rows.images, rows.targets, split[index], rows.row, rows.subject))
