"""Images as a network takes them in training, as real numbers and as integers.

pixels: how the network takes images.
"""

import torch
from torch import Tensor

from dscim.host.network.datasets.pixels import Input


def real(pixels: Input, images: Tensor) -> Tensor:
    """uint8 (B, H, W, C) -> float32 (B, C, H, W), the float network's input."""
    shares = images.permute(0, 3, 1, 2).float() / 255
    if pixels.mean == (0.0,) and pixels.std == (1.0,):
        return shares
    mean, std = (torch.tensor(values)[:, None, None] for values in (pixels.mean, pixels.std))
    return (shares - mean) / std


def integers(pixels: Input, images: Tensor) -> Tensor:
    """uint8 (B, H, W, C) -> the quantised network's input less its zero point, float32."""
    channels = images.shape[3]
    table = torch.from_numpy(pixels.table(channels)).float() - pixels.zero
    if torch.equal(table, torch.arange(256.0).expand(channels, 256)):
        return images.permute(0, 3, 1, 2).float()
    return table[torch.arange(channels), images.long()].permute(0, 3, 1, 2)
