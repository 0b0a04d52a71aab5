"""The network in trainable integers; the exported network computes the same as the forward pass.

Every activation is represented as x - z, integers in float32 with the gradient of the real value.
Every step computes exactly what the integer kernel does, with the real step's gradient (straight
through).
"""

from typing import Any

import torch
from torch import Tensor, nn

from dscim.gateware.specs import ProductSpec
from dscim.host.network import INPUT, Network
from dscim.host.network.datasets.pixels import Input
from dscim.host.research.training import inputs
from dscim.host.research.training.convolution import ConvStep
from dscim.host.research.training.step import Signal, Step


class QuantisedNet(nn.Module):
    """The steps in order; the last gives the logits.

    spec: the arithmetic of every convolution, apart from its activation shift and stretch.
    pixels: how images become the network's input.
    """

    def __init__(self, steps: list[Step], spec: ProductSpec, pixels: Input = Input()) -> None:  # noqa: B008
        super().__init__()
        self.steps, self.spec, self.pixels = nn.ModuleList(steps), spec, pixels
        for step in self.convolutions():
            step.use(spec)

    def convolutions(self) -> list[ConvStep]:
        """The convolutions in order."""
        return [step for step in self.steps if isinstance(step, ConvStep)]

    def forward(self, images: Tensor) -> Tensor:
        """uint8 (B, H, W, C) -> real logits (B, classes), with gradients."""
        last = list(self.signals(images).values())[-1]
        return (last.value * last.scale).flatten(1)

    def signals(self, images: Tensor) -> dict[str, Signal]:
        """Every signal by name, including INPUT, for uint8 images (B, H, W, C)."""
        known = {
            INPUT: Signal(
                inputs.integers(self.pixels, images),
                torch.tensor(self.pixels.scale),
                self.pixels.zero,
            )
        }
        for step in self.steps:
            known[step.name] = step(*(known[name] for name in step.inputs))
        return known

    def real(self, images: Tensor) -> dict[str, Tensor]:
        """Every tensor in real numbers, without quantisation, for uint8 images (B, H, W, C)."""
        known = {INPUT: inputs.real(self.pixels, images)}
        for step in self.steps:
            known[step.name] = step.real(*(known[name] for name in step.inputs))
        return known

    def round_as_kernels(self, exact: bool) -> None:
        """Rounds as the integer kernels do (True, the default) or in floating point (faster).

        The two differ rarely and by one; products are the same in both.
        """
        for step in self.steps:
            step.exact = exact

    @torch.no_grad()
    def export(
        self,
        name: str,
        shape: tuple[int, int, int],
        classes: tuple[str, ...],
        provenance: dict[str, Any],
    ) -> Network:
        """The network in integers: its outputs are those of the forward pass, bit for bit.

        shape: (H, W, C) of the input. classes: a name for each output, or empty.
        """
        signals = self.signals(torch.zeros((1, *shape), dtype=torch.uint8))
        nodes = tuple(step.export([signals[name] for name in step.inputs]) for step in self.steps)
        pixel = {"mean": list(self.pixels.mean), "std": list(self.pixels.std)}
        return Network(
            name,
            shape,
            self.pixels.scale,
            self.pixels.zero,
            nodes,
            classes,
            self.spec,
            {"input": pixel, **provenance},
        )
