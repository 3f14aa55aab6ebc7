"""Folders of small face pictures, with made-up images."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from emotion_ai import storage
from emotion_ai.faces.labels import label_set_names

from support.face_csv import random_images

EMOTIONS = label_set_names("fer7")


def write_pictures(
    folder: Path, splits: Sequence[str] = ("train", "test"), each: int = 1, suffix: str = ".png"
) -> list[str]:
    """Write `each` pictures of every emotion in every split's folder ("." for none).

    Returns:
        Their names relative to the folder, sorted; picture k is `random_images(n, 48)[k]`.
    """
    names = sorted(
        Path(split, emotion, f"{number}{suffix}").as_posix()
        for split in splits
        for emotion in EMOTIONS
        for number in range(each)
    )
    for name, image in zip(names, random_images(len(names), 48), strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / name)
    return names


def zip_folder(folder: Path, path: Path, root: str = "") -> Path:
    """Pack a folder's files as members `root`NAME, the last name first."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted((f for f in folder.rglob("*") if f.is_file()), reverse=True):
            archive.write(file, root + file.relative_to(folder).as_posix())
    return path


def upload(folder: Path, uri: str) -> str:
    """Copy a folder's files to a URI; return the URI."""
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            name = file.relative_to(folder).as_posix()
            storage.write_bytes(storage.join(uri, name), file.read_bytes())
    return uri
