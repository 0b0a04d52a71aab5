"""Images as a network takes them in training, as real numbers and as integers."""

import torch
from torch import Tensor

from dscim.host.network.datasets.pixels import Input


def real(given: Input, images: Tensor) -> Tensor:
    """uint8 (B, H, W, C) -> float32 (B, C, H, W), the float network's input."""
    pixels = images.permute(0, 3, 1, 2).float() / 255
    if given.mean == (0.0,) and given.std == (1.0,):
        return pixels
    mean, std = (torch.tensor(values)[:, None, None] for values in (given.mean, given.std))
    return (pixels - mean) / std


def integers(given: Input, images: Tensor) -> Tensor:
    """uint8 (B, H, W, C) -> the quantised network's input less its zero point, float32."""
    channels = images.shape[3]
    table = torch.from_numpy(given.table(channels)).float() - given.zero
    if torch.equal(table, torch.arange(256.0).expand(channels, 256)):
        return images.permute(0, 3, 1, 2).float()
    return table[torch.arange(channels), images.long()].permute(0, 3, 1, 2)
