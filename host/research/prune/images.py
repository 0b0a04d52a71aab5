"""The data set of a space: images in memory, or in files that are read batch by batch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dscim.errors import UserError
from dscim.host.network import datasets
from dscim.host.network.datasets.folder import listing
from dscim.host.research.prune.space import Space
from dscim.host.research.training.images import Images, Pictures, Split
from dscim.host.research.training.recipe import SPLIT_SEED


@dataclass(frozen=True)
class Data:
    """A data set: uint8 images (N, H, W, C) and int64 labels (N,) for training and test."""

    name: str
    classes: tuple[str, ...]
    images: Images
    labels: Tensor
    test_images: Images
    test_labels: Tensor


def load(dataset: str, folder: Path | None, where: Space) -> Data:
    """The data set of that name for a space; UserError if it does not fit.

    The images of a folder are not read here.
    """
    if dataset == datasets.FOLDER:
        data = _listed(folder, where)
    else:
        held = datasets.load(dataset, folder, where.image)
        data = Data(
            held.name,
            held.classes,
            *(
                torch.tensor(array)
                for array in (
                    held.train_images,
                    held.train_labels,
                    held.test_images,
                    held.test_labels,
                )
            ),
        )
    shape = tuple(data.images.shape[-3:])
    if shape != where.image or len(data.classes) != where.classes:
        raise UserError(
            f"{data.name} has images of {shape} and {len(data.classes)} classes; "
            f"{where.name} takes {where.image} and {where.classes}."
        )
    return data


def parts_of(dataset: str, folder: Path | None, where: Space, held_out: int) -> Split:
    """The training set in two, always divided in the same way; the test set is not used.

    UserError if fewer than `held_out` images would be left, or the shapes do not fit.
    """
    data = load(dataset, folder, where)
    count = len(data.labels)
    if not 0 <= held_out <= count // 2:
        raise UserError(
            f"{held_out} held-out images are not 0 up to half of the {count} "
            f"training images of {data.name}."
        )
    order = np.random.default_rng(SPLIT_SEED).permutation(count)
    kept, held = order[: count - held_out], order[count - held_out :]
    return Split(
        _some(data.images, kept), data.labels[kept], _some(data.images, held), data.labels[held]
    )


def _some(images: Images, places: Any) -> Images:
    return images.part(places) if isinstance(images, Pictures) else images[places]


def _listed(folder: Path | None, where: Space) -> Data:
    """The files of a folder; UserError without training images."""
    found = listing(folder)
    if not found.train:
        raise UserError(
            f"'{folder}' has no training images: put images into train/CLASS and test/CLASS."
        )
    sides = []
    for part in (found.train, found.test):
        sides += [
            Pictures([path for path, _ in part], where.image),
            torch.tensor([label for _, label in part]),
        ]
    return Data(found.name, found.classes, *sides)
