"""Augmentation of uint8 images: shifts, or random resized crops, both mirrored at random."""

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from dscim.host.research.prune.schedule import Schedule
from dscim.host.research.training.loop import augment as shift

AREA, ASPECT = (0.08, 1.0), (3 / 4, 4 / 3)
"""The part of a picture that a crop takes, and its width by its height."""


def augment(images: Tensor, schedule: Schedule, generator: torch.Generator) -> Tensor:
    """uint8 (N, H, W, C) -> uint8 (N, H, W, C), as the schedule says."""
    if schedule.augment == "crop":
        return resized_crop(images, generator)
    return shift(images, generator, schedule.reach)


def resized_crop(images: Tensor, generator: torch.Generator) -> Tensor:
    """A random part of each picture in the picture's size, bilinear, mirrored at random."""
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
