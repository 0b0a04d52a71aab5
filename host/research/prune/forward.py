"""The one forward pass of a space's network, plain or with generated weights."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from dscim.host.research.prune.space import Site, Space

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "": lambda x: x,
    "relu": torch.relu,
    "relu6": nn.functional.relu6,
}
"""An activation by its name in a declaration."""


def forward(
    space: Space,
    x: Tensor,
    convolve: Callable[[Site, Tensor], Tensor],
    classify: Callable[[Tensor], Tensor],
) -> Tensor:
    """(N, C, H, W) -> (N, classes) logits.

    convolve: a site's convolution and batch norm, of a tensor; classify: (N, features) -> logits.
    """

    def run(site: Site, given: Tensor) -> Tensor:
        return ACTIVATIONS[site.activation](convolve(site, given))

    for block in space.blocks:
        y = x
        for site in block.path:
            y = run(site, y)
        if block.shortcut is not None:
            for site in block.shortcut:
                x = run(site, x)
            y = ACTIVATIONS[block.activation](y + x)
        x = nn.functional.max_pool2d(y, 3, 2, 1) if block.pool else y
    return classify(x.mean((2, 3), keepdim=True).flatten(1))


def key(site: Site) -> str:
    """The site's name as the name of a module."""
    return site.name.replace(".", "_")


def groups(site: Site, channels: int) -> int:
    """Groups of its convolution of so many channels."""
    return channels if site.depthwise else 1


def padding(site: Site) -> int:
    """Padding on every side."""
    return site.kernel // 2
