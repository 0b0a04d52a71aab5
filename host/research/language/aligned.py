"""Matrix products of FP8 (E4M3) numbers whose aligned mantissas an integer macro multiplies.

After arXiv 2602.05743: the numbers of a tile share the exponent of the largest; each mantissa is
shifted to it, rounded half to even, and multiplied as an integer.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from dscim.arrays import Float32, Int8
from dscim.gateware.specs import LayerSpec, ProductSpec, table_gain
from dscim.host.golden.emulator import PreparedNode, estimate, over_images, prepare

ROWS = 128
"""Inputs of a tile, which share an exponent: the rows of the macro."""

BATCH = 64
"""Input vectors a thread takes at a time."""

Int = npt.NDArray[np.int32]

LARGEST = 448.0
"""The largest E4M3 number, 1.75 * 2**8: no infinities, one NaN."""

MIN_EXPONENT = -6
"""Of a normal number; below it the step stays that of this exponent."""

MANTISSA_BITS = 3

TOP = 6
"""Binary places of an aligned mantissa: the largest of a tile is 64..127 in magnitude."""


def matmul(a: Float32, b: Float32) -> Float32:
    """a @ b, added up in float64 and rounded once.

    How a library of linear algebra orders float32 sums depends on threads and processor; rounding
    to FP8 then makes steps of last bits. Of float64 sums what is left of that is all but never
    seen after the rounding.
    """
    return (a.astype(np.float64) @ b.astype(np.float64)).astype(np.float32)


def exponents(values: Float32) -> Int:
    """floor(log2 |v|) of each value; of 0 far below any other."""
    return np.where(values == 0, -1000, np.frexp(values)[1] - 1).astype(np.int32)


def round_e4m3(values: Float32) -> Float32:
    """Each value's nearest E4M3 number, half to even, beyond the largest saturated."""
    steps = np.maximum(exponents(values), MIN_EXPONENT) - MANTISSA_BITS
    rounded = np.ldexp(np.rint(np.ldexp(values, -steps)), steps)
    return np.clip(rounded, -LARGEST, LARGEST).astype(np.float32)


def scale_exponents(values: Float32) -> Int:
    """(M, 1) for rows (M, K): the greatest s with |v| * 2**s at most 448 for the whole row."""
    most = np.abs(values).max(axis=1, keepdims=True)
    room = np.where(most == 0, 1.0, LARGEST / np.maximum(most, np.float32(1e-30)))
    return exponents(room.astype(np.float32))


def to_fp8(values: Float32) -> tuple[Float32, Int]:
    """(M, K) rows as E4M3 numbers of rows scaled by 2**s, and s (M, 1)."""
    scale = scale_exponents(values)
    return round_e4m3(np.ldexp(values, scale)), scale


def align(values: Float32) -> tuple[npt.NDArray[np.int8], Int]:
    """(M, K) numbers, of one tile, as int8 mantissas and each row's shared exponent (M, 1).

    v is about m * 2**e: e makes the row's largest magnitude lie in 64..127.
    """
    shared = exponents(values).max(axis=1, keepdims=True) - TOP
    shared = np.maximum(shared, -200)  # a row of zeros: any exponent does
    # Of E4M3 the largest is at most 1.875 * 64; of other numbers 127.5 and more would be 128.
    return np.clip(np.rint(np.ldexp(values, -shared)), -127, 127).astype(np.int8), shared


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
