"""Matrix products of FP8 numbers whose aligned mantissas an integer macro multiplies."""

from collections.abc import Iterator

import numpy as np

from dscim.arrays import Float32, Int8
from dscim.gateware.specs import LayerSpec, ProductSpec, table_gain
from dscim.host.golden.emulator import PreparedNode, estimate, over_images, prepare
from dscim.host.research.language.fp8 import Int, align, to_fp8
from dscim.host.research.language.matmul import matmul

ROWS = 128
"""Inputs of a tile, which share an exponent: the rows of the macro."""

BATCH = 64
"""Input vectors a thread takes at a time."""


def rotated(values: Float32) -> Float32:
    """(M, K) rows with each tile turned by a Hadamard matrix H / sqrt(size).

    x H (w H)^T = x w^T: products keep their values, while what was in one channel is spread over
    a tile, so that mantissas fill their range as Gaussian numbers do (after QuaRot, arXiv
    2404.00456, there for whole vectors). A tile's size must be a power of two.
    """
    parts = []
    for start in range(0, values.shape[1], ROWS):
        part = values[:, start : start + ROWS]
        size = part.shape[1]
        if size & (size - 1):
            raise ValueError(
                f"A tile of {size} inputs has no Hadamard matrix; it takes a power of two."
            )
        turn = np.ones((1, 1), np.float32)
        while len(turn) < size:
            turn = np.block([[turn, turn], [turn, -turn]])
        parts.append(matmul(part, turn / np.float32(size**0.5)))
    return np.concatenate(parts, axis=1)


class Tiles:
    """Rows (M, K) as E4M3, one scale a row, mantissas aligned tile by tile."""

    def __init__(self, values: Float32) -> None:
        numbers, self._scale = to_fp8(values)
        self._parts = [
            align(numbers[:, start : start + ROWS]) for start in range(0, numbers.shape[1], ROWS)
        ]

    def __iter__(self) -> Iterator[tuple[Int8, Int]]:
        """Each tile's mantissas (M, up to ROWS), and the power of two of each row (M, 1)."""
        for mantissas, exponent in self._parts:
            yield mantissas, exponent - self._scale


class AlignedWeights:
    """Weights (N, K) made ready for products of one arithmetic."""

    def __init__(self, weights: Float32, spec: ProductSpec) -> None:
        """spec: of the mantissas' product; K is at most 32,767 in all."""
        self._gain = np.float32(1 if spec.exact else table_gain(spec.sequence, spec.samples))
        self._tiles = [
            (_prepared(mantissas, spec), exponent.T) for mantissas, exponent in Tiles(weights)
        ]

    def product(self, x: Float32) -> Float32:
        """x @ weights.T for x (M, K): tiles' estimates are scaled and added in float32, and get
        the gain that their table wants."""
        parts = list(Tiles(x))

        def rows(part: slice) -> Float32:
            total = np.float32(0)
            for (mantissas, exponent), (node, shared) in zip(parts, self._tiles, strict=True):
                sums = estimate(node, mantissas[part, None, None, :])[:, 0, 0, :]
                total = total + np.ldexp(sums, exponent[part] + shared)
            return np.asarray(self._gain * total, np.float32)

        return np.concatenate(over_images(rows, len(x), BATCH))


def _prepared(mantissas: Int8, spec: ProductSpec) -> PreparedNode:
    """A tile of weights (N, K) as a 1x1 layer; its estimates are exact in float32."""
    outputs, depth = mantissas.shape
    nothing = np.zeros(outputs, np.int32)
    layer = LayerSpec((1, 1, depth), outputs, product=spec)
    return prepare(layer, mantissas.reshape(outputs, 1, 1, depth), nothing, nothing, nothing)


class Aligned:
    """The `Multiply` of a model: weights are made ready anew at each call."""

    def __init__(self, spec: ProductSpec, turned: bool = False) -> None:
        """turned: both operands are `rotated` before they become FP8."""
        self.spec, self.turned = spec, turned

    def __call__(self, x: Float32, weights: Float32) -> Float32:
        """x @ weights.T, (M, N), for x (M, K) and weights (N, K)."""
        if self.turned:
            x, weights = rotated(x), rotated(weights)
        return AlignedWeights(weights, self.spec).product(x)
