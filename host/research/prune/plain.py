"""A structure as an ordinary torch module: what is retrained, quantised and exported."""
# mypy: disallow-subclassing-any=False

from torch import Tensor, nn

from dscim.host.research.prune.forward import forward, groups, key, padding
from dscim.host.research.prune.space import Site, Space, Structure


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

    sites: its convolutions by name, "." as "_". torch.fx traces it, so
    `dscim.host.research.training` quantises it.
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
            self.space, x, lambda site, given: self.sites[key(site)](given), self.classifier
        )
