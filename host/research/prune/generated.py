"""The PruningNet: a network whose weights are generated from a structure's widths."""
# mypy: disallow-subclassing-any=False, disallow-untyped-decorators=False

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear

from dscim.host.research.prune.plain import PlainNet, forward, groups, key, padding
from dscim.host.research.prune.space import RATIOS, Site, Space, Structure, percent


class Generator(nn.Module):
    """Linear - ReLU - Linear: from ratios to the weights (outputs, inputs, k, k) of a convolution.

    Weights of pruned channels are never computed: the last layer uses only the rows of
    [:outputs, :inputs], which equals cropping its result.
    """

    def __init__(self, site: Site, inputs: int, outputs: int) -> None:
        """inputs, outputs: the full widths; a depthwise convolution has one input per channel."""
        super().__init__()
        self.shape = (outputs, 1 if site.depthwise else inputs, site.kernel, site.kernel)
        self.first = nn.Linear(len(site.code), site.hidden)
        self.second = nn.Linear(site.hidden, self.shape[0] * self.shape[1] * site.kernel**2)

    def forward(self, code: Tensor, inputs: int, outputs: int) -> Tensor:
        """code (len(site.code),), ratios 0.1..1 -> weights (outputs, inputs, k, k)."""
        inputs = min(inputs, self.shape[1])
        hidden = torch.relu(self.first(code))
        rows = self.second.weight.view(*self.shape, -1)[:outputs, :inputs]
        bias = self.second.bias.view(self.shape)[:outputs, :inputs]
        return linear(hidden, rows.flatten(0, 3), bias.flatten()).view(bias.shape)


class Shared(nn.Module):
    """Shared weights, the baseline: each structure takes the leading part of one tensor.

    The interface is that of Generator.
    """

    def __init__(self, site: Site, inputs: int, outputs: int) -> None:
        super().__init__()
        shape = (outputs, 1 if site.depthwise else inputs, site.kernel, site.kernel)
        self.whole = nn.Parameter(nn.init.kaiming_uniform_(torch.empty(shape), a=5**0.5))

    def forward(self, code: Tensor, inputs: int, outputs: int) -> Tensor:
        """The weights (outputs, inputs, k, k); they do not depend on the code."""
        return self.whole[:outputs, :inputs]


class GeneratedSite(nn.Module):
    """A convolution with generated weights, and a separate batch norm for each width."""

    def __init__(self, site: Site, space: Space, source: type[nn.Module]) -> None:
        super().__init__()
        inputs, outputs = space.widths[site.inputs], space.widths[site.outputs]
        self.site = site
        self.generator = source(site, inputs.base, outputs.base)
        ids = range(RATIOS) if outputs.gene is not None else range(RATIOS - 1, RATIOS)
        self.norms = nn.ModuleDict(
            {str(k): nn.BatchNorm2d(outputs.channels(k), affine=site.affine) for k in ids}
        )

    def weights(self, code: Tensor, channels: tuple[int, ...]) -> Tensor:
        """The weights for these widths; code: the ratio of each width of the space."""
        site = self.site
        chosen = code[list(site.code)]
        result: Tensor = self.generator(chosen, channels[site.inputs], channels[site.outputs])
        return result

    def norm(self, ratio_ids: tuple[int, ...]) -> nn.BatchNorm2d:
        """The batch norm for the current width of the outputs."""
        return self.norms[str(ratio_ids[self.site.outputs])]

    def convolve(self, x: Tensor, weights: Tensor) -> Tensor:
        """The convolution of x."""
        return conv2d(
            x, weights, None, self.site.stride, padding(self.site), 1, groups(self.site, x.shape[1])
        )


class PruningNet(nn.Module):
    """A space's network with generated weights; the structure is an input of the forward pass.

    source: where a site's weights come from, Generator or, as a baseline, Shared.
    """

    def __init__(self, space: Space, source: type[nn.Module] = Generator) -> None:
        super().__init__()
        self.space = space
        self.sites = nn.ModuleDict(
            {key(site): GeneratedSite(site, space, source) for site in space.sites()}
        )
        self.classifier = nn.Linear(space.widths[space.features].base, space.classes)

    def forward(self, x: Tensor, structure: Structure) -> Tensor:
        """(N, C, H, W) float32 -> (N, classes) logits of that structure."""
        channels, ids = self.space.channels(structure), self.space.ratio_ids(structure)
        code = _code(ids, x)

        def convolve(site: Site, tensor: Tensor) -> Tensor:
            made = self.sites[key(site)]
            result: Tensor = made.norm(ids)(made.convolve(tensor, made.weights(code, channels)))
            return result

        def classify(tensor: Tensor) -> Tensor:
            return linear(
                tensor, self.classifier.weight[:, : tensor.shape[1]], self.classifier.bias
            )

        return forward(self.space, x, convolve, classify)

    @torch.no_grad()
    def export(self, structure: Structure) -> PlainNet:
        """The plain network of a structure, with its generated weights and batch norms.

        Its outputs equal those of this network bit for bit, in training and in evaluation.
        """
        channels, ids = self.space.channels(structure), self.space.ratio_ids(structure)
        plain = PlainNet(self.space, structure).to(self.classifier.weight)
        code = _code(ids, self.classifier.weight)
        for name, made in self.sites.items():
            to = plain.sites[name]
            to.conv.weight.copy_(made.weights(code, channels))
            to.norm.load_state_dict(made.norm(ids).state_dict(), strict=False)
        plain.classifier.weight.copy_(self.classifier.weight[:, : plain.classifier.weight.shape[1]])
        plain.classifier.bias.copy_(self.classifier.bias)
        return plain.train(self.training)


def _code(ratio_ids: tuple[int, ...], like: Tensor) -> Tensor:
    """The ratios 0.1..1 of all widths, of the type and on the device of `like`."""
    return torch.tensor([percent(k) / 100 for k in ratio_ids], dtype=like.dtype, device=like.device)
