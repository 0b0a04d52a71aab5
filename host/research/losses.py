"""How much a network loses with DS-CIM, layer by layer, and what would help."""

import dataclasses
from typing import Any

import numpy as np

from dscim.arrays import Floats, Int8, Int64
from dscim.gateware.specs import LayerSpec, ProductSpec, SpecError
from dscim.host.golden.emulator import over_images
from dscim.host.network import INPUT, Evaluator, Network, Weighted, predictions
from dscim.host.network.evaluate import BATCH
from dscim.host.research.calibrate.fit import gain_and_bias
from dscim.host.research.calibrate.layer import shifts
from dscim.host.research.calibrate.samples import products, sample, windows_at
from dscim.progress import Progress

PIXELS = 4096
"""Pixels of a layer from which its signal-to-noise ratio is computed."""

SAMPLED = 64
"""Images from which these pixels are taken."""

WORTH = 1.0
"""The minimum improvement of a layer, in dB, that is worth advice."""


@dataclasses.dataclass(frozen=True)
class LayerLoss:
    """How much one layer loses.

    snr: of its DS-CIM sums relative to the exact sums of the same inputs, in dB. alone: the score
    of the network with only this layer exact. share: the part of the loss that this recovers, None
    if nothing is lost; it can be below 0 if the network was tuned for DS-CIM. advice: what would
    help this layer most, in words.
    """

    name: str
    snr: float
    alone: float
    share: float | None
    advice: str


@dataclasses.dataclass(frozen=True)
class LossReport:
    """A network's loss.

    measured: what the scores are: accuracy, or agreement with the exact network if there are no
    labels. exact, score: those of the exact product and of DS-CIM, 0 to 1.
    """

    measured: str
    exact: float
    score: float
    layers: tuple[LayerLoss, ...]

    def to_json(self) -> dict[str, Any]:
        """Its fields."""
        return dataclasses.asdict(self)


def loss_report(
    network: Network, arithmetic: ProductSpec, images: Int8, labels: Int64 | None, step: Progress
) -> LossReport:
    """The report on images (N, H, W, C) int8, computed with the emulator.

    arithmetic: a stochastic one. labels: (N,) classes; None: the exact network's predictions count
    as correct.
    """
    exact_spec = dataclasses.replace(arithmetic, exact=True, activation_shift=0)
    now, exact = Evaluator(network, arithmetic), Evaluator(network, exact_spec)
    names = [node.name for node in network.nodes_of(Weighted)]

    def answers(evaluator: Evaluator, what: str) -> Int64:
        return predictions(evaluator.outputs(images, lambda done, total: step(what, done, total)))

    wanted = answers(exact, "exact")
    right = wanted if labels is None else labels
    score = float((answers(now, "as it is") == right).mean())
    best = float((wanted == right).mean())
    nodes = _nodes(now, images[:SAMPLED])
    layers = []
    for name in names:
        alone = float((answers(now.with_layers_of(exact, {name}), f"{name} exact") == right).mean())
        share = (alone - score) / (best - score) if best > score else None
        layers.append(LayerLoss(name, *_judged(network, arithmetic, name, nodes, alone, share)))
    return LossReport(
        "agreement with exact" if labels is None else "accuracy", best, score, tuple(layers)
    )


def _nodes(evaluator: Evaluator, images: Int8) -> dict[str, Int8]:
    """Every node's output, and the input."""
    parts = over_images(lambda part: evaluator.nodes(images[part]), len(images), BATCH)
    return {
        INPUT: images,
        **{name: np.concatenate([part[name] for part in parts]) for name in parts[0]},
    }


def _judged(
    network: Network,
    arithmetic: ProductSpec,
    name: str,
    nodes: dict[str, Int8],
    alone: float,
    share: float | None,
) -> tuple[float, float, float | None, str]:
    """The fields of a LayerLoss except the name."""
    node, layer = next(
        (node, layer) for node, layer in network.layers(arithmetic) if node.name == name
    )
    x = nodes[node.inputs[0]]
    windows = windows_at(x, layer, sample(PIXELS, layer, len(x), 0))
    trial = Trial(node, layer, windows)
    snr = trial.snr(layer.product)
    return snr, alone, share, trial.advice(snr)


class Trial:
    """One layer's products at a sample of windows, in its own arithmetic and in others."""

    def __init__(self, node: Weighted, layer: LayerSpec, windows: Int8) -> None:
        """windows: (P, KH, KW, C) int8."""
        self._node, self._layer, self._windows = node, layer, windows
        exact = dataclasses.replace(layer.product, exact=True, activation_shift=0)
        self._exact = self._sums(exact)

    def snr(self, product: ProductSpec, *, fitted: bool = False) -> float:
        """Signal-to-noise ratio in dB; fitted: each channel with its best gain and bias.

        The signal is each channel's variance: a constant of a channel carries no information.
        """
        sums = self._sums(product)
        if fitted:
            gain, bias = gain_and_bias(sums, self._exact, None, np.ones(sums.shape[1]))
            sums = sums * gain + bias
        noise = np.square(sums - self._exact).mean(axis=0) * self._weight
        power = self._exact.var(axis=0) * self._weight
        return float(10 * np.log10(max(power.sum(), 1e-12) / max(noise.sum(), 1e-12)))

    def advice(self, now: float) -> str:
        """The changes that help most, each tried alone: a shift, gain and bias, a longer stream."""
        product = self._layer.product
        gains = {"gain and bias (calibrate)": self.snr(product, fitted=True) - now}
        for shift in shifts(product):
            other = dataclasses.replace(product, activation_shift=shift)
            if other != product:
                gains[f"activation shift {shift} (calibrate)"] = self.snr(other) - now
        try:
            longer = dataclasses.replace(product, length=2 * product.length)
            gains[f"L = {longer.length}"] = self.snr(longer) - now
        except SpecError:  # there is no longer stream
            pass
        helpful = sorted(
            ((gain, what) for what, gain in gains.items() if gain >= WORTH), reverse=True
        )
        return ", ".join(f"{what}: {gain:+.1f} dB" for gain, what in helpful[:2]) or "none of these"

    def _sums(self, product: ProductSpec) -> Floats:
        return products(self._windows, self._layer, self._node.weights, product)

    @property
    def _weight(self) -> Floats:
        """The square of each channel's factor from product units to steps of the output."""
        shift = self._node.shift.astype(np.float64) - 31
        return np.square(np.ldexp(self._node.multiplier.astype(np.float64), shift.astype(np.int64)))
