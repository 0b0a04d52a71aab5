"""Study `faults`: accuracy when bits flip in streams, weights and activations."""

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from dscim.arrays import Int8, Int64
from dscim.gateware.specs import ProductSpec
from dscim.host.golden.emulator import PreparedNode, prepare
from dscim.host.golden.reference.requantise import requantise
from dscim.host.network import Evaluator, Network, Weighted, predictions
from dscim.host.network.shipped import EXACT, TUNED, shipped_images, shipped_network
from dscim.host.research.studies.study import Cell, Column, Row, Rows, Study

SEED = 9
IMAGES = (48, 128)
TRIALS = (1, 2)
RATES = ((1e-5, 1e-3, 1e-1), (1e-6, 1e-5, 1e-4, 1e-3, 3e-3, 1e-2, 1e-1))
PLACES = ("weights", "activations", "streams")

PRODUCT_BITS = 16
"""Bits of a product of two int8, which the exact macro has instead of a stream."""


def cells(quick: bool) -> list[Cell]:
    """Each product and place of faults, all rates."""
    full = int(not quick)
    return [
        Cell(
            f"{product}, {place}, {RATES[full]}, {IMAGES[full]} images, {TRIALS[full]} times",
            partial(_rates, product, place, full),
        )
        for product in ("ds-cim1", "exact INT8")
        for place in PLACES
    ]


def _rates(product: str, place: str, full: int) -> Iterator[Row]:
    network = shipped_network(TUNED if product == "ds-cim1" else EXACT)
    spec = dataclasses.replace(network.arithmetic, exact=product != "ds-cim1", activation_shift=0)
    images, labels = shipped_images(IMAGES[full])
    for rate in RATES[full]:
        right = []
        for trial in range(TRIALS[full]):
            rng = np.random.default_rng([SEED, trial, round(-np.log10(rate) * 10)])
            said = predictions(faulty(network, spec, place, rate, rng).outputs(images))
            right.append(float((said == labels).mean()))
        yield {
            "product": product,
            "place": place,
            "rate": rate,
            "accuracy": float(np.mean(right)),
            "lowest": min(right),
            "images": len(images),
            "trials": len(right),
            "seed": SEED,
        }


def faulty(
    network: Network, spec: ProductSpec, place: str, rate: float, rng: np.random.Generator
) -> Evaluator:
    """The network with every bit at one place flipped with the probability `rate`.

    place: "weights": flipped once, as in memories. "activations": flipped in the input of
    each layer, again for every image. "streams": the bits of the OR trees, or of the exact
    products.
    """
    if place == "weights":
        faulted = network.with_weighted(
            lambda node: dataclasses.replace(node, weights=flipped(node.weights, rate, rng))
        )
        return Evaluator(faulted, spec, threads=1)
    wrap: Callable[[Weighted, PreparedNode], PreparedNode] = (
        partial(FaultyInput, rate, rng)
        if place == "activations"
        else partial(FaultyStreams, rate, rng)
    )
    return Evaluator(network, spec, threads=1).wrapped(wrap)


def flipped(values: Int8, rate: float, rng: np.random.Generator) -> Int8:
    """A copy in which each bit is flipped with the probability `rate`."""
    mask = np.zeros(values.shape, np.uint8)
    for bit in range(8):
        mask |= (rng.random(values.shape) < rate).astype(np.uint8) << bit
    return (values.view(np.uint8) ^ mask).view(np.int8)


class FaultyInput:
    """A layer with bit flips in its input; a `PreparedNode`."""

    def __init__(
        self, rate: float, rng: np.random.Generator, node: Weighted, inner: PreparedNode
    ) -> None:
        self.layer, self._inner, self._rate, self._rng = inner.layer, inner, rate, rng

    def accumulate(self, x: Int8) -> Int64:
        """As `PreparedNode.accumulate`."""
        return self._inner.accumulate(flipped(x, self._rate, self._rng))

    def run(self, x: Int8) -> Int8:
        """As `PreparedNode.run`."""
        return self._inner.run(flipped(x, self._rate, self._rng))


class FaultyStreams:
    """A layer with bit flips in its streams; a `PreparedNode`.

    DS-CIM: each group's ORs of positive and of negative rows are streams of L bits; the numbers of
    lost and of added ones are drawn from their binomial distributions. Exact: each of the 16 bits
    of each product can flip, and a flipping bit was set with probability one half.
    """

    def __init__(
        self, rate: float, rng: np.random.Generator, node: Weighted, inner: PreparedNode
    ) -> None:
        self.layer, self._inner, self._rate, self._rng, self._node = (
            inner.layer,
            inner,
            rate,
            rng,
            node,
        )
        self._sides = [] if self.layer.product.exact else list(self._signed())

    def _signed(self) -> Iterator[tuple[PreparedNode, int, int]]:
        """(layer of one sign of weights, sign of the inputs, sign of the products)."""
        none = np.zeros(self.layer.outputs, np.int32)
        for sign in (1, -1):
            weights = np.where(self._node.weights * sign > 0, self._node.weights, 0).astype(np.int8)
            ready = prepare(self.layer, weights, none, none, none)
            yield from ((ready, side, sign * side) for side in (1, -1))

    def accumulate(self, x: Int8) -> Int64:
        """As `PreparedNode.accumulate`."""
        sums = self._inner.accumulate(x)
        if self.layer.product.exact:
            return sums + self._product_flips(sums.shape)
        return sums + (self._stream_flips(x) << self.layer.product.decode_shift)

    def run(self, x: Int8) -> Int8:
        """As `PreparedNode.run`."""
        node = self._node
        return requantise(
            self.accumulate(x),
            node.multiplier,
            node.shift,
            self.layer.output_zero,
            self.layer.clamp,
        )

    def _stream_flips(self, x: Int8) -> Int64:
        """The change in the signed counts that the flips cause."""
        product, zero = self.layer.product, self.layer.input_zero
        bits = -(-self.layer.depth // product.or_width) * product.length
        ones = {1: np.int64(0), -1: np.int64(0)}
        for ready, side, sign in self._sides:
            some = np.where((x.astype(np.int16) - zero) * side > 0, x, zero).astype(np.int8)
            ones[sign] = ones[sign] + np.abs(ready.accumulate(some) >> product.decode_shift)
        added = [
            self._rng.binomial(bits - ones[sign], self._rate)
            - self._rng.binomial(ones[sign], self._rate)
            for sign in (1, -1)
        ]
        return np.asarray(added[0] - added[1], np.int64)

    def _product_flips(self, shape: tuple[int, ...]) -> Int64:
        """The change in exact sums that the flips cause."""
        total = np.zeros(shape, np.int64)
        for bit in range(PRODUCT_BITS):
            flips = self._rng.binomial(self.layer.depth, self._rate, shape)
            total += (2 * self._rng.binomial(flips, 0.5) - flips) << bit
        return total


def figure(drawing: Any, rows: Rows) -> None:
    """Accuracy over the rate, one panel per place."""
    for panel, place in zip(drawing.subplots(1, 3, sharey=True), PLACES, strict=True):
        for style, product in (("C0-o", "ds-cim1"), ("C3--s", "exact INT8")):
            mine = [row for row in rows if (row["place"], row["product"]) == (place, product)]
            panel.plot(
                [row["rate"] for row in mine],
                [100 * row["accuracy"] for row in mine],
                style,
                label=product,
                markersize=4,
            )
        panel.set(title=f"bits of {place}", xscale="log", xlabel="share of bits flipped")
        panel.grid(alpha=0.3)
    panel.legend(fontsize=8)
    drawing.axes[0].set_ylabel("accuracy (%)")


STUDY = Study(
    name="faults",
    title="Bits that flip",
    question="The shipped ResNet-8 for Fashion-MNIST, fine-tuned for DS-CIM1 at L = 256, and its "
    "exact INT8 original, on shipped images. A flipped bit of a stream changes a sum by one hit, "
    "one of an exact product by up to half of its range; weights and activations are binary "
    "words in both, so both suffer alike. Flips are random and "
    "independent: a model of faults, not of a technology.",
    published=(),
    minutes=(0.5, 9),
    seeds={"flips": SEED},
    columns=(
        Column("product", "product"),
        Column("place", "bits of"),
        Column("rate", "rate", ".0e"),
        Column("accuracy", "accuracy", ".2%"),
        Column("lowest", "lowest", ".2%"),
        Column("images", "images"),
        Column("trials", "trials"),
    ),
    cells=cells,
    figure=figure,
)
