"""The images of a training: in memory or read from files, divided, batched and augmented."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample
from torch.utils import data as loading

from dscim.host.network.datasets import Dataset
from dscim.host.network.datasets.folder import read_image
from dscim.host.research.training.recipe import SPLIT_SEED, Recipe

AREA, ASPECT = (0.08, 1.0), (3 / 4, 4 / 3)
"""Limits of a random crop's share of the image, and of its ratio of width to height."""


class Pictures(loading.Dataset[Tensor]):
    """Image files as a uint8 tensor (N, H, W, C) of which only the requested images are read.

    [k:l], or a list or a tensor of indices, gives a tensor of these images.
    """

    def __init__(self, paths: Sequence[Path], shape: tuple[int, int, int]) -> None:
        """shape: (H, W, C), to which every image is scaled."""
        self.paths, self.shape = list(paths), shape

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, which: slice | Sequence[int] | Tensor) -> Tensor:
        indices = range(len(self))[which] if isinstance(which, slice) else [int(k) for k in which]
        pixels = np.zeros((len(indices), *self.shape), np.uint8)
        for place, index in enumerate(indices):
            pixels[place] = read_image(self.paths[index], self.shape)
        return torch.from_numpy(pixels)

    __getitems__ = __getitem__

    def part(self, which: Sequence[int]) -> "Pictures":
        """Some of them, still unread."""
        return Pictures([self.paths[k] for k in which], self.shape)


Images: TypeAlias = Tensor | Pictures
"""uint8 (N, H, W, C)."""


@dataclass(frozen=True)
class Split:
    """The training set in two parts: images uint8 (N, H, W, C), labels int64 (N,)."""

    images: Images
    labels: Tensor
    held_images: Images
    held_labels: Tensor


def split(data: Dataset, held_out: int) -> Split:
    """The training set without `held_out` images, and those; the test set is not used."""
    order = np.random.default_rng(SPLIT_SEED).permutation(len(data.train_labels))
    images = torch.from_numpy(data.train_images[order])
    labels = torch.from_numpy(data.train_labels[order])
    edge = len(order) - held_out
    return Split(images[:edge], labels[:edge], images[edge:], labels[edge:])


def batches(images: Images, chosen: Sequence[Tensor], readers: int) -> Iterator[Tensor]:
    """The chosen images, one tensor for each of `chosen`.

    readers: processes that read files in advance, 0 for none; they only affect the speed.
    """
    if isinstance(images, Pictures):
        yield from loading.DataLoader(
            images,
            batch_sampler=[each.tolist() for each in chosen],
            num_workers=readers,
            collate_fn=_unchanged,
        )
    else:
        yield from (images[each] for each in chosen)


def _unchanged(batch: Any) -> Any:
    """The batch, already a tensor; defined at module level so that readers can unpickle it."""
    return batch


def augment(images: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Augments a batch as the recipe says: uint8 (N, H, W, C) -> uint8 (N, H, W, C)."""
    if recipe.augment == "crop":
        return resized_crop(images, generator)
    return shift(images, generator, recipe.reach)


def shift(images: Tensor, generator: torch.Generator, reach: int) -> Tensor:
    """Each image shifted by up to `reach` pixels both ways and mirrored at random.

    uint8 (N, H, W, C) -> uint8 (N, H, W, C); what moves in is 0.
    """
    count, height, width, _ = images.shape
    padded = nn.functional.pad(images, (0, 0, *(reach,) * 4))
    top, left = torch.randint(0, 2 * reach + 1, (2, count, 1), generator=generator)
    mirror = torch.rand((count, 1), generator=generator) < 0.5
    column = torch.arange(width).expand(count, width)
    column = left + torch.where(mirror, width - 1 - column, column)
    row = top + torch.arange(height)
    return padded[torch.arange(count)[:, None, None], row[:, :, None], column[:, None, :]]


def resized_crop(images: Tensor, generator: torch.Generator) -> Tensor:
    """A random part of each image, resized to the whole (bilinear), mirrored at random.

    uint8 (N, H, W, C) -> uint8 (N, H, W, C).
    """
    count, height, width, _ = images.shape
    area, aspect, down, across, mirror = torch.rand((5, count), generator=generator)
    area = AREA[0] + (AREA[1] - AREA[0]) * area
    aspect = (aspect * 2 - 1).mul(torch.log(torch.tensor(ASPECT[1]))).exp()
    tall = (area / aspect).sqrt().clamp(max=1.0)
    wide = (area * aspect).sqrt().clamp(max=1.0)
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = torch.where(mirror < 0.5, -wide, wide)
    theta[:, 1, 1] = tall
    theta[:, 0, 2] = (2 * across - 1) * (1 - wide)
    theta[:, 1, 2] = (2 * down - 1) * (1 - tall)
    pixels = images.permute(0, 3, 1, 2).float()
    grid = affine_grid(theta, [count, pixels.shape[1], height, width], align_corners=False)
    moved = grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    return moved.round().clamp(0, 255).byte().permute(0, 2, 3, 1)
