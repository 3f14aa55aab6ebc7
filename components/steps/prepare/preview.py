"""The preview sheet: faces as they are and as training may see them, and the splits in numbers."""

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
_KEYPOINT_FACES = 8
# Side of a shown face in pixels of the sheet.
_SHOWN = 192
_DROPPED = {
    "dropped_constant": "images of one gray, left out of train",
    "dropped_train_copy": "images left out of train: validation or test has the same pixels",
    "dropped_validation_copy": "images left out of validation: test has the same pixels",
    "dropped_train_person": "faces left out of train: validation or test shows that person",
    "dropped_validation_person": "faces left out of validation: test shows that person",
}


def write_preview(faces: Faces, policy: AugmentationPolicy, path: str) -> None:
    """Write the page for prepared faces. The same faces and policy give the same page."""
    info, counts = faces.info, faces.info.counts
    tiles = [
        *((name, counts[key]) for name, key in zip(info.split_names, SPLIT_KEYS, strict=True)),
        ("left out", sum(counts[reason] for reason in _DROPPED)),
        ("mean of train's pixels", f"{info.mean:.1f}"),
        ("their deviation", f"{info.deviation:.1f}"),
    ]
    sections = [
        Section("As they are, and as training may see them", _sheet(faces, policy)),
        Section("Splits", _splits(faces)),
        Section(_balance_title(faces), _balance(faces)),
        Section("Left out", _left_out(counts)),
        Section(
            "Augmentation",
            table_html(
                ("setting", "value", "meaning"),
                (
                    (name, value, AugmentationPolicy.model_fields[name].description)
                    for name, value in policy.model_dump().items()
                ),
            ),
        ),
    ]
    write_page(path, f"Prepared {info.kind}", f"From {info.source}.", tiles, sections)


def _sheet(faces: Faces, policy: AugmentationPolicy) -> Markup:
    rng = np.random.default_rng(0)
    if faces.info.labels:
        head, explained = "emotion", Markup("")
    else:
        head = "row"
        explained = Markup("<p>{}</p>").format(
            Markup(", ").join(
                Markup('<b style="color:{}">{}</b>').format(colour, words)
                for words, colour in _SIDE_COLOURS.items()
            )
        )
    rows = [
        (name, image_html(_strip(one, policy, rng), f"{head} {name} and {_VARIANTS} variants"))
        for name, one in _examples(faces)
    ]
    return explained + table_html((head, "as it is, then augmented"), rows)


def _examples(faces: Faces) -> Iterator[tuple[str, Rows]]:
    """A name and one train face: of each emotion, or from all over the keypoint faces."""
    train = faces.positions(TRAIN)
    if faces.info.labels:
        emotion = faces.column("targets")[train]
        for code, label in enumerate(faces.info.labels):
            with_label = train[emotion == code]
            yield label, faces.take(with_label[len(with_label) // 2 :][:1])
        return
    for place in np.linspace(0, len(train) - 1, min(_KEYPOINT_FACES, len(train))).astype(int):
        rows = faces.take(train[place : place + 1])
        yield str(rows.row[0]), rows


def _strip(one: Rows, policy: AugmentationPolicy, rng: np.random.Generator) -> NDArray[np.uint8]:
    images = np.repeat(one.images, _VARIANTS, axis=0)
    keypoints = np.repeat(one.targets, _VARIANTS, axis=0) if one.targets.ndim == 3 else None
    changed, moved = augment(images, keypoints, policy, rng)
    shown = [*one.images, *np.rint(changed).astype(np.uint8)]
    if moved is None:
        return np.hstack([_face(image, np.empty((0, 2))) for image in shown])
    points = [*one.targets, *moved]
    return np.hstack([_face(image, own) for image, own in zip(shown, points, strict=True)])


_SIDE_COLOURS = {
    "the person's left": COLOURS[1],
    "the person's right": COLOURS[5],
    "the middle": COLOURS[2],
}


def _face(image: NDArray[np.uint8], keypoints: NDArray) -> NDArray[np.uint8]:
    factor = max(1, _SHOWN // len(image))
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


def _splits(faces: Faces) -> Markup:
    counts, total = faces.info.counts, len(faces)
    split, subject = faces.column("split"), faces.column("subject")
    carved = counts["carved_validation"] or counts["carved_test"]
    rows = []
    for number, (key, name) in enumerate(zip(SPLIT_KEYS, faces.info.split_names, strict=True)):
        kept = "what was not carved" if key == "train" and carved else "as the source has it"
        known = subject[(split == number) & (subject >= 0)]
        origin = "carved by content hash" if counts[f"carved_{key}"] else kept
        share = f"{counts[key] / total:.1%}"
        rows.append((key, name, counts[key], share, len(np.unique(known)) or "unknown", origin))
    columns = ("split", "name in reports", "rows", "share", "people", "origin")
    return table_html(columns, rows)


def _balance_title(faces: Faces) -> str:
    return "Emotions" if faces.info.labels else "Annotated keypoints"


def _balance(faces: Faces) -> Markup:
    info = faces.info
    targets = info.target_names
    figure = Figure(figsize=(9, 0.5 + 0.42 * len(targets)))
    axes = figure.subplots()
    place = np.arange(len(targets))
    for number, (key, name) in enumerate(zip(SPLIT_KEYS, info.split_names, strict=True)):
        share = [100 * info.counts[f"{key}/{target}"] / info.counts[key] for target in targets]
        axes.barh(place + 0.27 * (number - 1), share, 0.25, label=name, color=COLOURS[number])
    axes.set_yticks(place, [target.replace("_", " ") for target in targets])
    axes.invert_yaxis()
    axes.set_xlabel("% of the split's rows")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure_html(figure, f"{_balance_title(faces)}: share of each split's rows")


def _left_out(counts: dict[str, int]) -> Markup:
    rows = [(words, counts[reason]) for reason, words in _DROPPED.items()]
    return table_html(("why", "rows"), rows)
