"""The fitness of a structure: its accuracy on held-out images with generated weights."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dscim.gateware.specs import ProductSpec
from dscim.host.network import Evaluator, Network, predictions
from dscim.host.network.datasets.pixels import Input
from dscim.host.research import calibrate
from dscim.host.research.prune.images import parts_of
from dscim.host.research.prune.learn import load_pruning_net
from dscim.host.research.prune.plain import PlainNet
from dscim.host.research.prune.recalibrate import accuracy, recalibrate
from dscim.host.research.prune.space import Structure
from dscim.host.research.prune.spaces import space
from dscim.host.research.training.inputs import real
from dscim.host.research.training.pytorch import quantise

Fitness = Callable[[Structure], float]
"""Greater is better; the same structure always has the same fitness."""


@dataclass(frozen=True)
class Measure:
    """How a fitness is measured; pickled, and called once in every worker process.

    checkpoint: that of the PruningNet. validation: number of held-out images to measure accuracy
    on. batches, batch: number and size of the batches that recalibrate the batch norms. product:
    the arithmetic in which the emulator runs the integer network, calibrated with `calibration`
    training images if it is stochastic; None: the float network is measured.
    """

    space: str
    checkpoint: Path
    dataset: str
    folder: Path | None
    held_out: int
    validation: int = 2_000
    batches: int = 8
    batch: int = 128
    product: ProductSpec | None = None
    calibration: int = 32

    def facts(self) -> dict[str, Any]:
        """JSON values that determine a fitness."""
        return {
            "space": self.space,
            "dataset": self.dataset,
            "held_out": self.held_out,
            "validation": self.validation,
            "batches": self.batches,
            "batch": self.batch,
            "calibration": self.calibration if self.product else None,
            "product": self.product.to_json() if self.product else None,
        }

    def __call__(self) -> Fitness:
        """The fitness function; sets torch to one thread, so that all processes round alike."""
        torch.set_num_threads(1)
        where = space(self.space)
        net, pixels = load_pruning_net(where, self.checkpoint)
        parts = parts_of(self.dataset, self.folder, where, self.held_out)
        shown = parts.images[: self.batches * self.batch]
        batches = [real(pixels, batch) for batch in shown.split(self.batch)]
        images, labels = parts.held_images[: self.validation], parts.held_labels[: self.validation]

        def fitness(structure: Structure) -> float:
            plain = net.export(structure)
            recalibrate(plain, batches)
            if self.product is None:
                return accuracy(plain, pixels, images, labels)
            network = integers(plain, pixels, shown[: self.calibration], self.product)
            return emulated(network, pixels, images, labels)

        return fitness


def integers(
    plain: PlainNet, pixels: Input, shown: Tensor, product: ProductSpec, name: str = "candidate"
) -> Network:
    """The integer network for an arithmetic, without training.

    shown: training images, uint8; they determine the ranges, and for a stochastic product also
    scales and shifts.
    """
    network = quantise(plain, shown.numpy(), name, pixels)
    if product.exact:
        return network
    return calibrate.calibrate(network, pixels.integers(shown.numpy()), product)


def emulated(network: Network, pixels: Input, images: Tensor, labels: Tensor) -> float:
    """The accuracy, 0 to 1, of a network in its own arithmetic, in the emulator."""
    evaluator = Evaluator(network, threads=1)
    answers = predictions(evaluator.outputs(pixels.integers(images.numpy())))
    return float((answers == labels.numpy()).mean())
