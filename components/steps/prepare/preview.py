"""Write the preview: sample faces with their augmented variants, and the splits in numbers."""

from collections.abc import Iterator

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw

from emotion_ai.faces.arrays import TRAIN, Faces, Rows
from emotion_ai.faces.augmentation import AugmentationPolicy, augment
from emotion_ai.faces.keypoints import NAMES
from emotion_ai.html_page import COLOURS, Section, figure_html, image_html, table_html, write_page
from emotion_ai.steps.prepare.splitting import SPLIT_KEYS

_VARIANTS = 6
_MAX_KEYPOINT_FACES = 8
# Side of a face on the page, in pixels.
_FACE_SIDE = 192
_DROPPED = {
    "dropped_constant": "constant images, left out of train",
    "dropped_train_copy": "images left out of train: validation or test has the same pixels",
    "dropped_validation_copy": "images left out of validation: test has the same pixels",
    "dropped_train_person": "faces left out of train: validation or test shows that person",
    "dropped_validation_person": "faces left out of validation: test shows that person",
}


def write_preview(faces: Faces, policy: AugmentationPolicy, path: str) -> None:
    """Write the preview of prepared faces; the same faces and policy give the same page.

    Args:
        faces: The prepared faces.
        policy: How training augments them.
        path: The HTML page to write.
    """
    info, counts = faces.info, faces.info.counts
    tiles = [
        *((name, counts[key]) for name, key in zip(info.split_names, SPLIT_KEYS, strict=True)),
        ("left out", sum(counts[reason] for reason in _DROPPED)),
        ("mean of the training pixels", f"{info.mean:.1f}"),
        ("standard deviation of the training pixels", f"{info.deviation:.1f}"),
    ]
    sections = [
        Section("Faces and their augmented variants", _face_table(faces, policy)),
        Section("Splits", _split_table(faces)),
        Section(_balance_title(faces), _balance_chart(faces)),
        Section("Left out", _left_out_table(counts)),
        Section("Augmentation", _augmentation_table(policy, has_keypoints=not info.labels)),
    ]
    write_page(path, f"Prepared {info.kind}", f"From {info.source}.", tiles, sections)


def _face_table(faces: Faces, policy: AugmentationPolicy) -> Markup:
    rng = np.random.default_rng(0)
    if faces.info.labels:
        head, legend = "emotion", Markup("")
    else:
        head = "row"
        legend = Markup("<p>{}</p>").format(
            Markup(", ").join(
                Markup('<b style="color:{}">{}</b>').format(colour, side)
                for side, colour in _SIDE_COLOURS.items()
            )
        )
    rows = [
        (
            name,
            image_html(_draw_variants(row, policy, rng), f"{head} {name} and {_VARIANTS} variants"),
        )
        for name, row in _examples(faces)
    ]
    return legend + table_html((head, "original, then augmented"), rows)


def _examples(faces: Faces) -> Iterator[tuple[str, Rows]]:
    """Yield names and train faces: one of each emotion, or some spread over the keypoint faces."""
    train = faces.positions(TRAIN)
    if faces.info.labels:
        emotion = faces.column("targets")[train]
        for code, label in enumerate(faces.info.labels):
            with_label = train[emotion == code]
            yield label, faces.take(with_label[len(with_label) // 2 :][:1])
        return
    for index in np.linspace(0, len(train) - 1, min(_MAX_KEYPOINT_FACES, len(train))).astype(int):
        row = faces.take(train[index : index + 1])
        yield str(row.row[0]), row


def _draw_variants(
    row: Rows, policy: AugmentationPolicy, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Draw one face and its augmented variants side by side, uint8 [H, W, 3]."""
    images = np.repeat(row.images, _VARIANTS, axis=0)
    keypoints = np.repeat(row.targets, _VARIANTS, axis=0) if row.targets.ndim == 3 else None
    augmented, augmented_keypoints = augment(images, keypoints, policy, rng)
    all_images = [*row.images, *np.rint(augmented).astype(np.uint8)]
    if augmented_keypoints is None:
        return np.hstack([_draw_face(image, np.empty((0, 2))) for image in all_images])
    all_keypoints = [*row.targets, *augmented_keypoints]
    return np.hstack(
        [_draw_face(image, points) for image, points in zip(all_images, all_keypoints, strict=True)]
    )


_SIDE_COLOURS = {
    "the person's left": COLOURS[1],
    "the person's right": COLOURS[5],
    "the middle": COLOURS[2],
}


def _draw_face(image: NDArray[np.uint8], keypoints: NDArray) -> NDArray[np.uint8]:
    factor = max(1, _FACE_SIDE // len(image))
    enlarged = np.repeat(np.repeat(image, factor, axis=0), factor, axis=1)
    picture = Image.fromarray(enlarged).convert("RGB")
    draw = ImageDraw.Draw(picture)
    left, right, middle = map(ImageColor.getrgb, _SIDE_COLOURS.values())
    for name, (x, y) in zip(NAMES, keypoints, strict=False):
        if np.isnan(x + y):
            continue
        colour = left if "left" in name else right if "right" in name else middle
        centre = ((x + 0.5) * factor - 0.5, (y + 0.5) * factor - 0.5)
        draw.circle(centre, 3.5, fill=colour, outline=(0, 0, 0))
    return np.asarray(picture)


def _split_table(faces: Faces) -> Markup:
    counts, total = faces.info.counts, len(faces)
    split, subject = faces.column("split"), faces.column("subject")
    carved = counts["carved_validation"] or counts["carved_test"]
    rows = []
    for number, (key, name) in enumerate(zip(SPLIT_KEYS, faces.info.split_names, strict=True)):
        origin = "remaining rows of the source" if key == "train" and carved else "the source's"
        if counts[f"carved_{key}"]:
            origin = "carved by content hash"
        people = len(np.unique(subject[(split == number) & (subject >= 0)])) or "unknown"
        rows.append((key, name, counts[key], f"{counts[key] / total:.1%}", people, origin))
    columns = ("split", "name in reports", "rows", "share", "people", "origin")
    return table_html(columns, rows)


def _balance_title(faces: Faces) -> str:
    return "Emotions" if faces.info.labels else "Annotated keypoints"


def _balance_chart(faces: Faces) -> Markup:
    info = faces.info
    targets = info.target_names
    figure = Figure(figsize=(9, 0.5 + 0.42 * len(targets)))
    axes = figure.subplots()
    y_positions = np.arange(len(targets))
    for number, (key, name) in enumerate(zip(SPLIT_KEYS, info.split_names, strict=True)):
        share = [100 * info.counts[f"{key}/{target}"] / info.counts[key] for target in targets]
        axes.barh(y_positions + 0.27 * (number - 1), share, 0.25, label=name, color=COLOURS[number])
    axes.set_yticks(y_positions, [target.replace("_", " ") for target in targets])
    axes.invert_yaxis()
    axes.set_xlabel("% of the split's rows")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure_html(figure, f"{_balance_title(faces)}: share of each split's rows")


def _augmentation_table(policy: AugmentationPolicy, *, has_keypoints: bool) -> Markup:
    rows = [
        (name, value, AugmentationPolicy.model_fields[name].description)
        for name, value in policy.model_dump().items()
        if has_keypoints or name != "keypoint_bias"
    ]
    return table_html(("setting", "value", "meaning"), rows)


def _left_out_table(counts: dict[str, int]) -> Markup:
    rows = [(description, counts[reason]) for reason, description in _DROPPED.items()]
    return table_html(("reason", "rows"), rows)
