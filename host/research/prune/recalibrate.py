"""Batch norm statistics of a structure, averaged over a few batches, and the accuracy with them."""
# mypy: disallow-untyped-decorators=False

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dscim.host.network.datasets.pixels import Input
from dscim.host.research.training.inputs import real

BATCH = 256
"""Images per batch outside training."""


@torch.no_grad()
def recalibrate(net: nn.Module, batches: Sequence[Tensor]) -> None:
    """Sets every batch norm's mean and variance to the averages over `batches` of float inputs.

    Meanwhile, each batch is normalised by its own statistics. The average weighs all batches
    equally, so a few are enough; a moving average that starts at 0 and 1 would need many.
    """
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    kept = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # in torch: a cumulative average
    net.train()
    for batch in batches:
        net(batch)
    net.eval()
    for norm, momentum in zip(norms, kept, strict=True):
        norm.momentum = momentum


@torch.no_grad()
def accuracy(net: nn.Module, pixels: Input, images: Tensor, labels: Tensor) -> float:
    """The share, 0 to 1, of uint8 images (N, H, W, C) whose label the network predicts."""
    net.eval()
    right = [
        net(real(pixels, batch)).argmax(1) == truth
        for batch, truth in zip(images.split(BATCH), labels.split(BATCH), strict=True)
    ]
    return float(torch.cat(right).float().mean())
