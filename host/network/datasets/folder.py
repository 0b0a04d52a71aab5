"""Images in a folder: one folder per class, or file names that begin with the class number."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dscim.arrays import Int64, UInt8
from dscim.errors import UserError
from dscim.host.network.datasets.dataset import Dataset
from dscim.host.network.datasets.locate import VARIABLE, named_folder

SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".webp"}

CROP = 224 / 256
"""The part of the short side that is kept, as usual for ImageNet."""

Labelled = list[tuple[Path, int]]
"""Files with their labels."""


@dataclass(frozen=True)
class Listing:
    """The files of a folder of images; name and classes as in Dataset."""

    name: str
    classes: tuple[str, ...]
    train: Labelled
    test: Labelled


def image_folder(folder: Path | None, shape: tuple[int, int, int]) -> Dataset:
    """The images of a folder, each scaled and cropped around its centre to `shape`, (H, W, C).

    UserError if there are none, if one cannot be read, or if Pillow is not installed.
    """
    found = listing(folder)
    train, test = (_arrays(part, shape) for part in (found.train, found.test))
    return Dataset(found.name, found.classes, *train, *test)


def listing(folder: Path | None) -> Listing:
    """The image files of a folder, without reading them.

    FOLDER/train/CLASS/FILE and FOLDER/test/CLASS/FILE; or FOLDER/CLASS/FILE, all test images; or
    FOLDER/12_name.jpg, with the class number 12. UserError if there are none.
    """
    root = named_folder(folder)
    if root is None or not root.is_dir():
        raise UserError(
            f"there is no folder of images '{root or ''}': name one with --data or {VARIABLE}."
        )
    split = all((root / part).is_dir() for part in ("train", "test"))
    places = {part: root / part if split else root for part in ("train", "test")}
    classes = tuple(
        sorted(
            {
                entry.name
                for place in places.values()
                for entry in place.iterdir()
                if entry.is_dir() and _files(entry)
            }
        )
    )
    found = {part: _labelled(place, classes) for part, place in places.items()}
    if not split:
        found["train"] = []
    if not found["test"]:
        raise UserError(
            f"'{root}' holds no images: put them into one folder per class, or begin "
            "their names with the class number."
        )
    if not classes:
        highest = max(label for _, label in found["test"])
        classes = tuple(str(number) for number in range(highest + 1))
    return Listing(root.name, classes, found["train"], found["test"])


def _files(folder: Path) -> list[Path]:
    """The image files directly in a folder, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def _labelled(folder: Path, classes: Sequence[str]) -> Labelled:
    """Every image with its label: by its folder or, without class folders, by its file name."""
    if classes:
        return [
            (path, label)
            for label, name in enumerate(classes)
            if (folder / name).is_dir()
            for path in _files(folder / name)
        ]
    numbered = [(path, re.match(r"\d+", path.name)) for path in _files(folder)]
    for path, number in numbered:
        if number is None or len(number[0]) > 6:
            raise UserError(
                f"'{path}' does not begin with a class number and is not in the folder of a class."
            )
    return [(path, int(number[0])) for path, number in numbered if number]


def _arrays(found: Labelled, shape: tuple[int, int, int]) -> tuple[UInt8, Int64]:
    """Images (N, H, W, C) and labels (N,)."""
    images = np.zeros((len(found), *shape), np.uint8)
    for index, (path, _) in enumerate(found):
        images[index] = read_image(path, shape)
    return images, np.array([label for _, label in found], np.int64)


def read_image(path: Path, shape: tuple[int, int, int]) -> UInt8:
    """One image, (H, W, C) uint8: scaled until it covers 256/224 of `shape`, then cropped."""
    pillow = _pillow()
    height, width, channels = shape
    if channels not in (1, 3):
        raise UserError(f"images have 1 or 3 channels, but the network takes {channels}.")
    try:
        with pillow.open(path) as opened:
            picture = opened.convert("L" if channels == 1 else "RGB")
    except (OSError, ValueError, SyntaxError, pillow.DecompressionBombError) as error:
        raise UserError(f"'{path}' is not an image that can be read: {error}.") from error
    factor = max(round(height / CROP) / picture.height, round(width / CROP) / picture.width)
    size = (max(width, round(picture.width * factor)), max(height, round(picture.height * factor)))
    if size != picture.size:
        picture = picture.resize(size, pillow.Resampling.BILINEAR)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    pixels: UInt8 = np.asarray(picture.crop((left, top, left + width, top + height)), np.uint8)
    return pixels.reshape(shape)


def _pillow() -> Any:
    """Pillow's Image module; UserError if it is not installed."""
    try:
        from PIL import Image  # noqa: PLC0415
    except ImportError as error:
        raise UserError(
            "reading image files needs Pillow: install it with `pip install dscim[images]`."
        ) from error
    return Image
