"""Fine-tunes a network through the DS-CIM product, with a network in real numbers as teacher."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dscim.errors import UserError
from dscim.gateware.specs import ProductSpec
from dscim.host.network import Network
from dscim.host.network.datasets import Dataset
from dscim.host.network.datasets.pixels import Input
from dscim.host.research.calibrate import calibrate
from dscim.host.research.training.checkpoint import provenance
from dscim.host.research.training.images import Split, split
from dscim.host.research.training.loop import SILENT, Callbacks, Training, fit
from dscim.host.research.training.quantised import QuantisedNet
from dscim.host.research.training.recipe import Recipe
from dscim.host.research.training.revive import revive

VALIDATION = 2_000
"""Held-out images by which the epoch is chosen."""

BATCH = 128
"""Images per batch outside training."""

TEMPERATURE = 3.0
"""The divisor of the logits of teacher and student before they are compared."""

LABELS = 0.3
"""The weight of the labels in the loss; the rest is that of the teacher."""

SCALE_RATE = 0.3
"""The learning rate of clips, gains, biases and scales, relative to that of the weights."""

Teacher = Callable[[Tensor], Tensor]
"""uint8 images (B, H, W, C) -> logits (B, classes)."""


def retrain(
    network: Network,
    pixels: Input,
    data: Dataset,
    spec: ProductSpec,
    recipe: Recipe,
    checkpoint: Path,
    teacher: Network | None = None,
    calibration: int = 128,
    callbacks: Callbacks = SILENT,
) -> tuple[Network, dict[str, Any]]:
    """Fine-tunes `network` for the arithmetic `spec`; the integer network, and JSON values on it.

    A network for another arithmetic starts as it is or calibrated for `spec`, whichever is better
    on the held-out images. calibration: number of training images for this; 0: no calibration.
    pixels: how it takes images. checkpoint: where each epoch is saved; training resumes from it.
    teacher: the network whose outputs in real numbers are learnt; None: `network` itself.
    UserError if network and data do not fit.
    """
    _check(network, data)
    parts = split(data, recipe.held_out)
    if not len(parts.labels) or not len(parts.held_labels):
        raise UserError(
            f"{data.name} has {len(data.train_labels)} training images, of which "
            f"{recipe.held_out} are held out: none are left to train on or to choose the epoch by."
        )
    before, begun = _beginning(network, pixels, parts, spec, (calibration, recipe.seed))
    net = QuantisedNet(revive(begun, saturating=False), spec, pixels).eval()
    callbacks.say(f"{100 * before:.2f} % of the held-out images before any training")
    training = _training(
        net,
        _answers(teacher or network, pixels),
        parts,
        recipe.rate,
        {"network": network.name, **begun.provenance},
    )
    fit(training, recipe, checkpoint, callbacks)
    net.round_as_kernels(True)
    facts = {"data": data.name, "torch": str(torch.__version__), "finetune": provenance(checkpoint)}
    result = {"before": before, "after": _held_out(net, parts), **facts}
    tuned = net.export(network.name, network.shape, network.classes, network.provenance | facts)
    return tuned, result


def _beginning(
    network: Network, pixels: Input, parts: Split, spec: ProductSpec, calibration: tuple[int, int]
) -> tuple[float, Network]:
    """The network that training starts with, and its held-out accuracy, 0 to 1.

    calibration: number of training images, and seed.
    """
    count, seed = calibration
    begun = [replace(network, arithmetic=spec)]
    if count and network.arithmetic != spec and not spec.exact:
        images = pixels.integers(parts.images[:count].numpy())
        begun.append(calibrate(network, images, spec, seed=seed))
    nets = [QuantisedNet(revive(start), spec, pixels).eval() for start in begun]
    return max(
        ((_held_out(net, parts), start) for net, start in zip(nets, begun, strict=True)),
        key=lambda pair: pair[0],
    )


def _check(network: Network, data: Dataset) -> None:
    """Raises UserError when the network cannot be trained on these images."""
    outputs = network.shapes()[network.nodes[-1].name]
    if data.shape != network.shape or outputs != (1, 1, len(data.classes)):
        raise UserError(
            f"the network {network.name!r} takes images of {network.shape} and has outputs of "
            f"{outputs}, but {data.name} has images of {data.shape} in "
            f"{len(data.classes)} classes."
        )


def _training(
    net: QuantisedNet, teacher: Teacher, parts: Split, rate: float, start: dict[str, Any]
) -> Training:
    """The training of a network; its held-out accuracy is that of the integers.

    start: provenance of the network that it starts with.
    """

    def loss(images: Tensor, labels: Tensor, rng: np.random.Generator) -> Tensor:
        net.round_as_kernels(False)
        return _loss(net(images), teacher(images), labels)

    return Training(
        net,
        _optimiser(net, rate),
        loss,
        parts.images,
        parts.labels,
        lambda: _held_out(net, parts),
        start=start,
    )


def _answers(network: Network, pixels: Input) -> Teacher:
    """The logits of a network in real numbers, without rounding."""
    net = QuantisedNet(revive(network), ProductSpec(exact=True), pixels).eval()

    @torch.no_grad()
    def answer(images: Tensor) -> Tensor:
        return list(net.real(images).values())[-1].flatten(1)

    return answer


def _held_out(net: QuantisedNet, parts: Split) -> float:
    """The accuracy, 0 to 1, by which the epoch is chosen."""
    net.round_as_kernels(True)
    images, labels = parts.held_images[:VALIDATION], parts.held_labels[:VALIDATION]
    with torch.no_grad():
        answers = [net(batch).argmax(1) for batch in images.split(BATCH)]
    return float((torch.cat(answers) == labels).float().mean())


def _loss(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy with the labels and with the softened teacher, weighted by LABELS."""
    soft = (
        nn.functional.cross_entropy(student / TEMPERATURE, (teacher / TEMPERATURE).softmax(1))
        * TEMPERATURE**2
    )
    return LABELS * nn.functional.cross_entropy(student, labels) + (1 - LABELS) * soft


def _optimiser(net: QuantisedNet, rate: float) -> torch.optim.Optimizer:
    """Adam, with the rate SCALE_RATE * rate for everything but weights."""
    weights = [p for name, p in net.named_parameters() if name.endswith(".weight")]
    others = [p for name, p in net.named_parameters() if not name.endswith(".weight")]
    return torch.optim.Adam(
        [{"params": weights, "lr": rate}, {"params": others, "lr": rate * SCALE_RATE}]
    )
