"""The images of a training: in memory, or files that are read when their batch comes."""
# mypy: disallow-subclassing-any=False

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dscim.errors import UserError
from dscim.host.network import datasets
from dscim.host.network.datasets.folder import listing, read_image
from dscim.host.research.prune.space import Space
from dscim.host.research.training.loop import Split
from dscim.host.research.training.recipe import Recipe


class Pictures(Dataset[Tensor]):
    """Image files as a tensor (N, H, W, C) uint8 of which only what is asked for is read.

    [k:l], or a list or a tensor of places, gives a tensor of these images.
    """

    def __init__(self, paths: Sequence[Path], shape: tuple[int, int, int]) -> None:
        self.paths, self.shape = list(paths), shape

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, which: slice | Sequence[int] | Tensor) -> Tensor:
        places = range(len(self))[which] if isinstance(which, slice) else [int(k) for k in which]
        made = np.zeros((len(places), *self.shape), np.uint8)
        for place, k in enumerate(places):
            made[place] = read_image(self.paths[k], self.shape)
        return torch.from_numpy(made)

    __getitems__ = __getitem__

    def part(self, which: Sequence[int]) -> "Pictures":
        """Some of them, still unread."""
        return Pictures([self.paths[k] for k in which], self.shape)


Images: TypeAlias = Tensor | Pictures
"""uint8 (N, H, W, C)."""


@dataclass(frozen=True)
class Data:
    """A data set: images, uint8 (N, H, W, C), and labels, int64 (N,), of training and test."""

    name: str
    classes: tuple[str, ...]
    images: Images
    labels: Tensor
    test_images: Images
    test_labels: Tensor


def load(dataset: str, folder: Path | None, where: Space) -> Data:
    """The data set of that name for a space; UserError where it does not fit.

    A folder's images stay in their files.
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
    """The training set in two, always in the same way; the test set takes no part.

    UserError where fewer than `held_out` images would be left, or the shapes do not fit.
    """
    data = load(dataset, folder, where)
    count = len(data.labels)
    if not 0 <= held_out <= count // 2:
        raise UserError(
            f"{held_out} held-out images are not 0 up to half of the {count} "
            f"training images of {data.name}."
        )
    order = np.random.default_rng(Recipe(0, 0.0, 0).split_seed).permutation(count)
    kept, held = order[: count - held_out], order[count - held_out :]
    return Split(
        _some(data.images, kept), data.labels[kept], _some(data.images, held), data.labels[held]
    )


def batches(images: Images, chosen: Sequence[Tensor], readers: int) -> Iterator[Tensor]:
    """The chosen images, one tensor for each of `chosen`.

    readers: processes that read files ahead, 0 for none; they change nothing but the time.
    """
    if isinstance(images, Pictures):
        yield from DataLoader(
            images,
            batch_sampler=[each.tolist() for each in chosen],
            num_workers=readers,
            collate_fn=_as_it_is,
        )
    else:
        yield from (images[each] for each in chosen)


def _as_it_is(batch: Any) -> Any:
    return batch


def _some(images: Images, places: Any) -> Images:
    return images.part(places) if isinstance(images, Pictures) else images[places]


def _listed(folder: Path | None, where: Space) -> Data:
    """The files of a folder; UserError without training images."""
    found = listing(folder)
    if not found.train:
        raise UserError(
            f"'{folder}' has no training images: put them into train/CLASS and test/CLASS."
        )
    sides = []
    for part in (found.train, found.test):
        sides += [
            Pictures([path for path, _ in part], where.image),
            torch.tensor([label for _, label in part]),
        ]
    return Data(found.name, found.classes, *sides)
