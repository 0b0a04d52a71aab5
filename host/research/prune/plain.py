"""A structure as an ordinary torch module, and the forward pass of a space's networks."""
# mypy: disallow-subclassing-any=False

from collections.abc import Callable

import torch
from torch import Tensor, nn

from dscim.host.research.prune.space import Site, Space, Structure

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "": lambda x: x,
    "relu": torch.relu,
    "relu6": nn.functional.relu6,
}
"""Activations by their names in a declaration."""


def forward(
    space: Space,
    x: Tensor,
    convolve: Callable[[Site, Tensor], Tensor],
    classify: Callable[[Tensor], Tensor],
) -> Tensor:
    """(N, C, H, W) -> (N, classes) logits.

    convolve: applies a site's convolution and batch norm; classify: (N, features) -> logits.
    """

    def run(site: Site, tensor: Tensor) -> Tensor:
        return ACTIVATIONS[site.activation](convolve(site, tensor))

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
    """The site's name as the name of a torch module."""
    return site.name.replace(".", "_")


def groups(site: Site, channels: int) -> int:
    """The groups of a site's convolution of `channels` input channels."""
    return channels if site.depthwise else 1


def padding(site: Site) -> int:
    """A site's padding on every side."""
    return site.kernel // 2


class PlainSite(nn.Module):
    """A convolution without bias and its batch norm."""

    def __init__(self, site: Site, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            inputs,
            outputs,
            site.kernel,
            site.stride,
            padding(site),
            groups=groups(site, inputs),
            bias=False,
        )
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H', W')."""
        result: Tensor = self.norm(self.conv(x))
        return result


class PlainNet(nn.Module):
    """The pruned network of a structure: (N, C, H, W) float32 -> (N, classes) logits.

    sites: its convolutions by name, with "_" for ".". torch.fx can trace it, so
    `dscim.host.research.training` can quantise it.
    """

    def __init__(self, space: Space, structure: Structure) -> None:
        super().__init__()
        self.space, self.structure = space, structure
        channels = space.channels(structure)
        self.sites = nn.ModuleDict(
            {
                key(site): PlainSite(site, channels[site.inputs], channels[site.outputs])
                for site in space.sites()
            }
        )
        self.classifier = nn.Linear(channels[space.features], space.classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, classes) logits."""
        return forward(
            self.space, x, lambda site, tensor: self.sites[key(site)](tensor), self.classifier
        )
